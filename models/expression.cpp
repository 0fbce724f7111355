#include "models/expression.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

#include "engine/error.h"
#include "engine/json/text.h"
#include "models/names.h"

namespace psanet::models {

using nlohmann::json;

namespace {

constexpr size_t kMostPrinted = 300;  // bytes of an expression in an error
constexpr int kDeepest = 100;         // parentheses and operations in each other: both classes are recursive

/// A row for each level of precedence, loosest first; within a row longer operators first.
const std::vector<std::vector<std::string_view>> kLevels = {
    {"??"}, {"||"}, {"&&"}, {"==", "!=", "<=", ">=", "<", ">"}, {"+", "-"}, {"//", "*", "/", "%"}};

/// What is wrong with an expression, without where it stands; evaluate() adds that.
struct ExpressionProblem : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A parsed expression. Parsing and evaluation are apart so that the side of `??`, `&&` and `||` that does not count is
/// not evaluated: "$shrink >= 1 && $size % $shrink == 0" must not divide by zero.
struct Tree {
  std::string op;                                 // as written; "$": a name, "": a literal
  Scalar literal = {};                            // of names: the name
  std::unique_ptr<Tree> first = {}, second = {};  // operands; -a is 0 - a
  int depth = 1;                                  // of operations in each other
};
using TreePtr = std::unique_ptr<Tree>;

/// Recursive descent, a level of precedence at a time.
class Parser {
 public:
  explicit Parser(const std::string& text) : text_(text) {}

  TreePtr parse() {
    TreePtr tree = level(0);
    if (position_ < text_.size()) fail("an operator or the end");
    check_length(text_.size());
    return tree;
  }

 private:
  [[noreturn]] void fail(const std::string& want) {
    skip_space();
    throw ExpressionProblem(position_ < text_.size()
                                ? fmt::format("found \"{}\" at character {}, want {}", printed(text_.substr(position_)),
                                              position_ + 1, want)
                                : fmt::format("ends too early, want {}", want));
  }

  static void check_depth(int depth) {
    if (depth > kDeepest) throw ExpressionProblem(fmt::format("nested deeper than {}", kDeepest));
  }
  static void check_length(size_t bytes) {
    if (bytes > kLongestText) throw ExpressionProblem(fmt::format("longer than {} bytes", kLongestText));
  }

  void skip_space() {
    while (position_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[position_]))) ++position_;
  }

  bool accept(std::string_view token) {
    skip_space();
    if (text_.compare(position_, token.size(), token) != 0) return false;
    position_ += token.size();
    return true;
  }

  std::string word() {
    const size_t begin = position_;
    while (position_ < text_.size() && is_word(text_[position_])) ++position_;
    return text_.substr(begin, position_ - begin);
  }

  static TreePtr leaf(const char* op, Scalar value) { return std::make_unique<Tree>(Tree{op, std::move(value)}); }

  static TreePtr binary(std::string_view op, TreePtr first, TreePtr second) {
    const int depth = 1 + std::max(first->depth, second->depth);
    check_depth(depth);
    return std::make_unique<Tree>(Tree{std::string(op), {}, std::move(first), std::move(second), depth});
  }

  TreePtr level(size_t index) {
    if (index == kLevels.size()) return operand();
    TreePtr left = level(index + 1);
    for (;;) {
      const auto& operators = kLevels[index];
      const auto op = std::find_if(operators.begin(), operators.end(), [&](std::string_view o) { return accept(o); });
      if (op == operators.end()) return left;
      left = binary(*op, std::move(left), level(index + 1));
    }
  }

  TreePtr operand() {
    check_depth(++depth_);
    check_length(position_);
    TreePtr tree = operand_inside();
    --depth_;
    return tree;
  }

  TreePtr operand_inside() {
    if (accept("(")) {
      TreePtr inner = level(0);
      if (!accept(")")) fail("\")\"");
      return inner;
    }
    if (accept("-")) return binary("-", leaf("", int64_t{0}), operand());
    if (accept("$")) {
      std::string name = word();
      if (name.empty()) fail("a name after \"$\"");
      return leaf("$", std::move(name));
    }
    const size_t begin = position_;
    const std::string text = word();
    if (text == "min" || text == "max") return function(text);
    if (text == "null") return leaf("", nullptr);
    if (text == "true" || text == "false") return leaf("", text == "true");
    if (text.empty() || !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      position_ = begin;
      fail("a number, $name, \"(\", min(a, b) or max(a, b)");
    }
    if (text.size() > 18) throw ExpressionProblem(fmt::format("{} is too large", printed(text)));
    return leaf("", static_cast<int64_t>(std::stoll(text)));
  }

  TreePtr function(const std::string& name) {
    if (!accept("(")) fail("\"(\" after " + name);
    TreePtr first = level(0);
    if (!accept(",")) fail("\",\"");
    TreePtr second = level(0);
    if (!accept(")")) fail("\")\"");
    return binary(name, std::move(first), std::move(second));
  }

  const std::string& text_;
  size_t position_ = 0;
  int depth_ = 0;
};

class Evaluator {
 public:
  explicit Evaluator(const Names& names) : names_(names) {}

  /// One operand after the other: error messages list names in reading order.
  Scalar value(const Tree& tree) {
    const std::string& op = tree.op;
    if (op.empty()) return tree.literal;
    if (op == "$") return named(std::get<std::string>(tree.literal));
    if (op == "||") return truth(*tree.first) || truth(*tree.second);
    if (op == "&&") return truth(*tree.first) && truth(*tree.second);
    if (op == "==") return same(tree);
    if (op == "!=") return !same(tree);
    if (op == "??") {
      Scalar first = value(*tree.first);
      return is_null(first) ? value(*tree.second) : first;
    }
    if (op.starts_with('<') || op.starts_with('>')) {
      const double a = number(*tree.first), b = number(*tree.second);
      return op == "<" ? a < b : op == "<=" ? a <= b : op == ">" ? a > b : a >= b;
    }
    const int64_t a = integer(*tree.first), b = integer(*tree.second);
    return arithmetic(op, a, b);
  }

  /// " with crop_h = 466, shrink = 2": the names read so far.
  std::string values_read() const { return read_.empty() ? "" : fmt::format(" with {}", fmt::join(read_, ", ")); }

 private:
  Scalar named(const std::string& name) {
    std::optional<Scalar> found = names_.find(name);
    if (!found) {
      const std::vector<std::string> known = names_.names();
      const std::string like = nearest(name, known);
      throw ExpressionProblem(fmt::format("there is no ${}{}; known names: {}", printed(name),
                                          like.empty() ? "" : fmt::format(", did you mean ${}?", like), listed(known)));
    }
    std::string text = fmt::format("{} = {}", name, show(*found));
    if (std::find(read_.begin(), read_.end(), text) == read_.end()) read_.push_back(std::move(text));
    return *found;
  }

  [[noreturn]] static void wrong(const Tree& tree, const Scalar& found, const char* want) {
    throw ExpressionProblem(
        tree.op == "$" ? fmt::format("${} is {}, want {}", std::get<std::string>(tree.literal), show(found), want)
                       : fmt::format("found {}, want {}", show(found), want));
  }

  int64_t integer(const Tree& tree) {
    const Scalar v = value(tree);
    if (const auto* i = std::get_if<int64_t>(&v)) return *i;
    wrong(tree, v, "an integer");
  }

  bool truth(const Tree& tree) {
    const Scalar v = value(tree);
    if (const auto* b = std::get_if<bool>(&v)) return *b;
    wrong(tree, v, "true or false");
  }

  static std::optional<double> as_number(const Scalar& v) {
    if (const auto* i = std::get_if<int64_t>(&v)) return static_cast<double>(*i);
    if (const auto* d = std::get_if<double>(&v)) return *d;
    return {};
  }

  double number(const Tree& tree) {
    const Scalar v = value(tree);
    if (const auto n = as_number(v)) return *n;
    wrong(tree, v, "a number");
  }

  bool same(const Tree& tree) {
    const Scalar a = value(*tree.first), b = value(*tree.second);
    return a.index() != b.index() && as_number(a) && as_number(b) ? as_number(a) == as_number(b) : a == b;
  }

  static int64_t arithmetic(std::string_view op, int64_t a, int64_t b) {
    if (op == "min") return std::min(a, b);
    if (op == "max") return std::max(a, b);
    if (op != "+" && op != "-" && op != "*") return division(op, a, b);
    int64_t result = 0;
    const bool overflow = op == "+"   ? __builtin_add_overflow(a, b, &result)
                          : op == "-" ? __builtin_sub_overflow(a, b, &result)
                                      : __builtin_mul_overflow(a, b, &result);
    if (overflow) throw ExpressionProblem("the result does not fit into 64 bits");
    return result;
  }

  static int64_t division(std::string_view op, int64_t a, int64_t b) {
    if (b == 0) throw ExpressionProblem(fmt::format("{} divided by 0", a));
    if (b == -1) return op == "%" ? 0 : arithmetic("-", 0, a);
    const bool inexact = a % b != 0;
    const bool down = inexact && (a < 0) != (b < 0);  // C++ rounds towards 0
    if (op == "%") return a % b + (down ? b : 0);
    if (op == "/" && inexact) {
      throw ExpressionProblem(fmt::format("{} / {} does not come out even (\"//\" rounds down)", a, b));
    }
    return a / b - (down ? 1 : 0);
  }

  const Names& names_;
  std::vector<std::string> read_;
};

}  // namespace

bool is_expression(const std::string& text) {
  return text.find('$') != std::string::npos;
}

Scalar evaluate(const std::string& text, const std::string& where, const Names& names) {
  names.spend(text.size() + 1, where);
  Evaluator evaluator(names);
  try {
    return evaluator.value(*Parser(text).parse());
  } catch (const ExpressionProblem& problem) {
    throw ConfigError(
        fmt::format("{}: \"{}\"{}: {}", where, printed(text, kMostPrinted), evaluator.values_read(), problem.what()));
  }
}

json resolved(const JsonReader& value, const Names& names) {
  if (const auto* text = value.value().get_ptr<const std::string*>(); text && is_expression(*text)) {
    return to_json(evaluate(*text, value.where(), names));
  }
  if (!value.value().is_array()) return value.value();
  names.spend(4 * value.value().size(), value.where());
  json list = json::array();
  for (const JsonReader& item : value.items()) list.push_back(resolved(item, names));
  return list;
}

std::string fill_in(const std::string& text, const std::string& where, const Names& names) {
  names.spend(text.size() + 1, where);
  std::string result;
  size_t position = 0;
  for (;;) {
    const size_t open = text.find('{', position);
    result += text.substr(position, open == std::string::npos ? open : open - position);
    if (result.size() > kLongestText) throw ConfigError(fmt::format("{}: longer than {} bytes", where, kLongestText));
    if (open == std::string::npos) return result;
    const size_t close = text.find('}', open);
    if (close == std::string::npos) {
      throw ConfigError(fmt::format("{}: found \"{}\", want a \"}}\" after the \"{{\"", where, printed(text)));
    }
    const Scalar value = evaluate(text.substr(open + 1, close - open - 1), where, names);
    const auto* string = std::get_if<std::string>(&value);
    result += string ? *string : show(value);
    position = close + 1;
  }
}

}  // namespace psanet::models
