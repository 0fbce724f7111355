// CUDA kernels beside the CPU's, over odd shapes. The same tests run in the emulation (test_cuda_emulated, without a
// GPU) and on a GPU (test_cuda): docs/cuda-emulation.md.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "kernels/context.h"
#include "kernels/memory.h"
#include "tests/support/catch.h"

namespace psanet::tests {

using kernels::bf16;
using kernels::to_bf16;
using kernels::to_float;

/// The reference: one thread (the race detector does not know OpenMP's barriers).
kernels::CpuContext& cpu();
/// The device under test. Skips the test, loudly, if this is the program for real GPUs and there is none.
kernels::CudaContext& cuda();
/// Is the device emulated?
bool emulated();

/// Runs body once for every schedule of the emulation (threads and blocks in forward, reverse and two random orders),
/// or three times on a GPU. Bodies compare bits between runs through same_bits().
void for_each_schedule(const std::function<void()>& body);

/// Device memory with n values of T, exactly: in the emulation the sanitizer sees the first byte beyond.
template <class T>
class Array {
 public:
  explicit Array(int64_t n) : n_(n), memory_(static_cast<T*>(kernels::allocate(cuda(), bytes()))) { poison(); }
  explicit Array(const std::vector<T>& values) : Array(static_cast<int64_t>(values.size())) { set(values); }
  ~Array() { kernels::release(cuda(), memory_); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  T* data() const { return memory_; }
  int64_t bytes() const { return n_ * static_cast<int64_t>(sizeof(T)); }
  void set(const std::vector<T>& values) const {
    REQUIRE(static_cast<int64_t>(values.size()) == n_);
    kernels::copy_to_device(cuda(), memory_, values.data(), bytes());
  }
  std::vector<T> get() const {
    std::vector<T> values(static_cast<size_t>(n_));
    kernels::copy_to_host(cuda(), values.data(), memory_, bytes());
    return values;
  }
  /// All bits one: NaN in float and bf16, 255 in uint8.
  void poison() const {
    const std::vector<uint8_t> ones(static_cast<size_t>(bytes()), 0xff);
    kernels::copy_to_device(cuda(), memory_, ones.data(), bytes());
  }

 private:
  int64_t n_;
  T* memory_;
};

/// Values in [-1, 1), a function of the seed.
std::vector<float> random_values(int64_t n, unsigned seed);

/// As T stores them.
template <class T>
std::vector<T> stored(const std::vector<float>& values) {
  std::vector<T> result;
  result.reserve(values.size());
  for (float v : values) {
    if constexpr (std::is_same_v<T, bf16>) {
      result.push_back(to_bf16(v));
    } else {
      result.push_back(v);
    }
  }
  return result;
}
template <class T>
std::vector<float> as_floats(const std::vector<T>& values) {
  std::vector<float> result;
  result.reserve(values.size());
  for (T v : values) result.push_back(to_float(v));
  return result;
}
/// What is left of float values once they have been stored as T: what the CPU reference must be fed.
template <class T>
std::vector<float> through(const std::vector<float>& values) {
  return as_floats(stored<T>(values));
}

/// Every value within `relative` of the largest |wanted| (and finite): one failure message for all.
void check_close(const std::vector<float>& found, const std::vector<float>& wanted, double relative,
                 const std::string& what);

/// Rounding of T in the output alone, and some more for sums: 2e-6 or 6e-3 times `factor`.
template <class T>
double tolerance(double factor = 1) {
  return factor * (std::is_same_v<T, bf16> ? 6e-3 : 2e-6);
}

/// The same bits as the first time, on every schedule.
template <class T>
class SameBits {
 public:
  void operator()(const std::vector<T>& now) {
    if (first_.empty()) {
      first_ = now;
    } else {
      INFO("another schedule gives other bits");
      CHECK(std::memcmp(first_.data(), now.data(), now.size() * sizeof(T)) == 0);
    }
  }

 private:
  std::vector<T> first_;
};

}  // namespace psanet::tests
