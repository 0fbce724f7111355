#include "kernels/psa.h"

#include "kernels/cuda/block_choice.h"
#include "tests/cuda/support.h"

namespace psanet::tests {
namespace {

using kernels::PsaDims;
using kernels::PsaMode;

struct Tensors {
  std::vector<float> value, logits, d_out, out, statistics, d_value, d_logits;
};

/// What the CPU makes of random values, all as T stores them.
template <class T>
Tensors reference(const PsaDims& d, float magnitude, kernels::CpuContext& host = cpu()) {
  const int64_t values = d.batch * d.positions() * d.channels, logits = d.batch * d.positions() * d.logit_channels();
  Tensors t{through<T>(random_values(values, 1)),
            random_values(logits, 2),
            through<T>(random_values(values, 3)),
            {},
            {},
            {},
            {}};
  for (float& v : t.logits) v *= magnitude;
  t.logits = through<T>(t.logits);
  t.out.resize(t.value.size());
  t.d_value.resize(t.value.size());
  t.statistics.resize(static_cast<size_t>(d.batch * d.positions() * 2));
  t.d_logits.resize(t.logits.size());
  std::vector<char> workspace(static_cast<size_t>(kernels::psa_workspace_bytes(host, d)) + 64);
  void* aligned = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(workspace.data()) + 63) / 64 * 64);
  kernels::psa_forward(host, d, t.value.data(), t.logits.data(), t.out.data(), t.statistics.data(), aligned);
  t.out = through<T>(t.out);
  kernels::psa_backward(host, d, t.value.data(), t.logits.data(), t.out.data(), t.statistics.data(), t.d_out.data(),
                        t.d_value.data(), t.d_logits.data(), aligned);
  return t;
}

std::string describe(const PsaDims& d) {
  return fmt::format("{}x{}x{}x{} mask {}x{}{}{}{}", d.batch, d.height, d.width, d.channels, d.mask_h, d.mask_w,
                     d.mode == PsaMode::collect ? " collect" : " distribute", d.compact ? " compact" : "",
                     d.softmax ? "" : " without softmax");
}

template <class T>
void check(const PsaDims& d, float magnitude, kernels::CpuContext& host = cpu()) {
  INFO(describe(d) << (std::is_same_v<T, bf16> ? " bf16" : " float"));
  const Tensors t = reference<T>(d, magnitude, host);
  const Array<T> value(stored<T>(t.value)), logits(stored<T>(t.logits)), d_out(stored<T>(t.d_out));
  const Array<T> saved_out(stored<T>(t.out)), out(static_cast<int64_t>(t.out.size()));
  const Array<T> d_value(static_cast<int64_t>(t.value.size())), d_logits(static_cast<int64_t>(t.logits.size()));
  const Array<float> saved_statistics(t.statistics), statistics(static_cast<int64_t>(t.statistics.size()));
  const Array<uint8_t> workspace(kernels::psa_workspace_bytes(cuda(), d));
  SameBits<T> same_out, same_d_value, same_d_logits;
  SameBits<float> same_statistics;
  for_each_schedule([&] {
    for (const auto* a : {&out, &d_value, &d_logits}) a->poison();
    statistics.poison();
    workspace.poison();
    kernels::psa_forward(cuda(), d, value.data(), logits.data(), out.data(), statistics.data(), workspace.data());
    check_close(as_floats(out.get()), t.out, tolerance<T>(2), "out");
    if (d.softmax) check_close(statistics.get(), t.statistics, 3e-6, "statistics");
    workspace.poison();
    kernels::psa_backward(cuda(), d, value.data(), logits.data(), saved_out.data(), saved_statistics.data(),
                          d_out.data(), d_value.data(), d_logits.data(), workspace.data());
    check_close(as_floats(d_value.get()), t.d_value, tolerance<T>(2), "d_value");
    check_close(as_floats(d_logits.get()), t.d_logits, tolerance<T>(2), "d_logits");
    same_out(out.get());
    if (d.softmax) same_statistics(statistics.get());
    same_d_value(d_value.get());
    same_d_logits(d_logits.get());
  });
}

/// Both modes, both types.
void check_all(PsaDims d, float magnitude = 3, kernels::CpuContext& host = cpu()) {
  for (PsaMode mode : {PsaMode::collect, PsaMode::distribute}) {
    d.mode = mode;
    check<float>(d, magnitude, host);
    check<bf16>(d, magnitude, host);
  }
}

/// Kernels choose as they would on a GPU of so many multiprocessors, for as long as this lives.
class Pretended {
 public:
  explicit Pretended(int count) : before_(kernels::cuda::multiprocessors(cuda())) {
    kernels::cuda::pretend_multiprocessors(cuda(), count);
  }
  ~Pretended() { kernels::cuda::pretend_multiprocessors(cuda(), before_); }
  Pretended(const Pretended&) = delete;
  Pretended& operator=(const Pretended&) = delete;

 private:
  int before_;
};

// One multiprocessor is never idle: blocks are large. With a thousand they are small.
constexpr int kLargeBlocks = 1, kSmallBlocks = 1000;

//                                           N  H  W  C  mask
TEST_CASE("psa: full masks, any map") {
  check_all({1, 1, 1, 1, 1, 1});
  check_all({2, 2, 3, 8, 3, 5});
  check_all({1, 5, 7, 24, 9, 13});
  check_all({1, 9, 8, 72, 17, 15}, 10);
}

TEST_CASE("psa: a map of several blocks") {
  check_all({1, 3, 29, 8, 5, 57});
}

TEST_CASE("psa: masks smaller than the map") {
  check_all({2, 5, 7, 24, 3, 3});
  check_all({1, 9, 9, 8, 5, 7});
  check_all({1, 17, 5, 8, 1, 1});
  check_all({1, 30, 3, 16, 3, 5});  // blocks of pairs without a single score
}

TEST_CASE("psa: masks larger than the map in one direction or in both") {
  check_all({1, 5, 7, 8, 11, 21});
  check_all({2, 2, 3, 1, 15, 3});
  check_all({1, 9, 4, 24, 5, 31});
}

TEST_CASE("psa: even masks") {
  check_all({1, 5, 7, 8, 4, 6});
  check_all({2, 4, 3, 3, 8, 6});
  check_all({1, 3, 3, 8, 2, 2});
}

TEST_CASE("psa: channels that are not whole 16-byte units") {
  check_all({1, 5, 7, 1, 9, 13});
  check_all({2, 5, 7, 3, 3, 13});
  check_all({1, 5, 7, 19, 9, 3});
  check_all({1, 2, 3, 150, 3, 5});
}

TEST_CASE("psa: several blocks of channels and large blocks") {
  check_all({1, 2, 3, 260, 3, 5});
  check_all({2, 26, 5, 72, 3, 9});  // blocks of 128 positions: as many blocks as the emulation has multiprocessors
}

TEST_CASE("psa: large blocks and small ones whatever the GPU") {
  for (const int count : {kLargeBlocks, kSmallBlocks}) {
    const Pretended choice(count);
    check_all({1, 5, 7, 24, 9, 13});
    check_all({1, 2, 3, 260, 3, 5});   // two blocks of channels
    check_all({1, 9, 15, 40, 7, 29});  // two large blocks of positions, the second of 7
    check_all({2, 5, 7, 19, 9, 3});    // channels that are not whole 16-byte units
  }
}

// What PSANet50 trains with: crop 465 with shrink 2 and without, and a mask that is smaller than the map's window.
TEST_CASE("psa: the sizes of training") {
  if (emulated()) return;  // hours; the same kernels run on small maps above
  kernels::CpuContext host(0);
  check_all({16, 30, 30, 512, 59, 59}, 3, host);
  for (const int count : {kLargeBlocks, kSmallBlocks}) {
    const Pretended choice(count);
    check_all({2, 30, 30, 512, 59, 59}, 3, host);
    check_all({1, 59, 59, 512, 117, 117}, 3, host);
    check_all({1, 59, 59, 512, 59, 59}, 3, host);
  }
}

TEST_CASE("psa: compact") {
  for (PsaDims d : {PsaDims{1, 1, 1, 8}, PsaDims{2, 5, 7, 24}}) {
    d.compact = true;
    check_all(d);
  }
}

TEST_CASE("psa: without softmax") {
  for (PsaDims d : {PsaDims{2, 5, 7, 24, 9, 13}, PsaDims{1, 9, 9, 8, 5, 7}}) {
    d.softmax = false;
    d.scale = 1.0f / 117;
    check_all(d);
    d.compact = true;
    check_all(d);
  }
}

TEST_CASE("psa: a factor behind the softmax") {
  PsaDims d{1, 5, 7, 24, 3, 13};
  d.scale = 0.3f;
  check_all(d);
  d.mask_h = 9;
  check_all(d);
}

TEST_CASE("psa: logits of magnitude 10 and pairs without one") {
  check_all({1, 5, 9, 24, 7, 5}, 10);
}

TEST_CASE("psa: statistics are not wanted") {
  const PsaDims d{1, 5, 7, 8, 9, 13};
  const Tensors t = reference<float>(d, 3);
  const Array<float> value(t.value), logits(t.logits), out(static_cast<int64_t>(t.out.size()));
  const Array<uint8_t> workspace(kernels::psa_workspace_bytes(cuda(), d));
  kernels::psa_forward(cuda(), d, value.data(), logits.data(), out.data(), nullptr, workspace.data());
  check_close(out.get(), t.out, tolerance<float>(2), "out");
}

TEST_CASE("psa: nothing to do") {
  const PsaDims d{0, 5, 7, 8, 9, 13};
  kernels::psa_forward<float>(cuda(), d, nullptr, nullptr, nullptr, nullptr, nullptr);
  kernels::psa_backward<float>(cuda(), d, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
  kernels::synchronize(cuda());
}

}  // namespace
}  // namespace psanet::tests
