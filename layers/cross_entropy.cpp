#include "layers/cross_entropy.h"

#include "kernels/loss.h"
#include "kernels/memory.h"
#include "layers/arithmetic.h"
#include "layers/registry.h"
#include "layers/sizes.h"

namespace psanet::layers {

Types ResizeCrossEntropy::infer(const Types& in) const {
  require_inputs(in, 2);
  require_image(in[0], "logits");
  require(in[1].dtype == DType::u8 && in[1].rank() == 3 && in[1][0] == in[0][0], "label is {}, want u8[{},H,W]",
          to_string(in[1]), in[0][0]);
  require(in[0][3] <= 255, "{} classes; labels are bytes, at most 255 classes", in[0][3]);
  return {f32({1}), f32({1}), in[0]};
}

Values ResizeCrossEntropy::grad(Gradient& g) const {
  return {g.add("d_logits", ScaleBy{}, {g.out(2), g.d_out(0)}), {}};
}

Launch ResizeCrossEntropy::lower(Lowering& l) const {
  const Type &x = l.in(0), &label = l.in(1);
  const kernels::ResizeDims dims{.batch = x[0],
                                 .in_h = x[1],
                                 .in_w = x[2],
                                 .channels = x[3],
                                 .out_h = label[1],
                                 .out_w = label[2],
                                 .align_corners = align_corners};
  const int ignored = static_cast<int>(ignore);
  return l.prepare_as(x.dtype, [&]<class T>(auto& ctx) -> Launch {
    return {[&ctx, dims, ignored](const Buffers& b) {
              kernels::resize_cross_entropy(ctx, dims, ignored, b.in<T>(0), b.in<uint8_t>(1), b.out(0), b.out(1),
                                            b.out<T>(2), b.workspace);
            },
            kernels::resize_cross_entropy_workspace_bytes(ctx, dims)};
  });
}

Types ConfusionCounts::infer(const Types& in) const {
  require_inputs(in, 2);
  require_same(in[0], in[1], "prediction and truth");
  require(in[0].dtype == DType::u8, "labels are {}, want u8", to_string(in[0]));
  require_range(classes, 1, kMostSize, "classes");
  return {Type{DType::i64, {classes, classes}}};
}

Launch ConfusionCounts::lower(Lowering& l) const {
  const int64_t pixels = l.in(0).elements(), count = classes, bytes = l.out(0).bytes();
  const int ignored = static_cast<int>(ignore);
  return l.launch([=](auto& ctx, const Buffers& b) {
    kernels::fill_zero(ctx, b.outputs[0], bytes);
    kernels::confusion_counts(ctx, pixels, count, ignored, b.template in<uint8_t>(0), b.template in<uint8_t>(1),
                              b.template out<int64_t>(0));
  });
}

void cross_entropy_ops(Tables& tables) {
  tables.ops<ResizeCrossEntropy, ConfusionCounts>();
}

}  // namespace psanet::layers
