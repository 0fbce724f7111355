// Whatever a model calls its nodes, nothing of it is lost or taken for something else.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/atomic_file.h"
#include "engine/program.h"
#include "engine/random.h"
#include "engine/safetensors.h"
#include "models/checkpoint_fit.h"
#include "models/model_file.h"
#include "models/parameter_groups.h"
#include "models/pretrained.h"
#include "models/training_step.h"
#include "models/weights_file.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {
namespace {

using models::Model;
using nlohmann::json;

/// Names that files, passes and other programs give a meaning.
const char* const kNames[] = {"accumulated",  "momentum",
                              "grad",         "gradients",
                              "conv1",        "bn1",
                              "conv3",        "stem",
                              "fc",           "backbone",
                              "module",       "head",
                              "running_mean", "weight",
                              "bias",         "loss",
                              "label",        "rate",
                              "counter",      "image",
                              "logits",       "output",
                              "sgd",          "roles",
                              "layer0",       "d_loss",
                              "cls",          "share",
                              "accumulate",   "iterations",
                              "statistic",    "running_var",
                              "bf16",         "num_batches_tracked"};

/// A convolution of the name, a batch norm and a convolution inside a block of the name, and the classifier.
Model network(const TemporaryFolder& folder, const std::string& name) {
  const json model = {
      {"about", "x"},
      {"let", {{"classes", 3}, {"crop_h", 9}, {"crop_w", 9}}},
      {"blocks",
       {{"two",
         {{"graph",
           {{{"name", "momentum"}, {"op", "conv2d"}, {"out_channels", 4}}, {{"name", "bn"}, {"op", "batch_norm"}}}}}},
        {"one", {{"graph", {{{"name", "x"}, {"op", "conv2d"}, {"out_channels", 3}}}}}}}},
      {"graph",
       {{{"name", name}, {"op", "conv2d"}, {"out_channels", 4}, {"kernel", 3}, {"padding", 1}},
        {{"name", "norm"}, {"op", "batch_norm"}},
        {{"name", "relu"}, {"op", "relu"}},
        {{"name", name + "s"}, {"block", "two"}},
        {{"name", "momentum." + name}, {"block", "one"}},
        {{"name", "last"}, {"op", "conv2d"}, {"out_channels", "$classes"}, {"bias", true}}}},
      {"outputs", {{"logits", "last"}}},
      {"backbone", {name}}};
  const auto file = folder / "m.json";
  write_text_atomically(file, model.dump());
  return models::read_model(file.string());
}

struct Run {
  Device device = Device::cpu(1);
  Parameters parameters{device};
  Program step;
  explicit Run(const Model& model)
      : step(device, models::training_step(model.build({layers::Mode::train, 2}), {}), parameters, 1) {}
  void train(int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) {
      Tensor image = step.input("image");
      std::vector<float> pixels(static_cast<size_t>(image.type().elements()));
      for (size_t p = 0; p < pixels.size(); ++p)
        pixels[p] = static_cast<float>(random_unit(static_cast<uint64_t>(i), p));
      image.set(pixels);
      std::vector<uint8_t> labels(2 * 81);
      for (size_t p = 0; p < labels.size(); ++p) labels[p] = static_cast<uint8_t>((p / 7 + static_cast<size_t>(i)) % 3);
      step.input("label").set(labels);
      step.input("rate").set(std::vector<float>{0.1f});
      step.run();
    }
  }
};

void check_same(const Parameters& found, const Parameters& wanted) {
  REQUIRE(found.entries().size() == wanted.entries().size());
  for (const Parameters::Entry& entry : wanted.entries()) {
    INFO(entry.name);
    CHECK(found.tensor(entry.key).get<float>() == entry.tensor.get<float>());
  }
}

TEST_CASE("node names: a run that was stopped and goes on is one that was not stopped, to the bit") {
  const TemporaryFolder folder;
  for (const std::string name : kNames) {
    INFO(name);
    const Model model = network(folder, name);
    Run whole(model), first(model), second(model);
    whole.train(0, 4);
    first.train(0, 2);
    write_safetensors(folder / "c.safetensors", models::to_file(first.parameters, 2, true));
    const Safetensors file = read_safetensors(folder / "c.safetensors");
    CHECK(models::tensor_differences(file, second.parameters, "c").empty());
    models::load_weights(second.parameters, file, "c", true);
    second.train(2, 4);
    check_same(second.parameters, whole.parameters);
  }
}

TEST_CASE("node names: a model starts from its own weights, all of them") {
  const TemporaryFolder folder;
  for (const std::string name : kNames) {
    INFO(name);
    const Model model = network(folder, name);
    Run trained(model), fresh(model);
    trained.train(0, 2);
    models::PretrainedOptions options;
    options.classifier = models::parameter_groups(model.build({layers::Mode::train, 2})).classifier;
    options.in_backbone = [&](const std::string& of) { return model.in_backbone(of); };
    const Safetensors weights = models::to_file(trained.parameters, 2, false);
    const models::LoadReport report = models::load_pretrained(fresh.parameters, weights, "w", options);
    CHECK(report.missing.empty());
    CHECK(report.unused.empty());
    for (const Parameters::Entry& entry : trained.parameters.entries()) {
      if (entry.key.kind != Source::Kind::parameter) continue;
      INFO(entry.name);
      CHECK(fresh.parameters.tensor(entry.key).get<float>() == entry.tensor.get<float>());
    }
    // A file of PyTorch has the same names and no roles.
    Safetensors plain = weights;
    plain.metadata.clear();
    Run other(model);
    CHECK(models::load_pretrained(other.parameters, plain, "p", options).loaded == report.loaded);
  }
}

TEST_CASE("node names: batch norms and classifiers are what the graph says") {
  const TemporaryFolder folder;
  for (const std::string name : kNames) {
    INFO(name);
    const Model model = network(folder, name);
    const models::ParameterGroups groups = models::parameter_groups(model.build({layers::Mode::train, 2}));
    CHECK(groups.batch_norm ==
          std::set<std::string>{"norm.bias", "norm.weight", name + "s.bn.bias", name + "s.bn.weight"});
    CHECK(groups.classifier == std::set<std::string>{"last.bias", "last.weight"});
    CHECK(groups.classifier_bias == std::set<std::string>{"last.bias"});
    CHECK(model.in_backbone(name + ".weight"));
    CHECK_FALSE(model.in_backbone(name + "s.bn.weight"));
    const Graph graph = model.build({layers::Mode::train, 2});
    const auto kept = std::count_if(graph.nodes().begin(), graph.nodes().end(),
                                    [](const Node& node) { return node.source() && node.source()->kept(); });
    CHECK(models::describe(graph).size() == graph.nodes().size() - static_cast<size_t>(kept) + 1);  // and the output
  }
}

}  // namespace
}  // namespace psanet::tests
