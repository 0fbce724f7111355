#include "data/read_ahead.h"

#include "data/codec.h"
#include "data/error.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

namespace psanet::data {
namespace {

TEST_CASE("samples are read ahead in order, and an error comes with its own sample") {
  const tests::TemporaryFolder folder;
  const Dataset dataset = load_dataset("scenes");
  std::vector<Sample> samples;
  for (int i = 0; i < 12; ++i) {
    samples.push_back({folder / (std::to_string(i) + ".png"), {}});
    if (i != 7) write_png(samples.back().image, Image(4 + i, 5, {10, 20, 30}));
  }
  for (std::size_t ahead : {1, 3, 50}) {
    ReadAhead reader(dataset, samples, ahead);
    for (int i = 0; i < 12; ++i) {
      if (i == 7) {
        CHECK_THROWS_AS(reader.next(), DataError);
      } else {
        CHECK(reader.next().image.height == 4 + i);
      }
    }
    CHECK(reader.waited_seconds() >= 0);
  }
  ReadAhead stopped_early(dataset, samples, 2);
  CHECK(stopped_early.next().image.height == 4);
}

}  // namespace
}  // namespace psanet::data
