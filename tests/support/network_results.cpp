#include "tests/support/network_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/program.h"
#include "engine/random.h"
#include "engine/rewrite.h"
#include "tests/support/catch.h"

namespace psanet::tests {

namespace {

void fill(const Parameters& parameters, uint64_t key) {
  for (const Parameters::Entry& entry : parameters.entries()) {
    std::vector<float> values(static_cast<size_t>(entry.tensor.type().elements()));
    const uint64_t k = hash_name(entry.name) + key;
    const bool positive = entry.source.kind == Source::Kind::statistic;  // a variance, or a mean
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>((positive ? 1 : 0) + 0.5 * random_unit(k, i));
    }
    Tensor(entry.tensor).set(values);
  }
}

void set_inputs(Program& program, uint64_t key, int64_t first_image) {
  Tensor image = program.input("image");
  std::vector<float> pixels(static_cast<size_t>(image.type().elements()));
  const uint64_t pixel = static_cast<uint64_t>(first_image) * pixels.size() / static_cast<uint64_t>(image.type()[0]);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(random_unit(key + 3, pixel + i));
  image.set(pixels);
  if (!program.has_input("label")) return;
  Tensor label = program.input("label");
  std::vector<uint8_t> labels(static_cast<size_t>(label.type().elements()));
  const uint64_t place = static_cast<uint64_t>(first_image) * labels.size() / static_cast<uint64_t>(label.type()[0]);
  for (size_t i = 0; i < labels.size(); ++i) {
    const uint64_t class_of = random_bits(key + 5, place + i) % (kRandomNetworkClasses + 1);
    labels[i] = class_of == kRandomNetworkClasses ? 255 : static_cast<uint8_t>(class_of);
  }
  label.set(labels);
}

}  // namespace

NetworkResults network_results(Device& device, const Graph& graph, uint64_t key, bool keep_all, int64_t first_image) {
  Graph pruned = prune(graph), whole = pruned;
  for (size_t id = 0; keep_all && id < whole.nodes().size(); ++id) {
    const Node& node = whole.nodes()[id];
    for (size_t o = 0; node.op() && o < node.outputs.size(); ++o) {
      whole.output(fmt::format("kept {} {}", id, o), {static_cast<int>(id), static_cast<int>(o)});
    }
  }
  Parameters parameters(device);
  parameters.add(whole, 1);
  fill(parameters, key);
  Program program(device, whole, parameters);
  for (int run = 0; run < 2; ++run) {
    set_inputs(program, key, first_image);
    program.run();
  }
  NetworkResults results;
  for (const auto& [name, v] : pruned.outputs()) {
    if (pruned.type(v).dtype == DType::f32) results[name] = program.output(name).get<float>();
  }
  for (const auto& [of, v] : pruned.gradients()) results["gradient of " + of] = program.gradient(of).get<float>();
  return results;
}

namespace {

/// The largest difference, as a part of the largest value.
double part_of_largest(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return INFINITY;
  double worst = 0, scale = 1e-3;
  for (const float x : b) scale = std::max(scale, std::fabs(static_cast<double>(x)));
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = std::fabs(static_cast<double>(a[i]) - b[i]) / scale;
    worst = std::max(worst, std::isfinite(d) ? d : INFINITY);
  }
  return worst;
}

}  // namespace

void check_network(const NetworkResults& found, const NetworkResults& wanted, double most) {
  CHECK(found.size() == wanted.size());
  for (const auto& [name, values] : wanted) {
    INFO(name);
    REQUIRE(found.count(name) == 1);
    CHECK(part_of_largest(found.at(name), values) <= most);
  }
}

}  // namespace psanet::tests
