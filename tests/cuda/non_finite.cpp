#include "tests/cuda/support.h"

namespace psanet::tests {
namespace {

template <class T>
void check_first(int64_t offset) {
  for (const auto& [n, place] : {std::pair<int64_t, int64_t>{1, 0},
                                 {7, 2},
                                 {8, 7},
                                 {9, 8},
                                 {4099, 0},
                                 {4099, 2000},
                                 {4099, 4098},
                                 {135000, 134998}}) {  // more than a step of the emulation's grid, in bf16 too
    std::vector<float> values = random_values(n + offset, 1);
    const Array<T> fine(stored<T>(values));
    const float bad[] = {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(), NAN};
    for (int64_t i = place; i < n; i += 1 + i % 5) values[static_cast<size_t>(i + offset)] = bad[i % 3];
    const Array<T> x(stored<T>(values));
    for_each_schedule([&] {
      CHECK(kernels::first_non_finite(cuda(), n, x.data() + offset) == place);
      CHECK(kernels::first_non_finite(cuda(), n, fine.data() + offset) == -1);
    });
  }
}

TEST_CASE("non finite: the first of them is found") {
  check_first<float>(0);
  check_first<bf16>(0);
}

TEST_CASE("non finite: also where values are not aligned") {
  check_first<float>(1);
  check_first<bf16>(3);
}

TEST_CASE("non finite: the largest numbers are finite and nothing is too") {
  const float largest = std::numeric_limits<float>::max();
  const Array<float> x(std::vector<float>{largest, -largest, 0, 1e-45f}), nothing(0);
  CHECK(kernels::first_non_finite(cuda(), 4, x.data()) == -1);
  CHECK(kernels::first_non_finite(cuda(), 0, nothing.data()) == -1);
}

}  // namespace
}  // namespace psanet::tests
