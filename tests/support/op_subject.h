// The graph of an op case: the op alone, or with its gradient rule, fed in one way or another.
#pragma once

#include <vector>

#include "tests/support/graph_run.h"
#include "tests/support/op_case.h"

namespace psanet::tests {

inline constexpr char kOpNode[] = "op";

/// How the inputs of the op are brought to it.
enum class Feed {
  inputs,      // set before each run
  parameters,  // all but the first are constants for the program
  values       // computed by another node, so that the op may take their memory
};

struct SubjectOptions {
  Feed feed = Feed::inputs;
  /// bf16: float inputs of three axes or more (activations, and the weights of convolutions) are cast on their way in,
  /// results on their way out.
  DType activations = DType::f32;
};

/// Can the op's activations be bf16?
bool has_bf16(const OpCase& c);

/// The op alone, with these outputs.
Subject forward_subject(const OpCase& c, const SubjectOptions& options, const std::vector<size_t>& outputs);

/// The op and its gradient rule; the outputs are "d_in<i>" for the inputs that are not constant, or for one of them.
Subject gradient_subject(const OpCase& c, const SubjectOptions& options, int only_input = -1);

/// Upstream gradient of output 0, the only one that ops are differentiable in.
HostTensor upstream(const OpCase& c);

bool differentiable(const OpCase& c);

Tolerance tolerance_for(const OpCase& c, const HostTensor& wanted);

}  // namespace psanet::tests
