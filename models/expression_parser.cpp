// From the text of an expression to its tree: recursive descent, a level of precedence at a time.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <span>
#include <string_view>

#include "engine/json/text.h"
#include "models/expression_tree.h"

namespace psanet::models {

namespace {

using Tree = std::unique_ptr<ExpressionTree>;

constexpr int kDeepest = 100;  // parentheses and operations in each other: the parser and evaluation are recursive

struct Binary {
  std::string_view text;
  Operator op;
};
// A row for each level of precedence, loosest first; within a row longer operators first.
constexpr Binary kOtherwise[] = {{"??", Operator::otherwise}};
constexpr Binary kOr[] = {{"||", Operator::logical_or}};
constexpr Binary kAnd[] = {{"&&", Operator::logical_and}};
constexpr Binary kComparison[] = {{"==", Operator::equal},      {"!=", Operator::not_equal},
                                  {"<=", Operator::less_equal}, {">=", Operator::greater_equal},
                                  {"<", Operator::less},        {">", Operator::greater}};
constexpr Binary kSum[] = {{"+", Operator::add}, {"-", Operator::subtract}};
constexpr Binary kProduct[] = {
    {"//", Operator::floor_divide}, {"*", Operator::multiply}, {"/", Operator::divide}, {"%", Operator::modulo}};
constexpr std::array<std::span<const Binary>, 6> kLevels = {kOtherwise, kOr, kAnd, kComparison, kSum, kProduct};

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}

class Parser {
 public:
  explicit Parser(const std::string& text) : text_(text) {}

  Tree parse() {
    Tree tree = level(0);
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

  Tree level(size_t index) {
    if (index == kLevels.size()) return operand();
    Tree left = level(index + 1);
    for (;;) {
      const auto& operators = kLevels[index];
      const auto found =
          std::find_if(operators.begin(), operators.end(), [&](const Binary& b) { return accept(b.text); });
      if (found == operators.end()) return left;
      left = binary(found->op, std::string(found->text), std::move(left), level(index + 1));
    }
  }

  static void check_depth(int depth) {
    if (depth > kDeepest) throw ExpressionProblem(fmt::format("nested deeper than {}", kDeepest));
  }
  static void check_length(size_t bytes) {
    if (bytes > kLongestText) throw ExpressionProblem(fmt::format("longer than {} bytes", kLongestText));
  }

  static Tree binary(Operator op, std::string text, Tree first, Tree second) {
    auto tree = std::make_unique<ExpressionTree>();
    tree->op = op;
    tree->text = std::move(text);
    tree->first = std::move(first);
    tree->second = std::move(second);
    tree->depth = 1 + std::max(tree->first->depth, tree->second ? tree->second->depth : 0);
    check_depth(tree->depth);
    return tree;
  }

  Tree operand() {
    check_depth(++depth_);
    check_length(position_);
    Tree tree = operand_inside();
    --depth_;
    return tree;
  }

  Tree operand_inside() {
    skip_space();
    if (accept("(")) {
      Tree inner = level(0);
      if (!accept(")")) fail("\")\"");
      return inner;
    }
    if (accept("-")) return binary(Operator::negate, "-", operand(), nullptr);
    if (accept("$")) {
      auto tree = std::make_unique<ExpressionTree>();
      tree->op = Operator::name;
      tree->text = word();
      if (tree->text.empty()) fail("a name after \"$\"");
      return tree;
    }
    const size_t begin = position_;
    const std::string text = word();
    if (text == "min" || text == "max") return function(text);
    auto tree = std::make_unique<ExpressionTree>();
    if (text == "null") {
      return tree;
    } else if (text == "true" || text == "false") {
      tree->literal = text == "true";
    } else if (!text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      if (text.size() > 18) throw ExpressionProblem(fmt::format("{} is too large", printed(text)));
      tree->literal = static_cast<int64_t>(std::stoll(text));
    } else {
      position_ = begin;
      fail("a number, $name, \"(\", min(a, b) or max(a, b)");
    }
    return tree;
  }

  Tree function(const std::string& name) {
    if (!accept("(")) fail("\"(\" after " + name);
    Tree first = level(0);
    if (!accept(",")) fail("\",\"");
    Tree second = level(0);
    if (!accept(")")) fail("\")\"");
    return binary(name == "min" ? Operator::minimum : Operator::maximum, name, std::move(first), std::move(second));
  }

  const std::string& text_;
  size_t position_ = 0;
  int depth_ = 0;
};

}  // namespace

std::unique_ptr<ExpressionTree> parse_expression(const std::string& text) {
  return Parser(text).parse();
}

}  // namespace psanet::models
