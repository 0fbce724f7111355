#include "kernels/psa_projected.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/require_float.h"
#include "kernels/matmul.h"
#include "kernels/memory.h"

namespace psanet::kernels {

namespace cpu {
namespace {

// Plainly: the whole over-complete map is computed into the workspace, and the scores are copied out of it and back.

int64_t logit_bytes(const PsaProjectedDims& d) {
  return aligned(d.psa.batch * d.psa.positions() * d.psa.logit_channels() * static_cast<int64_t>(sizeof(float)));
}

void* behind(void* workspace, int64_t bytes) {
  return static_cast<char*>(workspace) + bytes;
}

/// body(where an owner's scores are in the map of logits, where in the scores, how many).
template <class Body>
void for_owners(CpuContext& ctx, const PsaProjectedDims& d, const Body& body) {
  const PsaDims& p = d.psa;
  parallel_blocks(ctx, p.height * p.batch, [&](int64_t task) {
    const int64_t from_below = task / p.batch, image = task % p.batch, row = p.height - 1 - from_below;
    const auto window = d.window(from_below / d.group_rows());
    for (int64_t column = 0; column < p.width; ++column) {
      const int64_t owner = (image * p.height + row) * p.width + column;
      body(owner * p.logit_channels() + window.begin * d.mask_columns(),
           ((from_below * p.batch + image) * p.width + column) * d.score_columns(), window.count * d.mask_columns());
    }
  });
}

MatmulDims projection(const PsaProjectedDims& d) {
  MatmulDims m;
  m.m = d.psa.batch * d.psa.positions();
  m.n = d.psa.logit_channels();
  m.k = d.features;
  m.transpose_b = true;
  return m;
}

class Forward final : public PsaProjectedForward {
 public:
  Forward(CpuContext& ctx, const PsaProjectedDims& dims)
      : ctx_(ctx), dims_(dims), projection_(prepare_matmul(ctx, projection(dims))) {}

  int64_t workspace_bytes() const override {
    return logit_bytes(dims_) + std::max(projection_->workspace_bytes(), psa_workspace_bytes(ctx_, dims_.psa));
  }

  void run(const void* value, const void* features, const void* weight, void* out, void* scores, float* statistics,
           void* workspace) override {
    auto* logits = static_cast<float*>(workspace);
    void* rest = behind(workspace, logit_bytes(dims_));
    projection_->run(features, weight, logits, rest);
    for_owners(ctx_, dims_, [&](int64_t from, int64_t to, int64_t count) {
      std::copy_n(logits + from, count, static_cast<float*>(scores) + to);
    });
    psa_forward(ctx_, dims_.psa, static_cast<const float*>(value), logits, static_cast<float*>(out), statistics, rest);
  }

 private:
  CpuContext ctx_;
  PsaProjectedDims dims_;
  std::shared_ptr<Matmul> projection_;
};

class Backward final : public PsaProjectedBackward {
 public:
  Backward(CpuContext& ctx, const PsaProjectedDims& dims) : ctx_(ctx), dims_(dims) {
    const MatmulDims forward = projection(dims);
    MatmulDims features;  // d_features = d_logits x weight
    features.m = forward.m;
    features.n = forward.k;
    features.k = forward.n;
    d_features_ = prepare_matmul(ctx, features);
    MatmulDims weight;  // d_weight = d_logits^T x features
    weight.m = forward.n;
    weight.n = forward.k;
    weight.k = forward.m;
    weight.transpose_a = true;
    d_weight_ = prepare_matmul(ctx, weight);
  }

  int64_t workspace_bytes() const override {
    return 2 * logit_bytes(dims_) + std::max({d_features_->workspace_bytes(), d_weight_->workspace_bytes(),
                                              psa_workspace_bytes(ctx_, dims_.psa)});
  }

  void run(const void* value, const void* features, const void* weight, const void* out, const void* scores,
           const float* statistics, const void* d_out, void* d_value, void* d_features, float* d_weight,
           void* workspace) override {
    auto* logits = static_cast<float*>(workspace);
    auto* d_logits = static_cast<float*>(behind(workspace, logit_bytes(dims_)));
    void* rest = behind(workspace, 2 * logit_bytes(dims_));
    for_owners(ctx_, dims_, [&](int64_t to, int64_t from, int64_t count) {  // entries that are left out are never read
      std::copy_n(static_cast<const float*>(scores) + from, count, logits + to);
    });
    psa_backward(ctx_, dims_.psa, static_cast<const float*>(value), logits, static_cast<const float*>(out), statistics,
                 static_cast<const float*>(d_out), static_cast<float*>(d_value), d_logits, rest);
    d_features_->run(d_logits, weight, d_features, rest);
    d_weight_->run(d_logits, features, d_weight, rest);
  }

 private:
  CpuContext ctx_;
  PsaProjectedDims dims_;
  std::shared_ptr<Matmul> d_features_, d_weight_;
};

}  // namespace
}  // namespace cpu

std::shared_ptr<PsaProjectedForward> prepare_psa_projected_forward(CpuContext& ctx, const PsaProjectedDims& dims) {
  cpu::require_float(dims.scalar, "projected point-wise spatial attention");
  return std::make_shared<cpu::Forward>(ctx, dims);
}
std::shared_ptr<PsaProjectedBackward> prepare_psa_projected_backward(CpuContext& ctx, const PsaProjectedDims& dims) {
  cpu::require_float(dims.scalar, "projected point-wise spatial attention");
  return std::make_shared<cpu::Backward>(ctx, dims);
}

}  // namespace psanet::kernels
