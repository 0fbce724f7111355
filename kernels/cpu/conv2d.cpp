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
      : run_(ctx, make(ctx, from, to)), from_(run_.add(DNNL_ARG_FROM, from)), to_(run_.add(DNNL_ARG_TO, to)) {}

  void operator()(const void* from, void* to) {
    run_.set(from_, from);
    run_.set(to_, to);
    run_.run("reordering the weights of a convolution");
  }

 private:
  static dnnl::reorder make(const CpuContext& ctx, const memory::desc& from, const memory::desc& to) {
    const dnnl::engine& engine = ctx.onednn->engine;
    return dnnl::reorder(dnnl::reorder::primitive_desc(engine, from, engine, to));
  }

  Execution run_;
  size_t from_, to_;
};

// The workspace of each direction is [weights in the library's order | the library's scratch memory].

class Forward final : public Conv2dForward {
 public:
  Forward(const CpuContext& ctx, const Conv2dDims& dims, const Conv2dEpilogue& epilogue,
          const dnnl::convolution_forward::primitive_desc& pd)
      : run_(ctx, dnnl::convolution_forward(pd)),
        reorder_(ctx, our_weights(dims), pd.weights_desc()),
        same_order_(our_weights(dims) == pd.weights_desc()),
        epilogue_(epilogue),
        weights_bytes_(piece_bytes(pd.weights_desc())),
        scratch_bytes_(piece_bytes(pd.scratchpad_desc())) {
    x_ = run_.add(DNNL_ARG_SRC, pd.src_desc());
    w_ = run_.add(DNNL_ARG_WEIGHTS, pd.weights_desc());
    y_ = run_.add(DNNL_ARG_DST, pd.dst_desc());
    scratch_ = run_.add(DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc());
    if (epilogue.bias) bias_ = run_.add(DNNL_ARG_BIAS, pd.bias_desc());
    if (epilogue.residual) {
      residual_ = run_.add(DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, pd.dst_desc());
    }
  }

  int64_t workspace_bytes() const override { return weights_bytes_ + scratch_bytes_; }
  int64_t packed_bytes() const override { return weights_bytes_; }
  void pack(const void* w, void* packed) override { reorder_(w, packed); }

  void run_packed(const void* x, const void* packed, const float* bias, const void* residual, void* y,
                  void* workspace) override {
    run_.set(x_, x);
    run_.set(w_, packed);
    run_.set(y_, y);
    run_.set(scratch_, offset(workspace, weights_bytes_));
    if (epilogue_.bias) run_.set(bias_, bias);
    if (epilogue_.residual) run_.set(residual_, residual);
    run_.run("convolution");
  }

  void run(const void* x, const void* w, const float* bias, const void* residual, void* y, void* workspace) override {
    if (!same_order_) reorder_(w, workspace);
    run_packed(x, same_order_ ? w : workspace, bias, residual, y, workspace);
  }

 private:
  Execution run_;
  WeightReorder reorder_;
  bool same_order_;
  Conv2dEpilogue epilogue_;
  int64_t weights_bytes_, scratch_bytes_;
  size_t x_ = 0, w_ = 0, y_ = 0, scratch_ = 0, bias_ = 0, residual_ = 0;
};

class BackwardData final : public Conv2dBackwardData {
 public:
  BackwardData(const CpuContext& ctx, const Conv2dDims& dims, const dnnl::convolution_backward_data::primitive_desc& pd)
      : run_(ctx, dnnl::convolution_backward_data(pd)),
        reorder_(ctx, our_weights(dims), pd.weights_desc()),
        same_order_(our_weights(dims) == pd.weights_desc()),
        weights_bytes_(piece_bytes(pd.weights_desc())),
        scratch_bytes_(piece_bytes(pd.scratchpad_desc())) {
    d_y_ = run_.add(DNNL_ARG_DIFF_DST, pd.diff_dst_desc());
    w_ = run_.add(DNNL_ARG_WEIGHTS, pd.weights_desc());
    d_x_ = run_.add(DNNL_ARG_DIFF_SRC, pd.diff_src_desc());
    scratch_ = run_.add(DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc());
  }

  int64_t workspace_bytes() const override { return weights_bytes_ + scratch_bytes_; }

  void run(const void* d_y, const void* w, void* d_x, void* workspace) override {
    if (!same_order_) reorder_(w, workspace);
    run_.set(d_y_, d_y);
    run_.set(w_, same_order_ ? w : workspace);
    run_.set(d_x_, d_x);
    run_.set(scratch_, offset(workspace, weights_bytes_));
    run_.run("gradient of a convolution's input");
  }

 private:
  Execution run_;
  WeightReorder reorder_;
  bool same_order_;
  int64_t weights_bytes_, scratch_bytes_;
  size_t d_y_ = 0, w_ = 0, d_x_ = 0, scratch_ = 0;
};

class BackwardWeights final : public Conv2dBackwardWeights {
 public:
  BackwardWeights(const CpuContext& ctx, const Conv2dDims& dims,
                  const dnnl::convolution_backward_weights::primitive_desc& pd)
      : run_(ctx, dnnl::convolution_backward_weights(pd)),
        reorder_(ctx, pd.diff_weights_desc(), our_weights(dims)),
        same_order_(our_weights(dims) == pd.diff_weights_desc()),
        weights_bytes_(piece_bytes(pd.diff_weights_desc())),
        scratch_bytes_(piece_bytes(pd.scratchpad_desc())) {
    x_ = run_.add(DNNL_ARG_SRC, pd.src_desc());
    d_y_ = run_.add(DNNL_ARG_DIFF_DST, pd.diff_dst_desc());
    d_w_ = run_.add(DNNL_ARG_DIFF_WEIGHTS, pd.diff_weights_desc());
    scratch_ = run_.add(DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc());
  }

  int64_t workspace_bytes() const override { return weights_bytes_ + scratch_bytes_; }

  void run(const void* x, const void* d_y, float* d_w, void* workspace) override {
    run_.set(x_, x);
    run_.set(d_y_, d_y);
    run_.set(d_w_, same_order_ ? d_w : workspace);
    run_.set(scratch_, offset(workspace, weights_bytes_));
    run_.run("gradient of a convolution's weights");
    if (!same_order_) reorder_(workspace, d_w);
  }

 private:
  Execution run_;
  WeightReorder reorder_;
  bool same_order_;
  int64_t weights_bytes_, scratch_bytes_;
  size_t x_ = 0, d_y_ = 0, d_w_ = 0, scratch_ = 0;
};

}  // namespace
}  // namespace cpu

std::shared_ptr<Conv2dForward> prepare_conv2d_forward(CpuContext& ctx, const Conv2dDims& dims,
                                                      const Conv2dEpilogue& epilogue) {
  cpu::require_float(dims.scalar, "convolution");
  const cpu::ThreadCount scope(ctx.threads);
  return cpu::onednn_call([&] { return cpu::preparing("forward pass", dims); },
                          [&] {
                            dnnl::post_ops ops;
                            const cpu::ConvolutionDesc conv = cpu::library_desc(dims, epilogue.bias);
                            if (epilogue.residual) ops.append_binary(dnnl::algorithm::binary_add, conv.y);
                            if (epilogue.relu) cpu::append_relu(ops);
                            return std::make_shared<cpu::Forward>(
                                ctx, dims, epilogue, cpu::describe_forward(*ctx.onednn, conv, cpu::attributes(ops)));
                          });
}

std::shared_ptr<Conv2dBackwardData> prepare_conv2d_backward_data(CpuContext& ctx, const Conv2dDims& dims) {
  cpu::require_float(dims.scalar, "convolution");
  const cpu::ThreadCount scope(ctx.threads);
  return cpu::onednn_call([&] { return cpu::preparing("input gradient", dims); },
                          [&] {
                            const cpu::ConvolutionDesc conv = cpu::library_desc(dims, false);
                            const auto forward = cpu::describe_forward(*ctx.onednn, conv, cpu::attributes());
                            return std::make_shared<cpu::BackwardData>(
                                ctx, dims, cpu::describe_backward_data(*ctx.onednn, conv, cpu::attributes(), forward));
                          });
}

std::shared_ptr<Conv2dBackwardWeights> prepare_conv2d_backward_weights(CpuContext& ctx, const Conv2dDims& dims) {
  cpu::require_float(dims.scalar, "convolution");
  const cpu::ThreadCount scope(ctx.threads);
  return cpu::onednn_call([&] { return cpu::preparing("weight gradient", dims); },
                          [&] {
                            const cpu::ConvolutionDesc conv = cpu::library_desc(dims, false);
                            const auto forward = cpu::describe_forward(*ctx.onednn, conv, cpu::attributes());
                            return std::make_shared<cpu::BackwardWeights>(
                                ctx, dims,
                                cpu::describe_backward_weights(*ctx.onednn, conv, cpu::attributes(), forward));
                          });
}

}  // namespace psanet::kernels
