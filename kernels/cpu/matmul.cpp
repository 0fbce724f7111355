#include "kernels/matmul.h"

#include "kernels/cpu/panel_product.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/require_float.h"

namespace psanet::kernels {

namespace cpu {
namespace {

// Not oneDNN's: without AVX-512 that allocates while it runs, and its sums depend on the number of threads.
class PanelMatmul final : public Matmul {
 public:
  PanelMatmul(const CpuContext& ctx, const MatmulDims& dims)
      : ctx_(ctx), dims_(dims), panels_{dims.k, dims.n}, blocks_(ceil_div(dims.m, kBlock)) {
    std::fill_n(factor_, kBlock, dims.scale);
  }

  int64_t workspace_bytes() const override {
    const int64_t turned = dims_.transpose_a ? ctx_.threads * kBlock * dims_.k : 0;
    return (dims_.batch * panels_.floats() + turned) * static_cast<int64_t>(sizeof(float));
  }

  void run(const void* a_matrix, const void* b_matrix, void* c_matrix, void* workspace) override {
    const auto* a = static_cast<const float*>(a_matrix);
    const auto* b = static_cast<const float*>(b_matrix);
    auto* c = static_cast<float*>(c_matrix);
    auto* packed = static_cast<float*>(workspace);
    parallel_blocks(ctx_, dims_.batch * panels_.count(), [&](int64_t task) {
      const int64_t n = task / panels_.count(), panel = task % panels_.count();
      const auto pack = dims_.transpose_b ? pack_panel_transposed : pack_panel;
      pack(panels_, panel, b + n * dims_.k * dims_.n, packed + n * panels_.floats());
    });
    parallel_tasks(ctx_, dims_.batch * blocks_, [&](int64_t task, int64_t thread) {
      const int64_t n = task / blocks_;
      const Range rows = block_range(task % blocks_, kBlock, dims_.m);
      const float* left = a + n * dims_.m * dims_.k;
      if (dims_.transpose_a) {
        float* turned = packed + dims_.batch * panels_.floats() + thread * kBlock * dims_.k;
        for (int64_t k = 0; k < dims_.k; ++k) {
          for (int64_t r = rows.begin; r < rows.end; ++r) {
            turned[(r - rows.begin) * dims_.k + k] = left[k * dims_.m + r];
          }
        }
        left = turned;
      } else {
        left += rows.begin * dims_.k;
      }
      multiply({left, dims_.k, rows.end - rows.begin, factor_, c + (n * dims_.m + rows.begin) * dims_.n, dims_.n},
               panels_, packed + n * panels_.floats());
    });
  }

 private:
  static constexpr int64_t kBlock = 32;  // rows of a task

  CpuContext ctx_;
  MatmulDims dims_;
  Panels panels_;
  int64_t blocks_;
  float factor_[kBlock];
};

}  // namespace
}  // namespace cpu

std::shared_ptr<Matmul> prepare_matmul(CpuContext& ctx, const MatmulDims& dims) {
  cpu::require_float(dims.scalar, "matrix product");
  return std::make_shared<cpu::PanelMatmul>(ctx, dims);
}

}  // namespace psanet::kernels
