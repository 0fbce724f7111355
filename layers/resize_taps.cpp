#include "layers/resize_taps.h"

#include <algorithm>

#include "kernels/elementwise.h"
#include "kernels/memory.h"
#include "kernels/resize_taps.h"
#include "layers/bases.h"
#include "layers/registry.h"
#include "layers/sizes.h"

namespace psanet::layers {

namespace {

constexpr int64_t kMostKernel = 15;

void check_window(Size2 kernel, Size2 dilation) {
  const auto odd = [](int64_t size) { return size > 0 && size % 2 == 1 && size <= kMostKernel; };
  require(odd(kernel.h) && odd(kernel.w), "a window of {}x{}; want odd sizes up to {}", kernel.h, kernel.w,
          kMostKernel);
  require(dilation.h > 0 && dilation.w > 0, "dilation must be at least 1");
  require_size(dilation, "dilation");
}

kernels::ResizeTapsDims dims_of(const ResizeTaps& op, const Type& x) {
  kernels::ResizeTapsDims dims;
  dims.resize = {.batch = x[0],
                 .in_h = x[1],
                 .in_w = x[2],
                 .channels = x[3] / (op.kernel.h * op.kernel.w),
                 .out_h = op.height,
                 .out_w = op.width,
                 .align_corners = op.align_corners};
  dims.kernel_h = op.kernel.h;
  dims.kernel_w = op.kernel.w;
  dims.dilation_h = op.dilation.h;
  dims.dilation_w = op.dilation.w;
  return dims;
}

/// d_x [N,H,W,taps*C]; `forward` is without a base.
struct ResizeTapsBackward : Backward<ResizeTaps> {
  static constexpr const char* kName = "resize_taps_backward";
  Launch lower(Lowering& l) const {
    const auto dims = dims_of(forward, l.out(0));
    return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
      kernels::resize_taps_backward(ctx, dims, b.in<T>(0), b.out<T>(0));
    });
  }
};

/// Copies between a weight [O,kh,kw,I] and the groups of its input channels.
struct WeightCopy {
  size_t group = 0;
  kernels::BlockCopyDims from_weight, to_weight;
};

std::vector<WeightCopy> weight_copies(const SplitWeight& op, const Type& weight) {
  const int64_t outputs = weight[0], taps = weight[1] * weight[2], inputs = weight[3];
  std::vector<WeightCopy> copies;
  int64_t begin = 0;
  const auto add = [&](size_t group, int64_t outer, int64_t inner, int64_t stride, int64_t offset,
                       int64_t group_offset) {
    kernels::BlockCopyDims out;
    out.outer = outer;
    out.inner = inner;
    out.source_stride = stride;
    out.source_offset = offset;
    out.target_stride = inner;
    out.target_offset = group_offset;
    out.value_bytes = size_bytes(weight.dtype);
    kernels::BlockCopyDims back = out;
    std::swap(back.source_stride, back.target_stride);
    std::swap(back.source_offset, back.target_offset);
    copies.push_back({group, out, back});
  };
  for (size_t g = 0; g < op.channels.size(); ++g) {
    const int64_t count = op.channels[g];
    if (op.by_taps[g] == 0) {
      add(g, outputs * taps, count, inputs, begin, 0);
    } else {
      for (int64_t tap = 0; tap < taps; ++tap) {
        add(g, outputs, count, taps * inputs, tap * inputs + begin, tap * outputs * count);
      }
    }
    begin += count;
  }
  return copies;
}

/// The weight's gradient from those of the groups, zero where a group has none.
struct JoinWeight {
  static constexpr const char* kName = "join_weight";
  SplitWeight forward;
  Shape weight;

  void fields(Fields& f) {
    f("weight", weight, "shape of the weight");
    forward.fields(f);
  }
  Types infer(const Types& in) const {
    require_inputs(in, forward.channels.size());
    Type joined{DType::f32, weight};
    for (const Type& type : in) joined.dtype = type.elements() > 0 ? type.dtype : joined.dtype;
    check_size(joined, "weight");
    const Types groups = forward.infer({joined});
    for (size_t i = 0; i < in.size(); ++i) {
      if (in[i].elements() > 0) require_same(in[i], groups[i], "group and its place in the weight");
    }
    return {joined};
  }
  Launch lower(Lowering& l) const {
    const auto copies = weight_copies(forward, l.out(0));
    const int64_t bytes = l.out(0).bytes();
    return l.launch([=](auto& ctx, const Buffers& b) {
      const bool all = std::none_of(b.inputs.begin(), b.inputs.end(), [](const void* p) { return p == nullptr; });
      if (!all) kernels::fill_zero(ctx, b.outputs[0], bytes);
      for (const WeightCopy& copy : copies) {
        if (b.inputs[copy.group]) kernels::block_copy(ctx, copy.to_weight, b.inputs[copy.group], b.outputs[0]);
      }
    });
  }
};

}  // namespace

Types ResizeTaps::infer(const Types& in) const {
  require_inputs(in, base ? 2 : 1);
  require_image(in[0], "x");
  check_window(kernel, dilation);
  const int64_t taps = kernel.h * kernel.w;
  require(height > 0 && width > 0, "a result of {}x{}; height and width must be at least 1", height, width);
  require_size({height, width}, "the result");
  require(in[0][3] % taps == 0, "x has {} channels, which {} taps do not divide", in[0][3], taps);
  const Type out{in[0].dtype, {in[0][0], height, width, in[0][3] / taps}};
  if (base) require_same(in[1], out, "base and result");
  return {out};
}

Values ResizeTaps::grad(Gradient& g) const {
  ResizeTaps products = *this;
  products.base = false;
  Values d_in = backward<ResizeTapsBackward>(g, products, {g.d_out(0)});
  if (base) d_in.push_back(g.d_out(0));
  return d_in;
}

Launch ResizeTaps::lower(Lowering& l) const {
  const auto dims = dims_of(*this, l.in(0));
  const bool with_base = base;
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::resize_taps(ctx, dims, b.in<T>(0), with_base ? b.in<T>(1) : nullptr, b.out<T>(0));
  });
}

Types SplitWeight::infer(const Types& in) const {
  require_inputs(in, 1);
  require_rank(in[0], 4, "weight");
  const Type& weight = in[0];
  require(channels.size() == by_taps.size() && !channels.empty(), "{} channels for {} groups", channels.size(),
          by_taps.size());
  Types types;
  int64_t total = 0;
  for (size_t g = 0; g < channels.size(); ++g) {
    const int64_t count = channels[g];
    require(count > 0 && count <= kMostSize, "a group of {} channels", count);
    total += count;
    types.push_back(by_taps[g] == 0 ? Type{weight.dtype, {weight[0], weight[1], weight[2], count}}
                                    : Type{weight.dtype, {weight[1] * weight[2] * weight[0], 1, 1, count}});
  }
  require(total == weight[3], "groups of {} channels in all, the weight has {}", total, weight[3]);
  return types;
}

Values SplitWeight::grad(Gradient& g) const {
  Values d_groups;
  for (size_t i = 0; i < channels.size(); ++i) d_groups.push_back(g.d_out(i));
  return {g.add("d_weight", JoinWeight{*this, g.type(g.in(0)).shape}, d_groups)};
}

Launch SplitWeight::lower(Lowering& l) const {
  const auto copies = weight_copies(*this, l.in(0));
  return l.launch([=](auto& ctx, const Buffers& b) {
    for (const WeightCopy& copy : copies) {
      kernels::block_copy(ctx, copy.from_weight, b.inputs[0], b.outputs[copy.group]);
    }
  });
}

void resize_taps_ops(Tables& tables) {
  tables.ops<ResizeTaps, ResizeTapsBackward, SplitWeight, JoinWeight>();
}

}  // namespace psanet::layers
