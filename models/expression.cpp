#include "models/expression.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "engine/json/text.h"
#include "models/expression_tree.h"

namespace psanet::models {

using nlohmann::json;

namespace {

constexpr size_t kMostPrinted = 300;  // bytes of an expression in an error

class Evaluator {
 public:
  explicit Evaluator(const Scope& scope) : scope_(scope) {}

  Scalar value(const ExpressionTree& tree) {
    switch (tree.op) {
      case Operator::literal:
        return tree.literal;
      case Operator::name:
        return named(tree.text);
      case Operator::negate:
        return arithmetic(Operator::subtract, 0, integer(*tree.first));
      case Operator::logical_and:
        return truth(*tree.first) && truth(*tree.second);
      case Operator::logical_or:
        return truth(*tree.first) || truth(*tree.second);
      case Operator::otherwise: {
        Scalar first = value(*tree.first);
        return is_null(first) ? value(*tree.second) : first;
      }
      case Operator::equal:
        return same(tree);
      case Operator::not_equal:
        return !same(tree);
      case Operator::less:
        return compared(tree, std::less<>());
      case Operator::less_equal:
        return compared(tree, std::less_equal<>());
      case Operator::greater:
        return compared(tree, std::greater<>());
      case Operator::greater_equal:
        return compared(tree, std::greater_equal<>());
      default: {
        const int64_t first = integer(*tree.first);  // one after the other: error messages list names in reading order
        return arithmetic(tree.op, first, integer(*tree.second));
      }
    }
  }

  /// " with crop_h = 466, shrink = 2": the names read so far.
  std::string values_read() const { return read_.empty() ? "" : fmt::format(" with {}", fmt::join(read_, ", ")); }

 private:
  Scalar named(const std::string& name) {
    std::optional<Scalar> found = scope_.find(name);
    if (!found) {
      const std::vector<std::string> known = scope_.names();
      const std::string like = nearest(name, known);
      throw ExpressionProblem(fmt::format("there is no ${}{}; known names: {}", printed(name),
                                          like.empty() ? "" : fmt::format(", did you mean ${}?", like), listed(known)));
    }
    std::string text = fmt::format("{} = {}", name, show(*found));
    if (std::find(read_.begin(), read_.end(), text) == read_.end()) read_.push_back(std::move(text));
    return *found;
  }

  static std::string described(const ExpressionTree& tree, const Scalar& value) {
    return tree.op == Operator::name ? fmt::format("${} is {}", tree.text, show(value))
                                     : fmt::format("found {}", show(value));
  }

  int64_t integer(const ExpressionTree& tree) {
    const Scalar v = value(tree);
    if (const auto* i = std::get_if<int64_t>(&v)) return *i;
    throw ExpressionProblem(fmt::format("{}, want an integer", described(tree, v)));
  }

  static std::optional<double> as_number(const Scalar& v) {
    if (const auto* i = std::get_if<int64_t>(&v)) return static_cast<double>(*i);
    if (const auto* d = std::get_if<double>(&v)) return *d;
    return {};
  }

  double number(const ExpressionTree& tree) {
    const Scalar v = value(tree);
    if (const auto n = as_number(v)) return *n;
    throw ExpressionProblem(fmt::format("{}, want a number", described(tree, v)));
  }

  bool truth(const ExpressionTree& tree) {
    const Scalar v = value(tree);
    if (const auto* b = std::get_if<bool>(&v)) return *b;
    throw ExpressionProblem(fmt::format("{}, want true or false", described(tree, v)));
  }

  template <class Compare>
  bool compared(const ExpressionTree& tree, Compare compare) {
    const double first = number(*tree.first);
    return compare(first, number(*tree.second));
  }

  bool same(const ExpressionTree& tree) {
    const Scalar a = value(*tree.first);
    const Scalar b = value(*tree.second);
    return a.index() != b.index() && as_number(a) && as_number(b) ? as_number(a) == as_number(b) : a == b;
  }

  static int64_t arithmetic(Operator op, int64_t a, int64_t b) {
    int64_t result = 0;
    bool overflow = false;
    switch (op) {
      case Operator::add:
        overflow = __builtin_add_overflow(a, b, &result);
        break;
      case Operator::subtract:
        overflow = __builtin_sub_overflow(a, b, &result);
        break;
      case Operator::multiply:
        overflow = __builtin_mul_overflow(a, b, &result);
        break;
      case Operator::minimum:
        return std::min(a, b);
      case Operator::maximum:
        return std::max(a, b);
      default:
        return division(op, a, b);
    }
    if (overflow) throw ExpressionProblem("the result does not fit into 64 bits");
    return result;
  }

  static int64_t division(Operator op, int64_t a, int64_t b) {
    if (b == 0) throw ExpressionProblem(fmt::format("{} divided by 0", a));
    if (b == -1) return op == Operator::modulo ? 0 : arithmetic(Operator::subtract, 0, a);
    const bool inexact = a % b != 0;
    const bool down = inexact && (a < 0) != (b < 0);  // C++ rounds towards 0
    if (op == Operator::modulo) return a % b + (down ? b : 0);
    if (op == Operator::divide && inexact) {
      throw ExpressionProblem(fmt::format("{} / {} does not come out even (\"//\" rounds down)", a, b));
    }
    return a / b - (down ? 1 : 0);
  }

  const Scope& scope_;
  std::vector<std::string> read_;
};

}  // namespace

bool is_expression(const std::string& text) {
  return text.find('$') != std::string::npos;
}

Scalar evaluate(const std::string& text, const std::string& where, const Scope& scope) {
  scope.spend(text.size() + 1, where);
  Evaluator evaluator(scope);
  try {
    return evaluator.value(*parse_expression(text));
  } catch (const ExpressionProblem& problem) {
    throw ConfigError(
        fmt::format("{}: \"{}\"{}: {}", where, printed(text, kMostPrinted), evaluator.values_read(), problem.what()));
  }
}

json resolved(const JsonReader& value, const Scope& scope) {
  if (const auto* text = value.value().get_ptr<const std::string*>(); text && is_expression(*text)) {
    return to_json(evaluate(*text, value.where(), scope));
  }
  if (!value.value().is_array()) return value.value();
  scope.spend(4 * value.value().size(), value.where());
  json list = json::array();
  for (const JsonReader& item : value.items()) list.push_back(resolved(item, scope));
  return list;
}

std::string fill_in(const std::string& text, const std::string& where, const Scope& scope) {
  scope.spend(text.size() + 1, where);
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
    const Scalar value = evaluate(text.substr(open + 1, close - open - 1), where, scope);
    const auto* string = std::get_if<std::string>(&value);
    result += string ? *string : show(value);
    position = close + 1;
  }
}

}  // namespace psanet::models
