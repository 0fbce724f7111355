// Which way a matrix product goes: the library's, or our own where that has none.
#include "kernels/cuda/gemm.h"

#include <fmt/format.h>

#include "kernels/cuda/algorithms.h"
#include "kernels/cuda/fallback.h"
#include "kernels/cuda/own_kernels.h"
#include "kernels/error.h"

namespace psanet::kernels::cuda {

namespace {

/// A product without values.
class NoGemm final : public Gemm {
 public:
  int64_t workspace_bytes() const override { return 0; }
  void run(const void*, const void*, void*, void*) override {}
};

}  // namespace

std::string words(const GemmDims& d) {
  const auto word = [](Scalar scalar) { return scalar == Scalar::f32 ? "float" : "bf16"; };
  return fmt::format("matrix product {}{} [{},{}] x {} [{},{}] to {}, {} of them", word(d.in),
                     d.transpose_a ? " transposed" : "", d.m, d.k, d.transpose_b ? "transposed" : "plain", d.k, d.n,
                     word(d.out), d.batch);
}

std::shared_ptr<Gemm> prepare_gemm(CudaContext& ctx, const GemmDims& dims) {
  if (dims.m * dims.n * dims.batch == 0) return std::make_shared<NoGemm>();
  if (ours_only()) return own_gemm(ctx, dims);
  std::string why;
  try {
    if (auto gemm = library_gemm(ctx, dims)) return gemm;
  } catch (const DeviceError& e) {
    why = e.what();
  }
  say_fallback(gemm_library_version(), words(dims), why);
  return own_gemm(ctx, dims);
}

}  // namespace psanet::kernels::cuda
