// What the tests of the kernels share: numbers, memory, simple layouts.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/memory.h"

namespace psanet::tests {

using Floats = std::vector<float>;

/// Values in [-range, range), the same for the same seed on every machine.
inline Floats numbers(int64_t count, uint64_t seed, float range = 1.0f) {
  Floats values(static_cast<size_t>(count));
  uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
  for (float& v : values) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    v = range * static_cast<float>(static_cast<int64_t>(state >> 40) - (1 << 23)) / static_cast<float>(1 << 23);
  }
  return values;
}

/// Numbers of at least `lowest`, for variances and the like.
inline Floats positive(int64_t count, uint64_t seed, float lowest = 0.5f) {
  Floats values = numbers(count, seed);
  for (float& v : values) v = lowest + std::fabs(v);
  return values;
}

/// Labels below `classes`, about one in eight of them 255.
inline std::vector<uint8_t> labels(int64_t count, int classes, uint64_t seed) {
  const Floats values = numbers(2 * count, seed);
  std::vector<uint8_t> result(static_cast<size_t>(count));
  for (size_t i = 0; i < result.size(); ++i) {
    const auto label = static_cast<int>((values[2 * i] + 1) / 2 * static_cast<float>(classes));
    result[i] = values[2 * i + 1] > 0.75f ? 255 : static_cast<uint8_t>(label);
  }
  return result;
}

/// Aligned memory of a context, for workspaces.
class Workspace {
 public:
  Workspace(kernels::CpuContext& ctx, int64_t bytes) : ctx_(ctx), memory_(kernels::allocate(ctx, bytes)) {
    // Not zero, not even a number: what a kernel reads there it must have written.
    std::memset(memory_, 0xff, static_cast<size_t>(bytes));
  }
  ~Workspace() { kernels::release(ctx_, memory_); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  operator void*() const { return memory_; }

 private:
  kernels::CpuContext& ctx_;
  void* memory_;
};

/// Bit for bit.
inline bool same_bits(const Floats& a, const Floats& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// "" if every |found - wanted| <= absolute + relative * |wanted|, else the worst place.
template <class Wanted>
std::string difference(const Floats& found, const std::vector<Wanted>& wanted, double absolute, double relative) {
  if (found.size() != wanted.size()) return "sizes differ";
  std::string worst;
  double most = 1;
  for (size_t i = 0; i < found.size(); ++i) {
    const auto f = static_cast<double>(found[i]), w = static_cast<double>(wanted[i]);
    const double ratio = std::fabs(f - w) / (absolute + relative * std::fabs(w));
    if (ratio <= most) continue;
    if (!(ratio <= most) && f == w) continue;  // equal with tolerance 0
    most = std::isnan(ratio) ? HUGE_VAL : ratio;
    worst = "[" + std::to_string(i) + "] found " + std::to_string(f) + ", wanted " + std::to_string(w);
  }
  return worst;
}

/// [N,C,H,W] (positions = H*W) to [N,H,W,C] and back.
template <class T>
std::vector<T> to_nhwc(const std::vector<T>& x, int64_t batch, int64_t channels, int64_t positions) {
  std::vector<T> y(x.size());
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t p = 0; p < positions; ++p) {
        y[static_cast<size_t>((n * positions + p) * channels + c)] =
            x[static_cast<size_t>((n * channels + c) * positions + p)];
      }
    }
  }
  return y;
}

}  // namespace psanet::tests
