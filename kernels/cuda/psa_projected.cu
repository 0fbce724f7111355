#include "kernels/cuda/device.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/psa_passes.h"
#include "kernels/memory.h"
#include "kernels/psa_projected.h"

namespace psanet::kernels {

namespace cuda {
namespace {

struct alignas(16) Unit {
  uint32_t words[4];
};

/// y [H][N][row] = x [N][H from last to first][row], or the reverse. Every block copies the units of 16 bytes of one
/// row of the map.
template <bool kSort>
__global__ void sort_rows_kernel(int height, int images, int units, const Unit* x, Unit* y) {
  const int from_below = static_cast<int>(blockIdx.x) / images, image = static_cast<int>(blockIdx.x) % images;
  const int64_t in_map = (static_cast<int64_t>(image) * height + height - 1 - from_below) * units;
  const int64_t sorted = static_cast<int64_t>(blockIdx.x) * units;
  const Unit* from = x + (kSort ? in_map : sorted);
  Unit* to = y + (kSort ? sorted : in_map);
  for (int i = static_cast<int>(threadIdx.x); i < units; i += static_cast<int>(blockDim.x)) to[i] = from[i];
}

ScoreView view_of_scores(const PsaProjectedDims& d) {
  const PsaDims& p = d.psa;
  ScoreView v = score_view::of_map(p);
  const int64_t columns = d.score_columns(), row = p.batch * p.width * columns;
  v.image = p.width * columns;
  v.partner_row = static_cast<int>(d.mask_columns());
  v.first = (p.height - 1) * row;
  v.owner_row = -row;
  v.owner_column = columns;
  if (!p.compact) {
    v.first += v.half_h * p.mask_w + v.half_w;
    v.owner_row -= p.mask_w;
    v.owner_column -= 1;
    v.rows_left_out = v.mask_h;
    v.group = Reciprocal::of(d.group_rows());
    v.entries = static_cast<int>(columns);
  }
  return v;
}

/// Neighbouring groups of the same size whose windows have the same size and move on evenly: one batched product.
struct Batch {
  int64_t first_group, groups, step;  // step: mask rows from window to window
};
std::vector<Batch> batches(const PsaProjectedDims& d) {
  std::vector<Batch> all;
  for (int64_t g = 0; g < d.groups(); ++g) {
    const auto window = d.window(g);
    if (!all.empty()) {
      Batch& last = all.back();
      const auto before = d.window(g - 1);
      const int64_t step = window.begin - before.begin;
      if (d.rows_of_group(g) == d.rows_of_group(g - 1) && window.count == before.count &&
          (last.groups == 1 || step == last.step)) {
        last.step = step;
        ++last.groups;
        continue;
      }
    }
    all.push_back({g, 1, 0});
  }
  return all;
}

/// A prepared product and where its operands begin, in values: in [H][N][W][F], in the scores, in the weights.
struct Product {
  std::shared_ptr<Gemm> gemm;
  int64_t features, scores, weight;
};

/// What both directions share: distances between owners, and the dims of a batch of groups.
struct Geometry {
  explicit Geometry(const PsaProjectedDims& dims)
      : d(dims),
        owners_of_row(d.psa.batch * d.psa.width),
        value_bytes(size_bytes(d.scalar)),
        feature_bytes(aligned(d.psa.batch * d.psa.positions() * d.features * value_bytes)),
        score_bytes(aligned(d.score_elements() * value_bytes)) {
    if (d.features * value_bytes % 16 != 0) {
      throw std::invalid_argument("projected point-wise spatial attention: features must be whole units of 16 bytes");
    }
  }

  bool empty() const { return d.psa.batch * d.psa.positions() * d.psa.channels * d.features == 0; }
  int64_t owners(int64_t group) const { return d.rows_of_group(group) * owners_of_row; }

  Product at(int64_t group, std::shared_ptr<Gemm> gemm) const {
    const int64_t owner = group * d.group_rows() * owners_of_row;
    return {std::move(gemm), owner * d.features, owner * d.score_columns(),
            d.window(group).begin * d.mask_columns() * d.features};
  }

  /// Rows of features from the map's order into that of the scores, or back.
  template <bool kSort>
  void sort_rows(CudaContext& ctx, const void* from, void* to) const {
    launch(ctx, sort_rows_kernel<kSort>, {{d.psa.height * d.psa.batch}, 256}, d.psa.height, d.psa.batch,
           d.psa.width * d.features * value_bytes / 16, static_cast<const Unit*>(from), static_cast<Unit*>(to));
  }

  PsaProjectedDims d;
  int64_t owners_of_row, value_bytes, feature_bytes, score_bytes;
};

int64_t most_workspace(const std::vector<Product>& products) {
  int64_t most = 0;
  for (const Product& p : products) most = std::max(most, p.gemm->workspace_bytes());
  return aligned(most);
}

template <class T>
class Forward final : public PsaProjectedForward {
 public:
  Forward(CudaContext& ctx, const PsaProjectedDims& dims)
      : ctx_(ctx), geometry_(dims), passes_(dims.psa, view_of_scores(dims)) {
    if (geometry_.empty()) return;
    for (const Batch& b : batches(dims)) {  // scores = features x window of weight^T
      GemmDims g;
      g.m = geometry_.owners(b.first_group);
      g.n = dims.window(b.first_group).count * dims.mask_columns();
      g.k = dims.features;
      g.batch = b.groups;
      g.transpose_b = true;
      g.ld_a = g.ld_b = dims.features;
      g.ld_c = dims.score_columns();
      g.stride_a = g.m * dims.features;
      g.stride_b = b.step * dims.mask_columns() * dims.features;
      g.stride_c = g.m * dims.score_columns();
      g.in = g.out = dims.scalar;
      products_.push_back(geometry_.at(b.first_group, prepare_gemm(ctx, g)));
    }
  }

  // Sorted features | what comes after: the products' or the passes' own.
  int64_t workspace_bytes() const override {
    return geometry_.feature_bytes + std::max(most_workspace(products_), passes_.workspace_bytes());
  }

  void run(const void* value, const void* features, const void* weight, void* out, void* scores, float* statistics,
           void* workspace) override {
    if (geometry_.empty()) return;
    void* rest = static_cast<char*>(workspace) + geometry_.feature_bytes;
    geometry_.sort_rows<true>(ctx_, features, workspace);
    const auto* sorted = static_cast<const T*>(workspace);
    for (const Product& p : products_) {
      p.gemm->run(sorted + p.features, static_cast<const T*>(weight) + p.weight, static_cast<T*>(scores) + p.scores,
                  rest);
    }
    run_forward(ctx_, passes_, static_cast<const T*>(value), static_cast<const T*>(scores), static_cast<T*>(out),
                statistics, rest);
  }

 private:
  CudaContext ctx_;
  Geometry geometry_;
  PsaPasses passes_;
  std::vector<Product> products_;
};

template <class T>
class Backward final : public PsaProjectedBackward {
 public:
  Backward(CudaContext& ctx, const PsaProjectedDims& dims)
      : ctx_(ctx), geometry_(dims), passes_(dims.psa, view_of_scores(dims)) {
    if (geometry_.empty()) return;
    for (const Batch& b : batches(dims)) {  // d_features = d_scores x window of weight
      GemmDims g;
      g.m = geometry_.owners(b.first_group);
      g.n = dims.features;
      g.k = dims.window(b.first_group).count * dims.mask_columns();
      g.batch = b.groups;
      g.ld_a = dims.score_columns();
      g.ld_b = g.ld_c = dims.features;
      g.stride_a = g.m * dims.score_columns();
      g.stride_b = b.step * dims.mask_columns() * dims.features;
      g.stride_c = g.m * dims.features;
      g.in = g.out = dims.scalar;
      d_features_.push_back(geometry_.at(b.first_group, prepare_gemm(ctx, g)));
    }
    std::shared_ptr<Gemm> gemm;  // of the group before, if it had the same dims
    int64_t owners = 0, rows = 0;
    for (int64_t group = 0; group < dims.groups(); ++group) {  // window of d_weight += d_scores^T x features
      const int64_t count = dims.window(group).count;
      if (!gemm || geometry_.owners(group) != owners || count != rows) {
        owners = geometry_.owners(group);
        rows = count;
        GemmDims g;
        g.m = count * dims.mask_columns();
        g.n = dims.features;
        g.k = owners;
        g.transpose_a = true;
        g.ld_a = dims.score_columns();
        g.ld_b = g.ld_c = dims.features;
        g.in = dims.scalar;
        g.out = Scalar::f32;
        g.beta = 1.0f;
        gemm = prepare_gemm(ctx, g);
      }
      d_weight_.push_back(geometry_.at(group, gemm));
    }
  }

  // Sorted features, later their gradient | d_scores | what comes after: the products' or the passes' own.
  int64_t workspace_bytes() const override {
    return geometry_.feature_bytes + geometry_.score_bytes +
           std::max({most_workspace(d_features_), most_workspace(d_weight_), passes_.workspace_bytes()});
  }

  void run(const void* value, const void* features, const void* weight, const void* out, const void* scores,
           const float* statistics, const void* d_out, void* d_value, void* d_features, float* d_weight,
           void* workspace) override {
    const PsaProjectedDims& d = geometry_.d;
    fill_zero(ctx_, d_weight, d.psa.logit_channels() * d.features * static_cast<int64_t>(sizeof(float)));
    if (geometry_.empty()) return;
    auto* d_scores = reinterpret_cast<T*>(static_cast<char*>(workspace) + geometry_.feature_bytes);
    void* rest = static_cast<char*>(workspace) + geometry_.feature_bytes + geometry_.score_bytes;

    run_backward(ctx_, passes_, static_cast<const T*>(value), static_cast<const T*>(scores), static_cast<const T*>(out),
                 statistics, static_cast<const T*>(d_out), static_cast<T*>(d_value), d_scores, rest);
    // Windows overlap: their products add up one after the other, always in the same order.
    geometry_.sort_rows<true>(ctx_, features, workspace);
    auto* sorted = static_cast<T*>(workspace);
    for (const Product& p : d_weight_) p.gemm->run(d_scores + p.scores, sorted + p.features, d_weight + p.weight, rest);
    for (const Product& p : d_features_) {  // in the place of the features
      p.gemm->run(d_scores + p.scores, static_cast<const T*>(weight) + p.weight, sorted + p.features, rest);
    }
    geometry_.sort_rows<false>(ctx_, workspace, d_features);
  }

 private:
  CudaContext ctx_;
  Geometry geometry_;
  PsaPasses passes_;
  std::vector<Product> d_features_, d_weight_;
};

}  // namespace
}  // namespace cuda

std::shared_ptr<PsaProjectedForward> prepare_psa_projected_forward(CudaContext& ctx, const PsaProjectedDims& dims) {
  if (dims.scalar == Scalar::f32) return std::make_shared<cuda::Forward<float>>(ctx, dims);
  return std::make_shared<cuda::Forward<bf16>>(ctx, dims);
}
std::shared_ptr<PsaProjectedBackward> prepare_psa_projected_backward(CudaContext& ctx, const PsaProjectedDims& dims) {
  if (dims.scalar == Scalar::f32) return std::make_shared<cuda::Backward<float>>(ctx, dims);
  return std::make_shared<cuda::Backward<bf16>>(ctx, dims);
}

}  // namespace psanet::kernels
