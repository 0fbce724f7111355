#include "kernels/resize_taps.h"

#include "tests/cuda/support.h"

namespace psanet::tests {
namespace {

using kernels::ResizeTapsDims;

/// PSANet's enlargement by two, pyramid pooling's, windows larger than the map, packs and single channels.
std::vector<ResizeTapsDims> windows() {
  std::vector<ResizeTapsDims> all;
  for (bool align_corners : {true, false}) {
    for (ResizeTapsDims d : {ResizeTapsDims{{2, 5, 4, 8, 9, 7}, 3, 3, 1, 1},
                             {{1, 3, 6, 5, 11, 12}, 3, 3, 1, 1},
                             {{1, 1, 1, 16, 6, 8}, 3, 3, 1, 1},
                             {{1, 4, 3, 3, 8, 5}, 5, 3, 1, 2},
                             {{1, 6, 5, 24, 12, 9}, 1, 1, 1, 1},
                             {{1, 2, 3, 1, 1, 1}, 3, 3, 1, 1}}) {
      d.resize.align_corners = align_corners;
      all.push_back(d);
    }
  }
  return all;
}

template <class T>
void check_taps() {
  for (const ResizeTapsDims& dims : windows()) {
    const kernels::ResizeDims& r = dims.resize;
    const int64_t in_values = r.batch * r.in_h * r.in_w * dims.taps() * r.channels,
                  out_values = r.batch * r.out_h * r.out_w * r.channels;
    const std::vector<float> x = through<T>(random_values(in_values, 1)),
                             base = through<T>(random_values(out_values, 2)),
                             d_y = through<T>(random_values(out_values, 3));
    std::vector<float> y(base.size()), alone(base.size()), d_x(x.size());
    kernels::resize_taps(cpu(), dims, x.data(), base.data(), y.data());
    kernels::resize_taps(cpu(), dims, x.data(), nullptr, alone.data());
    kernels::resize_taps_backward(cpu(), dims, d_y.data(), d_x.data());

    const Array<T> in(stored<T>(x)), begin(stored<T>(base)), gradient(stored<T>(d_y)), out(out_values), d_in(in_values);
    SameBits<T> same_bits;
    for_each_schedule([&] {
      out.poison();
      kernels::resize_taps(cuda(), dims, in.data(), static_cast<const T*>(nullptr), out.data());
      check_close(as_floats(out.get()), alone, tolerance<T>(2), "taps");
      out.set(stored<T>(base));
      kernels::resize_taps(cuda(), dims, in.data(), static_cast<const T*>(out.data()), out.data());
      check_close(as_floats(out.get()), y, tolerance<T>(2), "taps onto their base");
      d_in.poison();
      kernels::resize_taps_backward(cuda(), dims, gradient.data(), d_in.data());
      check_close(as_floats(d_in.get()), d_x, tolerance<T>(2), "their gradient");
      same_bits(d_in.get());
    });
  }
}

TEST_CASE("resize taps: values and gradient of windows in both conventions") {
  check_taps<float>();
  check_taps<bf16>();
}

}  // namespace
}  // namespace psanet::tests
