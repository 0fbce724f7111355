// From a node to something that runs: a Launch is prepared once and run often.
#pragma once

#include <functional>
#include <span>

#include "engine/device.h"
#include "engine/type.h"

namespace psanet {

struct Node;

/// The addresses a launch works on; fixed for the life of a program.
struct Buffers {
  std::vector<void*> inputs;
  std::vector<void*> outputs;  // null: skippable(), and nobody reads it
  void* workspace = nullptr;   // scratch of this launch
  void* retained = nullptr;    // memory that keeps its content between runs

  /// The address alone.
  const void* raw(size_t i) const { return i < inputs.size() ? inputs[i] : nullptr; }
  template <class T = float>
  const T* in(size_t i) const {
    return i < inputs.size() ? static_cast<const T*>(inputs[i]) : nullptr;
  }
  /// An input that the op updates in place (it is listed in mutates()).
  template <class T = float>
  T* state(size_t i) const {
    return static_cast<T*>(inputs[i]);
  }
  template <class T = float>
  T* out(size_t i) const {
    return static_cast<T*>(outputs[i]);
  }
};

struct Launch {
  /// One execution. It neither allocates nor looks anything up.
  std::function<void(const Buffers&)> run;
  int64_t workspace_bytes = 0;

  /// Work on fixed inputs, done once whenever parameters change: its result lives in `retained`. Inputs listed in
  /// digest_only are read by digest alone, so their memory may be reused afterwards.
  std::function<void(const Buffers&)> digest = nullptr;
  int64_t retained_bytes = 0;
  std::vector<int> digest_only = {};

  /// May `run` be part of a recording? Collectives may not: the host talks to other ranks in them.
  bool recordable = true;
};

/// What an op may ask while it is lowered.
class Lowering {
 public:
  Lowering(Device& device, const Node& node, std::vector<Type> in, std::vector<bool> fixed, std::vector<bool> wanted)
      : device_(device), node_(node), in_(std::move(in)), fixed_(std::move(fixed)), wanted_(std::move(wanted)) {}

  const Node& node() const { return node_; }
  const Type& in(size_t i) const { return in_[i]; }
  const std::vector<Type>& in() const { return in_; }
  const Type& out(size_t i) const;
  size_t inputs() const { return in_.size(); }

  /// Does anybody read output i?
  bool wanted(size_t i) const { return wanted_[i]; }
  /// Is input i the same in every run until parameters are loaded anew?
  bool fixed(size_t i) const { return fixed_[i]; }

  /// The ranks that the device works with.
  Communicator& communicator() { return device_.communicator(); }

  /// f(context) -> Launch, with the context's own type: for ops that prepare something.
  template <class F>
  Launch prepare(F&& f) {
    return device_.visit([&](auto& ctx) -> Launch { return f(ctx); });
  }

  /// f.operator()<T>(context) -> Launch, T being what values of `dtype` (f32 or bf16) are stored as.
  template <class F>
  Launch prepare_as(DType dtype, F&& f) {
    return device_.visit([&](auto& ctx) -> Launch {
      if (dtype != DType::bf16) return f.template operator()<float>(ctx);
      if constexpr (kComputesIn<std::remove_reference_t<decltype(ctx)>, kernels::bf16>) {
        return f.template operator()<kernels::bf16>(ctx);
      } else {
        refuse(dtype);
      }
    });
  }

  /// f(context, buffers): for ops that are one kernel call.
  template <class F>
  Launch launch(F f) {
    return device_.visit([&](auto& ctx) -> Launch { return {[&ctx, f](const Buffers& b) { f(ctx, b); }}; });
  }

  /// The same with f.operator()<T>(context, buffers), T being what values of `dtype` (f32 or bf16) are stored as.
  template <class F>
  Launch launch_as(DType dtype, F f) {
    return prepare_as(dtype, [f]<class T>(auto& ctx) -> Launch {
      return {[&ctx, f](const Buffers& b) { f.template operator()<T>(ctx, b); }};
    });
  }

 private:
  [[noreturn]] void refuse(DType dtype) const;

  Device& device_;
  const Node& node_;
  std::vector<Type> in_;
  std::vector<bool> fixed_, wanted_;
};

}  // namespace psanet
