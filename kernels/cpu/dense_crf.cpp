#include "kernels/dense_crf.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/permutohedral_lattice.h"
#include "kernels/cpu/softmax_row.h"
#include "kernels/memory.h"

namespace psanet::kernels {

using namespace cpu;  // the helpers of this folder

namespace {

constexpr int64_t kMostClasses = 255;
constexpr int64_t kRowsAtOnce = 512;  // pixels of a block
constexpr int64_t kPixelsAtOnce = 8;  // of it, whose rows wait in the cache

/// Rows [rows, stride], aligned and in huge pages if they are large: vertices are walked in many orders, and each row
/// would be another page.
class Rows {
 public:
  Rows(CpuContext& ctx, int64_t rows, int64_t stride)
      : data_(static_cast<float*>(allocate(ctx, rows * stride * int64_t{sizeof(float)})), Release{&ctx}) {}
  float* get() const { return data_.get(); }

 private:
  struct Release {
    CpuContext* ctx;
    void operator()(float* memory) const { release(*ctx, memory); }
  };
  std::unique_ptr<float, Release> data_;
};

/// One Gaussian kernel of the pairwise term.
struct Term {
  PermutohedralLattice lattice;
  float scale;  // of what is gathered: weight / gain
  Rows values;

  Term(CpuContext& ctx, double weight, int dimensions, int64_t pixels, int64_t stride,
       const std::vector<float>& features)
      : lattice(ctx, dimensions, pixels, features.data()),
        scale(static_cast<float>(weight) / lattice.gain()),
        values(ctx, lattice.vertices(), stride) {
    normalise(ctx, pixels);
  }

  /// n_i = 1 / sqrt((K 1)_i) goes into the weights, so that the filter becomes n K n.
  void normalise(const CpuContext& ctx, int64_t pixels) {
    // The lattice's own buffer has at least kGroup floats a vertex.
    std::vector<float> ones(static_cast<size_t>(pixels * kGroup), 1.0f), factors(static_cast<size_t>(pixels));
    lattice.spread_and_blur(ctx, kGroup, ones.data(), values.get());
    parallel_elements(ctx, pixels, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        RowChunk<1> sum;
        lattice.gather(p, 1 / lattice.gain(), kGroup, values.get(), sum);
        factors[static_cast<size_t>(p)] = 1.0f / std::sqrt(sum.groups[0][0] + 1e-20f);
      }
    });
    lattice.scale_points(ctx, factors.data());
  }
};

std::vector<float> features_of(const DenseCrfDims& dims, double xy_std, double rgb_std, const uint8_t* image) {
  const size_t dimensions = image ? 5 : 2;
  std::vector<float> features(static_cast<size_t>(dims.height * dims.width) * dimensions);
  const auto xy = static_cast<float>(xy_std), rgb = static_cast<float>(rgb_std);
  float* to = features.data();
  for (int64_t y = 0; y < dims.height; ++y) {
    for (int64_t x = 0; x < dims.width; ++x) {
      *to++ = static_cast<float>(x) / xy;
      *to++ = static_cast<float>(y) / xy;
      for (size_t c = 2; c < dimensions; ++c) *to++ = static_cast<float>(*image++) / rgb;
    }
  }
  return features;
}

}  // namespace

std::string dense_crf_problem(const DenseCrfDims& dims, const DenseCrfParameters& p) {
  if (dims.height < 1 || dims.width < 1 || dims.height > 46340 || dims.width > 46340 ||
      dims.height * dims.width > (int64_t{1} << 31) / 8) {
    return fmt::format("image of {}x{} pixels: want 1 to 2^28 pixels", dims.width, dims.height);
  }
  if (dims.classes < 2 || dims.classes > kMostClasses) {
    return fmt::format("{} classes: the CRF wants probabilities of 2 to {}", dims.classes, kMostClasses);
  }
  if (p.iterations < 0 || p.iterations > 1000) {
    return fmt::format("iterations: found {}, want 0 to 1000", p.iterations);
  }
  for (const auto& [name, weight] : {std::pair{"bi_w", p.bi_w}, {"pos_w", p.pos_w}}) {
    if (!(weight >= 0 && weight <= 1e6)) return fmt::format("{}: found {}, want a weight from 0 to 1e6", name, weight);
  }
  const auto longest = static_cast<double>(std::max(dims.height, dims.width));
  const auto width_problem = [](const char* name, double width, double extent) {
    const double least = extent / PermutohedralLattice::kLargestFeature;
    if (width > 0 && width >= least && width <= 1e9) return std::string();
    return fmt::format("{}: found {}, want a standard deviation above 0 (here from {} to 1e9)", name, width, least);
  };
  for (const auto& problem :
       {width_problem("bi_xy_std", p.bi_xy_std, longest), width_problem("bi_rgb_std", p.bi_rgb_std, 255),
        width_problem("pos_xy_std", p.pos_xy_std, longest)}) {
    if (!problem.empty()) return problem;
  }
  return {};
}

int64_t dense_crf_peak_bytes(const DenseCrfDims& dims) {
  const int64_t pixels = dims.height * dims.width, row = whole_groups(dims.classes) * int64_t{sizeof(float)};
  constexpr int64_t kGroup_bytes = kGroup * int64_t{sizeof(float)};
  int64_t kept = 0, most = 0;
  for (const int64_t dimensions : {2, 5}) {
    const int64_t corners = dimensions + 1, entries = pixels * corners;
    const int64_t features = pixels * dimensions * int64_t{sizeof(float)};
    most = std::max(most, kept + features + entries * PermutohedralLattice::most_bytes_to_build(corners));
    kept += entries * PermutohedralLattice::most_bytes(corners) + allocated_bytes(entries * row);  // with the values
    most = std::max(most, kept + features + pixels * (kGroup_bytes + int64_t{sizeof(float)}));     // the normalisation
  }
  return std::max(most, kept + allocated_bytes(pixels * row)) + (int64_t{1} << 20);  // the mean field
}

void dense_crf(CpuContext& ctx, const DenseCrfDims& dims, const DenseCrfParameters& parameters, const uint8_t* image,
               const float* unary, float* probabilities) {
  if (const std::string problem = dense_crf_problem(dims, parameters); !problem.empty()) {
    throw std::invalid_argument("DenseCRF: " + problem);
  }
  const int64_t pixels = dims.height * dims.width, classes = dims.classes, stride = whole_groups(classes);
  const int64_t row_lanes = whole_lanes(classes);
  std::vector<Term> terms;
  terms.reserve(2);
  if (parameters.iterations > 0 && parameters.pos_w > 0) {
    terms.emplace_back(ctx, parameters.pos_w, 2, pixels, stride, features_of(dims, parameters.pos_xy_std, 1, nullptr));
  }
  if (parameters.iterations > 0 && parameters.bi_w > 0) {
    terms.emplace_back(ctx, parameters.bi_w, 5, pixels, stride,
                       features_of(dims, parameters.bi_xy_std, parameters.bi_rgb_std, image));
  }

  const Rows q(ctx, pixels, stride);
  // Q <- softmax(-U + sum of the terms' messages); without messages in the first round. The last goes to the caller.
  const auto update = [&](bool with_messages, bool last) {
    parallel_blocks(ctx, ceil_div(pixels, kRowsAtOnce), [&](int64_t block) {
      const Range range = block_range(block, kRowsAtOnce, pixels);
      // A few pixels at a time: what is stored group by group is not loaded back, in wider lanes, at once.
      float rows[kPixelsAtOnce * whole_lanes(kMostClasses)] = {};
      for (int64_t begin = range.begin; begin < range.end; begin += kPixelsAtOnce) {
        const int64_t end = std::min(range.end, begin + kPixelsAtOnce);
        for_chunks(stride, [&](int64_t first, auto groups) {
          for (int64_t p = begin; p < end; ++p) {
            RowChunk<groups> sum;
            if (with_messages) {
              for (const Term& t : terms) t.lattice.gather(p, t.scale, stride, t.values.get() + first, sum);
            }
            sum.store(rows + (p - begin) * row_lanes + first);
          }
        });
        for (int64_t p = begin; p < end; ++p) {
          float* row = rows + (p - begin) * row_lanes;
          const float* energy = unary + p * classes;
          for (int64_t c = 0; c < classes; ++c) row[c] -= energy[c];
          // Whole lanes are quicker; what lies behind the classes becomes 0.
          std::fill(row + classes, row + row_lanes, std::numeric_limits<float>::lowest());
        }
        for (int64_t p = begin; p < end; ++p) {
          float* row = rows + (p - begin) * row_lanes;
          softmax_row(row, row, row_lanes);
          if (last) {
            std::copy_n(row, classes, probabilities + p * classes);
          } else {
            std::copy_n(row, stride, q.get() + p * stride);
          }
        }
      }
    });
  };
  update(false, parameters.iterations == 0);
  for (int64_t i = 1; i <= parameters.iterations; ++i) {
    for (Term& t : terms) t.lattice.spread_and_blur(ctx, stride, q.get(), t.values.get());
    update(true, i == parameters.iterations);
  }
}

void dense_crf_on_processor(int threads, const DenseCrfDims& dims, const DenseCrfParameters& parameters,
                            const uint8_t* image, const float* unary, float* probabilities) {
  CpuContext ctx(threads);
  dense_crf(ctx, dims, parameters, image, unary, probabilities);
}

}  // namespace psanet::kernels
