// The whole PSA module in all its variants (golden psa_module.safetensors), built word by word as SPEC 2 has it.
#include <nlohmann/json.hpp>

#include "engine/program.h"
#include "layers/passes/passes.h"
#include "models/weights_file.h"
#include "tests/support/build.h"
#include "tests/support/catch.h"
#include "tests/support/golden.h"
#include "tests/support/golden_file.h"
#include "tests/support/test_device.h"

namespace psanet::tests {
namespace {

using layers::Building;
using nlohmann::json;

struct Module {
  Graph& graph;
  layers::Mode mode;
  const json& c;

  Value add(const std::string& path, const std::string& word, const json& attributes, const Values& in) const {
    return add_word(Building{graph, mode, path}, word, attributes, in);
  }
  int64_t number(const char* key) const { return c.at(key).get<int64_t>(); }

  /// 1x1 convolution, batch norm, ReLU with the official names `path`.0, `path`.1.
  Value pointwise(const std::string& path, int64_t channels, Value x) const {
    Value v = add(path + ".0", "conv2d", {{"out_channels", channels}}, {x});
    v = add(path + ".1", "batch_norm", json::object(), {v});
    return add(path + ".2", "relu", json::object(), {v});
  }

  Value branch(const std::string& suffix, const char* direction, Value x) const {
    const int64_t shrink = number("shrink_factor"), h = number("h"), w = number("w");
    Value f = pointwise("reduce" + suffix, number("mid_channels"), x);
    f = add("shrink" + suffix, "resize", {{"height", (h - 1) / shrink + 1}, {"width", (w - 1) / shrink + 1}}, {f});
    const bool compact = c.at("compact").get<bool>();
    Value a = pointwise("attention" + suffix, number("mid_channels"), f);
    a = add("attention" + suffix + ".3", "conv2d", {{"out_channels", number("mask_h") * number("mask_w")}}, {a});
    return add("psa" + suffix, "psa",
               {{"mode", direction},
                {"mask_h", compact ? json() : c.at("mask_h")},
                {"mask_w", compact ? json() : c.at("mask_w")},
                {"compact", compact},
                {"softmax", c.at("psa_softmax")},
                {"normalization_factor", c.at("normalization_factor")}},
               {f, a});
  }

  Value build(Value x) const {
    const int64_t type = number("psa_type");
    Value aggregated;
    if (type == 2) {
      aggregated = add("both", "concat", json::object(), {branch("", "collect", x), branch("_p", "distribute", x)});
    } else {
      aggregated = branch("", type == 0 ? "collect" : "distribute", x);
    }
    graph.output("mid.agg", aggregated);
    Value o = pointwise("proj", number("in_channels"), aggregated);
    o = add("grow", "resize", {{"height", number("h")}, {"width", number("w")}}, {o});
    return add("out", "concat", json::object(), {x, o});
  }
};

void check(const HostTensor& found, const HostTensor& wanted, Tolerance tolerance, const std::string& what) {
  INFO(what);
  CHECK(difference(found, wanted, tolerance) == "");
}

enum class Passes { none, fused, evaluation };

void check_case(const GoldenFile& file, const std::string& name, Passes passes) {
  const json c = file.metadata(name);
  const bool train = c.at("mode") == "train";
  const HostTensor x = file.channels_last(name + ".in.x"), gy = file.channels_last(name + ".in.gy");

  Graph graph;
  const Value in = graph.input("x", x.type);
  const Module module{graph, train ? layers::Mode::train : layers::Mode::eval, c};
  graph.output("out.y", module.build(in));
  if (passes == Passes::fused) graph = layers::fuse_batch_norm(graph);
  if (passes == Passes::evaluation) {
    graph = layers::optimize_for_evaluation(graph);
  } else {
    Values wanted = graph.sources(Source::Kind::parameter);
    wanted.push_back(graph.find_input("x"));
    const Value upstream = graph.input("gy", gy.type);
    add_gradients(graph, dot(graph, "loss", graph.output("out.y"), upstream), wanted);
  }

  Device device = test_device();
  Parameters parameters(device);
  Program program(device, graph, parameters);
  models::load_weights(parameters, file.below(name + ".param."), "golden", true);
  write_values(program.input("x"), x);
  if (program.has_input("gy")) write_values(program.input("gy"), gy);
  program.run();

  const Tolerance close{2e-4, 1e-4};
  check(read_values(program.output("out.y")), file.channels_last(name + ".out.y"), close, "out.y");
  check(read_values(program.output("mid.agg")), file.channels_last(name + ".mid.agg"), close, "mid.agg");
  if (passes == Passes::evaluation) return;

  int gradients = 0;
  for (const auto& [parameter, stored] : file.below(name + ".grad.").tensors) {
    const HostTensor wanted = file.channels_last(name + ".grad." + parameter);
    check(read_values(program.output("grad." + parameter)), wanted, {1e-4 * std::max(1.0, largest(wanted.values)), 0},
          "grad." + parameter);
    ++gradients;
  }
  CHECK(gradients == (c.at("psa_type") == 2 ? 18 : 11));
  for (const auto& [statistic, stored] : file.below(name + ".after.").tensors) {
    if (statistic.find("num_batches") != std::string::npos) continue;
    check(read_values(parameters.tensor(statistic)), file.tensor(name + ".after." + statistic), {2e-5, 1e-5},
          "after." + statistic);
  }
}

void check_all(Passes passes) {
  const auto dir = golden_dir();
  if (!dir) return;
  const GoldenFile file(*dir / "psa_module.safetensors");
  int checked = 0;
  for (const std::string& name : file.cases()) {
    if (passes == Passes::evaluation && file.metadata(name).at("mode") == "train") continue;
    INFO(name);
    check_case(file, name, passes);
    ++checked;
  }
  CHECK(checked == (passes == Passes::evaluation ? 54 : 126));
}

TEST_CASE("golden: every variant of the PSA module agrees, with all gradients and statistics", "[golden]") {
  check_all(Passes::none);
}

TEST_CASE("golden: the PSA module with fused batch norms agrees too", "[golden]") {
  check_all(Passes::fused);
}

TEST_CASE("golden: the PSA module optimised for evaluation agrees too", "[golden]") {
  check_all(Passes::evaluation);
}

}  // namespace
}  // namespace psanet::tests
