#include "kernels/dropout.h"

#include "tests/cuda/support.h"

namespace psanet::tests {
namespace {

using kernels::DropoutDims;

TEST_CASE("dropout: factors are the CPU's to the bit") {
  for (double probability : {0.0, 0.1, 0.5, 0.999}) {
    for (const std::vector<int64_t>& counter :
         {std::vector<int64_t>{0, 0}, {0x123456789abcdef0, 17}, {-1, 1LL << 40}}) {
      for (uint64_t salt : {uint64_t{0}, uint64_t{0xfedcba9876543210}}) {
        const DropoutDims dims{3, 1, 150, probability};
        std::vector<float> wanted(450);
        kernels::dropout_factors(cpu(), dims, salt, counter.data(), wanted.data());
        const Array<int64_t> from(counter);
        const Array<float> factor(450);
        kernels::dropout_factors(cuda(), dims, salt, from.data(), factor.data());
        CHECK(factor.get() == wanted);
      }
    }
  }
}

template <class T>
void check_channel_scale() {
  for (const DropoutDims& dims : {DropoutDims{1, 1, 1, 0}, DropoutDims{2, 37, 3, 0}, DropoutDims{3, 50, 64, 0},
                                  DropoutDims{2, 9, 150, 0}, DropoutDims{2, 130, 264, 0}}) {
    const int64_t n = dims.batch * dims.positions * dims.channels;
    const std::vector<float> x = through<T>(random_values(n, 1)), factor = random_values(dims.batch * dims.channels, 2);
    std::vector<float> wanted(x.size());
    kernels::channel_scale(cpu(), dims, x.data(), factor.data(), wanted.data());
    const Array<T> in(stored<T>(x)), out(n);
    const Array<float> f(factor);
    for_each_schedule([&] {
      out.poison();
      kernels::channel_scale(cuda(), dims, in.data(), f.data(), out.data());
      check_close(as_floats(out.get()), through<T>(wanted), 0, "channel_scale");
      out.set(stored<T>(x));
      kernels::channel_scale(cuda(), dims, out.data(), f.data(), out.data());
      check_close(as_floats(out.get()), through<T>(wanted), 0, "channel_scale in place");
    });
  }
}

TEST_CASE("dropout: channels are scaled") {
  check_channel_scale<float>();
  check_channel_scale<bf16>();
}

TEST_CASE("dropout: nothing to do without elements") {
  const Array<float> nothing(0);
  const Array<int64_t> counter(std::vector<int64_t>{1, 2});
  kernels::dropout_factors(cuda(), {0, 4, 5, 0.1}, 0, counter.data(), nothing.data());
  kernels::channel_scale(cuda(), {2, 0, 5, 0.1}, nothing.data(), nothing.data(), nothing.data());
  kernels::synchronize(cuda());
}

}  // namespace
}  // namespace psanet::tests
