// The rate and the decay that every parameter gets, read off the optimiser's op of whole training steps.
#include "apps/step_options.h"

#include <map>
#include <nlohmann/json.hpp>
#include <regex>

#include "layers/sgd.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

struct Factors {
  double rate, decay;
};

/// By name, of the training step (or of its update, where the recipe accumulates).
std::map<std::string, Factors> factors(const std::string& model_name, std::vector<std::string> overrides) {
  overrides.insert(overrides.end(), {"model=" + model_name, "let.crop_h=113", "let.crop_w=113", "let.classes=150"});
  const apps::Recipe recipe = apps::read_recipe(apps::find_recipe("ade20k"), overrides);
  const models::Model model = apps::read_recipe_model(recipe, data::load_dataset(recipe.dataset));
  const Graph forward = model.build({layers::Mode::train, 2});
  const models::TrainingOptions options = apps::step_options(recipe, model, forward, {});
  Graph graph = models::training_step(forward, options);
  if (recipe.accumulate > 1) graph = models::accumulated_update(graph, options);
  std::map<std::string, Factors> result;
  for (const Node& node : graph.nodes()) {
    const auto* sgd = node.as<layers::Sgd>();
    if (!sgd) continue;
    for (size_t i = 0; i < sgd->rate_factor.size(); ++i) {
      const std::string& name = graph.node(node.inputs[sgd->first_tensor() + 3 * i]).name;
      result[name] = {sgd->rate_factor[i], sgd->weight_decay[i]};
    }
  }
  CHECK(result.size() == forward.sources(Source::Kind::parameter).size());
  return result;
}

const std::regex kBackbone("layer[0-4]\\..*");
const std::regex kClassifierBias("(cls|aux)\\.4\\.bias");
/// Batch norms by their places in the networks.
const std::regex kNorm(
    "(layer0\\.[147]|layer[1-4]\\.\\d+\\.(bn[123]|downsample\\.1)|(cls|aux)\\.1|"
    "psa\\.(reduce|reduce_p|attention|attention_p|proj)\\.1|ppm\\.features\\.\\d\\.2)\\.(weight|bias)");

const std::vector<std::string> kModels = {"fcn18_small", "psanet18_small", "psanet50", "pspnet50"};

TEST_CASE("step options: the paper's rates and one decay for everything") {
  for (const std::string& model : kModels) {
    for (const auto& [name, factor] : factors(model, {})) {
      INFO(model << ": " << name);
      CHECK(factor.rate == (std::regex_match(name, kBackbone) ? 1.0 : 10.0));
      CHECK(factor.decay == 1e-4);
    }
  }
}

TEST_CASE("step options: what Caffe does otherwise reaches the parameters that it is about and no other") {
  for (const std::string& model : kModels) {
    for (const char* accumulate : {"accumulate=1", "accumulate=2"}) {
      size_t norms = 0, biases = 0;
      for (const auto& [name, factor] :
           factors(model, {"batch_norm_decay_factor=0", "classifier_bias_rate_factor=20",
                           "classifier_bias_decay_factor=0.5", "head_rate_factor=8", accumulate})) {
        INFO(model << ", " << accumulate << ": " << name);
        const bool norm = std::regex_match(name, kNorm), bias = std::regex_match(name, kClassifierBias);
        CHECK(factor.rate == (bias ? 20.0 : std::regex_match(name, kBackbone) ? 1.0 : 8.0));
        CHECK(factor.decay == (bias ? 0.5e-4 : norm ? 0.0 : 1e-4));
        norms += norm;
        biases += bias;
      }
      INFO(model);
      CHECK(norms > 20);
      CHECK(biases == 2);
    }
  }
}

}  // namespace
}  // namespace psanet::tests
