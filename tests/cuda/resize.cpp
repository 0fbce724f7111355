#include "kernels/resize.h"

#include "tests/cuda/support.h"

namespace psanet::tests {
namespace {

using kernels::ResizeDims;

int64_t in_values(const ResizeDims& d) {
  return d.batch * d.in_h * d.in_w * d.channels;
}
int64_t out_values(const ResizeDims& d) {
  return d.batch * d.out_h * d.out_w * d.channels;
}

/// Enlarging by 8 as networks do and by odd factors, shrinking, equal sizes, single rows; in both conventions.
std::vector<ResizeDims> resizes() {
  std::vector<ResizeDims> all;
  for (bool align_corners : {true, false}) {
    for (ResizeDims d : {ResizeDims{1, 5, 4, 21, 33, 25},
                         {2, 6, 5, 8, 11, 9},
                         {1, 11, 9, 16, 6, 5},
                         {1, 7, 10, 3, 17, 4},
                         {1, 1, 1, 1, 3, 5},
                         {1, 4, 6, 5, 1, 1},
                         {1, 5, 6, 12, 5, 6},
                         {1, 3, 1, 150, 7, 10},
                         {1, 40, 2, 19, 3, 50}}) {
      d.align_corners = align_corners;
      all.push_back(d);
    }
  }
  return all;
}

template <class T>
void check_resize() {
  for (const ResizeDims& dims : resizes()) {
    const std::vector<float> x = through<T>(random_values(in_values(dims), 1)),
                             d_y = through<T>(random_values(out_values(dims), 2));
    std::vector<float> y(d_y.size()), d_x(x.size());
    kernels::resize_forward(cpu(), dims, x.data(), y.data());
    kernels::resize_backward(cpu(), dims, d_y.data(), d_x.data());

    const Array<T> in(stored<T>(x)), out(out_values(dims)), gradient(stored<T>(d_y)), d_in(in_values(dims));
    SameBits<T> same_bits;
    for_each_schedule([&] {
      out.poison();
      d_in.poison();
      kernels::resize_forward(cuda(), dims, in.data(), out.data());
      kernels::resize_backward(cuda(), dims, gradient.data(), d_in.data());
      check_close(as_floats(out.get()), y, tolerance<T>(), "resize");
      check_close(as_floats(d_in.get()), d_x, tolerance<T>(2), "resize's gradient");
      same_bits(d_in.get());
    });
  }
}

/// Shrinking by 2 with corners on corners is subsampling, exactly; enlarging back finds the same values again.
template <class T>
void check_subsampling() {
  const ResizeDims dims{1, 13, 9, 8, 7, 5};
  const std::vector<T> x = stored<T>(random_values(in_values(dims), 3));
  std::vector<float> wanted;
  for (int64_t h = 0; h < dims.in_h; h += 2) {
    for (int64_t w = 0; w < dims.in_w; w += 2) {
      for (int64_t c = 0; c < dims.channels; ++c) {
        wanted.push_back(to_float(x[static_cast<size_t>((h * dims.in_w + w) * dims.channels + c)]));
      }
    }
  }
  const ResizeDims back{1, 7, 5, 8, 13, 9};
  const Array<T> in(x), small(out_values(dims)), large(in_values(dims)), again(out_values(dims));
  kernels::resize_forward(cuda(), dims, in.data(), small.data());
  check_close(as_floats(small.get()), wanted, 0, "subsampling");
  kernels::resize_forward(cuda(), back, small.data(), large.data());
  kernels::resize_forward(cuda(), dims, large.data(), again.data());
  check_close(as_floats(again.get()), wanted, 0, "enlarged and subsampled");
}

template <class T>
void check_argmax() {
  std::vector<ResizeDims> all = resizes();
  all.push_back({2, 9, 8, 150, 65, 57, true});     // tiles in shared memory
  all.push_back({1, 24, 21, 150, 12, 11, false});  // too much for that: a warp for each pixel
  all.push_back({1, 12, 70, 255, 12, 70, true});
  for (const ResizeDims& dims : all) {
    const std::vector<float> x = through<T>(random_values(in_values(dims), 4));
    std::vector<float> resized(static_cast<size_t>(out_values(dims)));
    kernels::resize_forward(cpu(), dims, x.data(), resized.data());
    std::vector<uint8_t> wanted(resized.size() / static_cast<size_t>(dims.channels));
    kernels::resize_argmax(cpu(), dims, x.data(), wanted.data());

    const Array<T> in(stored<T>(x));
    const Array<uint8_t> labels(static_cast<int64_t>(wanted.size()));
    for_each_schedule([&] {
      labels.poison();
      kernels::resize_argmax(cuda(), dims, in.data(), labels.data());
      const std::vector<uint8_t> found = labels.get();
      size_t others = 0;
      for (size_t i = 0; i < found.size(); ++i) {
        if (found[i] == wanted[i]) continue;
        ++others;  // allowed where the two values differ by rounding alone
        const float* values = resized.data() + i * static_cast<size_t>(dims.channels);
        if (found[i] >= dims.channels || std::fabs(values[found[i]] - values[wanted[i]]) > 1e-6f) {
          FAIL("argmax " << int{found[i]} << ", wanted " << int{wanted[i]} << " at " << i);
        }
      }
      CHECK(others <= found.size() / 100);
    });
  }
}

TEST_CASE("resize: values and gradient in both conventions") {
  check_resize<float>();
  check_resize<bf16>();
}

TEST_CASE("resize: shrinking by a whole factor is subsampling to the bit") {
  check_subsampling<float>();
  check_subsampling<bf16>();
}

TEST_CASE("resize: argmax without the resized map") {
  check_argmax<float>();
  check_argmax<bf16>();
}

TEST_CASE("resize: of equal classes the first wins") {
  for (const ResizeDims& dims : {ResizeDims{1, 3, 3, 70, 17, 17}, {1, 20, 40, 100, 10, 20}}) {
    std::vector<float> x(static_cast<size_t>(in_values(dims)), 0.25f);
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t c = i % static_cast<size_t>(dims.channels);
      if (c == 66 || c == 35 || c == 41) x[i] = 0.5f;
    }
    const Array<float> in(x);
    const Array<uint8_t> labels(dims.batch * dims.out_h * dims.out_w);
    for_each_schedule([&] {
      labels.poison();
      kernels::resize_argmax(cuda(), dims, in.data(), labels.data());
      const std::vector<uint8_t> found = labels.get();
      CHECK(found == std::vector<uint8_t>(found.size(), 35));
    });
  }
}

}  // namespace
}  // namespace psanet::tests
