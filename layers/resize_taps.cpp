#include "layers/resize_taps.h"

#include <algorithm>
#include <numeric>

#include "kernels/elementwise.h"
#include "kernels/memory.h"
#include "kernels/resize_taps.h"
#include "layers/check.h"

namespace psanet::layers {

namespace {

constexpr int64_t kMostKernel = 15;

void check_window(Size2 kernel, Size2 dilation) {
  const auto odd = [](int64_t size) { return size > 0 && size % 2 == 1 && size <= kMostKernel; };
  require(odd(kernel.h) && odd(kernel.w), "a window of {}x{}; want odd sizes up to {}", kernel.h, kernel.w,
          kMostKernel);
  require(dilation.h > 0 && dilation.w > 0, "dilation must be at least 1");
}

/// x [N,H,W,taps*C] to y [N,OH,OW,C].
kernels::ResizeTapsDims dims_of(const Type& x, const Type& y, bool align_corners, Size2 kernel, Size2 dilation) {
  kernels::ResizeTapsDims dims;
  dims.resize = {.batch = x[0],
                 .in_h = x[1],
                 .in_w = x[2],
                 .channels = y[3],
                 .out_h = y[1],
                 .out_w = y[2],
                 .align_corners = align_corners};
  dims.kernel_h = kernel.h;
  dims.kernel_w = kernel.w;
  dims.dilation_h = dilation.h;
  dims.dilation_w = dilation.w;
  return dims;
}

/// Copies between a weight [O,kh,kw,I] and the groups of its input channels.
struct WeightCopy {
  size_t group = 0;
  kernels::BlockCopyDims from_weight, to_weight;
};

std::vector<WeightCopy> weight_copies(const Type& weight, const std::vector<int64_t>& channels,
                                      const std::vector<int64_t>& by_taps) {
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
  for (size_t g = 0; g < channels.size(); ++g) {
    const int64_t count = channels[g];
    if (by_taps[g] == 0) {
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

void group_fields(Fields& f, std::vector<int64_t>& channels, std::vector<int64_t>& by_taps) {
  f("channels", channels, "input channels of each group");
  f("by_taps", by_taps, "1: the group is a weight [kh*kw*O,1,1,channels], 0: [O,kh,kw,channels]");
}

Types group_types(const Type& weight, const std::vector<int64_t>& channels, const std::vector<int64_t>& by_taps) {
  require(channels.size() == by_taps.size() && !channels.empty(), "{} channels for {} groups", channels.size(),
          by_taps.size());
  Types types;
  int64_t total = 0;
  for (size_t g = 0; g < channels.size(); ++g) {
    const int64_t count = channels[g];
    require(count > 0, "a group of {} channels", count);
    total += count;
    types.push_back(by_taps[g] == 0 ? Type{weight.dtype, {weight[0], weight[1], weight[2], count}}
                                    : Type{weight.dtype, {weight[1] * weight[2] * weight[0], 1, 1, count}});
  }
  require(total == weight[3], "groups of {} channels in all, the weight has {}", total, weight[3]);
  return types;
}

}  // namespace

void ResizeTaps::fields(Fields& f) {
  f("height", height, "rows of the result");
  f("width", width, "columns of the result");
  f("align_corners", align_corners, "corner pixels map onto corner pixels (else half-pixel centres)");
  f("base", base, "adds a base input");
  f("kernel", kernel, "rows and columns of the window, odd");
  f("dilation", dilation, "distance between the taps of the window");
}

Types ResizeTaps::infer(const Types& in) const {
  require_inputs(in, base ? 2 : 1);
  require_image(in[0], "x");
  check_window(kernel, dilation);
  const int64_t taps = kernel.h * kernel.w;
  require(height > 0 && width > 0, "a result of {}x{}; height and width must be at least 1", height, width);
  require(in[0][3] % taps == 0, "x has {} channels, which {} taps do not divide", in[0][3], taps);
  const Type out{in[0].dtype, {in[0][0], height, width, in[0][3] / taps}};
  if (base) require_same(in[1], out, "base and result");
  return {out};
}

Values ResizeTaps::grad(Gradient& g) const {
  const Type& x = g.type(g.in(0));
  Values d_in = {g.add("d_x", ResizeTapsBackward{{x[1], x[2]}, align_corners, kernel, dilation}, {g.d_out(0)})};
  if (base) d_in.push_back(g.d_out(0));
  return d_in;
}

Launch ResizeTaps::lower(Lowering& l) const {
  const auto dims = dims_of(l.in(0), l.out(0), align_corners, kernel, dilation);
  const bool with_base = base;
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::resize_taps(ctx, dims, b.in<T>(0), with_base ? b.in<T>(1) : nullptr, b.out<T>(0));
  });
}

void ResizeTapsBackward::fields(Fields& f) {
  f("input", input, "size of x");
  f("align_corners", align_corners, "as the resize's");
  f("kernel", kernel, "as the resize's");
  f("dilation", dilation, "as the resize's");
}

Types ResizeTapsBackward::infer(const Types& in) const {
  require_inputs(in, 1);
  require_image(in[0], "d_y");
  check_window(kernel, dilation);
  return {{in[0].dtype, {in[0][0], input.h, input.w, in[0][3] * kernel.h * kernel.w}}};
}

Launch ResizeTapsBackward::lower(Lowering& l) const {
  const auto dims = dims_of(l.out(0), l.in(0), align_corners, kernel, dilation);
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::resize_taps_backward(ctx, dims, b.in<T>(0), b.out<T>(0));
  });
}

void SplitWeight::fields(Fields& f) {
  group_fields(f, channels, by_taps);
}

Types SplitWeight::infer(const Types& in) const {
  require_inputs(in, 1);
  require_rank(in[0], 4, "weight");
  return group_types(in[0], channels, by_taps);
}

Values SplitWeight::grad(Gradient& g) const {
  const Type& weight = g.type(g.in(0));
  Values d_groups;
  for (size_t i = 0; i < channels.size(); ++i) d_groups.push_back(g.d_out(i));
  return {g.add("d_weight", JoinWeight{channels, by_taps, weight[0], {weight[1], weight[2]}}, d_groups)};
}

Launch SplitWeight::lower(Lowering& l) const {
  const auto copies = weight_copies(l.in(0), channels, by_taps);
  return l.launch([=](auto& ctx, const Buffers& b) {
    for (const WeightCopy& copy : copies) {
      kernels::block_copy(ctx, copy.from_weight, b.inputs[0], b.outputs[copy.group]);
    }
  });
}

void JoinWeight::fields(Fields& f) {
  group_fields(f, channels, by_taps);
  f("outputs", outputs, "output channels of the weight");
  f("kernel", kernel, "rows and columns of its window");
}

Types JoinWeight::infer(const Types& in) const {
  require_inputs(in, channels.size());
  DType dtype = DType::f32;
  for (const Type& type : in) dtype = type.elements() > 0 ? type.dtype : dtype;
  const int64_t total = std::accumulate(channels.begin(), channels.end(), int64_t{0});
  const Type weight{dtype, {outputs, kernel.h, kernel.w, total}};
  const Types groups = group_types(weight, channels, by_taps);
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i].elements() > 0) require_same(in[i], groups[i], "group and its place in the weight");
  }
  return {weight};
}

Launch JoinWeight::lower(Lowering& l) const {
  const auto copies = weight_copies(l.out(0), channels, by_taps);
  const int64_t bytes = l.out(0).bytes();
  return l.launch([=](auto& ctx, const Buffers& b) {
    const bool all = std::none_of(b.inputs.begin(), b.inputs.end(), [](const void* p) { return p == nullptr; });
    if (!all) kernels::fill_zero(ctx, b.outputs[0], bytes);
    for (const WeightCopy& copy : copies) {
      if (b.inputs[copy.group]) kernels::block_copy(ctx, copy.to_weight, b.inputs[copy.group], b.outputs[0]);
    }
  });
}

}  // namespace psanet::layers
