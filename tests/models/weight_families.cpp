// The public weights' networks (SPEC 3): semseg's, the Caffe release's and mmsegmentation's, as model files.
#include <nlohmann/json.hpp>

#include "engine/fields_json.h"
#include "models/model_file.h"
#include "tests/models/wrong.h"

using namespace psanet;
using namespace psanet::models;
using layers::Mode;
using nlohmann::json;
using psanet::tests::check_message;
using psanet::tests::message_of;

namespace {

Graph evaluation(const std::string& name, const json& settings = json::object()) {
  return read_model(name, settings).build({Mode::eval, 1});
}

Shape parameter(const Graph& graph, const std::string& name) {
  const Value v = graph.find_parameter(name);
  INFO(name);
  REQUIRE(v);
  return graph.type(v).shape;  // [O, kh, kw, I]
}

const Node& node_named(const Graph& graph, const std::string& name) {
  for (const Node& node : graph.nodes()) {
    if (node.name == name) return node;
  }
  FAIL("no node " << name);
  throw std::logic_error(name);
}

/// An attribute of the op of a node.
json attribute(const Graph& graph, const std::string& node, const std::string& key) {
  const nlohmann::ordered_json fields = write_fields([&](Fields& f) { node_named(graph, node).op()->fields(f); });
  INFO(node << "." << key);
  REQUIRE(fields.contains(key));
  return fields[key];
}

Shape size_of(const Graph& graph, const std::string& node) {
  return node_named(graph, node).outputs[0].shape;
}

}  // namespace

TEST_CASE("weights: semseg, what the other families are compared with") {
  const Graph g = evaluation("psanet50");
  CHECK(parameter(g, "layer0.6.weight") == Shape{128, 3, 3, 64});
  CHECK(attribute(g, "layer2.0.conv1", "stride") == 1);
  CHECK(attribute(g, "layer2.0.conv2", "stride") == 2);
  CHECK(attribute(g, "layer3.0.conv2", "dilation") == 2);
  CHECK(size_of(g, "psa.collect") == Shape{1, 30, 30, 512});
  CHECK(parameter(g, "psa.attention.3.weight") == Shape{59 * 59, 1, 1, 512});
  CHECK(attribute(g, "psa.proj.0", "padding") == 0);
  CHECK(attribute(g, "psa.enlarge", "align_corners") == true);
  CHECK(attribute(g, "logits", "align_corners") == true);
  const PixelInput input = read_model("psanet50").input;
  CHECK_FALSE(input.bgr);
  CHECK(input.mean == PixelInput{}.mean);
  const Graph compact = evaluation("psanet50_compact");
  CHECK(attribute(compact, "psa.collect", "mode") == "collect");
  CHECK(attribute(compact, "psa.distribute", "mode") == "distribute");
}

TEST_CASE("weights: the Caffe release strides on the 1x1 and sees blue first and mean only") {
  const Graph g = evaluation("psanet50_caffe");
  CHECK(attribute(g, "layer2.0.conv1", "stride") == 2);
  CHECK(attribute(g, "layer2.0.conv2", "stride") == 1);
  CHECK(parameter(g, "psa.attention_p.3.weight") == Shape{59 * 59, 1, 1, 512});
  const PixelInput input = read_model("psanet50_caffe").input;
  CHECK(input.bgr);
  CHECK(input.mean == std::array<float, 3>{123.68f, 116.779f, 103.939f});
  CHECK(input.std == std::array<float, 3>{1, 1, 1});
}

TEST_CASE("weights: the Caffe release for VOC has 3481 scores on 59 x 59 positions in both readings") {
  for (const char* name : {"psanet50_caffe_voc", "psanet50_caffe_voc_compact"}) {
    INFO(name);
    const Graph g = evaluation(name);
    CHECK(parameter(g, "psa.attention.3.weight") == Shape{3481, 1, 1, 512});
    CHECK(size_of(g, "psa.collect") == Shape{1, 59, 59, 512});
    CHECK(read_model(name).input.bgr);
    CHECK(read_model(name).classes == 21);
  }
  CHECK(attribute(evaluation("psanet50_caffe_voc"), "psa.collect", "compact") == false);
  CHECK(attribute(evaluation("psanet50_caffe_voc_compact"), "psa.collect", "compact") == true);
}

TEST_CASE("weights: mmsegmentation for Cityscapes") {
  const Graph g = evaluation("psanet50_mmseg");
  CHECK(parameter(g, "layer0.0.weight") == Shape{32, 3, 3, 3});
  CHECK(parameter(g, "layer0.6.weight") == Shape{64, 3, 3, 32});
  CHECK(parameter(g, "layer1.0.conv1.weight") == Shape{64, 1, 1, 64});
  CHECK(attribute(g, "layer3.0.conv2", "dilation") == 1);
  CHECK(attribute(g, "layer3.1.conv2", "dilation") == 2);
  CHECK(attribute(g, "layer4.0.conv2", "dilation") == 2);
  CHECK(attribute(g, "layer4.1.conv2", "dilation") == 4);
  CHECK(size_of(g, "psa.reduce.2") == Shape{1, 97, 97, 512});
  CHECK(size_of(g, "psa.collect") == Shape{1, 49, 49, 512});
  CHECK(parameter(g, "psa.attention.3.weight") == Shape{97 * 97, 1, 1, 512});
  CHECK(attribute(g, "psa.proj.0", "padding") == 1);
  CHECK(attribute(g, "psa.enlarge", "align_corners") == true);
  CHECK(attribute(g, "logits", "align_corners") == false);
  CHECK(size_of(g, "logits") == Shape{1, 769, 769, 19});
}

TEST_CASE("weights: mmsegmentation for ADE20K has even sizes everywhere") {
  const Graph g = evaluation("psanet50_mmseg_ade");
  CHECK(size_of(g, "layer4.2.relu3") == Shape{1, 64, 64, 2048});
  CHECK(size_of(g, "psa.collect") == Shape{1, 32, 32, 512});
  CHECK(attribute(g, "psa.collect", "mask_h") == 66);
  CHECK(attribute(g, "psa.shrink", "align_corners") == false);
  CHECK(attribute(g, "psa.enlarge", "align_corners") == false);
  CHECK(size_of(g, "logits") == Shape{1, 512, 512, 150});
  // In the compact form it is mmsegmentation's collect branch that reads transposed scores.
  const Graph compact =
      evaluation("psanet50_compact", {{"compact_collect", "distribute"}, {"compact_distribute", "collect"}});
  CHECK(attribute(compact, "psa.collect", "mode") == "distribute");
  CHECK(attribute(compact, "psa.distribute", "mode") == "collect");
}

TEST_CASE("weights: the stem of the first ResNets is another value") {
  const Graph g = evaluation("fcn50", {{"stem", "stem_7x7"}});
  CHECK(parameter(g, "layer0.0.weight") == Shape{64, 7, 7, 3});
  CHECK(parameter(g, "layer1.0.conv1.weight") == Shape{64, 1, 1, 64});
  CHECK(size_of(g, "layer4.2.relu3") == Shape{1, 59, 59, 2048});
}

TEST_CASE("weights: what cannot be is told with a way out") {
  const auto error = [](const std::string& name, const json& settings) {
    return message_of([&] { read_model(name, settings).build({}); });
  };
  check_message(error("psanet50_caffe_voc_compact", {{"mask_h", 117}}),
                {"let.mask_h: found 117, want the height of the map, 59", "valid: 59, null"});
  check_message(error("psanet50", {{"any_crop", 2}}), {"let.any_crop: found 2, want 0 or 1"});
  check_message(error("psanet50", {{"stem", "stem_3x3"}}),
                {"unknown block \"stem_3x3\", did you mean \"stem_7x7\"?", "known blocks:"});
  check_message(error("psanet50_compact", {{"compact_collect", "collekt"}}), {"collekt", "collect"});
}
