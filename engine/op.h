// The op concept: one struct holds an op's attributes, shape rule, gradient rule and lowering.
//
//   struct Relu {
//     static constexpr const char* kName = "relu";
//     void fields(Fields&) {}
//     std::vector<Type> infer(const Types& in) const;           // types of the outputs; throws ConfigError
//     std::vector<Value> grad(Gradient& g) const;               // optional: one value for each input, or an empty one
//     Launch lower(Lowering& l) const;
//     double flops(const Types& in, const Types& out) const;    // optional: multiplications + additions
//     std::vector<int> mutates(size_t inputs) const;            // optional: inputs whose storage is updated in place
//     std::vector<Sharing> shares() const;                      // optional: outputs that may take an input's memory
//     std::vector<int> skippable() const;                       // optional: outputs it leaves out when nobody reads
//     them
//   };
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/fields.h"
#include "engine/type.h"

namespace psanet {

class Gradient;
class Lowering;
struct Launch;

/// Output `output` of node `node` of a graph; an empty Value (node -1) stands for "none".
struct Value {
  int node = -1;
  int output = 0;
  explicit operator bool() const { return node >= 0; }
  auto operator<=>(const Value&) const = default;
};

using Types = std::vector<Type>;
using Values = std::vector<Value>;

/// The kernel allows `output` to be the same memory as `input` (same size, and nobody reads the input later).
struct Sharing {
  int output = 0;
  int input = 0;
};

/// Any op struct, by value.
class Op {
 public:
  template <class T>
  requires requires { T::kName; }
  Op(T op) : self_(std::make_shared<const Model<T>>(std::move(op))) {}  // NOLINT: an op struct is an Op

  const char* name() const { return self_->name(); }
  Types infer(const Types& in) const { return self_->infer(in); }
  bool has_gradient() const { return self_->has_gradient(); }
  Values grad(Gradient& g) const { return self_->grad(g); }
  Launch lower(Lowering& l) const;
  double flops(const Types& in, const Types& out) const { return self_->flops(in, out); }
  std::vector<int> mutates(size_t inputs) const { return self_->mutates(inputs); }
  std::vector<Sharing> shares() const { return self_->shares(); }
  /// Outputs whose address is null when nobody reads them; the others always have memory.
  std::vector<int> skippable() const { return self_->skippable(); }
  void fields(Fields& f) const { self_->fields(f); }

  /// The struct itself if this is a T, else null: how passes look at ops.
  template <class T>
  const T* as() const {
    auto* model = dynamic_cast<const Model<T>*>(self_.get());
    return model ? &model->op : nullptr;
  }

 private:
  struct Concept {
    virtual ~Concept() = default;
    virtual const char* name() const = 0;
    virtual Types infer(const Types& in) const = 0;
    virtual bool has_gradient() const = 0;
    virtual Values grad(Gradient& g) const = 0;
    virtual Launch lower(Lowering& l) const = 0;
    virtual double flops(const Types& in, const Types& out) const = 0;
    virtual std::vector<int> mutates(size_t inputs) const = 0;
    virtual std::vector<Sharing> shares() const = 0;
    virtual std::vector<int> skippable() const = 0;
    virtual void fields(Fields& f) const = 0;
  };

  template <class T>
  struct Model;

  std::shared_ptr<const Concept> self_;
};

}  // namespace psanet

#include "engine/op_model.h"  // IWYU pragma: export
