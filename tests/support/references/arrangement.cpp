// Joining, cutting, reshaping and multiplying.
#include "layers/concat.h"
#include "layers/matmul.h"
#include "layers/resize_taps.h"
#include "tests/support/references/families.h"

namespace psanet::tests::references {

namespace {

size_t resolve(int64_t axis, const Type& type) {
  return static_cast<size_t>(axis < 0 ? axis + type.rank() : axis);
}

/// The index of each axis of flat place i.
Shape place_of(int64_t i, const Shape& shape) {
  Shape place(shape.size());
  for (size_t axis = shape.size(); axis-- > 0;) {
    place[axis] = i % shape[axis];
    i /= shape[axis];
  }
  return place;
}
int64_t flat(const Shape& place, const Shape& shape) {
  int64_t i = 0;
  for (size_t axis = 0; axis < shape.size(); ++axis) i = i * shape[axis] + place[axis];
  return i;
}

}  // namespace

HostTensors concat(const Op& op, const HostTensors& in) {
  const size_t axis = resolve(op.as<layers::Concat>()->axis, in[0].type);
  Type type = in[0].type;
  type.shape[axis] = 0;
  for (const HostTensor& x : in) type.shape[axis] += x.type.shape[axis];
  HostTensor y(type);
  int64_t begin = 0;
  for (const HostTensor& x : in) {
    for (int64_t i = 0; i < x.type.elements(); ++i) {
      Shape place = place_of(i, x.type.shape);
      place[axis] += begin;
      y.at(flat(place, type.shape)) = x.at(i);
    }
    begin += x.type.shape[axis];
  }
  return {y};
}

HostTensors slice(const Op& op, const HostTensors& in) {
  const auto& slice = *op.as<layers::Slice>();
  const size_t axis = resolve(slice.axis, in[0].type);
  Type type = in[0].type;
  type.shape[axis] = slice.size;
  HostTensor y(type);
  for (int64_t i = 0; i < type.elements(); ++i) {
    Shape place = place_of(i, type.shape);
    place[axis] += slice.begin;
    y.at(i) = in[0].at(flat(place, in[0].type.shape));
  }
  return {y};
}

HostTensors slice_backward(const Op& op, const HostTensors& in) {
  const auto& [slice, shape] = *op.as<layers::SliceBackward>();  // and the shape of x
  const size_t axis = resolve(slice.axis, in[0].type);
  HostTensor d_x(f32(shape));
  for (int64_t i = 0; i < in[0].type.elements(); ++i) {
    Shape place = place_of(i, in[0].type.shape);
    place[axis] += slice.begin;
    d_x.at(flat(place, shape)) = in[0].at(i);
  }
  return {d_x};
}

HostTensors split_weight(const Op& op, const HostTensors& in) {
  const auto& split = *op.as<layers::SplitWeight>();
  const HostTensor& weight = in[0];
  HostTensors groups;
  int64_t begin = 0;
  for (size_t g = 0; g < split.channels.size(); ++g) {
    const int64_t channels = split.channels[g];
    const bool by_taps = split.by_taps[g] != 0;
    HostTensor group(by_taps ? f32({weight[1] * weight[2] * weight[0], 1, 1, channels})
                             : f32({weight[0], weight[1], weight[2], channels}));
    for (int64_t o = 0; o < weight[0]; ++o)
      for (int64_t h = 0; h < weight[1]; ++h)
        for (int64_t w = 0; w < weight[2]; ++w)
          for (int64_t c = 0; c < channels; ++c) {
            const double value = weight.at(o, h, w, begin + c);
            if (by_taps) {
              group.at((h * weight[2] + w) * weight[0] + o, 0, 0, c) = value;
            } else {
              group.at(o, h, w, c) = value;
            }
          }
    groups.push_back(group);
    begin += channels;
  }
  return groups;
}

HostTensors reshape(const Op& op, const HostTensors& in) {
  return {HostTensor(Type{in[0].type.dtype, op.as<layers::Reshape>()->shape}, in[0].values)};
}

HostTensors matmul(const Op& op, const HostTensors& in) {
  const auto& product = *op.as<layers::Matmul>();
  // Each operand is a stack of matrices [rows, last axis].
  const auto rows = [](const HostTensor& t) { return t.type.elements() / (t[0] * t[-1]); };
  const int64_t stack = in[0][0];
  const int64_t m = product.transpose_a ? in[0][-1] : rows(in[0]), k = product.transpose_a ? rows(in[0]) : in[0][-1];
  const int64_t n = product.transpose_b ? rows(in[1]) : in[1][-1];
  Type type = f32({stack, m, n});
  if (!product.transpose_a) {
    type = in[0].type;
    type.shape.back() = n;
  }
  HostTensor c(type);
  for (int64_t s = 0; s < stack; ++s)
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l) {
          const double a = in[0].at(s * m * k + (product.transpose_a ? l * m + i : i * k + l));
          const double b = in[1].at(s * k * n + (product.transpose_b ? j * k + l : l * n + j));
          sum += a * b;
        }
        c.at((s * m + i) * n + j) = product.scale * sum;
      }
  return {c};
}

References arrangement() {
  return {
      {"concat", concat},   {"slice", slice},   {"slice_backward", slice_backward}, {"split_weight", split_weight},
      {"reshape", reshape}, {"matmul", matmul},
  };
}

}  // namespace psanet::tests::references
