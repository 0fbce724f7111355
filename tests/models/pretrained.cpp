// Weights to start from: ImageNet networks under the names they come with, whole networks, classifiers that do not fit.
#include "models/pretrained.h"

#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "models/model_file.h"
#include "models/parameter_groups.h"
#include "models/weights_file.h"
#include "tests/models/wrong.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

struct Net {
  models::Model model;
  Device device = Device::cpu(1);
  Graph graph;
  Parameters parameters{device};
  models::PretrainedOptions options;
  explicit Net(nlohmann::json lets, uint64_t seed = 1)
      : model(models::read_model("psanet18_small", with_size(std::move(lets)))),
        graph(model.build({layers::Mode::train, 1})) {
    parameters.add(graph, seed);
    options.classifier = models::parameter_groups(graph).classifier;
    options.in_backbone = [this](const std::string& name) { return model.in_backbone(name); };
  }
  static nlohmann::json with_size(nlohmann::json lets) {
    lets.update({{"crop_h", 33}, {"crop_w", 33}});
    return lets;
  }
  Safetensors file() const { return models::to_file(parameters, 3, false); }
  std::vector<float> at(const std::string& name) const { return parameters.tensor(name).get<float>(); }
};

/// The backbone of `file` with its stem under other names, and a classifier of 1000 classes.
Safetensors imagenet(const Safetensors& file, const std::map<std::string, std::string>& stem) {
  Safetensors result;
  for (const auto& [name, tensor] : file.tensors) {
    const size_t dot = name.rfind('.');
    const auto renamed = stem.find(name.substr(0, dot));
    if (renamed != stem.end()) {
      result.tensors[renamed->second + name.substr(dot)] = tensor;
    } else if (name.rfind("layer", 0) == 0) {
      result.tensors[name] = tensor;
    }
  }
  const std::vector<float> fc(1000 * 8, 0.5f);
  result.tensors["fc.weight"] = FileTensor::of({1000, 8}, std::span<const float>(fc));
  return result;
}

const std::map<std::string, std::string> kDeepStem = {{"layer0.0", "conv1"}, {"layer0.1", "bn1"},
                                                      {"layer0.3", "conv2"}, {"layer0.4", "bn2"},
                                                      {"layer0.6", "conv3"}, {"layer0.7", "bn3"}};

std::string error(Net& net, const Safetensors& file) {
  try {
    models::load_pretrained(net.parameters, file, "start.safetensors", net.options);
  } catch (const WeightsError& e) {
    return e.what();
  }
  return "no error";
}

TEST_CASE("an ImageNet backbone loads under semseg's and ResNet-D's and mmsegmentation's names") {
  const std::vector<std::vector<std::string>> names = {
      {"conv1", "bn1", "conv2", "bn2", "conv3", "bn3"},
      {"module.conv1.0", "module.conv1.1", "module.conv1.3", "module.conv1.4", "module.conv1.6", "module.bn1"},
      {"backbone.stem.0", "backbone.stem.1", "backbone.stem.3", "backbone.stem.4", "backbone.stem.6",
       "backbone.stem.7"}};
  const auto which = static_cast<size_t>(GENERATE(0, 1, 2));
  std::map<std::string, std::string> stem;
  const char* const ours[] = {"layer0.0", "layer0.1", "layer0.3", "layer0.4", "layer0.6", "layer0.7"};
  for (size_t i = 0; i < 6; ++i) stem[ours[i]] = names[which][i];
  const Net from({{"classes", 7}}, 5);
  Net to({{"classes", 3}}, 1);
  const std::vector<float> head = to.at("cls.0.weight");
  const models::LoadReport report =
      models::load_pretrained(to.parameters, imagenet(from.file(), stem), "f", to.options);
  for (const char* name : {"layer0.0.weight", "layer0.3.weight", "layer0.7.running_var", "layer2.0.conv1.weight"}) {
    INFO(name);
    CHECK(to.at(name) == from.at(name));
  }
  CHECK(to.at("cls.0.weight") == head);
  CHECK(report.unused.empty());
  CHECK_FALSE(report.missing.empty());
}

TEST_CASE("a stem that does not fit is one line with the lets to change") {
  const Net from({{"stem_1", 8}, {"stem_2", 8}, {"stem_3", 16}}, 5);
  Net to({{"classes", 3}}, 1);
  const std::vector<float> before = to.at("layer0.0.weight");
  check_message(error(to, imagenet(from.file(), kDeepStem)),
                {"start.safetensors: its stem is 3x3 convolutions of 8, 8, 16 channels",
                 "let.stem_1=8 let.stem_2=8 let.stem_3=16"});
  CHECK(to.at("layer0.0.weight") == before);

  Safetensors torchvision = imagenet(from.file(), {});
  std::erase_if(torchvision.tensors, [](const auto& tensor) { return tensor.first.rfind("layer0.", 0) == 0; });
  const std::vector<float> seven(64 * 3 * 49, 0.1f);
  torchvision.tensors["conv1.weight"] = FileTensor::of({64, 3, 7, 7}, std::span<const float>(seven));
  check_message(error(to, torchvision),
                {"its stem is one 7x7 convolution of 64 channels", "--set let.stem=stem_7x7 makes the model fit"});
  torchvision.tensors.erase("layer1.0.downsample.0.weight");  // where 64 channels go in and out
  check_message(error(to, torchvision), {"--set let.stem=stem_7x7 let.stage_1=basic_stage_plain makes the model fit"});
  Net plain({{"stem", "stem_7x7"}, {"stage_1", "basic_stage_plain"}}, 1);
  check_message(error(plain, imagenet(from.file(), kDeepStem)),
                {"--set let.stem=deep_stem let.stem_1=8 let.stem_2=8 let.stem_3=16 let.stage_1=basic_stage makes"});

  Net same({{"stem_1", 8}, {"stem_2", 8}, {"stem_3", 16}}, 1);
  Safetensors shortcut = imagenet(from.file(), kDeepStem);
  shortcut.tensors.erase("layer1.0.downsample.0.weight");
  check_message(error(same, shortcut), {"layer1.0 has no convolution in its shortcut, the model's has a convolution",
                                        "--set let.stage_1=basic_stage_plain"});
  const std::vector<float> five(32 * 3 * 25, 0.1f);
  torchvision.tensors["conv1.weight"] = FileTensor::of({32, 3, 5, 5}, std::span<const float>(five));
  check_message(error(to, torchvision), {"one 5x5 convolution of 32 channels", "none of our stems is like that"});
}

TEST_CASE("a classifier of other classes is refused and dropped on demand") {
  const Net from({{"classes", 7}}, 5);
  Net to({{"classes", 3}}, 1);
  check_message(error(to, from.file()), {"its classifier \"aux.4.", "drop_classifier=true"});
  CHECK(to.at("layer0.0.weight") != from.at("layer0.0.weight"));
  const std::vector<float> classifier = to.at("cls.4.weight");
  to.options.drop_classifier = true;
  const models::LoadReport report = models::load_pretrained(to.parameters, from.file(), "f", to.options);
  CHECK(to.at("cls.4.weight") == classifier);
  CHECK(to.at("cls.0.weight") == from.at("cls.0.weight"));
  CHECK(report.missing.size() == 4);
}

TEST_CASE("weights that lack a tensor or have another shape or nothing of the model are refused") {
  Net to({{"classes", 3}}, 1);
  Safetensors file = Net({{"classes", 3}}, 5).file();
  Safetensors lacking = file;
  lacking.tensors.erase("layer1.0.bn1.bias");
  check_message(error(to, lacking), {"start.safetensors: lacks \"layer1.0.bn1.bias\""});
  Safetensors backbone = imagenet(file, kDeepStem);
  backbone.tensors.erase("layer2.0.bn1.running_mean");
  check_message(error(to, backbone), {"lacks \"layer2.0.bn1.running_mean\""});
  const std::vector<float> one(1);
  file.tensors["cls.0.weight"] = FileTensor::of({1}, std::span<const float>(one));
  check_message(error(to, file), {"tensor \"cls.0.weight\" has shape [1]"});
  Safetensors strange;
  strange.tensors["encoder.w"] = FileTensor::of({1}, std::span<const float>(one));
  check_message(error(to, strange), {"has no tensor of this model", "encoder.w"});
}

}  // namespace
}  // namespace psanet::tests
