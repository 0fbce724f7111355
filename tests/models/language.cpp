// The model language: what it means, and what every wrong input is told.
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/model_file.h"
#include "tests/models/wrong.h"
#include "tests/support/temporary_folder.h"

using namespace psanet;
using namespace psanet::models;
using layers::Mode;
using nlohmann::json;
using psanet::tests::check_message;
using psanet::tests::message_of;
using psanet::tests::TemporaryFolder;

namespace {

/// A small correct model that tests change.
json small() {
  return json::parse(R"({
    "let": {"classes": 5, "crop_h": 17, "crop_w": 33, "width": 8, "rate": 0.25, "wide": true, "extra": null, "kind": "fan_out_normal"},
    "blocks": {
      "unit": {
        "required": ["channels"],
        "optional": {"kernel": 1, "padding": "$kernel // 2"},
        "graph": [
          {"op": "conv2d", "out_channels": "$channels", "kernel": "$kernel", "padding": "$padding"},
          {"op": "relu"}
        ]
      }
    },
    "graph": [
      {"name": "stem", "block": "unit", "channels": "$width", "kernel": 3},
      {"name": "cls", "op": "conv2d", "out_channels": "$classes"}
    ],
    "outputs": {"logits": "cls"}
  })");
}

class Files {
 public:
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }
  std::string write(const json& model) const { return write("m.json", model.dump(2)); }

 private:
  TemporaryFolder folder_;
};

Graph graph_of(const json& model, const json& settings = json::object(), Mode mode = Mode::eval) {
  const Files files;
  return read_model(files.write(model), settings).build({mode, 1});
}

std::string error(const json& model, const json& settings = json::object()) {
  return message_of([&] { graph_of(model, settings); });
}

std::vector<std::string> parameter_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const Value v : graph.sources(Source::Kind::parameter)) names.push_back(graph.node(v).name);
  return names;
}

}  // namespace

TEST_CASE("nodes are named by their position unless they have a name, and blocks put theirs in front") {
  CHECK(parameter_names(graph_of(small())) == std::vector<std::string>{"stem.0.weight", "cls.weight"});
}

TEST_CASE("arguments replace defaults, and defaults may depend on arguments") {
  const Graph graph = graph_of(small());
  CHECK(graph.type(graph.find_parameter("stem.0.weight")) == f32({8, 3, 3, 3}));
  CHECK(graph.type(graph.output("logits")) == f32({1, 17, 33, 5}));  // padding 3 // 2 keeps the size
  json model = small();
  model["graph"][0]["padding"] = 0;
  CHECK(graph_of(model).type(graph_of(model).output("logits")) == f32({1, 15, 31, 5}));
}

TEST_CASE("repeat makes a chain with $index in the names") {
  json model = small();
  model["graph"][0] = {
      {"name", "layer{$index + 1}"}, {"repeat", "$width / 4"}, {"block", "unit"}, {"channels", "$index + 6"}};
  const Graph graph = graph_of(model);
  CHECK(parameter_names(graph) == std::vector<std::string>{"layer1.0.weight", "layer2.0.weight", "cls.weight"});
  CHECK(graph.type(graph.find_parameter("layer1.0.weight")) == f32({6, 1, 1, 3}));
  CHECK(graph.type(graph.find_parameter("layer2.0.weight")) == f32({7, 1, 1, 6}));
  model["graph"][0]["repeat"] = 0;
  CHECK(graph_of(model).type(graph_of(model).find_parameter("cls.weight")) == f32({5, 1, 1, 3}));
}

TEST_CASE("from names earlier nodes, in is the input of the block") {
  json model = small();
  model["graph"] = json::parse(R"([
    {"name": "a", "block": "unit", "channels": 4},
    {"name": "b", "block": "unit", "from": "in", "channels": 6},
    {"name": "both", "op": "concat", "from": ["a", "b", "in"]},
    {"name": "cls", "op": "conv2d", "out_channels": "$classes"}
  ])");
  const Graph graph = graph_of(model);
  CHECK(graph.type(graph.find_parameter("b.0.weight"))[-1] == 3);
  CHECK(graph.type(graph.find_parameter("cls.weight"))[-1] == 4 + 6 + 3);
}

TEST_CASE("a block's other inputs are its input unless the node says otherwise, and out chooses its result") {
  json model = small();
  model["blocks"]["mix"] = json::parse(R"({
    "inputs": {"other": "in"},
    "graph": [
      {"name": "sum", "op": "add", "from": ["in", "other"]},
      {"name": "side", "op": "conv2d", "out_channels": 3}
    ],
    "out": "sum"})");
  model["graph"] = json::parse(R"([
    {"name": "stem", "block": "unit", "channels": "$width"},
    {"name": "wide", "op": "conv2d", "from": "in", "out_channels": "$width"},
    {"name": "mix", "block": "mix", "from": {"other": "stem"}},
    {"name": "twice", "block": "mix"},
    {"name": "cls", "op": "conv2d", "out_channels": "$classes"}
  ])");
  const Graph graph = graph_of(model);
  CHECK(graph.type(graph.find_parameter("cls.weight"))[-1] == 8);
  CHECK_FALSE(graph.find_parameter("mix.side.weight"));  // nothing reads it
}

TEST_CASE("an inlined block's nodes stand where it stands, under their own names") {
  json model = small();
  model["blocks"]["both"] = json::parse(R"({
    "optional": {"channels": 4},
    "inputs": {"other": "in"},
    "graph": [
      {"name": "near", "block": "unit", "channels": "$channels"},
      {"name": "far", "block": "unit", "from": "other", "channels": 6}
    ]})");
  model["graph"] = json::parse(R"([
    {"name": "stem", "block": "unit", "channels": "$width"},
    {"inline": "both", "from": {"other": "in"}, "channels": 5},
    {"name": "all", "op": "concat", "from": ["near", "far"]},
    {"name": "cls", "op": "conv2d", "out_channels": "$classes"}
  ])");
  const Files files;
  const Model read = read_model(files.write(model));
  CHECK(read.parts == std::vector<std::string>{"stem", "near", "far", "all", "cls"});
  const Graph graph = read.build({Mode::eval, 1});
  CHECK(graph.type(graph.find_parameter("near.0.weight")) == f32({5, 1, 1, 8}));
  CHECK(graph.type(graph.find_parameter("far.0.weight")) == f32({6, 1, 1, 3}));
  CHECK(graph.type(graph.find_parameter("cls.weight"))[-1] == 11);
  model["graph"][2] = {{"name", "all"}, {"op", "relu"}};  // after the block comes its value
  CHECK(graph_of(model).type(graph_of(model).find_parameter("cls.weight"))[-1] == 6);

  json wrong = model;
  wrong["graph"][1]["name"] = "pair";
  check_message(error(wrong), {"graph[1]: found \"inline\" and \"name\""});
  wrong = model;
  wrong["graph"][0]["name"] = "far";
  check_message(error(wrong), {"a second node with the path \"far.0\"", "want another name"});
  wrong = model;
  wrong["graph"][1]["chanels"] = 3;
  check_message(error(wrong), {"graph[1]: unknown key \"chanels\"", "did you mean \"channels\""});
}

TEST_CASE("which block a node is may be a value") {
  json model = small();
  model["let"]["kind_of_stem"] = "unit";
  model["graph"][0]["block"] = "$kind_of_stem";
  CHECK(parameter_names(graph_of(model)) == std::vector<std::string>{"stem.0.weight", "cls.weight"});
  check_message(error(model, {{"kind_of_stem", "units"}}),
                {"graph[0].block: unknown block \"units\", did you mean \"unit\"?"});
  model["graph"][0]["block"] = "$width";
  check_message(error(model), {"graph[0].block: unknown block \"8\""});
}

TEST_CASE("what pixels become is a value of the model") {
  json model = small();
  const Files files;
  CHECK_FALSE(read_model(files.write(model)).input.bgr);
  model["let"]["red"] = 100.5;
  model["input"] = json::parse(R"({"mean": ["$red", 2, 3], "std": [1, 2.5, 1], "order": "bgr"})");
  const PixelInput input = read_model(files.write(model)).input;
  CHECK(input.bgr);
  CHECK(input.mean == std::array<float, 3>{100.5f, 2, 3});
  CHECK(input.std == std::array<float, 3>{1, 2.5f, 1});
  CHECK(read_model(files.write(model), {{"red", 7}}).input.mean[0] == 7);
  for (const auto& [key, value, wanted] : std::vector<std::tuple<std::string, json, std::string>>{
           {"mean", {1, 2}, "input.mean: found [1,2], want three numbers: red, green, blue"},
           {"std", {1, 0, 1}, "input.std: found [1,0,1], want three numbers above 0: red, green, blue"},
           {"order", "grb", "input.order: found \"grb\""},
           {"means", {1, 2, 3}, "means"}}) {
    json wrong = model;
    wrong["input"][key] = value;
    check_message(error(wrong), {"m.json: input", wanted});
  }
}

TEST_CASE("comments are allowed") {
  const Files files;
  const std::string text = "// a model\n" + small().dump() + "/* the end */";
  CHECK_NOTHROW(read_model(files.write("m.json", text)).build({}));
}

TEST_CASE("use looks beside the file and then among our files, the model's own lets win") {
  const Files files;
  files.write("parts.json", R"({"let": {"width": 99, "double_width": "2 * $width"},
                                "blocks": {"wide": {"graph": [{"op": "conv2d", "out_channels": "$double_width"}]}}})");
  json model = small();
  model["use"] = {"parts.json", "blocks/ppm.json"};
  model["graph"][0] = {{"name", "stem"}, {"block", "wide"}};
  const Graph graph = read_model(files.write(model)).build({});
  CHECK(graph.type(graph.find_parameter("stem.0.weight"))[0] == 16);
}

TEST_CASE("settings replace values and what is computed from them") {
  json model = small();
  model["let"]["twice"] = "2 * $width";
  model["graph"][0]["channels"] = "$twice";
  CHECK(graph_of(model, {{"width", 10}}).type(graph_of(model, {{"width", 10}}).find_parameter("stem.0.weight"))[0] ==
        20);
  CHECK(graph_of(model, {{"crop_h", 33}, {"classes", 2}})
            .type(graph_of(model, {{"crop_h", 33}, {"classes", 2}}).output("logits")) == f32({1, 33, 33, 2}));
}

TEST_CASE("a setting is name=value with a JSON value or a word") {
  json settings = json::object();
  for (const char* text : {"classes=19", "dropout=0.5", "mask_h=null", "psa_softmax=false", "mode=collect", "x=a=b"}) {
    add_setting(settings, text);
  }
  CHECK(settings ==
        json::parse(R"({"classes": 19, "dropout": 0.5, "mask_h": null, "psa_softmax": false, "mode": "collect",
                                    "x": "a=b"})"));
  for (const char* text : {"classes", "=3", "classes=", ""}) {
    check_message(message_of([&] { add_setting(settings, text); }),
                  {"--set: found \"" + std::string(text) + "\", want name=value"});
  }
}

TEST_CASE("a setting that does not fit is told what would") {
  const auto [settings, pieces] = GENERATE(table<json, std::vector<std::string>>({
      {{{"clases", 3}},
       {"m.json: cannot set \"clases\"", "did you mean \"classes\"?", "it has: classes, computed, crop_h"}},
      {{{"classes", "many"}}, {"m.json: let.classes: set to \"many\", want an integer (it was 5)"}},
      {{{"classes", 2.5}}, {"let.classes: set to 2.5, want an integer"}},
      {{{"classes", true}}, {"let.classes: set to true, want an integer"}},
      {{{"wide", 1}}, {"let.wide: set to 1, want true or false"}},
      {{{"rate", "high"}}, {"let.rate: set to \"high\", want a number"}},
      {{{"extra", "high"}}, {"let.extra: set to \"high\", want a number or null"}},
      {{{"kind", 3}}, {"let.kind: set to 3, want a string"}},
      {{{"kind", "$width"}}, {"let.kind: set to \"$width\", want a string"}},
      {{{"width", {1, 2}}}, {"let.width: found a list, want a number"}},
      {{{"classes", nullptr}}, {"let.classes: found null, want an integer from 1 to 2147483647"}},
      {{{"width", nullptr}}, {"let.computed: \"$width + 1\" with width = null: $width is null, want an integer"}},
      {{{"computed", 3}}, {"let.computed: cannot be set to 3, it is computed as \"$width + 1\""}},
      {json::array(), {"settings: found [], want an object"}},
  }));
  json model = small();
  model["let"]["computed"] = "$width + 1";
  check_message(error(model, settings), pieces);
}

TEST_CASE("every wrong model is told where, what was found and what is wanted") {
  // A change to the small model (a JSON patch), and pieces of the message.
  const auto [patch, pieces] = GENERATE(table<const char*, std::vector<std::string>>({
      {R"([{"op": "add", "path": "/lets", "value": {}}])",
       {"m.json: unknown key \"lets\", did you mean \"let\"?", "known keys: about, use, let"}},
      {R"([{"op": "remove", "path": "/graph"}])", {"m.json: graph: found null, want a list of nodes"}},
      {R"([{"op": "replace", "path": "/graph", "value": []}])", {"m.json: graph: found [], want a list of nodes"}},
      {R"([{"op": "replace", "path": "/graph/1", "value": "relu"}])",
       {"m.json: graph[1]: found \"relu\", want a node"}},
      {R"([{"op": "remove", "path": "/graph/1/op"}])",
       {"m.json: graph[1]: found neither \"op\" nor \"block\", want either"}},
      {R"([{"op": "add", "path": "/graph/0/op", "value": "relu"}])",
       {"m.json: graph[0]: found both \"op\" and \"block\""}},
      {R"([{"op": "replace", "path": "/graph/1/op", "value": "conv2"}])",
       {"m.json: graph[1].op: unknown op \"conv2\", did you mean \"conv2d\"?", "known ops: conv2d, batch_norm"}},
      {R"([{"op": "replace", "path": "/graph/0/block", "value": "units"}])",
       {"m.json: graph[0].block: unknown block \"units\", did you mean \"unit\"?", "known blocks: unit"}},
      {R"([{"op": "add", "path": "/graph/1/strid", "value": 2}])",
       {"m.json: graph[1]: unknown key \"strid\", did you mean \"stride\"?",
        "known keys: name, op, from, repeat, out_channels"}},
      {R"([{"op": "add", "path": "/graph/1/form", "value": "in"}])", {"unknown key \"form\", did you mean \"from\"?"}},
      {R"([{"op": "add", "path": "/graph/0/chanels", "value": 2}])",
       {"m.json: graph[0]: unknown key \"chanels\", did you mean \"channels\"?"}},
      {R"([{"op": "remove", "path": "/graph/0/channels"}])",
       {"m.json: graph[0]: no \"channels\", the block \"unit\" wants channels"}},
      {R"([{"op": "replace", "path": "/graph/0/channels", "value": [1]}])",
       {"m.json: graph[0].channels: found a list, want a number"}},
      {R"([{"op": "replace", "path": "/graph/0/channels", "value": "many"}])",
       {"m.json: blocks.unit.graph[0].out_channels: found \"many\", want an integer", "node stem.0",
        "out_channels is \"$channels\""}},
      {R"([{"op": "replace", "path": "/graph/1/out_channels", "value": "$clases"}])",
       {"m.json: graph[1].out_channels: \"$clases\": there is no $clases, did you mean $classes?"}},
      {R"([{"op": "replace", "path": "/graph/1/out_channels", "value": "$classes +"}])",
       {"m.json: graph[1].out_channels: \"$classes +\"", "ends too early"}},
      {R"([{"op": "replace", "path": "/graph/1/out_channels", "value": "$classes / 2"}])",
       {"m.json: graph[1].out_channels: \"$classes / 2\" with classes = 5: 5 / 2 does not come out even"}},
      {R"([{"op": "replace", "path": "/graph/1/out_channels", "value": 0}])",
       {"m.json: graph[1]: cls", "out_channels 0 must be at least 1"}},
      {R"([{"op": "add", "path": "/graph/1/kernel", "value": [1, "$width", 3]}])",
       {"m.json: graph[1].kernel: found [1,8,3], want a number or [height, width]"}},
      {R"([{"op": "add", "path": "/graph/1/init", "value": "zero"}])",
       {"m.json: graph[1].init: found \"zero\", want one of fan_in_uniform, fan_out_normal"}},
      {R"([{"op": "add", "path": "/graph/1/bias", "value": 1}])",
       {"m.json: graph[1].bias: found 1, want true or false"}},
      {R"([{"op": "add", "path": "/graph/1/from", "value": "steam"}])",
       {"m.json: graph[1].from: there is no node \"steam\" before this one, did you mean \"stem\"?",
        "known names: in, stem"}},
      {R"([{"op": "add", "path": "/graph/0/from", "value": "cls"}])",
       {"m.json: graph[0].from: there is no node \"cls\" before this one", "known names: in"}},
      {R"([{"op": "add", "path": "/graph/1/from", "value": ["stem", "in"]}])",
       {"m.json: graph[1].from: \"conv2d\" has 2 inputs, want 1"}},
      {R"([{"op": "add", "path": "/graph/1/from", "value": 3}])",
       {"m.json: graph[1].from: found 3, want the name of a node or a list of names"}},
      {R"([{"op": "add", "path": "/graph/0/from", "value": ["in"]}])",
       {"m.json: graph[0].from: found [\"in\"], want the name of a node or an object"}},
      {R"([{"op": "add", "path": "/graph/0/from", "value": {"inn": "in"}}])",
       {"m.json: graph[0].from: unknown key \"inn\", did you mean \"in\"?"}},
      {R"([{"op": "replace", "path": "/graph/1/name", "value": "stem"}])",
       {"m.json: graph[1].name: a second node \"stem\" in this list, want another name"}},
      {R"([{"op": "replace", "path": "/graph/1/name", "value": "stem.0"}])",
       {"m.json: graph[1]: a second node with the path \"stem.0\""}},
      {R"([{"op": "replace", "path": "/graph/1/name", "value": "a b"}])",
       {"m.json: graph[1].name: found \"a b\", want letters, digits, _ and dots"}},
      {R"([{"op": "replace", "path": "/graph/1/name", "value": "$classes"}])",
       {"m.json: graph[1].name: found \"$classes\"", "an expression stands in {...}"}},
      {R"([{"op": "replace", "path": "/graph/1/name", "value": "in"}])", {"m.json: graph[1].name: found \"in\""}},
      {R"([{"op": "replace", "path": "/graph/1/name", "value": 3}])",
       {"m.json: graph[1].name: found 3, want a string"}},
      {R"([{"op": "add", "path": "/graph/0/repeat", "value": 2}])",
       {"m.json: graph[0].name: a second node \"stem\"", "such as one with {$index}"}},
      {R"([{"op": "add", "path": "/graph/0/repeat", "value": -1}])",
       {"m.json: graph[0].repeat: found -1, want an integer from 0 to 10000"}},
      {R"([{"op": "add", "path": "/graph/0/repeat", "value": "$rate"}])",
       {"m.json: graph[0].repeat: found 0.25, want an integer from 0"}},
      {R"([{"op": "replace", "path": "/outputs", "value": {}}])", {"m.json: outputs: no \"logits\""}},
      {R"([{"op": "replace", "path": "/outputs/logits", "value": "clss"}])",
       {"m.json: outputs.logits: there is no node \"clss\", did you mean \"cls\"?", "known names: stem, cls"}},
      {R"([{"op": "replace", "path": "/outputs/logits", "value": "stem"}])",
       {"m.json: outputs.logits: found f32[1,17,33,8], want [batch, h, w, 5]"}},
      {R"([{"op": "add", "path": "/outputs/logit", "value": "cls"}])",
       {"m.json: outputs: unknown key \"logit\", did you mean \"logits\"?"}},
      {R"([{"op": "add", "path": "/outputs/aux", "value": "cls"}])", {"m.json: outputs.aux: no let \"aux_weight\""}},
      {R"([{"op": "add", "path": "/let/aux_weight", "value": 0.4}])",
       {"m.json: let.aux_weight: found 0.4, want null: the model has no outputs.aux"}},
      {R"([{"op": "add", "path": "/backbone", "value": ["steam"]}])",
       {"m.json: backbone[0]: there is no node \"steam\", did you mean \"stem\"?"}},
      {R"([{"op": "add", "path": "/backbone", "value": "stem"}])",
       {"m.json: backbone: found \"stem\", want a list of strings"}},
      {R"([{"op": "remove", "path": "/let/classes"}])", {"m.json: let: no \"classes\""}},
      {R"([{"op": "replace", "path": "/let/crop_h", "value": 0}])",
       {"m.json: let.crop_h: found 0, want an integer from 1 to 2147483647"}},
      {R"([{"op": "replace", "path": "/let/width", "value": "$width + 1"}])",
       {"m.json: let.width: computed from itself (width -> width)"}},
      {R"([{"op": "replace", "path": "/let/width", "value": {}}])",
       {"m.json: let.width: found an object, want a number"}},
      {R"([{"op": "add", "path": "/let/my width", "value": 3}])",
       {"m.json: let: found the name \"my width\", want letters"}},
      {R"([{"op": "replace", "path": "/let", "value": 3}])", {"m.json: let: found 3, want an object"}},
      {R"([{"op": "add", "path": "/blocks/unit/args", "value": {}}])",
       {"m.json: blocks.unit: unknown key \"args\"", "known keys: about, required"}},
      {R"([{"op": "replace", "path": "/blocks/unit/required", "value": "channels"}])",
       {"m.json: blocks.unit.required: found \"channels\", want a list of strings"}},
      {R"([{"op": "add", "path": "/blocks/unit/required/1", "value": "kernel"}])",
       {"m.json: blocks.unit.optional.kernel: also in \"required\""}},
      {R"([{"op": "add", "path": "/blocks/unit/required/1", "value": "name"}])",
       {"m.json: blocks.unit: an argument \"name\"", "want another name"}},
      {R"([{"op": "add", "path": "/blocks/unit/out", "value": "2"}])",
       {"m.json: blocks.unit.out: there is no node \"2\"", "known names: 0, 1, in"}},
      {R"([{"op": "add", "path": "/blocks/unit/inputs", "value": {"x": "y"}}])",
       {"m.json: blocks.unit.inputs.x: found \"y\", want \"in\""}},
      {R"([{"op": "replace", "path": "/blocks/unit/graph/1", "value": {"block": "unit", "channels": 3}}])",
       {"m.json: blocks.unit.graph[1]: the block \"unit\" uses itself (unit -> unit)"}},
      {R"([{"op": "add", "path": "/use", "value": ["nowhere.json"]}])",
       {"m.json: use[0]: no file \"nowhere.json\"; looked for"}},
      {R"([{"op": "add", "path": "/use", "value": "blocks/ppm.json"}])",
       {"m.json: use: found \"blocks/ppm.json\", want a list of strings"}},
      {R"([{"op": "add", "path": "/use", "value": ["psanet.json"]}])", {"psanet.json: unknown key"}},
      {R"([{"op": "add", "path": "/require", "value": {}}])", {"m.json: require: found {}, want a list"}},
      {R"([{"op": "add", "path": "/require", "value": [{"of": "width", "that": "$width > 1", "say": "more"}]}])",
       {"m.json: require[0]: no \"valid\""}},
      {R"([{"op": "add", "path": "/require", "value": [{"of": "with", "that": "$width > 1", "say": "more", "valid": ["2"]}]}])",
       {"m.json: require[0].of: there is no \"with\", did you mean \"width\"?"}},
      {R"([{"op": "add", "path": "/require", "value": [{"of": "width", "that": "$width", "say": "more", "valid": ["2"]}]}])",
       {"m.json: require[0].that: \"$width\" is 8, want a condition"}},
      {R"([{"op": "add", "path": "/require",
            "value": [{"of": "width", "that": "$width % 3 == 0", "say": "a multiple of {1 + 2}", "valid": ["$width // 3 * 3", "12"]}]}])",
       {"m.json: let.width: found 8, want a multiple of 3; valid: 6, 12"}},
  }));
  CAPTURE(patch);
  check_message(error(small().patch(json::parse(patch))), pieces);
}

TEST_CASE("a file that cannot be read or is not JSON is named") {
  const Files files;
  check_message(message_of([&] { read_model(files.write("m.json", "{\"let\": {\"a\": 1,}}")); }),
                {"m.json: not JSON: ", "line 1, column 17"});
  check_message(message_of([&] { read_model(files.write("m.json", "")); }), {"m.json: not JSON: "});
  check_message(message_of([&] { read_model(files.write("m.json", "[1]")); }), {"m.json: found [1], want an object"});
  check_message(message_of([&] { read_model(files.write("m.json", R"({"let": {"a": 1, "b": 2, "a": 3}})")); }),
                {"m.json: the key \"a\" stands twice in one object"});
  check_message(message_of([&] { read_model("psanet5"); }),
                {"psanet5: no such model file, did you mean \"psanet50\"?"});
  check_message(message_of([&] { read_model(files.write("m.json", R"({"let": {"a": 18446744073709551615}})")); }),
                {"m.json: let.a: found 18446744073709551615, want an integer below 2^63"});
}

TEST_CASE("two used files that define the same name are an error") {
  const Files files;
  files.write("a.json", R"({"let": {"one": 1}})");
  files.write("b.json", R"({"let": {"one": 2}})");
  json model = small();
  model["use"] = {"a.json", "b.json"};
  check_message(message_of([&] { read_model(files.write(model)); }),
                {"b.json: let.one: also defined by", "a.json: let.one"});
  files.write("a.json", R"({"blocks": {"same": {"graph": []}}})");
  files.write("b.json", R"({"blocks": {"same": {"graph": []}}})");
  check_message(message_of([&] { read_model(files.write(model)); }),
                {"b.json: blocks.same: also defined by", "a.json: blocks.same", "want another name"});
}

TEST_CASE("a used file uses others: each is read once, and the file that uses wins") {
  const Files files;
  files.write("base.json", R"({"let": {"one": 1, "two": 2}})");
  files.write("a.json", R"({"use": ["base.json"], "let": {"one": 10}, "backbone": ["stem"]})");
  files.write("b.json", R"({"use": ["base.json"]})");
  json model = small();
  model["use"] = {"a.json", "b.json"};
  const Model read = read_model(files.write(model));
  CHECK(read.lets.at("one") == Scalar(int64_t{10}));
  CHECK(read.lets.at("two") == Scalar(int64_t{2}));
  CHECK(read.in_backbone("stem.0.weight"));
  // Two files may not both replace it: neither uses the other.
  files.write("b.json", R"({"use": ["base.json"], "let": {"one": 20}})");
  check_message(message_of([&] { read_model(files.write(model)); }),
                {"b.json: let.one: also defined by", "a.json: let.one"});
  files.write("b.json", R"({"use": ["c.json"]})");
  files.write("c.json", R"({"use": ["b.json"]})");
  check_message(message_of([&] { read_model(files.write(model)); }), {"c.json: use[0]: \"b.json\" uses itself"});
  files.write("b.json", R"({"backbone": ["stemm"]})");
  check_message(message_of([&] { read_model(files.write(model)); }),
                {"b.json: backbone[0]: there is no node \"stemm\", did you mean \"stem\"?"});
}

TEST_CASE("a model with endless nodes is an error, not a full memory") {
  json model = small();
  model["blocks"]["many"] = json::parse(R"({"graph": [{"name": "{$index}", "repeat": 10000, "op": "relu"}]})");
  model["graph"][0] = {{"name", "x{$index}"}, {"repeat", 100}, {"block", "many"}};
  check_message(error(model), {"more than 100000 nodes"});
}

TEST_CASE("a batch of no images is an error") {
  const Files files;
  const Model model = read_model(files.write(small()));
  check_message(message_of([&] { model.build({Mode::eval, 0}); }), {"m.json: batch 0, want at least 1"});
}
