// The loader and the reader of JSON: what is refused is one line with its place, and nothing takes more than it must.
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "engine/json/file.h"
#include "engine/json/reader.h"
#include "engine/json/text.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {
namespace {

using nlohmann::json;

template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "nothing was thrown";
}

std::string parse_error(const std::string& text, const JsonLimits& limits = {}) {
  return error_of([&] { parse_json(text, "x.json", raise<ConfigError>, limits); });
}

TEST_CASE("json: comments are allowed and what is no JSON is named with line and column") {
  CHECK(parse_json("// a\n{\"a\": /* b */ [1, 2.5, null]}", "x", raise<ConfigError>)["a"][1] == 2.5);
  CHECK(parse_error("{\n \"a\": 1,}").rfind("x.json: not JSON: syntax error", 0) == 0);
  CHECK(parse_error("{\n \"a\": 1,}").find("(line 2, column 9)") != std::string::npos);
  CHECK(parse_error("").rfind("x.json: not JSON: ", 0) == 0);
  CHECK(parse_error("[1] 2").rfind("x.json: not JSON: ", 0) == 0);
  CHECK(parse_error("[" + std::string(100000, 'a') + "]").size() < 300);
}

TEST_CASE("json: duplicate keys, numbers out of range, other encodings and control characters are refused") {
  CHECK(parse_error("{\"a\": {\"b\": 1, \"c\": 2,\n \"b\": 3}}") ==
        "x.json: the key \"b\" stands twice in one object, want it once (line 2, column 4)");
  CHECK(parse_error("[1, 1e999]").find("number overflow") != std::string::npos);
  CHECK(parse_error("[-1e999]").find("(line 1, column 8)") != std::string::npos);
  for (const char* text :
       {"[\"\xff\"]", "[\"\xc3\"]", "[\"\xed\xa0\x80\"]", "[\"\\ud800\"]", "[\"a\nb\"]", "\xfe\xff"}) {
    const std::string message = parse_error(text);
    INFO(message);
    CHECK(message.rfind("x.json: not JSON: ", 0) == 0);
    CHECK(is_utf8(message));
    CHECK(message.find('\n') == std::string::npos);
  }
}

TEST_CASE("json: depth and number of values and size are limited") {
  for (const char* open : {"[", "{\"a\":"}) {
    std::string text;
    for (int i = 0; i < 100000; ++i) text += open;
    CHECK(parse_error(text).find("x.json: lists and objects in each other, deeper than 64") == 0);
  }
  CHECK(parse_error(std::string(64, '[') + std::string(64, ']')) == "nothing was thrown");
  CHECK(parse_error(std::string(65, '[') + std::string(65, ']')).find("deeper than 64 (line 1, column 65)") !=
        std::string::npos);
  CHECK(parse_error("[1, 2, 3]", {100, 3, 9}).find("more than 3 values") != std::string::npos);
  CHECK(parse_error("[1, 2]", {100, 3, 9}) == "nothing was thrown");
  CHECK(parse_error("[1, 2]", {5, 3, 9}).find("more than 5 bytes") != std::string::npos);
}

TEST_CASE("json: files that are none, too large or endless are refused without reading them") {
  const TemporaryFolder folder;
  const auto said = [](const std::filesystem::path& file) {
    return error_of([&] { read_json(file, raise<ConfigError>); });
  };
  CHECK(said(folder / "none.json").find("none.json: cannot read this file") != std::string::npos);
  CHECK(said(folder.path()).find("cannot read this file") != std::string::npos);
  CHECK(said("/dev/zero").find("cannot read this file") != std::string::npos);
  std::ofstream(folder / "big.json") << " ";
  std::filesystem::resize_file(folder / "big.json", std::uintmax_t{1} << 40);  // sparse
  CHECK(said(folder / "big.json").find("big.json: more than 16777216 bytes") != std::string::npos);
}

TEST_CASE("json: settings of a command line are JSON or else text") {
  CHECK(parse_setting("3", "--set a") == 3);
  CHECK(parse_setting("[1, 2]", "--set a") == json::array({1, 2}));
  CHECK(parse_setting("some/where.json", "--set a") == "some/where.json");
  CHECK(parse_setting("1e999", "--set a") == "1e999");
  CHECK(error_of([] { parse_setting("\xff", "--set a"); }).find("--set a: found") == 0);
  CHECK(error_of([] { parse_setting(std::string(100000, '['), "--set a"); }).find("deeper than 64") !=
        std::string::npos);
  CHECK(error_of([] { parse_setting("{\"a\": 1, \"a\": 2}", "--set a"); }).find("twice") != std::string::npos);
  CHECK(string_setting("root", "a \"b\" \\") == "root=\"a \\\"b\\\" \\\\\"");
  CHECK(error_of([] { string_setting("root", "/data/\xe9t\xe9"); }) ==
        "root: found \"/data/\xef\xbf\xbdt\xef\xbf\xbd\", want UTF-8");
}

TEST_CASE("json: values and strings are shown in one short line") {
  CHECK(shown(json::parse(R"({"a": [1, 2.5, "x\n", null, true], "b": {}})")) ==
        R"({"a":[1,2.5,"x\n",null,true],"b":{}})");
  CHECK(shown(json(std::string(1000, 'x'))) == "\"" + std::string(56, 'x') + "...");
  json deep = 1;
  for (int i = 0; i < 1000; ++i) deep = json::array({std::move(deep)});
  CHECK(shown(deep) == std::string(57, '[') + "...");
  CHECK(is_utf8(shown(json(std::string(29, 'x') + "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3"
                                                  "\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"))));
  CHECK(shown(json(std::string("\xff"))) == "\"\xef\xbf\xbd\"");
  CHECK(printed("a\nb\t\"c\" \\d") == "a\\nb\\t\"c\" \\d");
  CHECK(printed(std::string(100, 'x'), 10) == "xxxxxxx...");
  CHECK(is_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
  for (const char* text : {"\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf0\x9f\x98"}) {
    CHECK_FALSE(is_utf8(text));
  }
}

TEST_CASE("json: lists of names stay short and words of any length are compared in no time") {
  CHECK(listed({}) == "none");
  CHECK(listed({"a", "b"}) == "a, b");
  const std::vector<std::string> many(1000, "name");
  CHECK(listed(many).find("and 900 more") != std::string::npos);
  CHECK(did_you_mean("clases", {"classes", "crop"}) == ", did you mean \"classes\"?");
  CHECK(did_you_mean("zzzzzz", {"classes"}).empty());
  CHECK(suggestion("zzzzzz", {"a", "b"}) == "known are: a, b");
  CHECK(nearest(std::string(1 << 20, 'x'), std::vector<std::string>(1000, std::string(1 << 16, 'x'))).empty());
}

TEST_CASE("json: the reader says path and what was found and what is wanted") {
  const json value =
      json::parse(R"({"a": {"b": [1, "x", -3]}, "whole": 3.0, "large": 18446744073709551615, "empty": ""})");
  const JsonReader file = JsonReader::of_file(value, "m.json");
  CHECK(file.at("whole").integer() == 3);
  CHECK(error_of([&] { file.at("a").at("b").item(1).integer(); }) == "m.json: a.b[1]: found \"x\", want an integer");
  CHECK(error_of([&] { file.at("a").at("b").item(2).integer(0); }) ==
        "m.json: a.b[2]: found -3, want an integer of at least 0");
  CHECK(error_of([&] { file.at("a").at("b").item(0).integer(2, 5); }) ==
        "m.json: a.b[0]: found 1, want an integer from 2 to 5");
  CHECK(error_of([&] { file.at("large").integer(); }) == "m.json: large: found 18446744073709551615, want an integer");
  CHECK(error_of([&] { file.at("c"); }) == "m.json: the key \"c\" is missing");
  CHECK(error_of([&] { file.at("whole").at("c"); }) == "m.json: whole: found 3.0, want an object {...}");
  CHECK(error_of([&] { file.text_of("empty"); }) == "m.json: empty: found \"\", want a string");
  CHECK(error_of([&] { file.at("a").only_keys({"bb"}); }) == "m.json: a: unknown key \"b\"; known keys: bb");
  const JsonKind pointers{raise<WeightsError>, true};
  const JsonReader other(value, "m.json: at the top", "m.json: at /", pointers);
  CHECK_THROWS_AS(other.at("a").at("b").item(1).integer(), WeightsError);
  CHECK_THROWS_WITH(other.at("a").at("b").item(1).integer(), "m.json: at /a/b/1: found \"x\", wanted an integer");
}

}  // namespace
}  // namespace psanet::tests
