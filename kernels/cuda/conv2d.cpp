// Which way a convolution goes: the library's plans, with the epilogue in them or in a kernel of its own behind them; a
// matrix product where the convolution is one; detours through other types where the library has nothing better; our
// own kernel where it has nothing at all.
#include "kernels/conv2d.h"

#include <fmt/format.h>

#include "kernels/cuda/algorithms.h"
#include "kernels/cuda/convolution.h"
#include "kernels/cuda/fallback.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/own_kernels.h"
#include "kernels/cuda/runtime.h"
#include "kernels/elementwise.h"
#include "kernels/memory.h"

namespace psanet::kernels {

namespace cuda {
namespace {

bool any(const Conv2dEpilogue& e) {
  return e.bias || e.residual || e.relu;
}

int64_t pixels_in(const Conv2dDims& d) {
  return d.batch * d.in_h * d.in_w;
}
int64_t pixels_out(const Conv2dDims& d) {
  return d.batch * d.out_h() * d.out_w();
}

/// Numbers of values.
struct Sizes {
  int64_t first = 0, second = 0, out = 0;
};
Sizes sizes(const ConvolutionProblem& p) {
  const Conv2dDims& d = p.dims;
  const int64_t x = pixels_in(d) * d.in_channels, y = pixels_out(d) * d.out_channels;
  const int64_t w = d.out_channels * d.kernel_h * d.kernel_w * d.in_channels;
  switch (p.pass) {
    case ConvolutionPass::forward:
      return {x, w, y};
    case ConvolutionPass::backward_data:
      return {y, w, x};
    default:
      return {x, y, w};
  }
}

/// Pieces of a workspace are aligned as the workspace itself is.
int64_t piece_bytes(int64_t values, Scalar scalar) {
  return aligned(values * size_bytes(scalar));
}
void* offset(void* memory, int64_t bytes) {
  return static_cast<char*>(memory) + bytes;
}

}  // namespace

bool is_product(const Conv2dDims& d) {
  return d.kernel_h == 1 && d.kernel_w == 1 && d.stride_h == 1 && d.stride_w == 1 && d.pad_h == 0 && d.pad_w == 0;
}

namespace {

GemmDims product(const ConvolutionProblem& p) {
  const int64_t pixels = pixels_in(p.dims), in = p.dims.in_channels, out = p.dims.out_channels;
  GemmDims g;
  switch (p.pass) {
    case ConvolutionPass::forward:  // y [pixels, out] = x [pixels, in] w^T
      g.m = pixels, g.n = out, g.k = in;
      g.ld_a = in, g.ld_b = in, g.ld_c = out;
      g.transpose_b = true;
      break;
    case ConvolutionPass::backward_data:  // d_x [pixels, in] = d_y [pixels, out] w
      g.m = pixels, g.n = in, g.k = out;
      g.ld_a = out, g.ld_b = in, g.ld_c = in;
      break;
    default:  // d_w [out, in] = d_y^T x
      g.m = out, g.n = in, g.k = pixels;
      g.ld_a = out, g.ld_b = in, g.ld_c = in;
      g.transpose_a = true;
  }
  g.in = p.dims.scalar;
  g.out = p.out;
  return g;
}

class ProductPlan final : public ConvolutionPlan {
 public:
  ProductPlan(CudaContext& ctx, const ConvolutionProblem& problem) : ctx_(ctx), problem_(problem) {}
  std::string name() const override { return "matrix product"; }
  bool build() override {
    if (gemm_ == nullptr) gemm_ = library_gemm(ctx_, product(problem_));
    return gemm_ != nullptr;  // if cuBLASLt has no algorithm for it, cuDNN may
  }
  int64_t workspace_bytes() const override { return gemm_->workspace_bytes(); }
  void run(const ConvolutionOperands& o, void* workspace) override {
    const bool weights = problem_.pass == ConvolutionPass::backward_weights;
    gemm_->run(weights ? o.second : o.first, weights ? o.first : o.second, o.out, workspace);
  }

 private:
  CudaContext ctx_;
  ConvolutionProblem problem_;
  std::shared_ptr<Gemm> gemm_;
};

/// A plan without epilogue, and a kernel behind it.
class EpiloguePlan final : public ConvolutionPlan {
 public:
  EpiloguePlan(CudaContext& ctx, const ConvolutionProblem& problem, std::shared_ptr<ConvolutionPlan> plain)
      : ctx_(ctx), problem_(problem), plain_(std::move(plain)) {}
  std::string name() const override { return plain_->name() + ", then the epilogue"; }
  bool build() override { return plain_->build(); }
  int64_t workspace_bytes() const override { return plain_->workspace_bytes(); }
  void run(const ConvolutionOperands& o, void* workspace) override {
    plain_->run(o, workspace);
    if (problem_.out == Scalar::f32) {
      finish<float>(o);
    } else {
      finish<bf16>(o);
    }
  }

 private:
  template <class T>
  void finish(const ConvolutionOperands& o) {
    const Conv2dEpilogue& e = problem_.epilogue;
    convolution_epilogue(ctx_, pixels_out(problem_.dims), problem_.dims.out_channels,
                         e.bias ? static_cast<const float*>(o.bias) : nullptr,
                         e.residual ? static_cast<const T*>(o.residual) : nullptr, e.relu, static_cast<T*>(o.out));
  }

  CudaContext ctx_;
  ConvolutionProblem problem_;
  std::shared_ptr<ConvolutionPlan> plain_;
};

/// A plan with its epilogue that reads the bias as bf16. Workspace: [the bias | the plan's own].
class RoundedBiasPlan final : public ConvolutionPlan {
 public:
  RoundedBiasPlan(CudaContext& ctx, const ConvolutionProblem& problem, std::shared_ptr<ConvolutionPlan> fused)
      : ctx_(ctx), channels_(problem.dims.out_channels), fused_(std::move(fused)) {}
  std::string name() const override { return fused_->name() + ", with a rounded bias"; }
  bool build() override { return fused_->build(); }
  int64_t workspace_bytes() const override { return piece_bytes(channels_, Scalar::bf16) + fused_->workspace_bytes(); }
  void run(const ConvolutionOperands& o, void* workspace) override {
    cast(ctx_, channels_, static_cast<const float*>(o.bias), static_cast<bf16*>(workspace));
    ConvolutionOperands inner = o;
    inner.bias = workspace;
    fused_->run(inner, offset(workspace, piece_bytes(channels_, Scalar::bf16)));
  }

 private:
  CudaContext ctx_;
  int64_t channels_;
  std::shared_ptr<ConvolutionPlan> fused_;
};

/// A plan that gives bf16, where float is wanted. Workspace: [the plan's result | the plan's own].
class WidenedPlan final : public ConvolutionPlan {
 public:
  WidenedPlan(CudaContext& ctx, const ConvolutionProblem& problem, std::shared_ptr<ConvolutionPlan> narrow)
      : ctx_(ctx), values_(sizes(problem).out), narrow_(std::move(narrow)) {}
  std::string name() const override { return narrow_->name() + ", widened"; }
  bool build() override { return narrow_->build(); }
  int64_t workspace_bytes() const override { return piece_bytes(values_, Scalar::bf16) + narrow_->workspace_bytes(); }
  void run(const ConvolutionOperands& o, void* workspace) override {
    ConvolutionOperands inner = o;
    inner.out = workspace;
    narrow_->run(inner, offset(workspace, piece_bytes(values_, Scalar::bf16)));
    cast(ctx_, values_, static_cast<const bf16*>(workspace), static_cast<float*>(o.out));
  }

 private:
  CudaContext ctx_;
  int64_t values_;
  std::shared_ptr<ConvolutionPlan> narrow_;
};

/// bf16 through a plan in float. Workspace: [first | second | out, if it is to be bf16 | the plan's own].
class FloatPlan final : public ConvolutionPlan {
 public:
  FloatPlan(CudaContext& ctx, const ConvolutionProblem& problem, std::shared_ptr<ConvolutionPlan> wide)
      : ctx_(ctx), sizes_(sizes(problem)), cast_out_(problem.out == Scalar::bf16), wide_(std::move(wide)) {}
  std::string name() const override { return wide_->name() + ", in float"; }
  bool build() override { return wide_->build(); }
  int64_t workspace_bytes() const override { return plan_at() + wide_->workspace_bytes(); }
  void run(const ConvolutionOperands& o, void* workspace) override {
    auto* first = static_cast<float*>(workspace);
    auto* second = static_cast<float*>(offset(workspace, second_at()));
    auto* out = cast_out_ ? static_cast<float*>(offset(workspace, out_at())) : static_cast<float*>(o.out);
    cast(ctx_, sizes_.first, static_cast<const bf16*>(o.first), first);
    cast(ctx_, sizes_.second, static_cast<const bf16*>(o.second), second);
    ConvolutionOperands inner;
    inner.first = first;
    inner.second = second;
    inner.out = out;
    wide_->run(inner, offset(workspace, plan_at()));
    if (cast_out_) cast(ctx_, sizes_.out, out, static_cast<bf16*>(o.out));
  }

 private:
  int64_t second_at() const { return piece_bytes(sizes_.first, Scalar::f32); }
  int64_t out_at() const { return second_at() + piece_bytes(sizes_.second, Scalar::f32); }
  int64_t plan_at() const { return out_at() + (cast_out_ ? piece_bytes(sizes_.out, Scalar::f32) : 0); }

  CudaContext ctx_;
  Sizes sizes_;
  bool cast_out_;
  std::shared_ptr<ConvolutionPlan> wide_;
};

/// Asks the library for plans of a context. What it refuses in words is remembered, for there are other ways.
struct Library {
  CudaContext& ctx;
  std::string refusal;  // the last

  ConvolutionPlans plans(const ConvolutionProblem& problem, size_t enough) {
    try {
      return library_plans(ctx, problem, enough);
    } catch (const DeviceError& e) {
      refusal = e.what();
      return {};
    }
  }
  bool build(ConvolutionPlan& plan) {
    try {
      return plan.build();
    } catch (const DeviceError& e) {
      refusal = e.what();
      return false;
    }
  }
};

/// So that there is room for measuring plans without an epilogue, too.
constexpr size_t kFusedPlans = 4;

ConvolutionPlans first_plans(Library& library, const ConvolutionProblem& problem) {
  ConvolutionPlans plans = library.plans(problem, kFusedPlans);
  if (plans.size() > kFusedPlans) plans.resize(kFusedPlans);
  return plans;
}

/// With the epilogue in them.
ConvolutionPlans fused_plans(Library& library, const ConvolutionProblem& problem) {
  // With a bias in bf16 cuDNN has its fast kernels for Hopper ready. With one in float it compiles another kind, which
  // takes a second or two for each shape and process.
  ConvolutionPlans plans;
  if (problem.out == Scalar::bf16 && problem.epilogue.bias) {
    ConvolutionProblem rounded = problem;
    rounded.bias = Scalar::bf16;
    for (auto& plan : first_plans(library, rounded)) {
      plans.push_back(std::make_shared<RoundedBiasPlan>(library.ctx, problem, std::move(plan)));
    }
  }
  return plans.empty() ? first_plans(library, problem) : plans;
}

/// A gradient of the weights that is rounded to bf16 once: cuDNN 9 has no plan at all that reads bf16 and stores float.
ConvolutionPlans widened_plans(Library& library, const ConvolutionProblem& problem) {
  ConvolutionPlans plans;
  if (problem.dims.scalar != Scalar::bf16 || problem.out != Scalar::f32) return plans;
  ConvolutionProblem narrow = problem;
  narrow.out = Scalar::bf16;
  for (auto& plan : library.plans(narrow, kMeasured)) {
    plans.push_back(std::make_shared<WidenedPlan>(library.ctx, problem, std::move(plan)));
  }
  return plans;
}

/// What is worth measuring: everything that computes in the types that are asked for.
ConvolutionPlans direct_plans(Library& library, const ConvolutionProblem& problem) {
  CudaContext& ctx = library.ctx;
  ConvolutionPlans plans;
  ConvolutionProblem plain = problem;
  plain.epilogue = {};
  const bool epilogue = any(problem.epilogue);
  if (epilogue) plans = fused_plans(library, problem);
  const auto add = [&](std::shared_ptr<ConvolutionPlan> plan) {
    if (epilogue) plan = std::make_shared<EpiloguePlan>(ctx, problem, std::move(plan));
    plans.push_back(std::move(plan));
  };
  if (is_product(problem.dims)) add(std::make_shared<ProductPlan>(ctx, plain));
  for (auto& plan : library.plans(plain, kMeasured)) add(std::move(plan));
  for (auto& plan : widened_plans(library, problem)) plans.push_back(std::move(plan));
  return plans;
}

/// The library's last resort for bf16. Every bf16 number is a tf32 number, so tf32 loses nothing here.
ConvolutionPlans float_plans(Library& library, const ConvolutionProblem& problem) {
  CudaContext& ctx = library.ctx;
  ConvolutionPlans plans;
  if (problem.dims.scalar != Scalar::bf16) return plans;
  ConvolutionProblem wide = problem;
  wide.dims.scalar = wide.out = Scalar::f32;
  wide.epilogue = {};
  wide.math = Float32Math::tf32;
  for (auto& found : library.plans(wide, kMeasured)) {
    std::shared_ptr<ConvolutionPlan> plan = std::make_shared<FloatPlan>(ctx, problem, std::move(found));
    if (any(problem.epilogue)) plan = std::make_shared<EpiloguePlan>(ctx, problem, std::move(plan));
    plans.push_back(std::move(plan));
  }
  return plans;
}

const char* word(ConvolutionPass pass) {
  switch (pass) {
    case ConvolutionPass::forward:
      return "forward";
    case ConvolutionPass::backward_data:
      return "backward data";
    default:
      return "backward weights";
  }
}
const char* word(Scalar scalar) {
  return scalar == Scalar::f32 ? "float" : "bf16";
}

std::string shape(const ConvolutionProblem& p) {
  const Conv2dDims& d = p.dims;
  return fmt::format(
      "convolution {} [{},{},{},{}] to {}, kernel {}x{} stride {}x{} padding {}x{} dilation {}x{}, {}->{}",
      word(p.pass), d.batch, d.in_h, d.in_w, d.in_channels, d.out_channels, d.kernel_h, d.kernel_w, d.stride_h,
      d.stride_w, d.pad_h, d.pad_w, d.dilation_h, d.dilation_w, word(d.scalar), word(p.out));
}

}  // namespace

ConvolutionPlans convolution_plans(CudaContext& ctx, const ConvolutionProblem& problem, bool by_way_of_float) {
  Library library{ctx, {}};
  return by_way_of_float ? float_plans(library, problem) : direct_plans(library, problem);
}

std::string describe(const ConvolutionProblem& p) {
  const Conv2dEpilogue& e = p.epilogue;
  return fmt::format("{}{}{}{}{}{}", shape(p), e.bias ? " bias" : "",
                     e.bias && p.bias == Scalar::bf16 ? " in bf16" : "", e.residual ? " residual" : "",
                     e.relu ? " relu" : "", p.math == Float32Math::tf32 ? " tf32" : "");
}

namespace {

std::string key(const CudaContext& ctx, const ConvolutionProblem& p) {
  return fmt::format("{} | {}", describe(p), machine_key(ctx));
}

/// Operands of the real size, allocated when the first plan is measured.
class Measurement {
 public:
  Measurement(CudaContext& ctx, const ConvolutionProblem& problem) : ctx_(ctx), problem_(problem) {}

  double seconds(ConvolutionPlan& plan) {
    if (memory_ == nullptr) memory_ = std::make_unique<Memory>(ctx_, problem_);
    ConvolutionOperands o;
    o.first = memory_->first.get();
    o.second = memory_->second.get();
    o.out = memory_->out.get();
    o.bias = memory_->bias.get();
    o.residual = memory_->residual.get();
    const MeasuringMemory workspace(ctx_, plan.workspace_bytes());
    return best_seconds(ctx_, [&] { plan.run(o, workspace.get()); });
  }

 private:
  struct Memory {
    MeasuringMemory first, second, out, bias, residual;
    Memory(CudaContext& ctx, const ConvolutionProblem& p)
        : first(ctx, sizes(p).first * size_bytes(p.dims.scalar)),
          second(ctx, sizes(p).second * size_bytes(p.dims.scalar)),
          out(ctx, sizes(p).out * size_bytes(p.out)),
          bias(ctx, p.epilogue.bias ? p.dims.out_channels * size_bytes(Scalar::f32) : 0),
          residual(ctx, p.epilogue.residual ? sizes(p).out * size_bytes(p.out) : 0) {}
  };

  CudaContext& ctx_;
  const ConvolutionProblem& problem_;
  std::unique_ptr<Memory> memory_;
};

/// Nothing to compute, or sums without terms.
class EmptyPlan final : public ConvolutionPlan {
 public:
  EmptyPlan(CudaContext& ctx, int64_t out_bytes) : ctx_(ctx), out_bytes_(out_bytes) {}
  std::string name() const override { return "nothing"; }
  bool build() override { return true; }
  int64_t workspace_bytes() const override { return 0; }
  void run(const ConvolutionOperands& o, void*) override {
    if (out_bytes_ > 0) fill_zero(ctx_, o.out, out_bytes_);
  }

 private:
  CudaContext ctx_;
  int64_t out_bytes_;
};

std::shared_ptr<ConvolutionPlan> plan_for(CudaContext& ctx, const ConvolutionProblem& problem) {
  const Sizes values = sizes(problem);
  if (values.first * values.second * values.out == 0) {
    return std::make_shared<EmptyPlan>(ctx, values.out * size_bytes(problem.out));
  }
  if (ours_only()) return own_convolution(ctx, problem);
  Measurement measurement(ctx, problem);
  Library library{ctx, {}};
  for (const auto& plans_of : {direct_plans, float_plans}) {
    const ConvolutionPlans plans = plans_of(library, problem);
    AlgorithmChoice choice;
    choice.key = key(ctx, problem);
    for (const auto& plan : plans) choice.names.push_back(plan->name());
    choice.build = [&](size_t i) { return library.build(*plans[i]); };
    choice.seconds = [&](size_t i) { return measurement.seconds(*plans[i]); };
    if (const auto chosen = choose(algorithms().get(), choice)) return plans[*chosen];
  }
  say_fallback(convolution_library_version(), shape(problem), library.refusal);
  return own_convolution(ctx, problem);
}

ConvolutionProblem problem_of(const CudaContext& ctx, ConvolutionPass pass, const Conv2dDims& dims, Scalar out) {
  ConvolutionProblem p;
  p.pass = pass;
  p.dims = dims;
  p.out = out;
  p.math = dims.scalar == Scalar::f32 ? ctx.math : Float32Math::ieee;  // which is a matter of float32 only
  return p;
}

class Forward final : public Conv2dForward {
 public:
  Forward(CudaContext& ctx, const ConvolutionProblem& problem)
      : ctx_(ctx),
        plan_(plan_for(ctx, problem)),
        weights_bytes_(sizes(problem).second * size_bytes(problem.dims.scalar)) {}

  int64_t workspace_bytes() const override { return plan_->workspace_bytes(); }
  /// The library takes our order as it is.
  int64_t packed_bytes() const override { return weights_bytes_; }
  void pack(const void* w, void* packed) override { copy_on_device(ctx_, packed, w, weights_bytes_); }
  void run_packed(const void* x, const void* packed, const float* bias, const void* residual, void* y,
                  void* workspace) override {
    run(x, packed, bias, residual, y, workspace);
  }
  void run(const void* x, const void* w, const float* bias, const void* residual, void* y, void* workspace) override {
    plan_->run({x, w, y, bias, residual}, workspace);
  }

 private:
  CudaContext ctx_;
  std::shared_ptr<ConvolutionPlan> plan_;
  int64_t weights_bytes_;
};

class BackwardData final : public Conv2dBackwardData {
 public:
  BackwardData(CudaContext& ctx, const ConvolutionProblem& problem) : plan_(plan_for(ctx, problem)) {}
  int64_t workspace_bytes() const override { return plan_->workspace_bytes(); }
  void run(const void* d_y, const void* w, void* d_x, void* workspace) override {
    plan_->run({d_y, w, d_x, nullptr, nullptr}, workspace);
  }

 private:
  std::shared_ptr<ConvolutionPlan> plan_;
};

class BackwardWeights final : public Conv2dBackwardWeights {
 public:
  BackwardWeights(CudaContext& ctx, const ConvolutionProblem& problem) : plan_(plan_for(ctx, problem)) {}
  int64_t workspace_bytes() const override { return plan_->workspace_bytes(); }
  void run(const void* x, const void* d_y, float* d_w, void* workspace) override {
    plan_->run({x, d_y, d_w, nullptr, nullptr}, workspace);
  }

 private:
  std::shared_ptr<ConvolutionPlan> plan_;
};

}  // namespace
}  // namespace cuda

std::shared_ptr<Conv2dForward> prepare_conv2d_forward(CudaContext& ctx, const Conv2dDims& dims,
                                                      const Conv2dEpilogue& epilogue) {
  auto problem = cuda::problem_of(ctx, cuda::ConvolutionPass::forward, dims, dims.scalar);
  problem.epilogue = epilogue;
  return std::make_shared<cuda::Forward>(ctx, problem);
}

std::shared_ptr<Conv2dBackwardData> prepare_conv2d_backward_data(CudaContext& ctx, const Conv2dDims& dims) {
  return std::make_shared<cuda::BackwardData>(
      ctx, cuda::problem_of(ctx, cuda::ConvolutionPass::backward_data, dims, dims.scalar));
}

std::shared_ptr<Conv2dBackwardWeights> prepare_conv2d_backward_weights(CudaContext& ctx, const Conv2dDims& dims) {
  return std::make_shared<cuda::BackwardWeights>(
      ctx, cuda::problem_of(ctx, cuda::ConvolutionPass::backward_weights, dims, Scalar::f32));
}

}  // namespace psanet::kernels
