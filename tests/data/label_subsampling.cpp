#include "data/label_subsampling.h"

#include <vector>

#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

std::vector<std::uint8_t> subsampled(const std::vector<std::uint8_t>& from, data::LabelSize in, data::LabelSize out) {
  std::vector<std::uint8_t> to(from.size() / static_cast<std::size_t>(in.height * in.width) *
                               static_cast<std::size_t>(out.height * out.width));
  data::subsample_labels(static_cast<std::int64_t>(from.size()) / (in.height * in.width), in, from.data(), out,
                         to.data());
  return to;
}

TEST_CASE("labels at an eighth are every eighth pixel of every map") {
  std::vector<std::uint8_t> from(2 * 17 * 25);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::uint8_t>(i % 251);
  std::vector<std::uint8_t> wanted;
  for (std::size_t n = 0; n < 2; ++n) {
    for (std::size_t y = 0; y < 17; y += 8) {
      for (std::size_t x = 0; x < 25; x += 8) wanted.push_back(from[(n * 17 + y) * 25 + x]);
    }
  }
  CHECK(subsampled(from, {17, 25}, {3, 4}) == wanted);
}

TEST_CASE("labels at any size are picked and never mixed") {
  const std::vector<std::uint8_t> row = {1, 255, 3, 255, 5, 6};
  CHECK(subsampled(row, {1, 6}, {1, 6}) == row);
  // Places 0, 2.5 and 5 of the row: halves go up.
  CHECK(subsampled(row, {1, 6}, {1, 3}) == std::vector<std::uint8_t>{1, 255, 6});
  CHECK(subsampled(row, {6, 1}, {1, 1}) == std::vector<std::uint8_t>{1});
}

}  // namespace
}  // namespace psanet::tests
