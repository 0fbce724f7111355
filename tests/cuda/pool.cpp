#include "kernels/pool.h"

#include "tests/cuda/support.h"

namespace psanet::tests {
namespace {

using kernels::AdaptivePoolDims;
using kernels::PoolDims;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

int64_t in_values(const PoolDims& d) {
  return d.batch * d.in_h * d.in_w * d.channels;
}
int64_t out_values(const PoolDims& d) {
  return d.batch * d.out_h() * d.out_w() * d.channels;
}

/// batch, in_h, in_w, channels, kernel, stride, padding (h before w). Scalars and packs of both types, windows that
/// overlap, leave gaps, lie in the padding.
const PoolDims kPools[] = {{2, 9, 11, 8, 3, 3, 2, 2, 1, 1},   {1, 5, 6, 1, 2, 2, 2, 2, 0, 0},
                           {1, 8, 7, 21, 3, 3, 1, 1, 1, 1},   {2, 6, 9, 12, 2, 3, 3, 1, 1, 0},
                           {1, 7, 5, 19, 1, 1, 2, 2, 0, 0},   {1, 4, 4, 3, 4, 4, 1, 1, 0, 0},
                           {1, 12, 13, 16, 9, 8, 3, 2, 4, 3}, {1, 3, 40, 40, 3, 3, 2, 2, 1, 1}};

/// Coarse values, so that windows have equal values.
std::vector<float> with_ties(int64_t n, unsigned seed) {
  std::vector<float> values = random_values(n, seed);
  for (float& v : values) v = std::round(v * 4) / 4;
  return values;
}

template <class T>
void check_max_pool() {
  for (const PoolDims& dims : kPools) {
    std::vector<float> x = through<T>(with_ties(in_values(dims), 1));
    x[0] = -kInfinity;
    x.back() = NAN;
    const std::vector<float> d_y = through<T>(random_values(out_values(dims), 2));
    std::vector<float> y(d_y.size()), d_x(x.size());
    std::vector<uint8_t> winner(d_y.size());
    kernels::max_pool_forward(cpu(), dims, x.data(), y.data(), winner.data());
    kernels::max_pool_backward(cpu(), dims, winner.data(), d_y.data(), d_x.data());

    const Array<T> in(stored<T>(x)), out(out_values(dims)), gradient(stored<T>(d_y)), d_in(in_values(dims));
    const Array<uint8_t> places(out_values(dims));
    SameBits<T> same_bits;
    for_each_schedule([&] {
      out.poison();
      d_in.poison();
      places.set(std::vector<uint8_t>(winner.size(), 77));
      kernels::max_pool_forward(cuda(), dims, in.data(), out.data(), places.data());
      kernels::max_pool_backward(cuda(), dims, places.data(), gradient.data(), d_in.data());
      CHECK(places.get() == winner);
      const std::vector<float> found = as_floats(out.get());
      for (size_t i = 0; i < y.size(); ++i) {
        if (!(found[i] == y[i] || (std::isnan(found[i]) && std::isnan(y[i])))) FAIL("max pool: other values");
      }
      check_close(as_floats(d_in.get()), d_x, tolerance<T>(), "max pool's gradient");
      same_bits(d_in.get());
      out.poison();
      kernels::max_pool_forward(cuda(), dims, in.data(), out.data(), static_cast<uint8_t*>(nullptr));
      CHECK(as_floats(out.get())[0] == y[0]);
    });
  }
}

template <class T>
void check_average_pool() {
  for (const PoolDims& dims : kPools) {
    const std::vector<float> x = through<T>(random_values(in_values(dims), 3)),
                             d_y = through<T>(random_values(out_values(dims), 4));
    for (bool count_padding : {false, true}) {
      std::vector<float> y(d_y.size()), d_x(x.size());
      kernels::average_pool_forward(cpu(), dims, count_padding, x.data(), y.data());
      kernels::average_pool_backward(cpu(), dims, count_padding, d_y.data(), d_x.data());

      const Array<T> in(stored<T>(x)), out(out_values(dims)), gradient(stored<T>(d_y)), d_in(in_values(dims));
      SameBits<T> same_bits;
      for_each_schedule([&] {
        out.poison();
        d_in.poison();
        kernels::average_pool_forward(cuda(), dims, count_padding, in.data(), out.data());
        kernels::average_pool_backward(cuda(), dims, count_padding, gradient.data(), d_in.data());
        check_close(as_floats(out.get()), y, tolerance<T>(), "average pool");
        check_close(as_floats(d_in.get()), d_x, tolerance<T>(), "average pool's gradient");
        same_bits(out.get());
      });
    }
  }
}

template <class T>
void check_adaptive_pool() {
  // Global means (of one share and of several), windows that overlap, as many as places, more than places.
  for (const AdaptivePoolDims& dims : {AdaptivePoolDims{2, 9, 11, 8, 1, 1},
                                       {1, 59, 59, 24, 1, 1},
                                       {1, 30, 31, 3, 1, 1},
                                       {1, 23, 19, 16, 2, 1},
                                       {2, 10, 7, 21, 3, 2},
                                       {1, 6, 5, 19, 6, 5},
                                       {1, 3, 2, 8, 5, 7}}) {
    const std::vector<float> x = through<T>(random_values(dims.batch * dims.in_h * dims.in_w * dims.channels, 5)),
                             d_y = through<T>(random_values(dims.batch * dims.out_h * dims.out_w * dims.channels, 6));
    std::vector<float> y(d_y.size()), d_x(x.size());
    kernels::adaptive_average_pool_forward(cpu(), dims, x.data(), y.data());
    kernels::adaptive_average_pool_backward(cpu(), dims, d_y.data(), d_x.data());

    const Array<T> in(stored<T>(x)), out(static_cast<int64_t>(y.size())), gradient(stored<T>(d_y)),
        d_in(static_cast<int64_t>(x.size()));
    SameBits<T> same_bits;
    for_each_schedule([&] {
      out.poison();
      d_in.poison();
      kernels::adaptive_average_pool_forward(cuda(), dims, in.data(), out.data());
      kernels::adaptive_average_pool_backward(cuda(), dims, gradient.data(), d_in.data());
      check_close(as_floats(out.get()), y, tolerance<T>(2), "adaptive average pool");
      check_close(as_floats(d_in.get()), d_x, tolerance<T>(), "adaptive average pool's gradient");
      same_bits(out.get());
    });
  }
}

TEST_CASE("pool: max pool and its gradient equal the CPU's, NaN and ties too") {
  check_max_pool<float>();
  check_max_pool<bf16>();
}

TEST_CASE("pool: average pool and its gradient") {
  check_average_pool<float>();
  check_average_pool<bf16>();
}

TEST_CASE("pool: adaptive average pool and its gradient") {
  check_adaptive_pool<float>();
  check_adaptive_pool<bf16>();
}

}  // namespace
}  // namespace psanet::tests
