// Matrix products by cuBLASLt.
#include "kernels/cuda/gemm.h"

#include <cublasLt.h>
#include <fmt/format.h>

#include <memory>
#include <numeric>
#include <type_traits>

#include "kernels/cuda/algorithms.h"
#include "kernels/cuda/runtime.h"

namespace psanet::kernels::cuda {

namespace {

constexpr int64_t kMost_workspace_bytes = int64_t{32} << 20;
/// How parts of a long sum may be put together. Not in place: there blocks add to c in the order in which they happen
/// to finish. Nor through partial sums that are rounded to the output's type.
constexpr uint32_t kFixedOrder = CUBLASLT_REDUCTION_SCHEME_NONE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;

void check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw DeviceError(
      fmt::format("cuBLASLt: {} ({}) while {}", cublasLtGetStatusString(status), cublasLtGetStatusName(status), what));
}

/// One handle for each context, made at first use.
cublasLtHandle_t library(CudaContext& ctx) {
  std::shared_ptr<void>& owner = ctx.runtime->gemm_library;
  use_device(ctx);
  if (owner == nullptr) {
    cublasLtHandle_t handle = nullptr;
    check(cublasLtCreate(&handle), "starting the library");
    owner = std::shared_ptr<void>(handle, [](void* h) { cublasLtDestroy(static_cast<cublasLtHandle_t>(h)); });
  }
  return static_cast<cublasLtHandle_t>(owner.get());
}

cudaDataType_t data_type(Scalar scalar) {
  return scalar == Scalar::f32 ? CUDA_R_32F : CUDA_R_16BF;
}

/// Owners of cuBLASLt's descriptors.
template <auto kDestroy>
struct Destroy {
  template <class Descriptor>
  void operator()(Descriptor* descriptor) const {
    kDestroy(descriptor);
  }
};
template <class Pointer, auto kDestroy>
using Owner = std::unique_ptr<std::remove_pointer_t<Pointer>, Destroy<kDestroy>>;
using Layout = Owner<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Product = Owner<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Preference = Owner<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

/// Column-major [rows, columns], one behind the other at `stride`.
Layout layout(Scalar scalar, int64_t rows, int64_t columns, int64_t ld, int64_t batch, int64_t stride) {
  cublasLtMatrixLayout_t made = nullptr;
  check(cublasLtMatrixLayoutCreate(&made, data_type(scalar), static_cast<uint64_t>(rows),
                                   static_cast<uint64_t>(columns), ld),
        "describing a matrix");
  Layout result(made);
  const auto set = [&](cublasLtMatrixLayoutAttribute_t attribute, auto value) {
    check(cublasLtMatrixLayoutSetAttribute(made, attribute, &value, sizeof value), "describing a batch of matrices");
  };
  if (batch > 1) {
    set(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<int32_t>(batch));
    set(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, stride);
  }
  return result;
}

Product product(cublasComputeType_t compute, bool transpose_first, bool transpose_second) {
  cublasLtMatmulDesc_t made = nullptr;
  check(cublasLtMatmulDescCreate(&made, compute, CUDA_R_32F), "describing a matrix product");
  Product result(made);
  const auto transpose = [&](cublasLtMatmulDescAttributes_t attribute, bool yes) {
    const int32_t operation = yes ? CUBLAS_OP_T : CUBLAS_OP_N;
    check(cublasLtMatmulDescSetAttribute(made, attribute, &operation, sizeof operation), "transposing a matrix");
  };
  transpose(CUBLASLT_MATMUL_DESC_TRANSA, transpose_first);
  transpose(CUBLASLT_MATMUL_DESC_TRANSB, transpose_second);
  return result;
}

/// A name made of the algorithm's settings: they are all that distinguishes two algorithms.
std::string name_of(const cublasLtMatmulAlgo_t& algorithm) {
  std::string name;
  const auto append = [&](const char* what, cublasLtMatmulAlgoConfigAttributes_t attribute, auto value) {
    size_t written = 0;
    const auto status = cublasLtMatmulAlgoConfigGetAttribute(&algorithm, attribute, &value, sizeof value, &written);
    if (status == CUBLAS_STATUS_SUCCESS) name += fmt::format("{}{}={}", name.empty() ? "" : " ", what, value);
  };
  append("id", CUBLASLT_ALGO_CONFIG_ID, int32_t{0});
  append("tile", CUBLASLT_ALGO_CONFIG_TILE_ID, uint32_t{0});
  append("stages", CUBLASLT_ALGO_CONFIG_STAGES_ID, uint32_t{0});
  append("split", CUBLASLT_ALGO_CONFIG_SPLITK_NUM, int32_t{0});
  append("reduction", CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, uint32_t{0});
  append("swizzle", CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, uint32_t{0});
  append("custom", CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, uint32_t{0});
  append("inner", CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, uint16_t{0});
  append("cluster", CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, uint16_t{0});
  return name;
}

/// Why a proposal cannot be used; null if it can.
const char* objection(const cublasLtMatmulHeuristicResult_t& proposal) {
  if (proposal.state != CUBLAS_STATUS_SUCCESS) return "not supported";
  if (proposal.workspaceSize > static_cast<size_t>(kMost_workspace_bytes)) return "its workspace is too large";
  uint32_t scheme = CUBLASLT_REDUCTION_SCHEME_NONE;
  size_t written = 0;
  const auto status = cublasLtMatmulAlgoConfigGetAttribute(&proposal.algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME,
                                                           &scheme, sizeof scheme, &written);
  if (status != CUBLAS_STATUS_SUCCESS) return "its order of summation cannot be read";
  return (scheme & ~kFixedOrder) == 0 ? nullptr : "no fixed order";
}

cublasComputeType_t compute_type(const CudaContext& ctx, const GemmDims& d) {
  const bool tf32 = d.in == Scalar::f32 && ctx.math == Float32Math::tf32;
  return tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

const char* word(Scalar scalar) {
  return scalar == Scalar::f32 ? "float" : "bf16";
}

// cuBLASLt's best kernels are for column-major matrices. A row-major matrix is the transpose of the column-major one in
// the same memory, so what is computed is c^T = op(b)^T op(a)^T: b comes first, and m and n change places.
class LtGemm final : public Gemm {
 public:
  LtGemm(CudaContext& ctx, const GemmDims& dims)
      : ctx_(ctx),
        dims_(dims),
        handle_(library(ctx)),
        product_(product(compute_type(ctx, dims), dims.transpose_b, dims.transpose_a)),
        b_(layout(dims.in, dims.transpose_b ? dims.k : dims.n, dims.transpose_b ? dims.n : dims.k, dims.ld_b,
                  dims.batch, dims.stride_b)),
        a_(layout(dims.in, dims.transpose_a ? dims.m : dims.k, dims.transpose_a ? dims.k : dims.m, dims.ld_a,
                  dims.batch, dims.stride_a)),
        c_(layout(dims.out, dims.n, dims.m, dims.ld_c, dims.batch, dims.stride_c)) {}

  /// Must be called first; false: the library has no algorithm that adds in a fixed order.
  bool choose_algorithm() {
    const auto found = proposals();
    AlgorithmChoice choice;
    choice.key = key();
    for (const auto& f : found) choice.names.push_back(name_of(f.algo));
    choice.build = [](size_t) { return true; };
    choice.seconds = [&](size_t i) { return measure(found[i]); };
    const auto chosen = choose(algorithms().get(), choice);
    if (chosen) algorithm_ = found[*chosen];
    return chosen.has_value();
  }

  int64_t workspace_bytes() const override { return static_cast<int64_t>(algorithm_.workspaceSize); }

  void run(const void* a, const void* b, void* c, void* workspace) override { run(algorithm_, a, b, c, workspace); }

 private:
  void run(const cublasLtMatmulHeuristicResult_t& algorithm, const void* a, const void* b, void* c, void* workspace) {
    use_device(ctx_);
    check(cublasLtMatmul(handle_, product_.get(), &dims_.scale, b, b_.get(), a, a_.get(), &dims_.beta, c, c_.get(), c,
                         c_.get(), &algorithm.algo, workspace, algorithm.workspaceSize, ctx_.runtime->stream),
          "launching a matrix product");
  }

  /// The library's proposals that add in a fixed order, best first.
  std::vector<cublasLtMatmulHeuristicResult_t> proposals() {
    auto found = proposals(kFixedOrder);
    if (found.empty()) found = proposals(CUBLASLT_REDUCTION_SCHEME_MASK);
    return found;
  }

  std::vector<cublasLtMatmulHeuristicResult_t> proposals(uint32_t reductions) {
    cublasLtMatmulPreference_t made = nullptr;
    check(cublasLtMatmulPreferenceCreate(&made), "describing a preference");
    const Preference preference(made);
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
      check(cublasLtMatmulPreferenceSetAttribute(made, attribute, &value, sizeof value), "describing a preference");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(kMost_workspace_bytes));
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_bytes(dims_.in, dims_.stride_b));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_bytes(dims_.in, dims_.stride_a));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_bytes(dims_.out, dims_.stride_c));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_bytes(dims_.out, dims_.stride_c));

    std::vector<cublasLtMatmulHeuristicResult_t> found(kMeasured);
    int count = 0;
    const auto status = cublasLtMatmulAlgoGetHeuristic(handle_, product_.get(), b_.get(), a_.get(), c_.get(), c_.get(),
                                                       made, static_cast<int>(found.size()), found.data(), &count);
    if (status != CUBLAS_STATUS_NOT_SUPPORTED) check(status, "looking for an algorithm for a matrix product");
    found.resize(static_cast<size_t>(count));
    std::erase_if(found, [](const auto& f) {
      const char* why = objection(f);
      if (why != nullptr) log_algorithms(fmt::format("  declined: {}, {}", name_of(f.algo), why));
      return why != nullptr;
    });
    return found;
  }

  /// Of every matrix of the batch, if the first is 16-byte aligned.
  uint32_t alignment_bytes(Scalar scalar, int64_t stride) const {
    constexpr int64_t kPointer = 16;
    return static_cast<uint32_t>(dims_.batch > 1 ? std::gcd(kPointer, stride * size_bytes(scalar)) : kPointer);
  }

  double measure(const cublasLtMatmulHeuristicResult_t& algorithm) {
    const auto bytes = [&](Scalar scalar, int64_t rows, int64_t columns, int64_t ld, int64_t stride) {
      return ((dims_.batch - 1) * stride + (rows - 1) * ld + columns) * size_bytes(scalar);
    };
    const auto& d = dims_;
    const MeasuringMemory a(ctx_,
                            bytes(d.in, d.transpose_a ? d.k : d.m, d.transpose_a ? d.m : d.k, d.ld_a, d.stride_a)),
        b(ctx_, bytes(d.in, d.transpose_b ? d.n : d.k, d.transpose_b ? d.k : d.n, d.ld_b, d.stride_b)),
        c(ctx_, bytes(d.out, d.m, d.n, d.ld_c, d.stride_c)),
        workspace(ctx_, static_cast<int64_t>(algorithm.workspaceSize));
    return best_seconds(ctx_, [&] { run(algorithm, a.get(), b.get(), c.get(), workspace.get()); });
  }

  std::string key() const {
    const GemmDims& d = dims_;
    return fmt::format("gemm {}x{}x{} batch {} {}{} ld {},{},{} strides {},{},{} {}->{}{}{} | {}", d.m, d.n, d.k,
                       d.batch, d.transpose_a ? 't' : 'n', d.transpose_b ? 't' : 'n', d.ld_a, d.ld_b, d.ld_c,
                       d.stride_a, d.stride_b, d.stride_c, word(d.in), word(d.out), d.beta == 0 ? "" : " added",
                       compute_type(ctx_, d) == CUBLAS_COMPUTE_32F_FAST_TF32 ? " tf32" : "", machine_key(ctx_));
  }

  CudaContext ctx_;
  GemmDims dims_;
  cublasLtHandle_t handle_;
  Product product_;
  Layout b_, a_, c_;
  cublasLtMatmulHeuristicResult_t algorithm_{};
};

}  // namespace

std::shared_ptr<Gemm> library_gemm(CudaContext& ctx, const GemmDims& dims) {
  auto gemm = std::make_shared<LtGemm>(ctx, dims);
  return gemm->choose_algorithm() ? gemm : nullptr;
}

std::string gemm_library_version() {
  int cublas[3] = {};
  check(cublasLtGetProperty(MAJOR_VERSION, &cublas[0]), "asking for its version");
  check(cublasLtGetProperty(MINOR_VERSION, &cublas[1]), "asking for its version");
  check(cublasLtGetProperty(PATCH_LEVEL, &cublas[2]), "asking for its version");
  return fmt::format("cuBLASLt {}.{}.{}", cublas[0], cublas[1], cublas[2]);
}

}  // namespace psanet::kernels::cuda
