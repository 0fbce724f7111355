#include "layers/concat.h"

#include "kernels/elementwise.h"
#include "kernels/memory.h"
#include "layers/registry.h"
#include "layers/sizes.h"

namespace psanet::layers {

namespace {

size_t axis_of(const Type& type, int64_t axis) {
  const int64_t resolved = axis < 0 ? axis + type.rank() : axis;
  require(resolved >= 0 && resolved < type.rank(), "axis {} of {}", axis, to_string(type));
  return static_cast<size_t>(resolved);
}

/// Values in front of the axis, and in one step of it.
struct Extent {
  int64_t outer = 1, inner = 1;
};
Extent extent(const Type& type, size_t axis) {
  Extent e;
  for (size_t i = 0; i < axis; ++i) e.outer *= type.shape[i];
  for (size_t i = axis + 1; i < type.shape.size(); ++i) e.inner *= type.shape[i];
  return e;
}

/// Copies `count` steps of the axis from place `from` (of `from_total`) to place `to` (of `to_total`).
kernels::BlockCopyDims block(const Type& type, size_t axis, int64_t count, int64_t from, int64_t from_total, int64_t to,
                             int64_t to_total) {
  const Extent e = extent(type, axis);
  return {.outer = e.outer,
          .inner = count * e.inner,
          .source_stride = from_total * e.inner,
          .source_offset = from * e.inner,
          .target_stride = to_total * e.inner,
          .target_offset = to * e.inner,
          .value_bytes = size_bytes(type.dtype)};
}

}  // namespace

Types Concat::infer(const Types& in) const {
  require(!in.empty(), "has no inputs");
  const size_t a = axis_of(in[0], axis);
  Type out = in[0];
  out.shape[a] = 0;
  for (const Type& type : in) {
    Type expected = in[0];
    require(type.rank() == in[0].rank(), "inputs {} and {} differ in more than axis {}", to_string(in[0]),
            to_string(type), axis);
    expected.shape[a] = type.shape[a];
    require(type == expected, "inputs {} and {} differ in more than axis {}", to_string(in[0]), to_string(type), axis);
    out.shape[a] += type.shape[a];
  }
  return {out};
}

Values Concat::grad(Gradient& g) const {
  Values d_in;
  int64_t begin = 0;
  for (size_t i = 0; i < g.inputs(); ++i) {
    const Type& type = g.type(g.in(i));
    const int64_t size = type.shape[axis_of(type, axis)];
    d_in.push_back(g.needs(i) ? g.add(fmt::format("d_{}", i), Slice{axis, begin, size}, {g.d_out(0)}) : Value{});
    begin += size;
  }
  return d_in;
}

Launch Concat::lower(Lowering& l) const {
  const size_t a = axis_of(l.in(0), axis);
  const int64_t total = l.out(0).shape[a];
  std::vector<kernels::BlockCopyDims> copies;
  int64_t to = 0;
  for (const Type& type : l.in()) {
    copies.push_back(block(type, a, type.shape[a], 0, type.shape[a], to, total));
    to += type.shape[a];
  }
  return l.launch([=](auto& ctx, const Buffers& b) {
    for (size_t i = 0; i < copies.size(); ++i) kernels::block_copy(ctx, copies[i], b.inputs[i], b.outputs[0]);
  });
}

Types Slice::infer(const Types& in) const {
  require_inputs(in, 1);
  require_range(begin, 0, kMostSize, "begin");
  require_range(size, 1, kMostSize, "size");
  Type out = in[0];
  int64_t& total = out.shape[axis_of(in[0], axis)];
  require(begin + size <= total, "indices {}..{} of an axis of size {}", begin, begin + size - 1, total);
  total = size;
  return {out};
}

Values Slice::grad(Gradient& g) const {
  return backward<SliceBackward>(g, *this, {g.d_out(0)});
}

Launch Slice::lower(Lowering& l) const {
  const size_t a = axis_of(l.in(0), axis);
  const auto dims = block(l.in(0), a, size, begin, l.in(0).shape[a], 0, size);
  return l.launch([=](auto& ctx, const Buffers& b) { kernels::block_copy(ctx, dims, b.inputs[0], b.outputs[0]); });
}

Launch SliceBackward::lower(Lowering& l) const {
  const size_t a = axis_of(l.in(0), forward.axis);
  const auto dims = block(l.in(0), a, forward.size, 0, forward.size, forward.begin, l.out(0).shape[a]);
  const int64_t bytes = l.out(0).bytes();
  return l.launch([=](auto& ctx, const Buffers& b) {
    kernels::fill_zero(ctx, b.outputs[0], bytes);
    kernels::block_copy(ctx, dims, b.inputs[0], b.outputs[0]);
  });
}

Types Reshape::infer(const Types& in) const {
  require_inputs(in, 1);
  const Type out{in[0].dtype, shape};
  require(out.elements() == in[0].elements(), "{} has {} values, {} has {}", to_string(in[0]), in[0].elements(),
          to_string(out), out.elements());
  return {out};
}

Launch Reshape::lower(Lowering& l) const {
  const int64_t bytes = l.in(0).bytes();
  return l.launch([=](auto& ctx, const Buffers& b) {
    if (b.inputs[0] != b.outputs[0]) kernels::copy_on_device(ctx, b.outputs[0], b.inputs[0], bytes);
  });
}

void concat_ops(Tables& tables) {
  tables.ops<Concat, Slice, SliceBackward, Reshape>();
  tables.word<Concat>("Its inputs one after the other along an axis (channels).", 1, -1);
  tables.word<Slice>("A range of an axis (channels).");
}

}  // namespace psanet::layers
