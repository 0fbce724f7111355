#include "kernels/conv2d.h"

#include <fmt/format.h>

#include "kernels/cpu/onednn.h"
#include "kernels/cpu/require_float.h"
#include "kernels/memory.h"

namespace psanet::kernels {

namespace cpu {
namespace {

using dnnl::memory;
using tag = dnnl::memory::format_tag;

/// Activations stay plain NHWC, which oneDNN's best kernels take as it is; the order of the weights is its choice.
ConvolutionDesc library_desc(const Conv2dDims& d, bool bias) {
  ConvolutionDesc conv;
  conv.x = float_desc({d.batch, d.in_channels, d.in_h, d.in_w}, tag::nhwc);
  conv.w = float_desc({d.out_channels, d.in_channels, d.kernel_h, d.kernel_w}, tag::any);
  if (bias) conv.bias = float_desc({d.out_channels}, tag::x);
  conv.y = float_desc({d.batch, d.out_channels, d.out_h(), d.out_w()}, tag::nhwc);
  conv.strides = {d.stride_h, d.stride_w};
  conv.dilations = {d.dilation_h - 1, d.dilation_w - 1};
  conv.padding = {d.pad_h, d.pad_w};
  return conv;
}

memory::desc our_weights(const Conv2dDims& d) {
  return float_desc({d.out_channels, d.in_channels, d.kernel_h, d.kernel_w}, tag::ohwi);
}

/// For error messages.
std::string preparing(const char* direction, const Conv2dDims& d) {
  return fmt::format(
      "preparing the {} of a convolution of [{},{},{},{}] to {} channels (kernel {}x{}, stride {}x{}, padding {}x{}, "
      "dilation {}x{})",
      direction, d.batch, d.in_h, d.in_w, d.in_channels, d.out_channels, d.kernel_h, d.kernel_w, d.stride_h, d.stride_w,
      d.pad_h, d.pad_w, d.dilation_h, d.dilation_w);
}

/// Size of a described piece of the workspace, so that the next piece is aligned too.
int64_t piece_bytes(const memory::desc& desc) {
  return aligned(static_cast<int64_t>(desc.get_size()));
}

void* offset(void* memory, int64_t bytes) {
  return static_cast<char*>(memory) + bytes;
}

/// Copies weights from our order into the library's or back.
class WeightReorder {
 public:
  WeightReorder(const CpuContext& ctx, const memory::desc& from, const memory::desc& to)
      : needed_(from != to),
        run_(ctx, dnnl::reorder({ctx.onednn->engine, from, ctx.onednn->engine, to}),
             {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}) {}

  /// Is the order another one?
  bool needed() const { return needed_; }
  void operator()(const void* from, void* to) { run_.run("reordering the weights of a convolution", {from, to}); }

 private:
  bool needed_;
  Execution run_;
};

// The workspace of each direction is [weights in the library's order | the library's scratch memory].

class Forward final : public Conv2dForward {
 public:
  Forward(const CpuContext& ctx, const Conv2dDims& dims, const Conv2dEpilogue& epilogue,
          const dnnl::convolution_forward::primitive_desc& pd)
      : run_(ctx, dnnl::convolution_forward(pd),
             {{DNNL_ARG_SRC, pd.src_desc()},
              {DNNL_ARG_WEIGHTS, pd.weights_desc()},
              {DNNL_ARG_DST, pd.dst_desc()},
              {DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc()},
              {DNNL_ARG_BIAS, pd.bias_desc(), epilogue.bias},
              {DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, pd.dst_desc(), epilogue.residual}}),
        reorder_(ctx, our_weights(dims), pd.weights_desc()),
        weights_bytes_(piece_bytes(pd.weights_desc())),
        scratch_bytes_(piece_bytes(pd.scratchpad_desc())) {}

  int64_t workspace_bytes() const override { return weights_bytes_ + scratch_bytes_; }
  int64_t packed_bytes() const override { return weights_bytes_; }
  void pack(const void* w, void* packed) override { reorder_(w, packed); }

  void run_packed(const void* x, const void* packed, const float* bias, const void* residual, void* y,
                  void* workspace) override {
    run_.run("convolution", {x, packed, y, offset(workspace, weights_bytes_), bias, residual});
  }

  void run(const void* x, const void* w, const float* bias, const void* residual, void* y, void* workspace) override {
    if (reorder_.needed()) reorder_(w, workspace);
    run_packed(x, reorder_.needed() ? workspace : w, bias, residual, y, workspace);
  }

 private:
  Execution run_;
  WeightReorder reorder_;
  int64_t weights_bytes_, scratch_bytes_;
};

class BackwardData final : public Conv2dBackwardData {
 public:
  BackwardData(const CpuContext& ctx, const Conv2dDims& dims, const dnnl::convolution_backward_data::primitive_desc& pd)
      : run_(ctx, dnnl::convolution_backward_data(pd),
             {{DNNL_ARG_DIFF_DST, pd.diff_dst_desc()},
              {DNNL_ARG_WEIGHTS, pd.weights_desc()},
              {DNNL_ARG_DIFF_SRC, pd.diff_src_desc()},
              {DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc()}}),
        reorder_(ctx, our_weights(dims), pd.weights_desc()),
        weights_bytes_(piece_bytes(pd.weights_desc())),
        scratch_bytes_(piece_bytes(pd.scratchpad_desc())) {}

  int64_t workspace_bytes() const override { return weights_bytes_ + scratch_bytes_; }

  void run(const void* d_y, const void* w, void* d_x, void* workspace) override {
    if (reorder_.needed()) reorder_(w, workspace);
    run_.run("gradient of a convolution's input",
             {d_y, reorder_.needed() ? workspace : w, d_x, offset(workspace, weights_bytes_)});
  }

 private:
  Execution run_;
  WeightReorder reorder_;
  int64_t weights_bytes_, scratch_bytes_;
};

class BackwardWeights final : public Conv2dBackwardWeights {
 public:
  BackwardWeights(const CpuContext& ctx, const Conv2dDims& dims,
                  const dnnl::convolution_backward_weights::primitive_desc& pd)
      : run_(ctx, dnnl::convolution_backward_weights(pd),
             {{DNNL_ARG_SRC, pd.src_desc()},
              {DNNL_ARG_DIFF_DST, pd.diff_dst_desc()},
              {DNNL_ARG_DIFF_WEIGHTS, pd.diff_weights_desc()},
              {DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc()}}),
        reorder_(ctx, pd.diff_weights_desc(), our_weights(dims)),
        weights_bytes_(piece_bytes(pd.diff_weights_desc())),
        scratch_bytes_(piece_bytes(pd.scratchpad_desc())) {}

  int64_t workspace_bytes() const override { return weights_bytes_ + scratch_bytes_; }

  void run(const void* x, const void* d_y, float* d_w, void* workspace) override {
    run_.run("gradient of a convolution's weights",
             {x, d_y, reorder_.needed() ? workspace : d_w, offset(workspace, weights_bytes_)});
    if (reorder_.needed()) reorder_(workspace, d_w);
  }

 private:
  Execution run_;
  WeightReorder reorder_;
  int64_t weights_bytes_, scratch_bytes_;
};

/// make(), which asks oneDNN for a pass.
template <class Make>
auto prepare(const CpuContext& ctx, const Conv2dDims& dims, const char* direction, const Make& make) {
  require_float(dims.scalar, "convolution");
  const ThreadCount scope(ctx.threads);
  return onednn_call([&] { return preparing(direction, dims); }, make);
}

template <class Convolution>
typename Convolution::primitive_desc describe_gradient(const CpuContext& ctx, const Conv2dDims& dims) {
  const ConvolutionDesc conv = library_desc(dims, false);
  const auto forward = describe<dnnl::convolution_forward>(*ctx.onednn, conv, attributes());
  return describe<Convolution>(*ctx.onednn, conv, attributes(), forward);
}

}  // namespace
}  // namespace cpu

std::shared_ptr<Conv2dForward> prepare_conv2d_forward(CpuContext& ctx, const Conv2dDims& dims,
                                                      const Conv2dEpilogue& epilogue) {
  using namespace cpu;
  return prepare(ctx, dims, "forward pass", [&] {
    dnnl::post_ops ops;
    const ConvolutionDesc conv = library_desc(dims, epilogue.bias);
    if (epilogue.residual) ops.append_binary(dnnl::algorithm::binary_add, conv.y);
    if (epilogue.relu) append_relu(ops);
    return std::make_shared<Forward>(ctx, dims, epilogue,
                                     describe<dnnl::convolution_forward>(*ctx.onednn, conv, attributes(ops)));
  });
}

std::shared_ptr<Conv2dBackwardData> prepare_conv2d_backward_data(CpuContext& ctx, const Conv2dDims& dims) {
  using namespace cpu;
  return prepare(ctx, dims, "input gradient", [&] {
    return std::make_shared<BackwardData>(ctx, dims, describe_gradient<dnnl::convolution_backward_data>(ctx, dims));
  });
}

std::shared_ptr<Conv2dBackwardWeights> prepare_conv2d_backward_weights(CpuContext& ctx, const Conv2dDims& dims) {
  using namespace cpu;
  return prepare(ctx, dims, "weight gradient", [&] {
    return std::make_shared<BackwardWeights>(ctx, dims,
                                             describe_gradient<dnnl::convolution_backward_weights>(ctx, dims));
  });
}

}  // namespace psanet::kernels
