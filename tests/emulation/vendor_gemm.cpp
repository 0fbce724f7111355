// Loops in the place of cuBLASLt. They decline some shapes, so that our own kernel is taken in some test.
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/runtime.h"

namespace psanet::kernels::cuda {

namespace {

float value(const void* p, Scalar scalar, int64_t i) {
  return scalar == Scalar::f32 ? static_cast<const float*>(p)[i] : to_float(static_cast<const bf16*>(p)[i]);
}

class LoopGemm final : public Gemm {
 public:
  LoopGemm(CudaContext& ctx, const GemmDims& dims) : ctx_(ctx), dims_(dims) {}
  int64_t workspace_bytes() const override { return 16; }  // some, so that forgetting it shows

  void run(const void* a, const void* b, void* c, void* workspace) override {
    for (const void* p : {a, b, static_cast<const void*>(c), static_cast<const void*>(workspace)}) {
      if (!is_aligned(p, 16)) throw std::logic_error("a GEMM operand is not 16-byte aligned");
    }
    if (!is_aligned(workspace, 256)) throw std::logic_error("a GEMM workspace is not 256-byte aligned");  // cuBLASLt
    cuda_emulator::enqueue(ctx_.runtime->stream, [=, d = dims_] {
      std::memset(workspace, 0, 16);
      for (int64_t n = 0; n < d.batch; ++n) {
        for (int64_t i = 0; i < d.m; ++i) {
          for (int64_t j = 0; j < d.n; ++j) {
            float sum = 0;
            for (int64_t k = 0; k < d.k; ++k) {
              sum += value(a, d.in, n * d.stride_a + (d.transpose_a ? k * d.ld_a + i : i * d.ld_a + k)) *
                     value(b, d.in, n * d.stride_b + (d.transpose_b ? j * d.ld_b + k : k * d.ld_b + j));
            }
            const int64_t at = n * d.stride_c + i * d.ld_c + j;
            const float result = d.scale * sum + (d.beta == 0 ? 0 : d.beta * value(c, d.out, at));
            if (d.out == Scalar::f32) {
              static_cast<float*>(c)[at] = result;
            } else {
              static_cast<bf16*>(c)[at] = to_bf16(result);
            }
          }
        }
      }
    });
  }

 private:
  CudaContext ctx_;
  GemmDims dims_;
};

}  // namespace

std::shared_ptr<Gemm> library_gemm(CudaContext& ctx, const GemmDims& dims) {
  if (dims.n % 11 == 0) return nullptr;
  if (dims.n % 13 == 0) throw DeviceError("loops in place of cuBLASLt: a refusal");
  return std::make_shared<LoopGemm>(ctx, dims);
}

std::string gemm_library_version() {
  return "loops in place of cuBLASLt";
}

}  // namespace psanet::kernels::cuda
