// What every op promises, checked for one case of the table (tests/support/op_case.h).
#pragma once

#include <set>
#include <string>
#include <vector>

#include "engine/device.h"
#include "tests/support/op_case.h"

namespace psanet::tests {

/// The same processor with different numbers of threads.
struct Devices {
  Device one = Device::cpu(1), two = Device::cpu(2), three = Device::cpu(3);
};

/// One line for each promise that does not hold:
/// - the result is that of the reference loop, also when inputs are constants that are digested once, when the result
///   takes an input's memory, and when only one of several outputs is wanted;
/// - gradients are those of central differences of the reference, for every input that is not constant, together and
///   alone;
/// - the same bits come out of every run and of 1, 2 and 3 threads (oneDNN's convolutions and products: of the same
///   number of threads), whatever was in memory before;
/// - runs after the first allocate nothing.
std::vector<std::string> broken_promises(const OpCase& c, Devices& devices);

/// The names of the ops that the case's gradient rule adds; empty if there is none.
std::set<std::string> gradient_ops(const OpCase& c);

}  // namespace psanet::tests
