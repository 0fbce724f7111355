// Max, average and adaptive average pooling.
#include <cmath>

#include "layers/pool.h"
#include "tests/support/references/families.h"

namespace psanet::tests::references {

namespace {

struct AverageWindow {
  Size2 kernel, stride, padding;
  bool count_padding = true;
  void fields(Fields& f) {
    f("kernel", kernel, "");
    f("stride", stride, "");
    f("padding", padding, "");
    f("count_padding", count_padding, "");
  }
};

struct Windows {
  Size2 size;
  void fields(Fields& f) { f("size", size, ""); }
};

template <class T>
Type pooled(const T& pool, const HostTensor& x) {
  return f32({x[0], (x[1] + 2 * pool.padding.h - pool.kernel.h) / pool.stride.h + 1,
              (x[2] + 2 * pool.padding.w - pool.kernel.w) / pool.stride.w + 1, x[3]});
}

/// Calls f(n, row of y, column of y, c) for every place.
template <class F>
void every_place(const Type& y, F f) {
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t h = 0; h < y[1]; ++h)
      for (int64_t w = 0; w < y[2]; ++w)
        for (int64_t c = 0; c < y[3]; ++c) f(n, h, w, c);
}

/// Calls f(row of x, column of x, place in the window) for the window's places that lie inside x.
template <class T, class F>
void every_tap(const T& pool, const HostTensor& x, int64_t oh, int64_t ow, F f) {
  for (int64_t i = 0; i < pool.kernel.h; ++i)
    for (int64_t j = 0; j < pool.kernel.w; ++j) {
      const int64_t h = oh * pool.stride.h - pool.padding.h + i, w = ow * pool.stride.w - pool.padding.w + j;
      if (h >= 0 && h < x[1] && w >= 0 && w < x[2]) f(h, w, i * pool.kernel.w + j);
    }
}

}  // namespace

HostTensors max_pool(const Op& op, const HostTensors& in) {
  const auto& pool = *op.as<layers::MaxPool>();
  const HostTensor& x = in[0];
  HostTensor y(pooled(pool, x)), winner(Type{DType::u8, y.type.shape});
  every_place(y.type, [&](int64_t n, int64_t oh, int64_t ow, int64_t c) {
    double most = -HUGE_VAL;
    every_tap(pool, x, oh, ow, [&](int64_t h, int64_t w, int64_t place) {
      if (x.at(n, h, w, c) > most) {
        most = x.at(n, h, w, c);
        winner.at(n, oh, ow, c) = static_cast<double>(place);
      }
    });
    y.at(n, oh, ow, c) = most;
  });
  return {y, winner};
}

HostTensors average_pool(const Op& op, const HostTensors& in) {
  const auto pool = attributes<AverageWindow>(op);
  const HostTensor& x = in[0];
  HostTensor y(pooled(pool, x));
  every_place(y.type, [&](int64_t n, int64_t oh, int64_t ow, int64_t c) {
    double sum = 0, count = 0;
    every_tap(pool, x, oh, ow, [&](int64_t h, int64_t w, int64_t) {
      sum += x.at(n, h, w, c);
      count += 1;
    });
    y.at(n, oh, ow, c) = sum / (pool.count_padding ? static_cast<double>(pool.kernel.h * pool.kernel.w) : count);
  });
  return {y};
}

HostTensors adaptive_average_pool(const Op& op, const HostTensors& in) {
  const Size2 size = attributes<Windows>(op).size;
  const HostTensor& x = in[0];
  HostTensor y(f32({x[0], size.h, size.w, x[3]}));
  const auto begin = [](int64_t i, int64_t total, int64_t windows) { return i * total / windows; };
  const auto end = [](int64_t i, int64_t total, int64_t windows) {
    return ((i + 1) * total + windows - 1) / windows;  // rounded up
  };
  every_place(y.type, [&](int64_t n, int64_t oh, int64_t ow, int64_t c) {
    double sum = 0, count = 0;
    for (int64_t h = begin(oh, x[1], size.h); h < end(oh, x[1], size.h); ++h)
      for (int64_t w = begin(ow, x[2], size.w); w < end(ow, x[2], size.w); ++w) {
        sum += x.at(n, h, w, c);
        count += 1;
      }
    y.at(n, oh, ow, c) = sum / count;
  });
  return {y};
}

References pooling() {
  return {
      {"max_pool", max_pool},
      {"average_pool", average_pool},
      {"adaptive_average_pool", adaptive_average_pool},
  };
}

}  // namespace psanet::tests::references
