// Every op against its definition: the cases of tests/layers/cases through the op harness. One test a file, so that
// they run side by side.
#include "tests/support/catch.h"
#include "tests/support/op_harness.h"

namespace psanet::tests {
namespace {

void check_file(const std::string& file) {
  Devices devices;
  for (const OpCase& c : read_cases(file)) {
    INFO(c.name);
    for (const std::string& problem : broken_promises(c, devices)) {
      UNSCOPED_INFO(problem);
      CHECK(false);
    }
    CHECK(true);
  }
}

TEST_CASE("ops: convolutions keep every promise", "[ops]") {
  check_file("conv2d");
}
TEST_CASE("ops: batch norm keeps every promise", "[ops]") {
  check_file("batch_norm");
}
TEST_CASE("ops: pointwise ops, softmax, dropout and SGD keep every promise", "[ops]") {
  check_file("pointwise");
}
TEST_CASE("ops: concat, slice, split weights, reshape and matmul keep every promise", "[ops]") {
  check_file("arrangement");
}
TEST_CASE("ops: pools keep every promise", "[ops]") {
  check_file("pool");
}
TEST_CASE("ops: resize, its taps and arg max and cross entropy keep every promise", "[ops]") {
  check_file("resize");
}
TEST_CASE("ops: point-wise spatial attention keeps every promise", "[ops]") {
  check_file("psa");
}

}  // namespace
}  // namespace psanet::tests
