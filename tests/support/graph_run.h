// Runs a graph on given inputs and looks at everything a run promises besides its numbers.
#pragma once

#include <string>
#include <vector>

#include "engine/graph.h"
#include "tests/support/host_tensor.h"

namespace psanet::tests {

/// A graph, what to set and what to read.
struct Subject {
  Graph graph;
  std::vector<std::pair<std::string, HostTensor>> inputs;      // inputs of the graph
  std::vector<std::pair<std::string, HostTensor>> parameters;  // parameters and states
  std::vector<std::string> outputs;                            // outputs of the graph
  std::vector<std::string> updated;                            // inputs that the graph changes
};

struct Outcome {
  HostTensors values;                        // outputs, then updated inputs
  std::vector<std::vector<std::byte>> bits;  // the same
  bool repeatable = true;                    // another run gave the same bits
  int64_t allocations = 0;                   // of that other run
};

/// Runs three times: on NaN, so that memory is full of it, then twice on the inputs.
Outcome run(Device& device, const Subject& subject);

}  // namespace psanet::tests
