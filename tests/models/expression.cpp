#include "models/expression.h"

#include <limits>

#include "models/names.h"
#include "tests/models/wrong.h"

using namespace psanet::models;
using psanet::tests::check_message;
using psanet::tests::message_of;

namespace {

/// crop = 465, shrink = 2, none = null, rate = 0.5, on = true, word = "collect"
void define(Names& names) {
  names.define("crop", int64_t{465}, "m.json: let.crop");
  names.define("shrink", int64_t{2}, "m.json: let.shrink");
  names.define("none", nullptr, "m.json: let.none");
  names.define("rate", 0.5, "m.json: let.rate");
  names.define("on", true, "m.json: let.on");
  names.define("word", std::string("collect"), "m.json: let.word");
}

Scalar value(const std::string& text) {
  Names names;
  define(names);
  return evaluate(text, "m.json: graph[3].height", names);
}

std::string error(const std::string& text) {
  return message_of([&] { value(text); });
}

}  // namespace

TEST_CASE("integer arithmetic follows the usual precedence") {
  const auto [text, expected] = GENERATE(table<std::string, int64_t>({
      {"($crop - 1) / 8 + 1", 59},
      {"$crop", 465},
      {"2 + 3 * 4", 14},
      {"(2 + 3) * 4", 20},
      {"20 - 3 - 4", 13},
      {"24 / 4 / 2", 3},
      {"-3 + 5", 2},
      {"--3", 3},
      {"2 * -3", -6},
      {"7 // 2", 3},
      {"-7 // 2", -4},
      {"7 // -2", -4},
      {"7 % 4", 3},
      {"-7 % 4", 1},
      {"7 % -4", -1},
      {"-8 / 4", -2},
      {"min(3, 2 * 2)", 3},
      {"max($shrink, 7)", 7},
      {"min(max(1, 5), 3)", 3},
      {"  1+1 ", 2},
      {"9223372036854775 * 1000", 9223372036854775000},
  }));
  CAPTURE(text);
  CHECK(value(text) == Scalar(expected));
}

TEST_CASE("conditions compare integers, numbers, words and null") {
  const auto [text, expected] = GENERATE(table<std::string, bool>({
      {"$crop == 465", true},
      {"$crop != 465", false},
      {"$crop < 466 && $crop >= 465", true},
      {"$crop > 465 || $shrink <= 1", false},
      {"$rate > 0", true},
      {"$rate == 0.5", false},  // see below: fractions are not written in expressions
      {"$shrink == 2", true},
      {"$on", true},
      {"$on == true", true},
      {"$none == null", true},
      {"$word == null", false},
      {"$word == $word", true},
  }));
  CAPTURE(text);
  if (text == "$rate == 0.5") {
    check_message(error(text), {"found \".5\" at character 11"});
  } else {
    CHECK(value(text) == Scalar(expected));
  }
}

TEST_CASE("?? gives the second value where the first is null, of any kind") {
  CHECK(value("$none ?? 2 * $shrink - 1") == Scalar(int64_t{3}));
  CHECK(value("$crop ?? 1") == Scalar(int64_t{465}));
  CHECK(value("$none ?? $none ?? $rate") == Scalar(0.5));
  CHECK(value("$word ?? 1") == Scalar(std::string("collect")));
}

TEST_CASE("the side that does not count is not evaluated") {
  CHECK(value("$crop ?? 1 / 0") == Scalar(int64_t{465}));
  CHECK(value("$shrink == 3 && 1 / 0 == 1") == Scalar(false));
  CHECK(value("$shrink == 2 || 1 / 0 == 1") == Scalar(true));
}

TEST_CASE("an expression that fails names its path, itself, the values in it and what is wrong") {
  const auto [text, pieces] = GENERATE(table<std::string, std::vector<std::string>>({
      {"$crop / 8",
       {"m.json: graph[3].height: ", "\"$crop / 8\"", "with crop = 465", "465 / 8 does not come out even"}},
      {"$crop % ($shrink - 2)", {"crop = 465, shrink = 2", "465 divided by 0"}},
      {"$cropp + 1", {"there is no $cropp", "did you mean $crop?", "known names: crop, none"}},
      {"$none + 1", {"$none is null, want an integer"}},
      {"$rate * 2", {"$rate is 0.5, want an integer"}},
      {"$word < 2", {"$word is \"collect\", want a number"}},
      {"$crop && $on", {"$crop is 465, want true or false"}},
      {"(1 == 1) + 1", {"found true, want an integer"}},
      {"9223372036854775807 + $crop", {"9223372036854775807 is too large"}},
      {"922337203685477580 * 100", {"does not fit into 64 bits"}},
      {"(1 + 2", {"ends too early, want \")\""}},
      {"1 + ", {"ends too early, want a number, $name"}},
      {"1 2", {"found \"2\" at character 3, want an operator or the end"}},
      {"$", {"want a name after \"$\""}},
      {"crop + 1", {"found \"crop + 1\" at character 1"}},
      {"min(1)", {"want \",\""}},
      {"", {"ends too early"}},
  }));
  CAPTURE(text);
  check_message(error(text), pieces);
}

TEST_CASE("an expression nested too deep is an error, not a crash") {
  check_message(error(std::string(100000, '(')), {"nested deeper than 100"});
  check_message(error(std::string(100000, '-') + "1"), {"nested deeper than 100"});
}

TEST_CASE("the smallest integer survives division by -1 as an error") {
  Names names;
  names.define("least", std::numeric_limits<int64_t>::min(), "here");
  check_message(message_of([&] { evaluate("$least / -1", "here", names); }), {"does not fit into 64 bits"});
  CHECK(evaluate("$least % -1", "here", names) == Scalar(int64_t{0}));
}

TEST_CASE("braces in a text are filled in") {
  Names names;
  define(names);
  CHECK(fill_in("block{$shrink + 1}.{$word}", "here", names) == "block3.collect");
  CHECK(fill_in("plain", "here", names) == "plain");
  check_message(message_of([&] { fill_in("x{$shrink", "here", names); }), {"here", "\"x{$shrink\"", "want a \"}\""});
}

TEST_CASE("names may be defined in any order and see outer names") {
  Names outer, inner(&outer);
  outer.define("a", std::string("$b + 1"), "m.json: let.a");
  outer.define("b", int64_t{2}, "m.json: let.b");
  inner.define("b", int64_t{10}, "m.json: graph[0].b");
  inner.define("c", std::string("$a + $b"), "m.json: graph[0].c");
  CHECK(inner.find("c") == Scalar(int64_t{13}));  // a is computed where it is defined: with the outer b
  CHECK_FALSE(inner.find("d").has_value());
}

TEST_CASE("a name computed from itself is an error that shows the circle") {
  Names names;
  names.define("a", std::string("$b + 1"), "m.json: let.a");
  names.define("b", std::string("$c"), "m.json: let.b");
  names.define("c", std::string("2 * $a"), "m.json: let.c");
  check_message(message_of([&] { names.find("b"); }), {"m.json: let.b: computed from itself (b -> c -> a -> b)"});
  check_message(message_of([&] { names.find("b"); }), {"computed from itself"});  // and again, not a hang
}
