// Networks that no one thought of on the CUDA backend.
#include "layers/passes/passes.h"
#include "models/training_step.h"
#include "tests/device/devices.h"
#include "tests/support/network_results.h"

namespace psanet::tests {
namespace {

uint64_t networks() {
  return gpu_is_emulated() ? 100 : 500;
}

TEST_CASE("device random networks: float with all passes for a GPU is what the processor computes without any") {
  for (uint64_t key = 0; key < networks(); ++key) {
    INFO("network " << key);
    const Graph graph = random_network(key, layers::Mode::eval, 1);
    const Graph fast = layers::optimize_for_evaluation(graph, gpu().target());
    check_network(network_results(gpu(), fast, key), network_results(processor(), graph, key), 1e-3);
  }
}

TEST_CASE("device random networks: gradients in bf16 are the same bits with and without a memory plan") {
  models::TrainingOptions options;
  options.update = false;
  options.target = gpu(Precision::bf16).target();
  for (uint64_t key = 0; key < networks(); ++key) {
    INFO("network " << key);
    const Graph step = models::training_step(random_network(key, layers::Mode::train, 2), options);
    Device& device = gpu(Precision::bf16);
    check_network(network_results(device, step, key), network_results(device, step, key, true), 0);
  }
}

}  // namespace
}  // namespace psanet::tests
