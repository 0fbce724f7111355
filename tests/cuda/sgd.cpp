#include "kernels/sgd.h"

#include <cmath>
#include <limits>
#include <memory>

#include "tests/cuda/support.h"

namespace psanet::tests {
namespace {

using kernels::SgdTensor;
using Values = std::vector<float>;

/// A tensor on both sides.
struct Pair {
  Values w, v, g;
  std::vector<bf16> copy;
  Array<float> device_w, device_v, device_g;
  Array<bf16> device_copy;
  int64_t offset;  // of the device's values in their arrays: 1 is an address that cannot be read 16 bytes at a time
  SgdTensor settings;

  Pair(int64_t n, unsigned seed, int64_t offset_, bool copied)
      : w(random_values(n + offset_, seed)),
        v(random_values(n + offset_, seed + 1)),
        g(random_values(n + offset_, seed + 2)),
        copy(w.size()),
        device_w(w),
        device_v(v),
        device_g(g),
        device_copy(n + offset_),
        offset(offset_) {
    settings.elements = n;
    settings.rate_factor = seed % 2 == 0 ? 1.0f : 10.0f;
    settings.weight_decay = seed % 3 == 0 ? 0.0f : 1e-1f;
    if (copied) settings.copy = copy.data() + offset;
  }

  SgdTensor host() {
    SgdTensor t = settings;
    t.parameter = w.data() + offset;
    t.momentum = v.data() + offset;
    t.gradient = g.data() + offset;
    return t;
  }
  SgdTensor device() {
    SgdTensor t = settings;
    t.parameter = device_w.data() + offset;
    t.momentum = device_v.data() + offset;
    t.gradient = device_g.data() + offset;
    if (t.copy != nullptr) t.copy = device_copy.data() + offset;
    return t;
  }
};

void check_steps(const std::vector<int64_t>& sizes) {
  constexpr float kMomentum = 0.9f;
  const Values rate{0.05f};
  const Array<float> device_rate(rate);
  SameBits<float> same_bits;
  for_each_schedule([&] {
    std::vector<std::unique_ptr<Pair>> pairs;
    std::vector<SgdTensor> host, device;
    for (size_t i = 0; i < sizes.size(); ++i) {
      pairs.push_back(std::make_unique<Pair>(sizes[i], static_cast<unsigned>(7 * i), i % 4 == 3, i % 2 == 0));
      host.push_back(pairs.back()->host());
      device.push_back(pairs.back()->device());
    }
    for (int step = 0; step < 2; ++step) {
      kernels::sgd_step(cpu(), host, kMomentum, rate.data());
      kernels::sgd_step(cuda(), device, kMomentum, device_rate.data());
    }
    Values all;
    for (auto& p : pairs) {
      // A GPU contracts a * b + c: one rounding less.
      const Values w = p->device_w.get();
      check_close(w, p->w, 1e-6, "parameter");
      check_close(p->device_v.get(), p->v, 1e-6, "momentum");
      all.insert(all.end(), w.begin(), w.end());
      if (p->settings.copy == nullptr) continue;
      const std::vector<bf16> copy = p->device_copy.get();
      for (size_t i = static_cast<size_t>(p->offset); i < w.size(); ++i) REQUIRE(copy[i].bits == to_bf16(w[i]).bits);
    }
    same_bits(all);
  });
}

TEST_CASE("sgd: tensors of every length in one launch") {
  check_steps({1, 3, 4, 5, 1023, 0, 4096, 4097, 9001, 64, 17});
}

TEST_CASE("sgd: more tensors than a launch takes") {
  std::vector<int64_t> sizes(150, 5);
  sizes[63] = 4100;
  sizes[64] = 6;
  sizes[127] = 0;
  sizes[128] = 4097;
  check_steps(sizes);
}

TEST_CASE("sgd: nothing to do") {
  const Array<float> rate(Values{1});
  kernels::sgd_step(cuda(), {}, 0.9f, rate.data());
  kernels::sgd_step(cuda(), std::vector<SgdTensor>(3), 0.9f, rate.data());
  kernels::synchronize(cuda());
}

TEST_CASE("sgd: the first step is the plain gradient with decay") {
  const Array<float> w(Values{2, -1, 0.5f}), v(Values{0, 0, 0}), g(Values{1, 0, -4}), rate(Values{0.5f});
  SgdTensor t;
  t.parameter = w.data();
  t.momentum = v.data();
  t.gradient = g.data();
  t.elements = 3;
  t.rate_factor = 2;
  t.weight_decay = 0.25f;
  kernels::sgd_step(cuda(), std::vector<SgdTensor>{t}, 0.9f, rate.data());
  CHECK(v.get() == Values{1.5f, -0.25f, -3.875f});
  CHECK(w.get() == Values{0.5f, -0.75f, 4.375f});
}

TEST_CASE("sgd: where the guard is not finite nothing changes") {
  const Values before_w{2, -1, 0.5f, 3, 4}, before_v{1, 2, 3, 4, 5};
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  for (const float guard : {nan, infinity, -infinity, 0.0f, std::numeric_limits<float>::max()}) {
    const Array<float> w(before_w), v(before_v), g(Values{nan, 1, 1, 1, 1}), rate(Values{0.5f}), loss(Values{guard});
    const Array<bf16> copy(5);
    SgdTensor t;
    t.parameter = w.data();
    t.momentum = v.data();
    t.gradient = g.data();
    t.elements = 5;
    t.copy = copy.data();
    const std::vector<bf16> before_copy = copy.get();
    kernels::sgd_step(cuda(), std::vector<SgdTensor>{t}, 0.9f, rate.data(), loss.data());
    const bool changes = std::isfinite(guard);
    CHECK((v.get() != before_v) == changes);
    CHECK((w.get() != before_w) == changes);
    CHECK((copy.get()[1].bits != before_copy[1].bits) == changes);
  }
}

}  // namespace
}  // namespace psanet::tests
