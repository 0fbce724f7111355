// Every op again, as a literal loop in double written from its definition (SPEC, golden README) and from nothing else.
#pragma once

#include <string>

#include "engine/op.h"
#include "tests/support/host_tensor.h"

namespace psanet::tests {

/// The outputs of the op followed by the new values of the inputs it updates in place. An output without values is not
/// defined by the op's description and not compared.
using Reference = HostTensors (*)(const Op& op, const HostTensors& in);

/// Null if there is none.
Reference find_reference(const std::string& op);

}  // namespace psanet::tests
