#include "tests/cuda/gemm_checks.h"

namespace psanet::tests {
namespace {

TEST_CASE("gemm: leading dimensions beyond the row and gaps between matrices") {
  check_gemms_with_gaps();
}

TEST_CASE("gemm: matrices of a batch may overlap in what is read") {
  check_overlapping_gemms();
}

TEST_CASE("gemm: one row and one column and strides that no vector fits") {
  check_narrow_gemms();
}

}  // namespace
}  // namespace psanet::tests
