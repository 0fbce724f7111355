// Ranks as processes that nobody has started together, as on two machines: rank 0 keeps the store.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/apps/programs.h"

namespace psanet::tests {

/// A variable for the programs that are started meanwhile.
class Variable {
 public:
  Variable(const std::string& name, const std::string& value);
  ~Variable();
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const std::string name_;
};

using TwoRanks = std::array<std::unique_ptr<Running>, 2>;

/// Rank 0 and rank 1 of two, with arguments of their own; rank 1 with more environment.
TwoRanks two_by_hand(const std::string& program, const std::vector<std::string>& zero,
                     const std::vector<std::string>& one, const std::map<std::string, std::string>& more_of_one = {});

std::vector<int> children_of(int process);
/// Still there, and not only waiting to be looked at by a parent.
bool runs(int process);

class TinyRun;

/// Two pairs of ranks with a limit of 600 s and `arguments`; of one rank 0 stands still for seven seconds, of the other
/// rank 1. Fails the test unless all of them go on.
void check_that_a_pause_harms_nothing(const std::string& program, const std::vector<std::string>& arguments);
/// Two pairs again; of one rank 0 fails because its images are broken, of the other rank 1. Fails the test unless the
/// other rank ends within ten seconds and says which rank has failed, and why.
void check_that_a_failure_ends_the_other(const std::string& program, const std::vector<std::string>& arguments);

}  // namespace psanet::tests
