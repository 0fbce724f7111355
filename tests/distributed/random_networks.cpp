// Networks that no one thought of on two ranks: losses and gradients are those of one rank with all of the batch.
#include "layers/passes/data_parallel.h"
#include "models/training_step.h"
#include "tests/distributed/ranks.h"
#include "tests/support/catch.h"
#include "tests/support/network_results.h"

namespace psanet::tests {
namespace {

constexpr uint64_t kNetworks = 200;
constexpr int64_t kBatch = 3;

Graph step_of(uint64_t key, int64_t batch) {
  models::TrainingOptions options;
  options.update = false;
  return models::training_step(random_network(key, layers::Mode::train, batch), options);
}

TEST_CASE("random networks: two ranks compute what one does") {
  if (!has_gloo()) {
    WARN("SKIPPED: built without Gloo");
    return;
  }
  std::vector<std::vector<NetworkResults> > found(2);
  on_ranks(2, [&](const std::shared_ptr<HostCommunicator>& ranks) {
    Device device = Device::cpu(1);
    device.join(ranks);
    const auto part = layers::BatchPart::of_rank(kBatch, ranks->rank(), 2);
    for (uint64_t key = 0; key < kNetworks; ++key) {
      const Graph graph = layers::data_parallel(step_of(key, part.count), part, 2, {1 << 10});
      found[static_cast<size_t>(ranks->rank())].push_back(network_results(device, graph, key, false, part.first));
    }
  });
  Device alone = Device::cpu(1);
  for (uint64_t key = 0; key < kNetworks; ++key) {
    INFO("network " << key);
    const NetworkResults wanted = network_results(alone, step_of(key, kBatch), key);
    for (const auto& rank : found) check_network(rank[key], wanted, 2e-2);
  }
}

}  // namespace
}  // namespace psanet::tests
