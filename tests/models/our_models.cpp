// The model files that ship with us: parameter names and shapes, sizes, requirements.
#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/fields_json.h"
#include "models/model_file.h"
#include "models/model_source.h"
#include "tests/models/wrong.h"
#include "tests/support/golden.h"

using namespace psanet;
using namespace psanet::models;
using layers::Mode;
using nlohmann::json;
using psanet::tests::check_message;
using psanet::tests::message_of;

namespace {

Shape file_shape(const Type& type, FileLayout layout) {
  const Shape& s = type.shape;
  return layout == FileLayout::conv_weight ? Shape{s[0], s[3], s[1], s[2]} : s;
}

/// Name -> shape as a checkpoint has it, of all parameters and running statistics.
std::map<std::string, Shape> state_dict(const Graph& graph) {
  std::map<std::string, Shape> all;
  for (const Source::Kind kind : {Source::Kind::parameter, Source::Kind::statistic}) {
    for (const Value v : graph.sources(kind)) {
      const Node& node = graph.node(v);
      all[node.name] = file_shape(node.outputs[0], node.source()->layout);
    }
  }
  return all;
}

Graph training_graph(const std::string& name, const json& settings) {
  return read_model(name, settings).build({Mode::train, 2});
}

int64_t parameters(const std::map<std::string, Shape>& all) {
  int64_t count = 0;
  for (const auto& [name, shape] : all) {
    if (name.find(".running_") == std::string::npos) count += elements(shape);
  }
  return count;
}

std::string error(const std::string& name, const json& settings) {
  return message_of([&] { read_model(name, settings).build({}); });
}

}  // namespace

TEST_CASE("every official configuration has the official names and shapes") {
  const auto golden = psanet::tests::golden_dir();
  if (!golden) return;
  const json all = json::parse(std::ifstream(*golden / "state_dict_keys.json"));
  const std::map<std::string, std::pair<std::string, json>> ours = {
      {"psanet50_ade20k_465", {"psanet50", json::object()}},
      {"psanet101_ade20k_465", {"psanet101", json::object()}},
      {"pspnet50_ade20k_473", {"pspnet50", json::object()}},
      {"pspnet101_ade20k_473", {"pspnet101", json::object()}},
      {"psanet50_cityscapes_705", {"psanet50", {{"classes", 19}, {"crop_h", 705}, {"crop_w", 705}}}},
      {"psanet50_voc_465_collect", {"psanet50_collect", {{"classes", 21}}}},
      {"psanet50_voc_465_compact", {"psanet50_compact", {{"classes", 21}}}},
  };
  REQUIRE(all.size() == ours.size());
  for (const auto& item : all.items()) {
    DYNAMIC_SECTION(item.key()) {
      const auto& [name, settings] = ours.at(item.key());
      const Graph graph = training_graph(name, settings);
      const std::map<std::string, Shape> found = state_dict(graph);
      std::map<std::string, Shape> wanted;
      for (const json& entry : item.value()["state_dict"]) {
        const std::string key = entry[0].get<std::string>().substr(std::string("module.").size());
        if (key.find("num_batches_tracked") == std::string::npos) wanted[key] = entry[1].get<Shape>();
      }
      for (const auto& [key, shape] : wanted) {
        INFO(key);
        REQUIRE(found.count(key) == 1);
        CHECK(to_string(found.at(key)) == to_string(shape));
      }
      CHECK(found.size() == wanted.size());
      CHECK(parameters(found) == item.value()["n_parameters"].get<int64_t>());
    }
  }
}

TEST_CASE("the models have the parameters they should have") {
  // A subset of the golden list, so that it is checked where the golden files are absent.
  const auto all = state_dict(training_graph("psanet50", json::object()));
  CHECK(parameters(all) == 53273836);
  CHECK(all.at("layer0.0.weight") == Shape{64, 3, 3, 3});
  CHECK(all.at("layer1.0.conv1.weight") == Shape{64, 128, 1, 1});
  CHECK(all.at("layer2.0.downsample.0.weight") == Shape{512, 256, 1, 1});
  CHECK(all.at("layer4.2.bn3.running_var") == Shape{2048});
  CHECK(all.at("psa.reduce.0.weight") == Shape{512, 2048, 1, 1});
  CHECK(all.at("psa.attention_p.3.weight") == Shape{3481, 512, 1, 1});
  CHECK(all.at("psa.proj.0.weight") == Shape{2048, 1024, 1, 1});
  CHECK(all.at("cls.4.bias") == Shape{150});
  CHECK(all.at("aux.0.weight") == Shape{256, 1024, 3, 3});
  CHECK(all.count("psa.proj.0.bias") == 0);
  CHECK(state_dict(training_graph("psanet50_distribute", json::object())).count("psa.attention.3.weight") == 1);
  CHECK(state_dict(training_graph("psanet50_distribute", json::object())).count("psa.attention_p.3.weight") == 0);

  const auto small = state_dict(training_graph("psanet18", json::object()));
  CHECK(small.at("layer1.0.downsample.0.weight") == Shape{64, 128, 1, 1});
  CHECK(small.at("layer4.1.conv2.weight") == Shape{512, 512, 3, 3});
  CHECK(small.at("psa.reduce.0.weight") == Shape{128, 512, 1, 1});
  CHECK(small.at("cls.0.weight") == Shape{512, 1024, 3, 3});
}

TEST_CASE("psanet18 with 512 channels in a branch is the reference's PSANet on ResNet-18") {
  // Counted by hand from the layers of a PSANet(18) with 2 classes and 9 x 9 masks.
  const auto all =
      state_dict(training_graph("psanet18", {{"psa_channels", 512}, {"classes", 2}, {"crop_h", 65}, {"crop_w", 65}}));
  CHECK(parameters(all) == 18297412);
}

TEST_CASE("the demo's pair differs in the attention module only") {
  const auto with = state_dict(training_graph("psanet18", json::object()));
  const auto without = state_dict(training_graph("fcn18", json::object()));
  for (const auto& [name, shape] : without) {
    INFO(name);
    REQUIRE(with.count(name) == 1);
    if (name != "cls.0.weight") CHECK(with.at(name) == shape);
  }
  for (const auto& [name, shape] : with) {
    INFO(name);
    CHECK((without.count(name) == 1 || name.compare(0, 4, "psa.") == 0));
  }
}

TEST_CASE("every model of ours builds in both modes") {
  for (const std::string& name : our_models()) {
    DYNAMIC_SECTION(name) {
      const Model model = read_model(name);
      CHECK_FALSE(model.about.empty());
      const Graph eval = model.build({Mode::eval, 1});
      const int64_t h = model.crop_h, w = model.crop_w, classes = model.classes;
      CHECK(eval.type(eval.find_input("image")) == f32({1, h, w, 3}));
      CHECK(eval.type(eval.output("logits")) == f32({1, h, w, classes}));
      CHECK(eval.outputs().size() == 1);
      const Graph train = model.build({Mode::train, 2});
      CHECK(train.type(train.output("logits")) == f32({2, h, w, classes}));
      CHECK(train.type(train.output("aux")) == f32({2, h, w, classes}));
    }
  }
}

TEST_CASE("evaluation and aux_weight null leave the auxiliary head out") {
  CHECK(state_dict(read_model("fcn18").build({Mode::eval, 1})).count("aux.0.weight") == 0);
  const Model model = read_model("fcn18", {{"aux_weight", nullptr}});
  CHECK_FALSE(model.aux_weight.has_value());
  const Graph train = model.build({Mode::train, 1});
  CHECK(train.outputs().size() == 1);
  CHECK(state_dict(train).count("aux.0.weight") == 0);
  CHECK(read_model("fcn18").aux_weight == 0.4);
}

TEST_CASE("the output size follows crop and zoom") {
  const auto [zoom, h, w] = GENERATE(table<int, int64_t, int64_t>({{1, 9, 13}, {2, 17, 25}, {4, 33, 49}, {8, 65, 97}}));
  const json settings = {{"crop_h", 65}, {"crop_w", 97}, {"zoom", zoom}, {"classes", 5}};
  for (const char* name : {"psanet18", "psanet50_compact", "pspnet18"}) {
    INFO(name);
    const Graph graph = read_model(name, settings).build({Mode::eval, 2});
    CHECK(graph.type(graph.output("logits")) == f32({2, h, w, 5}));
  }
}

TEST_CASE("masks of every legal size: larger than full, smaller, not square, without shrink") {
  const auto channels = [](json settings) {
    settings.update({{"crop_h", 65}, {"crop_w", 97}});
    return state_dict(read_model("psanet18", settings).build({})).at("psa.attention.3.weight")[0];
  };
  CHECK(channels(json::object()) == 9 * 13);
  CHECK(channels({{"mask_h", 101}, {"mask_w", 3}}) == 303);
  CHECK(channels({{"mask_h", 1}, {"mask_w", 1}}) == 1);
  CHECK(channels({{"shrink", 1}}) == 17 * 25);
  CHECK(channels({{"shrink", 4}}) == 5 * 7);
  CHECK(channels({{"psa_softmax", false}, {"normalization_factor", nullptr}}) == 9 * 13);
  // Caffe's VOC network: no shrink, a 59 x 59 mask on a 59 x 59 map.
  CHECK_NOTHROW(
      read_model("psanet50", {{"shrink", 1}, {"mask_h", 59}, {"mask_w", 59}, {"stride_on_1x1", 1}}).build({}));
}

TEST_CASE("the switches between public weight families change what they should") {
  const auto stem = state_dict(
      read_model("psanet50", {{"stem_1", 32}, {"stem_2", 32}, {"stem_3", 64}, {"proj_padding", 1}}).build({}));
  CHECK(stem.at("layer0.6.weight") == Shape{64, 32, 3, 3});
  CHECK(stem.at("layer1.0.conv1.weight") == Shape{64, 64, 1, 1});

  const auto size_after = [](const json& settings, const std::string& node_name) {
    const Graph graph = read_model("psanet50", settings).build({});
    for (const Node& node : graph.nodes()) {
      if (node.name == node_name) return node.outputs[0][1];
    }
    return int64_t{0};
  };
  CHECK(size_after(json::object(), "layer2.0.conv1") == 117);
  CHECK(size_after(json::object(), "layer2.0.conv2") == 59);
  CHECK(size_after({{"stride_on_1x1", 1}}, "layer2.0.conv1") == 59);
  CHECK(size_after({{"stride_on_1x1", 1}}, "layer2.0.conv2") == 59);

  const auto dilation = [](const json& settings, const std::string& node_name) {
    const Model model = read_model("psanet50", settings);
    const Graph graph = model.build({});
    for (const Node& node : graph.nodes()) {
      if (node.name != node_name) continue;
      const auto fields = write_fields([&](Fields& f) { node.op()->fields(f); });
      return fields["dilation"].get<int64_t>();
    }
    return int64_t{0};
  };
  CHECK(dilation(json::object(), "layer2.0.conv2") == 1);
  CHECK(dilation(json::object(), "layer3.0.conv2") == 2);
  CHECK(dilation(json::object(), "layer4.0.conv2") == 4);
  CHECK(dilation({{"first_dilation_divisor", 2}}, "layer3.0.conv2") == 1);
  CHECK(dilation({{"first_dilation_divisor", 2}}, "layer4.0.conv2") == 2);
  CHECK(dilation({{"first_dilation_divisor", 2}}, "layer4.1.conv2") == 4);
}

TEST_CASE("a size that a model cannot have is an error with its path, what was found and valid values") {
  const auto [name, settings, pieces] = GENERATE(table<std::string, json, std::vector<std::string>>({
      {"psanet50",
       {{"crop_h", 473}},
       {"psanet.json: let.crop_h: found 473", "crop_h - 1 must be a multiple of 16 (8 x shrink)", "valid: 465, 481"}},
      {"psanet50", {{"crop_w", 1}, {"crop_h", 0}}, {"let.crop_h: found 0", "valid: 17, 33"}},
      {"psanet50", {{"crop_w", 464}}, {"let.crop_w: found 464", "valid: 449, 465"}},
      {"psanet50", {{"crop_w", -16}}, {"let.crop_w: found -16", "valid: 17, 33"}},
      {"psanet50", {{"shrink", 4}}, {"let.crop_h: found 465", "a multiple of 32", "valid: 449, 481"}},
      {"psanet50", {{"shrink", 0}}, {"let.shrink: found 0, want at least 1", "valid: 1, 2"}},
      {"psanet50", {{"shrink", nullptr}}, {"let.shrink: found null", "want a number"}},
      {"psanet50",
       {{"mask_w", 0}},
       {"let.mask_w: found 0, want a size of at least 1, or null for the full 59; valid: 59, null"}},
      {"psanet50", {{"mask_h", -3}}, {"let.mask_h: found -3", "valid: 59, null"}},
      {"psanet50", {{"mask_w", 59.5}}, {"let.mask_w: found 59.5", "want an integer"}},
      {"psanet50_compact",
       {{"mask_h", 59}},
       {"let.mask_h: found 59, want the height of the map, 30", "valid: 30, null"}},
      {"psanet50", {{"normalization_factor", 0}}, {"let.normalization_factor: found 0.0", "valid: 1.0, null"}},
      {"psanet50", {{"psa_channels", 0}}, {"psa.json: let.psa_channels: found 0, want at least 1"}},
      {"pspnet50", {{"crop_h", 474}}, {"let.crop_h: found 474", "a multiple of 8; valid: 473, 481"}},
      {"fcn50", {{"zoom", 3}}, {"let.zoom: found 3", "valid: 1, 2, 4, 8"}},
      {"fcn50", {{"classes", 0}}, {"let.classes: found 0", "1 to 255 classes"}},
      {"fcn50", {{"classes", nullptr}}, {"let.classes: found null", "want a number"}},
      {"fcn50", {{"dropout", 1}}, {"let.dropout: found 1.0, want a probability below 1"}},
      {"fcn50", {{"aux_weight", -1}}, {"let.aux_weight: found -1.0", "or null for no auxiliary head"}},
      {"fcn50", {{"stride_on_1x1", 2}}, {"resnet.json: let.stride_on_1x1: found 2, want 0 or 1"}},
  }));
  check_message(error(name, settings), pieces);
}

TEST_CASE("parts and the backbone are told by name") {
  const Model model = read_model("psanet101");
  CHECK(model.parts == std::vector<std::string>{"layer0", "layer1", "layer2", "layer3", "layer4", "psa", "cls",
                                                "logits", "aux", "aux_logits"});
  CHECK(model.part_of("psa.reduce.0.weight") == "psa");
  CHECK(model.part_of("layer3.22.conv3.weight") == "layer3");
  CHECK(model.part_of("layer30") == "");
  CHECK(model.in_backbone("layer0.0.weight"));
  CHECK_FALSE(model.in_backbone("psa.reduce.0.weight"));
  CHECK_FALSE(model.in_backbone("aux.0.weight"));
  CHECK(model.classes == 150);
  CHECK(model.crop_h == 465);
  CHECK(model.lets.at("psa_h") == Scalar(int64_t{30}));
}

TEST_CASE("PSANet is a page") {
  std::ifstream file(models_dir() / "psanet.json");
  int lines = 0;
  for (std::string line; std::getline(file, line);) ++lines;
  CHECK(lines > 10);
  CHECK(lines < 60);
}
