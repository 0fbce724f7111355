// The op table on the CUDA backend: forward and backward, in float and in bf16.
#include "tests/device/devices.h"
#include "tests/support/device_parity.h"
#include "tests/support/op_subject.h"
#include "tests/support/ours_only.h"

namespace psanet::tests {
namespace {

/// Sums in another order, products fused with sums; rounding to 10 bits of mantissa; rounding to 7.
constexpr double kFloat = 4e-5, kTf32 = 4e-3, kBf16 = 2e-2;

void check_file(const std::string& file) {
  for (const OpCase& c : read_cases(file)) {
    INFO(c.name);
    const auto check = [&](Precision precision, DType activations, double tolerance) {
      INFO(name(precision));
      for (const std::string& problem : device_differences(c, processor(), gpu(precision), activations, tolerance)) {
        UNSCOPED_INFO(problem);
        CHECK(false);
      }
      CHECK(true);
    };
    check(Precision::fp32, DType::f32, kFloat);
    if (has_bf16(c)) check(Precision::bf16, DType::bf16, kBf16);
    if (!gpu_is_emulated()) check(Precision::tf32, DType::f32, kTf32);  // the emulation knows no tf32
  }
}

TEST_CASE("device ops: convolutions", "[ops]") {
  check_file("conv2d");
}
TEST_CASE("device ops: batch norm", "[ops]") {
  check_file("batch_norm");
}
TEST_CASE("device ops: pointwise ops and softmax and dropout and SGD", "[ops]") {
  check_file("pointwise");
}
TEST_CASE("device ops: concat and slice and reshape and matmul", "[ops]") {
  check_file("arrangement");
}
TEST_CASE("device ops: pools", "[ops]") {
  check_file("pool");
}
TEST_CASE("device ops: resize and its arg max and its cross entropy", "[ops]") {
  check_file("resize");
}
TEST_CASE("device ops: point-wise spatial attention", "[ops]") {
  check_file("psa");
}

TEST_CASE("device ops: with our own convolutions and matrix products", "[ops]") {
  const OursOnly ours;
  for (const char* file : {"conv2d", "arrangement", "psa"}) check_file(file);
}

}  // namespace
}  // namespace psanet::tests
