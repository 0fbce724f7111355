// The tables of all ops and of all words of the model language. A file of ops says what it adds:
//
//   void relu_ops(Tables& tables) {
//     tables.ops<Relu, ReluBackward>();
//     tables.word<Relu>("max(x, 0).");
//   }
//
// and registry.cpp lists these functions.
#pragma once

#include <string>

#include "engine/fields_json.h"
#include "engine/op.h"
#include "layers/language.h"

namespace psanet::layers {

struct OpEntry {
  const char* name;
  bool has_gradient;
  Op (*make)(const nlohmann::json& attributes);  // ConfigError for unknown attributes
};

/// A word that is one op.
template <class T>
struct OpWord final : Layer {
  static constexpr const char* kName = T::kName;
  T op;
  void fields(Fields& f) override { op.fields(f); }
  Value build(const Building& b, const Values& in) const override { return b.graph.add(b.path, op, in); }
};

class Tables {
 public:
  /// Op structs.
  template <class... T>
  void ops() {
    (ops_.push_back(entry<T>()), ...);
  }
  /// A Layer with a kName, or an op that is a word by itself.
  template <class T>
  void word(const char* doc, int min_inputs = 1, int max_inputs = 1) {
    using Made = std::conditional_t<std::is_base_of_v<Layer, T>, T, OpWord<T>>;
    words_.push_back(
        {T::kName, doc, min_inputs, max_inputs, []() -> std::unique_ptr<Layer> { return std::make_unique<Made>(); }});
  }

  std::span<const OpEntry> all_ops() const { return ops_; }
  std::span<const Word> all_words() const { return words_; }

 private:
  template <class T>
  static OpEntry entry() {
    constexpr bool has_gradient = requires(const T& op, Gradient& g) {
      op.grad(g);
    };
    return {T::kName, has_gradient, [](const nlohmann::json& attributes) -> Op {
              T op;
              read_struct(attributes, T::kName, op);
              return op;
            }};
  }

  std::vector<OpEntry> ops_;
  std::vector<Word> words_;
};

/// Every op, for tests that must see them all.
std::span<const OpEntry> all_ops();

/// An op by its name and attributes. ConfigError that names the nearest op if there is none of that name.
Op make_op(const std::string& name, const nlohmann::json& attributes);

}  // namespace psanet::layers
