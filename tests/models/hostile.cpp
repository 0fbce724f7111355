// Model files that are small or strange on purpose: each ends with one line, soon, and in little memory.
#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/json/text.h"
#include "models/model_file.h"
#include "tests/models/wrong.h"
#include "tests/support/temporary_folder.h"

using namespace psanet;
using namespace psanet::models;
using nlohmann::json;
using psanet::tests::check_message;
using psanet::tests::message_of;
using psanet::tests::TemporaryFolder;

namespace {

json model() {
  return json::parse(R"({
    "let": {"classes": 2, "crop_h": 9, "crop_w": 9},
    "blocks": {},
    "graph": [{"name": "c", "op": "conv2d", "out_channels": "$classes"}],
    "outputs": {"logits": "c"}
  })");
}

std::string error_of_text(const std::string& text) {
  const TemporaryFolder folder;
  std::ofstream(folder / "m.json") << text;
  const std::string message = message_of([&] { read_model((folder / "m.json").string()).build({}); });
  CHECK(message.size() < 8000);
  CHECK(is_utf8(message));
  return message;
}

std::string error(const json& changed) {
  return error_of_text(changed.dump());
}

std::string repeated(const std::string& text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

/// "v0": "$v1 + 1", "v1": "$v2 + 1", ...
json chain(size_t length) {
  json lets;
  for (size_t i = 0; i < length; ++i) lets[fmt::format("v{}", i)] = fmt::format("$v{} + 1", i + 1);
  lets[fmt::format("v{}", length)] = 1;
  return lets;
}

}  // namespace

TEST_CASE("hostile: expressions of any length and depth") {
  json changed = model();
  const auto said = [&](const std::string& expression) {
    changed["graph"][0]["out_channels"] = expression;
    return error(changed);
  };
  check_message(said("$classes" + repeated(" + 1", 100000)),
                {"m.json: graph[0].out_channels: ", "nested deeper than 100"});
  check_message(said("$classes" + repeated(" ?? 1", 100000)), {"nested deeper than 100"});
  check_message(said(repeated("(", 100000) + "$classes" + repeated(")", 100000)), {"nested deeper than 100"});
  check_message(said(repeated("max(", 5000) + "$classes"), {"nested deeper than 100"});
  check_message(said("$classes" + std::string(1 << 20, ' ')), {"longer than 2000 bytes"});
  check_message(said("$" + std::string(1 << 20, 'x')), {"longer than 2000 bytes"});
  check_message(said("$" + std::string(1990, 'x')), {"there is no $xxx"});
  check_message(said("$classes + " + std::string(1 << 20, '9')), {"999... is too large"});
  std::string wide = "$classes";
  for (int i = 0; i < 12; ++i) wide = "max(" + wide + ", " + wide + ")";
  check_message(said(wide), {"longer than 2000 bytes"});
  CHECK(said("$classes" + repeated(" + 0", 90)) == "no error");
}

TEST_CASE("hostile: chains of values and of arguments") {
  json changed = model();
  changed["let"].update(chain(60000));
  check_message(error(changed), {"m.json: let.v", "computed through more than 50 other values"});
  changed = model();
  changed["let"].update(chain(40));
  CHECK(error(changed) == "no error");
  // Every value of the chain is as deep as it may be: what the stack must hold.
  changed = model();
  for (size_t i = 0; i < 49; ++i)
    changed["let"][fmt::format("v{}", i)] = repeated("-(", 49) + fmt::format("$v{}", i + 1) + repeated(")", 49);
  changed["let"]["v49"] = 1;
  CHECK(error(changed) == "no error");

  changed = model();
  changed["blocks"]["b"] = {{"optional", chain(60000)}, {"graph", {{{"op", "conv2d"}, {"out_channels", "$v0"}}}}};
  changed["graph"] = {{{"name", "c"}, {"block", "b"}}};
  check_message(error(changed), {"computed through more than 50 other values"});
}

TEST_CASE("hostile: blocks in blocks and repeats in repeats") {
  json changed = model();
  for (int i = 0; i < 20000; ++i) {
    changed["blocks"][fmt::format("b{}", i)]["graph"] = {{{"block", fmt::format("b{}", i + 1)}}};
  }
  changed["blocks"]["b20000"]["graph"] = changed["graph"];
  changed["graph"] = {{{"name", "c"}, {"block", "b0"}}};
  check_message(error(changed), {"m.json: blocks.b49.graph[0]: blocks in each other, deeper than 50"});

  for (const char* key : {"inline", "block"}) {
    changed = model();
    changed["blocks"]["none"]["graph"] = {{{"repeat", 0}, {"op", "relu"}}};
    changed["blocks"]["many"]["graph"] = {{{key, "none"}, {"repeat", 10000}}};
    changed["blocks"]["more"]["graph"] = {{{key, "many"}, {"repeat", 10000}}};
    changed["blocks"]["most"]["graph"] = {{{key, "more"}, {"repeat", 10000}}};
    changed["graph"].push_back({{key, "most"}, {"repeat", 10000}});
    if (std::string(key) == "block") {
      for (const char* block : {"many", "more", "most"}) changed["blocks"][block]["graph"][0]["name"] = "n{$index}";
      changed["graph"][1]["name"] = "n{$index}";
    }
    check_message(error(changed), {"the model takes more than 40000000 steps to read, want fewer repeats"});
  }
}

TEST_CASE("hostile: much in one repeated node") {
  json changed = model();
  changed["graph"].push_back({{"op", "conv2d"}, {"name", "n{$index}"}, {"repeat", 10000}, {"out_channels", 2}});
  const auto said = [&](const char* key, const json& value) {
    json other = changed;
    other["graph"][1][key] = value;
    return error(other);
  };
  const std::string slow = std::string(1990, ' ') + "$classes";
  changed["graph"][1]["stride"] = {slow, slow};
  check_message(said("kernel", {slow, slow}), {"steps to read"});
  changed["graph"][1].erase("stride");
  check_message(said("from", json(std::vector<std::string>(100000, "c"))), {"has 100000 inputs, want 1"});
  check_message(said("kernel", json(std::vector<int>(100000, 1))),
                {"graph[1].kernel: found [1,1,1", "want a number or"});
  check_message(said("name", std::string(1 << 20, 'n') + "{$index}"), {"graph[1].name: longer than 2000 bytes"});
  check_message(said("name", std::string(1900, 'n') + "{$index}"), {"is longer than 1000 bytes"});
  check_message(said("name", std::string("a\nb")), {"found \"a\\nb\""});

  json wide = model();
  std::vector<std::string> arguments;
  for (int i = 0; i < 20000; ++i) arguments.push_back(fmt::format("a{}", i));
  wide["blocks"]["b"] = {{"required", arguments}, {"graph", wide["graph"]}};
  wide["graph"] = {{{"name", "c"}, {"block", "b"}}};
  check_message(error(wide), {"m.json: graph[0]: no \"a0\", the block \"b\" wants a0, a1", "and 19900 more"});
  for (const std::string& argument : arguments) wide["graph"][0][argument] = 1;
  wide["graph"][0]["repeat"] = 10000;
  wide["graph"][0]["name"] = "{$index}";
  check_message(error(wide), {"steps to read"});
}

TEST_CASE("hostile: brackets without end wherever a value may stand") {
  for (const char* open : {"[", "{\"a\":"}) {
    const std::string deep = repeated(open, 200000);
    for (const char* front :
         {"", "{\"let\": ", "{\"let\": {\"a\": ", "{\"graph\": ", "{\"blocks\": {\"b\": ", "{\"use\": ",
          "{\"require\": [", "{\"outputs\": ", "{\"graph\": [{\"op\": \"conv2d\", \"kernel\": "}) {
      check_message(error_of_text(front + deep), {"m.json: lists and objects in each other, deeper than 64"});
    }
  }
  json changed = model();
  json deep = 1;
  for (int i = 0; i < 50; ++i) deep = json::array({deep});
  changed["graph"][0]["kernel"] = deep;
  check_message(error(changed), {"m.json: graph[0].kernel: found [[[["});
}

TEST_CASE("hostile: strings of any size and any bytes") {
  const std::string huge(1 << 20, 'x');
  for (const char* key : {"classes", "crop_h", "a"}) {
    json changed = model();
    changed["let"][key] = huge;
    check_message(error(changed), {fmt::format("m.json: let.{}: a string of 1048576 bytes, want at most 2000", key)});
  }
  json changed = model();
  changed[huge] = 1;
  check_message(error(changed), {"m.json: unknown key \"xxx"});
  changed = model();
  changed["let"][huge] = 1;
  check_message(error(changed), {"m.json: let: found the name \"xxx"});
  changed = model();
  changed["let"]["a\nb"] = 1;
  check_message(error(changed), {"m.json: let: found the name \"a\\nb\""});
  changed = model();
  changed["outputs"]["logits"] = huge;
  check_message(error(changed), {"m.json: outputs.logits: there is no node \"xxx"});
  changed = model();
  changed["use"] = {huge};
  check_message(error(changed), {"m.json: use[0]: no file \"xxx"});
  changed["use"] = {std::string("a\0b", 3)};
  check_message(error(changed), {"m.json: use[0]: no file \"a\\u0000b\""});
  check_message(error_of_text("{\"let\": {\"a\": \"\xff\"}}"), {"m.json: not JSON: "});
  check_message(error_of_text("{\"let\": {\"a\": 1e999}}"), {"m.json: ", "number overflow"});
  check_message(error_of_text("{\"let\": {\"a\": 1, \"b\": {\"c\": 1, \"c\": 1}}}"),
                {"m.json: the key \"c\" stands twice"});
}

TEST_CASE("hostile: used files without end") {
  const TemporaryFolder folder;
  const auto write = [&](const std::string& name, const json& content) {
    std::ofstream(folder / name) << content.dump();
    return (folder / name).string();
  };
  json changed = model();
  for (int i = 0; i < 300; ++i) write(fmt::format("u{}.json", i), {{"use", {fmt::format("u{}.json", i + 1)}}});
  changed["use"] = {"u0.json"};
  check_message(message_of([&] { read_model(write("m.json", changed)); }), {"uses too many files", "at most 50"});
  for (int i = 0; i < 300; ++i) write(fmt::format("u{}.json", i), json::object());
  changed["use"] = std::vector<std::string>(100000, "u0.json");
  check_message(message_of([&] { read_model(write("m.json", changed)); }),
                {"m.json: uses too many files, want at most 200"});
  changed["use"] = {"m.json"};
  check_message(message_of([&] { read_model(write("m.json", changed)); }), {"m.json: use[0]: \"m.json\" uses itself"});
  changed["use"] = {"."};
  check_message(message_of([&] { read_model(write("m.json", changed)); }), {"cannot read this file"});
}

TEST_CASE("hostile: settings of a command line") {
  json settings = json::object();
  check_message(message_of([&] { add_setting(settings, "classes=\xff"); }), {"--set classes: found"});
  check_message(message_of([&] { add_setting(settings, "classes=" + std::string(100000, '[')); }), {"deeper than 64"});
  check_message(message_of([&] { add_setting(settings, std::string(100000, 'x')); }), {"--set: found \"xxx"});
  const auto said = [](const std::string& assignment) {
    json lets = json::object();
    return message_of([&] {
      add_setting(lets, assignment);
      read_model("fcn18", lets).build({});
    });
  };
  for (const char* assignment :
       {"crop_h=1e999", "crop_h=9223372036854775807", "crop_h=9223372036854775808", "crop_h=-9223372036854775808",
        "crop_h=2147483647", "crop_h=[]", "crop_h={\"a\": 1}", "crop_h=\"\"", "classes=1e300", "zoom=4294967296",
        "blocks_1=9223372036854775807", "blocks_1=-1", "stem_1=9223372036854775807", "cls_width=4611686018427387904",
        "first_dilation_divisor=0", "resnet=", "\xff=1"}) {
    INFO(printed(assignment));
    const std::string message = said(assignment);
    CHECK(message != "no error");
    CHECK(message.find('\n') == std::string::npos);
    CHECK(is_utf8(message));
  }
}
