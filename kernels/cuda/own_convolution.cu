// Convolutions as implicit GEMMs, NHWC: y [pixels, out] = x [pixels, taps x in] w^T, where the rows of x are gathered
// while tiles are loaded. The gradient of the input gathers from d_y in the same way; with strides, places whose
// distance is a stride meet the same taps, so each such class of places is a product of its own, without the taps that
// meet none of them. The gradient of the weights [out, taps x in] sums over pixels.
#include <numeric>
#include <vector>

#include "kernels/cuda/gemm_kernel.h"
#include "kernels/cuda/own_kernels.h"

namespace psanet::kernels::cuda {

namespace {

/// Every how many-th tap meets the places of a class along an axis, from which on, and where.
struct ClassAxis {
  int64_t points = 0, taps = 0, first_tap = 0, tap_step = 1;
  TapAxis axis;
};

/// Of the places first, first + stride, .. of an axis of `extent` places. Place p and tap t meet at
/// (p + pad - t dilation) / stride, if that is whole.
ClassAxis class_axis(int64_t first, int64_t extent, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
  ClassAxis c;
  c.points = ceil_div(extent - first, stride);
  c.tap_step = stride / std::gcd(stride, dilation);
  while (c.first_tap < std::min(c.tap_step, kernel) && (first + pad - c.first_tap * dilation) % stride != 0) {
    ++c.first_tap;
  }
  if (c.first_tap == std::min(c.tap_step, kernel)) return c;  // no tap: gradients of zero
  c.taps = ceil_div(kernel - c.first_tap, c.tap_step);
  c.axis.first = static_cast<int>((first + pad - c.first_tap * dilation) / stride);
  c.axis.step = 1;
  c.axis.tap = static_cast<int>(-c.tap_step * dilation / stride);
  return c;
}

TapGeometry geometry(int64_t batch, int64_t height, int64_t width, int64_t channels, int64_t grid_h, int64_t grid_w,
                     int64_t taps_h, int64_t taps_w, const TapAxis& down, const TapAxis& across) {
  TapGeometry g;
  g.height = narrow(height);
  g.width = narrow(width);
  g.channels = narrow(channels);
  g.down = down;
  g.across = across;
  g.points = narrow(batch * grid_h * grid_w);
  g.image = Divider::of(narrow(grid_h * grid_w));
  g.grid_columns = Divider::of(narrow(grid_w));
  g.sums = narrow(taps_h * taps_w * channels);
  g.channel = Divider::of(g.channels);
  g.tap_columns = Divider::of(narrow(taps_w));
  narrow(batch * height * width);
  return g;
}

/// Pixels of y, as the taps see x.
TapGeometry pixels_of_y(const Conv2dDims& d) {
  const TapAxis down{-narrow(d.pad_h), narrow(d.stride_h), narrow(d.dilation_h)};
  const TapAxis across{-narrow(d.pad_w), narrow(d.stride_w), narrow(d.dilation_w)};
  return geometry(d.batch, d.in_h, d.in_w, d.in_channels, d.out_h(), d.out_w(), d.kernel_h, d.kernel_w, down, across);
}

template <class T, Sums kSums>
PixelOperand<T, kSums> pixels(const void* x, const TapGeometry& geometry) {
  PixelOperand<T, kSums> o;
  o.x = static_cast<const T*>(x);
  o.taps = geometry;
  o.unit = unit_for<T>({geometry.channels});
  return o;
}

template <class T, Sums kSums>
MatrixOperand<T, kSums> matrix(const void* x, int64_t rows, int64_t columns) {
  MatrixOperand<T, kSums> o;
  o.x = static_cast<const T*>(x);
  o.rows = narrow(rows);
  o.columns = o.ld = narrow(columns);
  o.unit = unit_for<T>({columns});
  return o;
}

/// The part of a convolution that is one product.
class Part {
 public:
  virtual ~Part() = default;
  virtual int64_t workspace_bytes() const = 0;
  virtual void run(const ConvolutionOperands& o, void* workspace) = 0;
};

template <class T>
class ForwardPart final : public Part {
 public:
  ForwardPart(CudaContext& ctx, const ConvolutionProblem& p)
      : ctx_(ctx),
        p_(p),
        geometry_(pixels_of_y(p.dims)),
        extents_{geometry_.points, narrow(p.dims.out_channels), geometry_.sums} {}
  int64_t workspace_bytes() const override { return gemm_workspace_bytes<T>(ctx_, extents_); }
  void run(const ConvolutionOperands& o, void* workspace) override {
    GemmOutput out;
    out.out = o.out;
    out.scalar = p_.out;
    out.bias = p_.epilogue.bias ? static_cast<const float*>(o.bias) : nullptr;
    out.residual = p_.epilogue.residual ? o.residual : nullptr;
    out.relu = p_.epilogue.relu;
    out.ld = p_.dims.out_channels;
    out.allow_wide(out.ld);
    launch_gemm(ctx_, extents_, pixels<T, Sums::along_rows>(o.first, geometry_),
                matrix<T, Sums::along_rows>(o.second, extents_.n, extents_.k), out, workspace);
  }

 private:
  CudaContext ctx_;
  ConvolutionProblem p_;
  TapGeometry geometry_;
  GemmExtents extents_;
};

/// Of the places of d_x whose row and column leave these rests when divided by the strides.
template <class T>
class BackwardDataPart final : public Part {
 public:
  BackwardDataPart(CudaContext& ctx, const ConvolutionProblem& p, int64_t first_row, int64_t first_column)
      : ctx_(ctx), scalar_(p.out) {
    const Conv2dDims& d = p.dims;
    const ClassAxis h = class_axis(first_row, d.in_h, d.kernel_h, d.stride_h, d.pad_h, d.dilation_h);
    const ClassAxis w = class_axis(first_column, d.in_w, d.kernel_w, d.stride_w, d.pad_w, d.dilation_w);
    geometry_ =
        geometry(d.batch, d.out_h(), d.out_w(), d.out_channels, h.points, w.points, h.taps, w.taps, h.axis, w.axis);
    extents_ = {geometry_.points, narrow(d.in_channels), geometry_.sums};
    weights_.kernel_columns = narrow(d.kernel_w);
    weights_.taps = narrow(d.kernel_h * d.kernel_w);
    weights_.rows = geometry_.sums;
    weights_.columns = narrow(d.in_channels);
    weights_.unit = unit_for<T>({d.in_channels});
    weights_.down = {narrow(h.first_tap), narrow(h.tap_step)};
    weights_.across = {narrow(w.first_tap), narrow(w.tap_step)};
    weights_.channel = geometry_.channel;
    weights_.tap_columns = geometry_.tap_columns;
    first_ = (first_row * d.in_w + first_column) * d.in_channels;
    out_.scalar = p.out;
    out_.ld = d.in_channels;
    out_.allow_wide(out_.ld);
    out_.scattered = d.stride_h * d.stride_w > 1;
    out_.image = geometry_.image;
    out_.columns = geometry_.grid_columns;
    out_.image_step = d.in_h * d.in_w * d.in_channels;
    out_.row_step = d.stride_h * d.in_w * d.in_channels;
    out_.column_step = d.stride_w * d.in_channels;
  }
  int64_t workspace_bytes() const override { return gemm_workspace_bytes<T>(ctx_, extents_); }
  void run(const ConvolutionOperands& o, void* workspace) override {
    GemmOutput out = out_;
    out.out = static_cast<char*>(o.out) + first_ * size_bytes(scalar_);
    TapMatrixOperand<T> weights = weights_;
    weights.w = static_cast<const T*>(o.second);
    launch_gemm(ctx_, extents_, pixels<T, Sums::along_rows>(o.first, geometry_), weights, out, workspace);
  }

 private:
  CudaContext ctx_;
  Scalar scalar_;
  TapGeometry geometry_;
  GemmExtents extents_;
  TapMatrixOperand<T> weights_;
  GemmOutput out_;
  int64_t first_ = 0;  // of the places, in values
};

template <class T>
class BackwardWeightsPart final : public Part {
 public:
  BackwardWeightsPart(CudaContext& ctx, const ConvolutionProblem& p)
      : ctx_(ctx),
        scalar_(p.out),
        geometry_(pixels_of_y(p.dims)),
        extents_{narrow(p.dims.out_channels), geometry_.sums, geometry_.points} {}
  int64_t workspace_bytes() const override { return gemm_workspace_bytes<T>(ctx_, extents_); }
  void run(const ConvolutionOperands& o, void* workspace) override {
    GemmOutput out;
    out.out = o.out;
    out.scalar = scalar_;
    out.ld = extents_.n;
    out.allow_wide(out.ld);
    launch_gemm(ctx_, extents_, matrix<T, Sums::across_rows>(o.second, extents_.k, extents_.m),
                pixels<T, Sums::across_rows>(o.first, geometry_), out, workspace);
  }

 private:
  CudaContext ctx_;
  Scalar scalar_;
  TapGeometry geometry_;
  GemmExtents extents_;
};

template <class T>
std::vector<std::unique_ptr<Part>> parts_of(CudaContext& ctx, const ConvolutionProblem& p) {
  std::vector<std::unique_ptr<Part>> parts;
  const Conv2dDims& d = p.dims;
  if (p.pass == ConvolutionPass::forward) {
    parts.push_back(std::make_unique<ForwardPart<T>>(ctx, p));
  } else if (p.pass == ConvolutionPass::backward_weights) {
    parts.push_back(std::make_unique<BackwardWeightsPart<T>>(ctx, p));
  } else {
    for (int64_t row = 0; row < std::min(d.stride_h, d.in_h); ++row) {
      for (int64_t column = 0; column < std::min(d.stride_w, d.in_w); ++column) {
        parts.push_back(std::make_unique<BackwardDataPart<T>>(ctx, p, row, column));
      }
    }
  }
  return parts;
}

class OwnConvolution final : public ConvolutionPlan {
 public:
  explicit OwnConvolution(std::vector<std::unique_ptr<Part>> parts) : parts_(std::move(parts)) {}
  std::string name() const override { return "our own implicit GEMM"; }
  bool build() override { return true; }
  int64_t workspace_bytes() const override {
    int64_t most = 0;  // one after the other
    for (const auto& part : parts_) most = std::max(most, part->workspace_bytes());
    return most;
  }
  void run(const ConvolutionOperands& operands, void* workspace) override {
    for (const auto& part : parts_) part->run(operands, workspace);
  }

 private:
  std::vector<std::unique_ptr<Part>> parts_;
};

}  // namespace

std::shared_ptr<ConvolutionPlan> own_convolution(CudaContext& ctx, const ConvolutionProblem& problem) {
  return std::make_shared<OwnConvolution>(problem.dims.scalar == Scalar::f32 ? parts_of<float>(ctx, problem)
                                                                             : parts_of<bf16>(ctx, problem));
}

}  // namespace psanet::kernels::cuda
