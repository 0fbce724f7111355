#include "kernels/psa_projected.h"

#include "kernels/cuda/block_choice.h"
#include "tests/cuda/support.h"

namespace psanet::tests {
namespace {

using kernels::PsaDims;
using kernels::PsaMode;
using kernels::PsaProjectedDims;

/// 64-byte aligned memory of the CPU.
class Workspace {
 public:
  explicit Workspace(int64_t bytes) : memory_(static_cast<size_t>(bytes) + 64) {}
  void* data() { return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(memory_.data()) + 63) / 64 * 64); }

 private:
  std::vector<char> memory_;
};

struct Tensors {
  std::vector<float> value, features, weight, d_out, out, statistics, d_value, d_features, d_weight;
};

template <class T>
Tensors random_tensors(const PsaProjectedDims& d) {
  const int64_t positions = d.psa.batch * d.psa.positions();
  Tensors t;
  t.value = through<T>(random_values(positions * d.psa.channels, 1));
  t.features = through<T>(random_values(positions * d.features, 2));
  t.weight = through<T>(random_values(d.psa.logit_channels() * d.features, 3));
  t.d_out = through<T>(random_values(positions * d.psa.channels, 4));
  t.out.resize(t.value.size());
  t.statistics.resize(static_cast<size_t>(positions * 2));
  t.d_value.resize(t.value.size());
  t.d_features.resize(t.features.size());
  t.d_weight.resize(t.weight.size());
  return t;
}

/// A convolution in loops, then point-wise spatial attention on the CPU, both through T where the GPU stores.
template <class T>
Tensors reference(const PsaProjectedDims& d) {
  Tensors t = random_tensors<T>(d);
  const int64_t positions = d.psa.batch * d.psa.positions(), entries = d.psa.logit_channels(), features = d.features;
  std::vector<float> logits(static_cast<size_t>(positions * entries)), d_logits(logits.size());
  for (int64_t p = 0; p < positions; ++p) {
    for (int64_t e = 0; e < entries; ++e) {
      float sum = 0;
      for (int64_t f = 0; f < features; ++f) {
        sum += t.features[static_cast<size_t>(p * features + f)] * t.weight[static_cast<size_t>(e * features + f)];
      }
      logits[static_cast<size_t>(p * entries + e)] = sum;
    }
  }
  logits = through<T>(logits);
  Workspace workspace(kernels::psa_workspace_bytes(cpu(), d.psa));
  kernels::psa_forward(cpu(), d.psa, t.value.data(), logits.data(), t.out.data(), t.statistics.data(),
                       workspace.data());
  t.out = through<T>(t.out);
  kernels::psa_backward(cpu(), d.psa, t.value.data(), logits.data(), t.out.data(), t.statistics.data(), t.d_out.data(),
                        t.d_value.data(), d_logits.data(), workspace.data());
  d_logits = through<T>(d_logits);
  for (int64_t p = 0; p < positions; ++p) {
    for (int64_t e = 0; e < entries; ++e) {
      const float g = d_logits[static_cast<size_t>(p * entries + e)];
      for (int64_t f = 0; f < features; ++f) {
        const auto feature = static_cast<size_t>(p * features + f), weight = static_cast<size_t>(e * features + f);
        t.d_features[feature] += g * t.weight[weight];
        t.d_weight[weight] += g * t.features[feature];
      }
    }
  }
  return t;
}

std::string describe(const PsaProjectedDims& d) {
  const PsaDims& p = d.psa;
  return fmt::format("{}x{}x{}x{} mask {}x{} features {} groups {}{}{}{}", p.batch, p.height, p.width, p.channels,
                     p.mask_h, p.mask_w, d.features, d.groups(),
                     p.mode == PsaMode::collect ? " collect" : " distribute", p.compact ? " compact" : "",
                     p.softmax ? "" : " without softmax");
}

void check_cpu(const PsaProjectedDims& d) {
  INFO(describe(d) << " on the CPU");
  const Tensors t = reference<float>(d);
  Tensors found = random_tensors<float>(d);
  std::vector<float> scores(static_cast<size_t>(d.score_elements()), NAN);
  const auto forward = kernels::prepare_psa_projected_forward(cpu(), d);
  const auto backward = kernels::prepare_psa_projected_backward(cpu(), d);
  Workspace workspace(std::max(forward->workspace_bytes(), backward->workspace_bytes()));
  forward->run(t.value.data(), t.features.data(), t.weight.data(), found.out.data(), scores.data(),
               found.statistics.data(), workspace.data());
  check_close(found.out, t.out, 1e-5, "out");
  backward->run(t.value.data(), t.features.data(), t.weight.data(), t.out.data(), scores.data(), t.statistics.data(),
                t.d_out.data(), found.d_value.data(), found.d_features.data(), found.d_weight.data(), workspace.data());
  check_close(found.d_value, t.d_value, 1e-5, "d_value");
  check_close(found.d_features, t.d_features, 1e-5, "d_features");
  check_close(found.d_weight, t.d_weight, 1e-5, "d_weight");
}

template <class T>
void check_cuda(PsaProjectedDims d) {
  d.scalar = kernels::kScalar<T>;
  INFO(describe(d) << (std::is_same_v<T, bf16> ? " bf16" : " float"));
  const Tensors t = reference<T>(d);
  const auto like = [](const std::vector<float>& values) { return static_cast<int64_t>(values.size()); };
  const Array<T> value(stored<T>(t.value)), features(stored<T>(t.features)), weight(stored<T>(t.weight));
  const Array<T> d_out(stored<T>(t.d_out)), saved_out(stored<T>(t.out));
  const Array<T> out(like(t.out)), scores(d.score_elements());
  const Array<T> d_value(like(t.d_value)), d_features(like(t.d_features));
  const Array<float> statistics(like(t.statistics)), saved_statistics(t.statistics), d_weight(like(t.d_weight));
  const auto forward = kernels::prepare_psa_projected_forward(cuda(), d);
  const auto backward = kernels::prepare_psa_projected_backward(cuda(), d);
  SameBits<T> same_out, same_d_value, same_d_features;
  SameBits<float> same_d_weight;
  for_each_schedule([&] {
    for (const auto* a : {&out, &scores, &d_value, &d_features}) a->poison();
    statistics.poison();
    d_weight.poison();
    {
      const Array<uint8_t> workspace(forward->workspace_bytes());
      forward->run(value.data(), features.data(), weight.data(), out.data(), scores.data(), statistics.data(),
                   workspace.data());
      check_close(as_floats(out.get()), t.out, tolerance<T>(4), "out");
      if (d.psa.softmax) check_close(statistics.get(), t.statistics, tolerance<T>(4), "statistics");
    }
    const Array<uint8_t> workspace(backward->workspace_bytes());
    backward->run(value.data(), features.data(), weight.data(), saved_out.data(), scores.data(),
                  saved_statistics.data(), d_out.data(), d_value.data(), d_features.data(), d_weight.data(),
                  workspace.data());
    check_close(as_floats(d_value.get()), t.d_value, tolerance<T>(4), "d_value");
    check_close(as_floats(d_features.get()), t.d_features, tolerance<T>(4), "d_features");
    check_close(d_weight.get(), t.d_weight, tolerance<T>(4), "d_weight");
    same_out(out.get());
    same_d_value(d_value.get());
    same_d_features(d_features.get());
    same_d_weight(d_weight.get());
  });
}

/// group_size: rows of owners in a group; 0: few maps of tests are large enough for more than one group.
void check_all(const PsaDims& psa, int64_t features, int64_t group_size = 0) {
  PsaProjectedDims d{psa, features};
  d.group_size = group_size;
  for (PsaMode mode : {PsaMode::collect, PsaMode::distribute}) {
    d.psa.mode = mode;
    check_cpu(d);
    check_cuda<float>(d);
    check_cuda<bf16>(d);
  }
}

TEST_CASE("psa projected: full masks, any map") {
  check_all({1, 1, 1, 8, 1, 1}, 8);
  check_all({2, 2, 3, 8, 3, 5}, 16);
  check_all({2, 7, 5, 24, 13, 9}, 24);
  for (int64_t group_size : {1, 3}) check_all({2, 7, 5, 8, 13, 9}, 8, group_size);
}

TEST_CASE("psa projected: masks smaller than the map and larger and even") {
  check_all({2, 7, 5, 8, 3, 3}, 8);
  for (int64_t group_size : {1, 2}) {
    check_all({2, 7, 5, 8, 3, 3}, 8, group_size);
    check_all({1, 9, 3, 8, 9, 5}, 8, group_size);
    check_all({1, 3, 5, 8, 11, 3}, 16, group_size);
    check_all({2, 5, 4, 8, 4, 6}, 8, group_size);
  }
}

TEST_CASE("psa projected: large blocks and the size of training") {
  const int before = kernels::cuda::multiprocessors(cuda());
  kernels::cuda::pretend_multiprocessors(cuda(), 1);  // never idle: blocks are large
  check_all({2, 7, 5, 24, 13, 9}, 24);
  if (!emulated()) check_all({1, 30, 30, 512, 59, 59}, 512);
  kernels::cuda::pretend_multiprocessors(cuda(), before);
}

TEST_CASE("psa projected: compact") {
  PsaDims psa{2, 5, 7, 8};
  psa.compact = true;
  check_all(psa, 16, 2);
}

TEST_CASE("psa projected: without softmax") {
  PsaDims psa{2, 5, 4, 8, 3, 7};
  psa.softmax = false;
  psa.scale = 0.05f;
  check_all(psa, 8, 2);
}

TEST_CASE("psa projected: windows of the published networks hold every score that is read and few others") {
  for (auto [batch, height, mask] : {std::tuple<int64_t, int64_t, int64_t>{16, 30, 59},
                                     {1, 30, 59},
                                     {16, 59, 117},
                                     {16, 59, 59},
                                     {16, 45, 89},
                                     {2, 90, 97},
                                     {1, 7, 66}}) {
    const PsaProjectedDims d{{batch, height, height, 512, mask, mask}, 512};
    CAPTURE(batch, height, mask, d.group_rows());
    const int64_t half = (mask - 1) / 2;
    int64_t row = height - 1;
    for (int64_t group = 0; group < d.groups(); ++group) {
      const auto window = d.window(group);
      CHECK(window.count * mask <= d.score_columns());
      REQUIRE(d.rows_of_group(group) > 0);
      for (int64_t i = 0; i < d.rows_of_group(group); ++i, --row) {
        CHECK(window.begin <= std::max<int64_t>(0, half - row));
        CHECK(window.begin + window.count >= std::min(mask, half - row + height));
      }
    }
    CHECK(row == -1);
    if (batch == 16 && mask == 2 * height - 1) CHECK(3 * d.score_columns() < 2 * mask * mask);
  }
}

}  // namespace
}  // namespace psanet::tests
