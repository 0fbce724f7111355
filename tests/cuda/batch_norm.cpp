#include "kernels/batch_norm.h"

#include <cmath>
#include <limits>

#include "tests/cuda/support.h"

namespace psanet::tests {
namespace {

using kernels::BatchNormDims;
using kernels::BatchNormEpilogue;
using Values = std::vector<float>;

// rows: one; fewer and more than a block of rows has; several shares. channels: one; scalar; wide in bf16 and float or
// in float alone; several blocks of channels with the last one incomplete.
const BatchNormDims kShapes[] = {{1, 3},   {1, 64},    {2, 1},    {37, 19}, {300, 8},
                                 {77, 21}, {130, 150}, {513, 64}, {70, 264}};

const BatchNormEpilogue kEpilogues[] = {{false, false}, {false, true}, {true, false}, {true, true}};

size_t count(const BatchNormDims& dims) {
  return static_cast<size_t>(dims.rows * dims.channels);
}

/// Values around a mean and with a deviation that differ from channel to channel.
Values channel_values(const BatchNormDims& dims, unsigned seed) {
  Values x = random_values(dims.rows * dims.channels, seed);
  const Values mean = random_values(dims.channels, seed + 100), spread = random_values(dims.channels, seed + 200);
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t c = i % static_cast<size_t>(dims.channels);
    x[i] = mean[c] + (1.5f + spread[c]) * x[i];
  }
  return x;
}

/// What a batch norm has for each channel.
struct PerChannel {
  Values mean, variance, weight, bias, d_weight, d_bias;

  explicit PerChannel(int64_t channels)
      : mean(random_values(channels, 11)),
        variance(random_values(channels, 12)),
        weight(random_values(channels, 13)),
        bias(random_values(channels, 14)),
        d_weight(random_values(channels, 15)),
        d_bias(random_values(channels, 16)) {
    for (float& v : variance) v += 1.5f;
  }
};
struct PerChannelOnDevice {
  Array<float> mean, variance, weight, bias, d_weight, d_bias;

  explicit PerChannelOnDevice(const PerChannel& p)
      : mean(p.mean), variance(p.variance), weight(p.weight), bias(p.bias), d_weight(p.d_weight), d_bias(p.d_bias) {}
};

/// In double, in two passes: the CPU's statistics are in float within short runs of rows.
void exact_statistics(const BatchNormDims& dims, const Values& x, Values& mean, Values& variance) {
  const auto channels = static_cast<size_t>(dims.channels);
  const auto rows = static_cast<double>(dims.rows);
  for (size_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    for (size_t i = c; i < x.size(); i += channels) sum += static_cast<double>(x[i]);
    for (size_t i = c; i < x.size(); i += channels) squares += std::pow(static_cast<double>(x[i]) - sum / rows, 2);
    mean.push_back(static_cast<float>(sum / rows));
    variance.push_back(static_cast<float>(squares / rows));
  }
}

template <class T>
void check_statistics(const BatchNormDims& dims, const Values& values, double relative_mean, double relative_variance) {
  const Values x = through<T>(values);
  Values mean, variance;
  exact_statistics(dims, x, mean, variance);
  const Array<T> in(stored<T>(x));
  const Array<float> m(dims.channels), v(dims.channels);
  SameBits<float> same_mean, same_variance;
  for_each_schedule([&] {
    m.poison();
    v.poison();
    kernels::batch_norm_statistics(cuda(), dims, in.data(), m.data(), v.data());
    check_close(m.get(), mean, relative_mean, "mean");
    check_close(v.get(), variance, relative_variance, "variance");
    same_mean(m.get());
    same_variance(v.get());
  });
}

template <class T>
void check_apply() {
  for (const BatchNormDims& dims : kShapes) {
    const PerChannel p(dims.channels);
    const PerChannelOnDevice d(p);
    const Values x = through<T>(channel_values(dims, 1)), residual = through<T>(channel_values(dims, 2));
    const Array<T> in(stored<T>(x)), more(stored<T>(residual)), out(dims.rows * dims.channels);
    for (const BatchNormEpilogue& epilogue : kEpilogues) {
      Values y(count(dims));
      kernels::batch_norm_apply(cpu(), dims, epilogue, x.data(), p.mean.data(), p.variance.data(), p.weight.data(),
                                p.bias.data(), residual.data(), y.data());
      for_each_schedule([&] {
        out.poison();
        kernels::batch_norm_apply(cuda(), dims, epilogue, in.data(), d.mean.data(), d.variance.data(), d.weight.data(),
                                  d.bias.data(), epilogue.residual ? more.data() : nullptr, out.data());
        check_close(as_floats(out.get()), y, tolerance<T>(), "apply");
      });
    }
  }
}

template <class T>
void check_apply_in_place() {
  for (const BatchNormDims& dims : {BatchNormDims{37, 19}, BatchNormDims{150, 64}}) {
    const PerChannel p(dims.channels);
    const PerChannelOnDevice d(p);
    const Values x = through<T>(channel_values(dims, 1)), residual = through<T>(channel_values(dims, 2));
    Values y(count(dims));
    kernels::batch_norm_apply(cpu(), dims, {true, true}, x.data(), p.mean.data(), p.variance.data(), p.weight.data(),
                              p.bias.data(), residual.data(), y.data());
    const Array<T> in(stored<T>(x)), more(stored<T>(residual));
    for (const Array<T>* out : {&in, &more}) {
      for_each_schedule([&] {
        in.set(stored<T>(x));
        more.set(stored<T>(residual));
        kernels::batch_norm_apply(cuda(), dims, {true, true}, in.data(), d.mean.data(), d.variance.data(),
                                  d.weight.data(), d.bias.data(), more.data(), out->data());
        check_close(as_floats(out->get()), y, tolerance<T>(), out == &in ? "y is x" : "y is the residual");
      });
    }
  }
}

template <class T>
void check_backward_reduce() {
  for (const BatchNormDims& dims : kShapes) {
    for (bool relu : {false, true}) {
      const PerChannel p(dims.channels);
      const PerChannelOnDevice d(p);
      const Values x = through<T>(channel_values(dims, 1)), y = through<T>(channel_values(dims, 2)),
                   d_y = through<T>(channel_values(dims, 3));
      Values d_weight(p.weight.size()), d_bias(p.bias.size());
      kernels::batch_norm_backward_reduce(cpu(), dims, {false, relu}, x.data(), y.data(), p.mean.data(),
                                          p.variance.data(), d_y.data(), d_weight.data(), d_bias.data());
      const Array<T> in(stored<T>(x)), out(stored<T>(y)), gradient(stored<T>(d_y));
      const Array<float> of_weight(dims.channels), of_bias(dims.channels);
      SameBits<float> same_weight, same_bias;
      for_each_schedule([&] {
        of_weight.poison();
        of_bias.poison();
        kernels::batch_norm_backward_reduce(cuda(), dims, {false, relu}, in.data(), relu ? out.data() : nullptr,
                                            d.mean.data(), d.variance.data(), gradient.data(), of_weight.data(),
                                            of_bias.data());
        check_close(of_weight.get(), d_weight, 5e-6, "d_weight");
        check_close(of_bias.get(), d_bias, 5e-6, "d_bias");
        same_weight(of_weight.get());
        same_bias(of_bias.get());
      });
    }
  }
}

/// Where the results of the backward pass go.
enum class Place { apart, d_x_is_d_y, d_residual_is_d_y };

template <class T>
void check_backward_apply(const BatchNormDims& dims, bool relu, bool constant, bool residual, Place place) {
  INFO(fmt::format("{} rows, {} channels, relu {}, constant {}, residual {}, place {}", dims.rows, dims.channels, relu,
                   constant, residual, static_cast<int>(place)));
  const double total_rows = 2.0 * static_cast<double>(dims.rows);  // as if there were a second device
  const PerChannel p(dims.channels);
  const PerChannelOnDevice d(p);
  const Values x = through<T>(channel_values(dims, 1)), y = through<T>(channel_values(dims, 2)),
               d_y = through<T>(channel_values(dims, 3));
  Values d_x(count(dims)), d_residual(count(dims));
  kernels::batch_norm_backward_apply(cpu(), dims, {residual, relu}, total_rows, x.data(), y.data(), p.mean.data(),
                                     p.variance.data(), p.weight.data(), constant ? nullptr : p.d_weight.data(),
                                     constant ? nullptr : p.d_bias.data(), d_y.data(), d_x.data(),
                                     residual ? d_residual.data() : nullptr);
  const Array<T> in(stored<T>(x)), out(stored<T>(y)), gradient(stored<T>(d_y)), of_x(dims.rows * dims.channels),
      of_residual(dims.rows * dims.channels);
  const Array<T>& to_x = place == Place::d_x_is_d_y ? gradient : of_x;
  const Array<T>& to_residual = place == Place::d_residual_is_d_y ? gradient : of_residual;
  for_each_schedule([&] {
    of_x.poison();
    of_residual.poison();
    gradient.set(stored<T>(d_y));
    kernels::batch_norm_backward_apply(
        cuda(), dims, {residual, relu}, total_rows, constant ? nullptr : in.data(), relu ? out.data() : nullptr,
        constant ? nullptr : d.mean.data(), d.variance.data(), d.weight.data(), constant ? nullptr : d.d_weight.data(),
        constant ? nullptr : d.d_bias.data(), gradient.data(), to_x.data(), residual ? to_residual.data() : nullptr);
    check_close(as_floats(to_x.get()), d_x, tolerance<T>(), "d_x");
    if (residual) check_close(as_floats(to_residual.get()), d_residual, 0, "d_residual");
  });
}

template <class T>
void check_backward_applies() {
  for (const BatchNormDims& dims : kShapes) check_backward_apply<T>(dims, true, false, true, Place::apart);
  for (bool relu : {false, true}) {
    for (bool constant : {false, true}) {
      for (const BatchNormDims& dims : {BatchNormDims{37, 19}, BatchNormDims{70, 64}}) {
        check_backward_apply<T>(dims, relu, constant, false, Place::d_x_is_d_y);
        check_backward_apply<T>(dims, relu, constant, true, Place::d_residual_is_d_y);
      }
      check_backward_apply<T>({37, 24}, relu, constant, false, Place::apart);
    }
  }
}

TEST_CASE("batch norm: statistics over odd shapes") {
  for (const BatchNormDims& dims : kShapes) {
    check_statistics<float>(dims, channel_values(dims, 7), 1e-6, 2e-6);
    check_statistics<bf16>(dims, channel_values(dims, 7), 1e-6, 2e-6);
  }
}

TEST_CASE("batch norm: statistics at the sizes of training") {
  if (emulated()) return;  // minutes
  for (const BatchNormDims& dims : {BatchNormDims{16 * 59 * 59, 512}, BatchNormDims{16 * 233 * 233, 64}}) {
    const Values x = random_values(dims.rows * dims.channels, 7);
    check_statistics<float>(dims, x, 1e-6, 2e-6);
    check_statistics<bf16>(dims, x, 1e-6, 2e-6);
  }
}

TEST_CASE("batch norm: statistics are safe when the mean is large") {
  // Deviation 1e-2 around 1e3: squares of 1e6 in float would leave nothing of a variance of 1e-4.
  for (const BatchNormDims& dims : {BatchNormDims{700, 5}, BatchNormDims{700, 16}}) {
    Values x = random_values(dims.rows * dims.channels, 8);
    for (float& v : x) v = 1e3f + 1.7e-2f * v;
    check_statistics<float>(dims, x, 1e-7, 2e-6);
  }
}

TEST_CASE("batch norm: statistics survive a first value that is far out") {
  // The first value of every thread is what distances are taken from. Several rows for a thread: 16 shares of 250 rows.
  const BatchNormDims dims{4000, 16};
  Values x = random_values(dims.rows * dims.channels, 9);
  for (int64_t c = 0; c < dims.channels; ++c) x[static_cast<size_t>(c)] = 1e4f;
  check_statistics<float>(dims, x, 1e-5, 2e-6);  // the deviation is 158, the mean 2.5
}

TEST_CASE("batch norm: a constant channel has variance 0") {
  const BatchNormDims dims{123, 8};
  const Array<float> x(Values(count(dims), 0.1f)), mean(dims.channels), variance(dims.channels);
  kernels::batch_norm_statistics(cuda(), dims, x.data(), mean.data(), variance.data());
  CHECK(mean.get() == Values(8, 0.1f));
  CHECK(variance.get() == Values(8, 0.0f));
}

TEST_CASE("batch norm: statistics show NaN") {
  const BatchNormDims dims{123, 8};
  Values values(count(dims), 1.0f);
  values[8 * 50 + 3] = NAN;
  const Array<float> x(values), mean(dims.channels), variance(dims.channels);
  kernels::batch_norm_statistics(cuda(), dims, x.data(), mean.data(), variance.data());
  for (size_t c = 0; c < 8; ++c) {
    CHECK(std::isnan(mean.get()[c]) == (c == 3));
    CHECK(std::isnan(variance.get()[c]) == (c == 3));
  }
}

TEST_CASE("batch norm: apply with every epilogue") {
  check_apply<float>();
  check_apply<bf16>();
}

TEST_CASE("batch norm: apply in place of x or of the residual") {
  check_apply_in_place<float>();
  check_apply_in_place<bf16>();
}

TEST_CASE("batch norm: sums of the gradient") {
  check_backward_reduce<float>();
  check_backward_reduce<bf16>();
}

TEST_CASE("batch norm: gradient of x and of the residual apart and in place") {
  check_backward_applies<float>();
  check_backward_applies<bf16>();
}

TEST_CASE("batch norm: running statistics") {
  for (double total_rows : {1.0, 7.0}) {
    const int64_t channels = 150;
    const PerChannel p(channels);
    const PerChannelOnDevice d(p);
    const Values mean = random_values(channels, 21), variance = random_values(channels, 22);
    Values wanted_mean = mean, wanted_variance = variance;
    kernels::batch_norm_update_running(cpu(), channels, total_rows, 0.1f, p.mean.data(), p.variance.data(),
                                       wanted_mean.data(), wanted_variance.data());
    const Array<float> running_mean(channels), running_variance(channels);
    for_each_schedule([&] {
      running_mean.set(mean);
      running_variance.set(variance);
      kernels::batch_norm_update_running(cuda(), channels, total_rows, 0.1f, d.mean.data(), d.variance.data(),
                                         running_mean.data(), running_variance.data());
      check_close(running_mean.get(), wanted_mean, 3e-7, "running mean");
      check_close(running_variance.get(), wanted_variance, 3e-7, "running variance");
    });
  }
}

TEST_CASE("batch norm: running statistics stay where the guard is not finite") {
  const PerChannel p(150);
  const PerChannelOnDevice d(p);
  const Values mean = random_values(150, 21), variance = random_values(150, 22);
  for (const float guard : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity(), 3e38f}) {
    const Array<float> running_mean(mean), running_variance(variance), loss(Values{guard});
    kernels::batch_norm_update_running(cuda(), 150, 7, 0.1f, d.mean.data(), d.variance.data(), running_mean.data(),
                                       running_variance.data(), loss.data());
    CHECK((running_mean.get() != mean) == std::isfinite(guard));
    CHECK((running_variance.get() != variance) == std::isfinite(guard));
  }
}

TEST_CASE("batch norm: moments of several ranks are merged into those of all rows") {
  for (const int64_t channels : {1, 5, 128, 131}) {
    // Ranks of different sizes, one with a single row, a mean far from zero.
    const std::vector<int64_t> rows = {7, 1, 12, 3};
    const int64_t stride = 1 + 2 * channels, total = 23;
    Values x = random_values(total * channels, 41);
    for (float& v : x) v += 300;
    Values wanted_mean(static_cast<size_t>(channels)), wanted_variance(static_cast<size_t>(channels));
    kernels::batch_norm_statistics(cpu(), {total, channels}, x.data(), wanted_mean.data(), wanted_variance.data());

    std::vector<double> messages;
    std::vector<Values> means, variances;
    for (int64_t first = 0, r = 0; r < 4; first += rows[static_cast<size_t>(r++)]) {
      const int64_t own = rows[static_cast<size_t>(r)];
      Values mean(static_cast<size_t>(channels)), variance(static_cast<size_t>(channels));
      kernels::batch_norm_statistics(cpu(), {own, channels}, x.data() + first * channels, mean.data(), variance.data());
      std::vector<double> message(static_cast<size_t>(stride));
      kernels::batch_norm_pack_moments(cpu(), channels, static_cast<double>(own), mean.data(), variance.data(),
                                       message.data());
      const Array<float> m(mean), v(variance);
      const Array<double> on_device(stride);
      for_each_schedule([&] {
        on_device.poison();
        kernels::batch_norm_pack_moments(cuda(), channels, static_cast<double>(own), m.data(), v.data(),
                                         on_device.data());
        CHECK(on_device.get() == message);
      });
      messages.insert(messages.end(), message.begin(), message.end());
    }
    Values mean(static_cast<size_t>(channels)), variance(static_cast<size_t>(channels));
    kernels::batch_norm_merge_moments(cpu(), channels, 4, messages.data(), mean.data(), variance.data());
    check_close(mean, wanted_mean, 1e-6, "merged mean");
    check_close(variance, wanted_variance, 1e-4, "merged variance");  // means of about 300 are rounded to 3e-5

    const Array<double> from(messages);
    const Array<float> m(channels), v(channels);
    for_each_schedule([&] {
      m.poison();
      v.poison();
      kernels::batch_norm_merge_moments(cuda(), channels, 4, from.data(), m.data(), v.data());
      check_close(m.get(), mean, 1e-7, "merged mean on the device");
      check_close(v.get(), variance, 1e-6, "merged variance on the device");
    });
  }
}

TEST_CASE("batch norm: folded into a convolution") {
  for (const BatchNormDims& dims : {BatchNormDims{1, 1}, BatchNormDims{27, 5}, BatchNormDims{576, 3}}) {
    for (bool with_bias : {false, true}) {
      const PerChannel p(dims.channels);
      const PerChannelOnDevice d(p);
      const Values w = random_values(dims.rows * dims.channels, 31), conv_bias = random_values(dims.channels, 32);
      Values folded_w(w.size()), folded_bias(conv_bias.size());
      kernels::fold_batch_norm(cpu(), dims, w.data(), with_bias ? conv_bias.data() : nullptr, p.mean.data(),
                               p.variance.data(), p.weight.data(), p.bias.data(), folded_w.data(), folded_bias.data());
      const Array<float> from(w), shift(conv_bias), to(dims.rows * dims.channels), to_bias(dims.channels);
      for_each_schedule([&] {
        to.poison();
        to_bias.poison();
        kernels::fold_batch_norm(cuda(), dims, from.data(), with_bias ? shift.data() : nullptr, d.mean.data(),
                                 d.variance.data(), d.weight.data(), d.bias.data(), to.data(), to_bias.data());
        check_close(to.get(), folded_w, 3e-7, "folded weights");
        check_close(to_bias.get(), folded_bias, 3e-7, "folded bias");
      });
    }
  }
}

TEST_CASE("batch norm: no channels is nothing to do") {
  const Array<float> nothing(0);
  float* p = nothing.data();
  kernels::batch_norm_statistics(cuda(), {5, 0}, p, p, p);
  kernels::batch_norm_apply(cuda(), {5, 0}, {}, p, p, p, p, p, p, p);
  kernels::batch_norm_apply(cuda(), {0, 5}, {}, p, p, p, p, p, p, p);
  kernels::batch_norm_backward_reduce(cuda(), {5, 0}, {}, p, p, p, p, p, p, p);
  kernels::batch_norm_backward_apply(cuda(), {0, 5}, {}, 1, p, p, p, p, p, p, p, p, p, p);
  kernels::synchronize(cuda());
}

}  // namespace
}  // namespace psanet::tests
