#include "kernels/elementwise.h"

#include "kernels/pointwise.h"
#include "tests/cuda/support.h"

namespace psanet::tests {
namespace {

const int64_t kSizes[] = {1, 3, 4, 7, 8, 31, 129, 1000, 4099};

template <class T>
void check_maps() {
  for (int64_t n : kSizes) {
    const std::vector<float> a = through<T>(random_values(n, 1)), b = through<T>(random_values(n, 2));
    std::vector<float> relu(a.size()), gradient(a.size()), sum(a.size()), scaled(a.size());
    kernels::map(cpu(), n, kernels::Relu{}, a.data(), relu.data());
    kernels::map(cpu(), n, kernels::ReluGradient{}, a.data(), b.data(), gradient.data());
    kernels::map(cpu(), n, kernels::Sum{}, a.data(), b.data(), sum.data());
    kernels::map(cpu(), n, kernels::Times{-0.75f}, a.data(), scaled.data());

    const Array<T> x(stored<T>(a)), z(stored<T>(b)), y(n);
    const Array<float> factor(std::vector<float>{-0.75f});
    for_each_schedule([&] {
      y.poison();
      kernels::map(cuda(), n, kernels::Relu{}, x.data(), y.data());
      check_close(as_floats(y.get()), relu, 0, "relu");
      y.poison();
      kernels::map(cuda(), n, kernels::ReluGradient{}, x.data(), z.data(), y.data());
      check_close(as_floats(y.get()), gradient, 0, "relu's gradient");
      y.poison();
      kernels::map(cuda(), n, kernels::Sum{}, x.data(), z.data(), y.data());
      check_close(as_floats(y.get()), through<T>(sum), 0, "sum");
      y.poison();
      kernels::map(cuda(), n, kernels::Times{-0.75f}, x.data(), y.data());
      check_close(as_floats(y.get()), through<T>(scaled), 0, "scale");
      y.poison();
      kernels::scale_by(cuda(), n, factor.data(), x.data(), y.data());
      check_close(as_floats(y.get()), through<T>(scaled), 0, "scale by a tensor");
    });
  }
}

template <class T>
void check_bias() {
  for (auto [rows, channels] : {std::pair<int64_t, int64_t>{1, 1}, {5, 3}, {77, 8}, {300, 21}, {130, 136}}) {
    const kernels::BiasDims dims{rows, channels};
    const std::vector<float> a = through<T>(random_values(rows * channels, 3)), bias = random_values(channels, 4);
    std::vector<float> sum(a.size()), d_bias(bias.size());
    kernels::bias_add(cpu(), dims, a.data(), bias.data(), sum.data());
    kernels::bias_backward(cpu(), dims, a.data(), d_bias.data());

    const Array<T> x(stored<T>(a)), y(rows * channels);
    const Array<float> b(bias), d_b(channels);
    SameBits<float> same_bits;
    for_each_schedule([&] {
      y.poison();
      d_b.poison();
      kernels::bias_add(cuda(), dims, x.data(), b.data(), y.data());
      kernels::bias_backward(cuda(), dims, x.data(), d_b.data());
      check_close(as_floats(y.get()), through<T>(sum), 1e-7, "bias_add");
      check_close(d_b.get(), d_bias, 1e-5, "bias_backward");
      same_bits(d_b.get());
    });
  }
}

TEST_CASE("elementwise: relu and sums and factors equal the CPU's to the bit, any length") {
  check_maps<float>();
  check_maps<bf16>();
}

TEST_CASE("elementwise: bias and its gradient") {
  check_bias<float>();
  check_bias<bf16>();
}

TEST_CASE("elementwise: relu keeps NaN") {
  const Array<float> x(std::vector<float>{NAN, -1, 2}), y(3);
  kernels::map(cuda(), 3, kernels::Relu{}, x.data(), y.data());
  const auto found = y.get();
  CHECK(std::isnan(found[0]));
  CHECK(found[1] == 0);
  CHECK(found[2] == 2);
}

TEST_CASE("elementwise: division gives 0 where the divisor is 0") {
  const Array<float> a(std::vector<float>{3, 5, -2}), b(std::vector<float>{2, 0, 4}), y(3);
  kernels::map(cuda(), 3, kernels::QuotientOrZero{}, a.data(), b.data(), y.data());
  CHECK(y.get() == std::vector<float>{1.5f, 0.0f, -0.5f});
}

TEST_CASE("elementwise: casts round to nearest even and widen exactly") {
  for (int64_t n : kSizes) {
    std::vector<float> values = random_values(n, 5);
    values[0] = 1.00390625f;  // halfway between two bf16 numbers: to even
    std::vector<bf16> wanted(values.size());
    kernels::cast(cpu(), n, values.data(), wanted.data());
    const Array<float> x(values), back(n);
    const Array<bf16> y(n);
    for_each_schedule([&] {
      y.poison();
      kernels::cast(cuda(), n, x.data(), y.data());
      kernels::cast(cuda(), n, y.data(), back.data());
      check_close(as_floats(y.get()), as_floats(wanted), 0, "float to bf16");
      check_close(back.get(), as_floats(wanted), 0, "bf16 to float");
    });
  }
}

TEST_CASE("elementwise: block copies of every width") {
  for (int64_t value_bytes : {int64_t{1}, int64_t{2}, int64_t{4}}) {
    for (int64_t inner : {1, 3, 4, 16, 21}) {
      const kernels::BlockCopyDims dims{7, inner, inner + 3, 1, 2 * inner + 1, inner, value_bytes};
      const auto bytes = [&](int64_t values) { return static_cast<size_t>(values * value_bytes); };
      std::vector<uint8_t> from(bytes(dims.outer * dims.source_stride + 8)),
          to(bytes(dims.outer * dims.target_stride + 8), 7), wanted = to;
      for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<uint8_t>(i * 31);
      kernels::block_copy(cpu(), dims, from.data(), wanted.data());
      const Array<uint8_t> source(from), target(to);
      for_each_schedule([&] {
        target.set(to);
        kernels::block_copy(cuda(), dims, source.data(), target.data());
        CHECK(target.get() == wanted);
      });
    }
  }
}

}  // namespace
}  // namespace psanet::tests
