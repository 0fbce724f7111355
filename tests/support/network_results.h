// Runs random networks on made-up numbers.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/device.h"
#include "tests/support/random_network.h"

namespace psanet::tests {

/// Float outputs by name, gradients as "gradient of <name>".
using NetworkResults = std::map<std::string, std::vector<float>>;

/// Those of a second run, with parameters and inputs that are functions of the key. `keep_all`: no memory is used for
/// two values. `first_image`: the graph's batch begins there in a larger one.
NetworkResults network_results(Device& device, const Graph& graph, uint64_t key, bool keep_all = false,
                               int64_t first_image = 0);

/// Checks that both have the same results, and that no difference is more than `most` of a result's largest value.
void check_network(const NetworkResults& found, const NetworkResults& wanted, double most);

}  // namespace psanet::tests
