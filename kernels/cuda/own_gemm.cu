#include "kernels/cuda/gemm_kernel.h"
#include "kernels/cuda/own_kernels.h"

namespace psanet::kernels::cuda {

namespace {

/// `along_rows`: how the matrix lies.
template <class T, Sums kSums>
MatrixOperand<T, kSums> operand(const void* x, int64_t outer, int64_t k, int64_t ld, int64_t stride, int64_t batch) {
  MatrixOperand<T, kSums> o;
  o.x = static_cast<const T*>(x);
  o.stride = stride;
  o.rows = narrow(kSums == Sums::along_rows ? outer : k);
  o.columns = narrow(kSums == Sums::along_rows ? k : outer);
  o.ld = narrow(ld);
  o.unit = unit_for<T>({ld, batch > 1 ? stride : 0});
  return o;
}

template <class T>
class OwnGemm final : public Gemm {
 public:
  OwnGemm(CudaContext& ctx, const GemmDims& d)
      : ctx_(ctx), d_(d), extents_{narrow(d.m), narrow(d.n), narrow(d.k), narrow(d.batch)} {
    narrow(d.m * d.batch);
  }

  int64_t workspace_bytes() const override { return gemm_workspace_bytes<T>(ctx_, extents_); }

  void run(const void* a, const void* b, void* c, void* workspace) override {
    if (d_.transpose_a) {
      run_a(operand<T, Sums::across_rows>(a, d_.m, d_.k, d_.ld_a, d_.stride_a, d_.batch), b, c, workspace);
    } else {
      run_a(operand<T, Sums::along_rows>(a, d_.m, d_.k, d_.ld_a, d_.stride_a, d_.batch), b, c, workspace);
    }
  }

 private:
  template <class A>
  void run_a(const A& a, const void* b, void* c, void* workspace) {
    GemmOutput out;
    out.out = c;
    out.scalar = d_.out;
    out.scale = d_.scale;
    out.beta = d_.beta;
    out.stride = d_.batch > 1 ? d_.stride_c : 0;
    out.ld = d_.ld_c;
    out.allow_wide(d_.n);
    if (d_.transpose_b) {
      launch_gemm(ctx_, extents_, a, operand<T, Sums::along_rows>(b, d_.n, d_.k, d_.ld_b, d_.stride_b, d_.batch), out,
                  workspace);
    } else {
      launch_gemm(ctx_, extents_, a, operand<T, Sums::across_rows>(b, d_.n, d_.k, d_.ld_b, d_.stride_b, d_.batch), out,
                  workspace);
    }
  }

  CudaContext ctx_;
  GemmDims d_;
  GemmExtents extents_;
};

}  // namespace

std::shared_ptr<Gemm> own_gemm(CudaContext& ctx, const GemmDims& dims) {
  if (dims.in == Scalar::f32) return std::make_shared<OwnGemm<float>>(ctx, dims);
  return std::make_shared<OwnGemm<bf16>>(ctx, dims);
}

}  // namespace psanet::kernels::cuda
