// Copies that the host does not wait for.
#include "kernels/pointwise.h"
#include "tests/cuda/support.h"

namespace psanet::tests {
namespace {

TEST_CASE("host copies: what was copied may change at once and more copies than slots keep their values") {
  constexpr int kCopies = 30;  // without a wait between them
  std::vector<std::unique_ptr<Array<float>>> arrays;
  std::vector<float> values(1000);
  for (int i = 0; i < kCopies; ++i) {
    const int64_t n = 10 + 30 * i;
    arrays.push_back(std::make_unique<Array<float>>(n));
    std::fill(values.begin(), values.end(), static_cast<float>(i));
    kernels::copy_to_device(cuda(), arrays.back()->data(), values.data(), n * 4);
  }
  std::fill(values.begin(), values.end(), -1.0f);
  for (int i = 0; i < kCopies; ++i) {
    INFO("copy " << i);
    CHECK(arrays[static_cast<size_t>(i)]->get() ==
          std::vector<float>(static_cast<size_t>(10 + 30 * i), static_cast<float>(i)));
  }
}

TEST_CASE("host copies: a copy longer than a slot goes in pieces") {
  std::vector<uint8_t> values((size_t{65} << 20) + 3);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<uint8_t>(i % 251);
  const Array<uint8_t> x(values);
  CHECK(x.get() == values);
}

TEST_CASE("host copies: a readback gives the values of its request and not those of later launches") {
  const Array<float> x(std::vector<float>{1, 2, 3});
  const auto reader = kernels::make_readback(cuda(), x.data(), 12),
             other = kernels::make_readback(cuda(), x.data(), 12);
  const auto values = [](kernels::Readback& r) {
    const auto* first = static_cast<const float*>(r.wait());
    return std::vector<float>(first, first + 3);
  };
  reader->request();
  kernels::map(cuda(), 3, kernels::Times{2}, x.data(), x.data());
  other->request();
  kernels::map(cuda(), 3, kernels::Times{2}, x.data(), x.data());
  CHECK(values(*reader) == std::vector<float>{1, 2, 3});
  CHECK(values(*other) == std::vector<float>{2, 4, 6});
  reader->request();
  CHECK(values(*reader) == std::vector<float>{4, 8, 12});
}

TEST_CASE("host copies: the processor reads back the same way") {
  std::vector<float> x{1, 2};
  const auto reader = kernels::make_readback(cpu(), x.data(), 8);
  reader->request();
  x[0] = 7;
  CHECK(static_cast<const float*>(reader->wait())[0] == 1);
}

}  // namespace
}  // namespace psanet::tests
