// Loops in the place of cuDNN. Like cuDNN they cannot do everything: which problems they decline depends on the shape,
// so that every way around is taken in some test.
#include <cstdlib>

#include "kernels/cuda/convolution.h"
#include "kernels/cuda/runtime.h"

namespace psanet::kernels::cuda {

namespace {

// Nothing in an emulation is worth measuring, and it must not leave files in the user's home.
[[maybe_unused]] const int measure_nothing = setenv("PSANET_ALGORITHMS", "off", 0);

float value(const void* p, Scalar scalar, int64_t i) {
  return scalar == Scalar::f32 ? static_cast<const float*>(p)[i] : to_float(static_cast<const bf16*>(p)[i]);
}

void store_value(void* p, Scalar scalar, int64_t i, float v) {
  if (scalar == Scalar::f32) {
    static_cast<float*>(p)[i] = v;
  } else {
    static_cast<bf16*>(p)[i] = to_bf16(v);
  }
}

bool has_epilogue(const ConvolutionProblem& p) {
  return p.epilogue.bias || p.epilogue.residual || p.epilogue.relu;
}

/// Calls f(x, w, y) with the index of every product's operands.
template <class F>
void for_each_product(const Conv2dDims& d, const F& f) {
  for (int64_t n = 0; n < d.batch; ++n) {
    for (int64_t oh = 0; oh < d.out_h(); ++oh) {
      for (int64_t ow = 0; ow < d.out_w(); ++ow) {
        for (int64_t kh = 0; kh < d.kernel_h; ++kh) {
          for (int64_t kw = 0; kw < d.kernel_w; ++kw) {
            const int64_t h = oh * d.stride_h - d.pad_h + kh * d.dilation_h;
            const int64_t w = ow * d.stride_w - d.pad_w + kw * d.dilation_w;
            if (h < 0 || h >= d.in_h || w < 0 || w >= d.in_w) continue;
            const int64_t x_at = ((n * d.in_h + h) * d.in_w + w) * d.in_channels;
            const int64_t y_at = ((n * d.out_h() + oh) * d.out_w() + ow) * d.out_channels;
            for (int64_t o = 0; o < d.out_channels; ++o) {
              const int64_t w_at = ((o * d.kernel_h + kh) * d.kernel_w + kw) * d.in_channels;
              for (int64_t i = 0; i < d.in_channels; ++i) f(x_at + i, w_at + i, y_at + o);
            }
          }
        }
      }
    }
  }
}

void compute(const ConvolutionProblem& p, const ConvolutionOperands& o) {
  const Conv2dDims& d = p.dims;
  const int64_t x = d.batch * d.in_h * d.in_w * d.in_channels;
  const int64_t y = d.batch * d.out_h() * d.out_w() * d.out_channels;
  const int64_t w = d.out_channels * d.kernel_h * d.kernel_w * d.in_channels;
  const auto first = [&](int64_t i) { return value(o.first, d.scalar, i); };
  const auto second = [&](int64_t i) { return value(o.second, d.scalar, i); };
  std::vector<float> sums;
  switch (p.pass) {
    case ConvolutionPass::forward:
      sums.resize(static_cast<size_t>(y));
      for_each_product(
          d, [&](int64_t xi, int64_t wi, int64_t yi) { sums[static_cast<size_t>(yi)] += first(xi) * second(wi); });
      break;
    case ConvolutionPass::backward_data:
      sums.resize(static_cast<size_t>(x));
      for_each_product(
          d, [&](int64_t xi, int64_t wi, int64_t yi) { sums[static_cast<size_t>(xi)] += first(yi) * second(wi); });
      break;
    case ConvolutionPass::backward_weights:
      sums.resize(static_cast<size_t>(w));
      for_each_product(
          d, [&](int64_t xi, int64_t wi, int64_t yi) { sums[static_cast<size_t>(wi)] += first(xi) * second(yi); });
      break;
  }
  for (size_t i = 0; i < sums.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    float v = sums[i];
    if (p.epilogue.bias) v += value(o.bias, p.bias, at % d.out_channels);
    if (p.epilogue.residual) v += value(o.residual, p.out, at);
    if (p.epilogue.relu && v < 0) v = 0;
    store_value(o.out, p.out, at, v);
  }
}

class LoopPlan final : public ConvolutionPlan {
 public:
  LoopPlan(CudaContext& ctx, const ConvolutionProblem& problem, std::string name, bool can_be_built)
      : ctx_(ctx), problem_(problem), name_(std::move(name)), can_be_built_(can_be_built) {}
  std::string name() const override { return name_; }
  bool build() override {
    built_ = can_be_built_;
    return built_;
  }
  int64_t workspace_bytes() const override {
    if (!built_) throw std::logic_error("a plan's workspace is asked for before it is built");
    return kWorkspace_bytes;
  }
  void run(const ConvolutionOperands& operands, void* workspace) override {
    if (!built_) throw std::logic_error("a plan is run before it is built");
    for (const void* p : {operands.first, operands.second, static_cast<const void*>(operands.out),
                          static_cast<const void*>(workspace), operands.bias, operands.residual}) {
      if (!is_aligned(p, 16)) throw std::logic_error("an operand of a convolution is not 16-byte aligned");
    }
    if (!is_aligned(workspace, 256)) throw std::logic_error("a convolution's workspace is not 256-byte aligned");
    cuda_emulator::require_current_device(ctx_.runtime->stream);
    if (cuda_emulator::breaks_recording(ctx_.runtime->stream)) throw DeviceError("loops that cannot be recorded");
    cuda_emulator::enqueue(ctx_.runtime->stream, [=, problem = problem_] {
      std::memset(workspace, 0, kWorkspace_bytes);
      compute(problem, operands);
    });
  }

 private:
  static constexpr int64_t kWorkspace_bytes = 48;  // some, so that forgetting it shows

  CudaContext ctx_;
  ConvolutionProblem problem_;
  std::string name_;
  bool can_be_built_, built_ = false;
};

}  // namespace

ConvolutionPlans library_plans(CudaContext& ctx, const ConvolutionProblem& problem, size_t /*enough*/) {
  const Conv2dDims& d = problem.dims;
  const bool bf16_in = d.scalar == Scalar::bf16;
  ConvolutionPlans plans;
  if (d.out_channels % 11 == 0) return plans;
  if (d.out_channels % 13 == 0) throw DeviceError("loops in place of cuDNN: a refusal");
  if (has_epilogue(problem) && d.out_channels % 2 == 1) return plans;
  if (problem.epilogue.bias && problem.bias == Scalar::bf16 && d.out_channels % 3 == 0) return plans;
  if (bf16_in && problem.out == Scalar::f32 && d.in_channels % 3 == 0) return plans;
  if (bf16_in && d.in_channels % 5 == 0) return plans;
  // The first guess of a heuristic need not work.
  plans.push_back(std::make_shared<LoopPlan>(ctx, problem, "loops that do not compile", false));
  plans.push_back(std::make_shared<LoopPlan>(ctx, problem, "loops", true));
  plans.push_back(std::make_shared<LoopPlan>(ctx, problem, "the same loops", true));
  return plans;
}

std::string convolution_library_version() {
  return "loops in place of cuDNN";
}

}  // namespace psanet::kernels::cuda
