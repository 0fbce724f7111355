// Attribute structs: reading from JSON with errors that help, writing, documenting.
#include <nlohmann/json.hpp>

#include "engine/fields_json.h"
#include "engine/json/text.h"
#include "tests/support/catch.h"

namespace psanet {
namespace {

using nlohmann::json;

enum class Colour { red, light_green };
std::span<const char* const> choices(Colour) {
  static constexpr const char* kNames[] = {"red", "light_green"};
  return kNames;
}

struct Inner {
  int64_t depth = 3;
  std::string label = "x";
  void fields(Fields& f) {
    f("depth", depth, "how deep");
    f("label", label, "what it says");
  }
};

struct Everything {
  bool flag = false;
  int64_t count = 1;
  double rate = 0.5;
  std::string name = "none";
  Size2 size{2, 3};
  std::optional<int64_t> limit = 7;
  std::optional<double> weight;
  std::vector<double> scales = {1, 2};
  std::vector<std::string> words;
  Colour colour = Colour::light_green;
  Inner inner;

  void fields(Fields& f) {
    f("flag", flag, "a flag");
    f("count", count, "a count");
    f("rate", rate, "a rate");
    f("name", name, "a name");
    f("size", size, "a size");
    f("limit", limit, "a limit");
    f("weight", weight, "a weight");
    f("scales", scales, "some scales");
    f("words", words, "some words");
    f("colour", colour, "a colour");
    f("inner", inner, "more of it");
  }
};

std::string error_of(const json& object) {
  Everything e;
  try {
    read_struct(object, "recipe.model", e);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST_CASE("fields: what the JSON names is set, everything else keeps its default") {
  Everything e;
  read_struct(json::parse(R"({"flag": true, "count": -4, "rate": 2, "name": "a b", "size": 5, "limit": null,
      "weight": 0.25, "scales": [], "words": ["p", "q"], "colour": "red", "inner": {"depth": 9}})"),
              "here", e);
  CHECK(e.flag);
  CHECK(e.count == -4);
  CHECK(e.rate == 2.0);
  CHECK(e.name == "a b");
  CHECK(e.size == Size2{5, 5});
  CHECK_FALSE(e.limit.has_value());
  CHECK(e.weight == 0.25);
  CHECK(e.scales.empty());
  CHECK(e.words == std::vector<std::string>{"p", "q"});
  CHECK(e.colour == Colour::red);
  CHECK(e.inner.depth == 9);
  CHECK(e.inner.label == "x");

  Everything untouched;
  read_struct(json::object(), "here", untouched);
  CHECK(untouched.count == 1);
  CHECK(untouched.limit == 7);
}

TEST_CASE("fields: a whole number may be written as 3.0, a size as a list of two") {
  Everything e;
  read_struct({{"count", 3.0}, {"size", {4, 6.0}}}, "here", e);
  CHECK(e.count == 3);
  CHECK(e.size == Size2{4, 6});
}

TEST_CASE("fields: a wrong value is answered with its path, what was found and what is wanted") {
  CHECK(error_of({{"flag", 1}}) == "recipe.model.flag: found 1, want true or false");
  CHECK(error_of({{"count", "7"}}) == "recipe.model.count: found \"7\", want an integer");
  CHECK(error_of({{"count", 1.5}}) == "recipe.model.count: found 1.5, want an integer");
  CHECK(error_of({{"count", nullptr}}) == "recipe.model.count: found null, want an integer");
  CHECK(error_of({{"count", 1e30}}) == "recipe.model.count: found 1e+30, want an integer");
  CHECK(error_of({{"count", 18446744073709551615u}}) ==
        "recipe.model.count: found 18446744073709551615, want an integer");
  CHECK(error_of({{"rate", true}}) == "recipe.model.rate: found true, want a number");
  CHECK(error_of({{"name", 3}}) == "recipe.model.name: found 3, want a string");
  CHECK(error_of({{"size", {1, 2, 3}}}) == "recipe.model.size: found [1,2,3], want a number or [height, width]");
  CHECK(error_of({{"size", {1, "x"}}}) == "recipe.model.size: found \"x\", want an integer");
  CHECK(error_of({{"limit", "none"}}) == "recipe.model.limit: found \"none\", want an integer or null");
  CHECK(error_of({{"weight", "none"}}) == "recipe.model.weight: found \"none\", want a number or null");
  CHECK(error_of({{"scales", 1}}) == "recipe.model.scales: found 1, want a list of numbers");
  CHECK(error_of({{"scales", {1, "2"}}}) == "recipe.model.scales[1]: found \"2\", want a number");
  CHECK(error_of({{"words", "p"}}) == "recipe.model.words: found \"p\", want a list of strings");
  CHECK(error_of({{"words", {"p", 0}}}) == "recipe.model.words[1]: found 0, want a string");
  CHECK(error_of({{"colour", "green"}}) == "recipe.model.colour: found \"green\", want one of red, light_green");
  CHECK(error_of({{"colour", 0}}) == "recipe.model.colour: found 0, want one of red, light_green");
  CHECK(error_of({{"inner", 4}}) == "recipe.model.inner: found 4, want an object {...}");
  CHECK(error_of({{"inner", {{"depth", false}}}}) == "recipe.model.inner.depth: found false, want an integer");
  CHECK(error_of(json::array()) == "recipe.model: found [], want an object {...}");
}

TEST_CASE("fields: a value too long to show is cut, and the message stays one line") {
  const std::string message = error_of({{"count", std::string(300, 'x') + "\n"}});
  CHECK(message.size() < 120);
  CHECK(message.find('\n') == std::string::npos);
}

TEST_CASE("fields: an unknown key names the nearest known one and all of them") {
  const std::string message = error_of({{"colr", "red"}});
  CHECK(message.find("recipe.model: unknown key \"colr\", did you mean \"colour\"?; known keys: flag, count") == 0);
  CHECK(error_of({{"inner", {{"dept", 1}}}}) ==
        "recipe.model.inner: unknown key \"dept\", did you mean \"depth\"?; known keys: depth, label");
  CHECK(error_of({{"zzzzzz", 1}}).find("did you mean") == std::string::npos);
}

TEST_CASE("fields: what is written reads back the same") {
  Everything e;
  e.count = 12;
  e.limit.reset();
  e.size = {8, 8};
  e.colour = Colour::red;
  e.inner.label = "changed";
  const json written = json::parse(write_fields([&](Fields& f) { e.fields(f); }).dump());
  CHECK(written.at("size") == 8);
  CHECK(written.at("limit").is_null());
  CHECK(written.at("colour") == "red");
  CHECK(written.size() == 11);
  Everything back;
  read_struct(written, "here", back);
  CHECK(back.count == 12);
  CHECK_FALSE(back.limit.has_value());
  CHECK(back.inner.label == "changed");
  CHECK(back.colour == Colour::red);
}

TEST_CASE("fields: the documentation has a row for every key with type, default and meaning") {
  const std::string table = document_struct(Everything{});
  CHECK(table.find("| key | type | default | meaning |\n|---|---|---|---|\n") == 0);
  CHECK(table.find("| `size` | integer or [h, w] | [2, 3] | a size |\n") != std::string::npos);
  CHECK(table.find("| `weight` | number or null | null | a weight |\n") != std::string::npos);
  CHECK(table.find("| `colour` | red, light_green | light_green | a colour |\n") != std::string::npos);
  CHECK(table.find("| `inner.depth` | integer | 3 | how deep |\n") != std::string::npos);
  CHECK(std::count(table.begin(), table.end(), '\n') == 2 + 12);
}

TEST_CASE("fields: the nearest word is the one with the fewest edits, and none when all are far") {
  CHECK(nearest("kernl", {"stride", "kernel", "padding"}) == "kernel");
  CHECK(nearest("stirde", {"stride", "side"}) == "stride");
  CHECK(nearest("xyz", {"stride", "kernel"}) == "");
  CHECK(nearest("", {}) == "");
}

}  // namespace
}  // namespace psanet
