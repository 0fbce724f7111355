#include "data/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "data/codec.h"
#include "data/error.h"
#include "data/file_bytes.h"
#include "tests/data/made_up.h"
#include "tests/support/temporary_folder.h"

using namespace psanet::data;
using namespace psanet::tests;

namespace {

/// A few small pictures on disk.
struct Fixture {
  explicit Fixture(int count) {
    for (int i = 0; i < count; ++i) {
      const std::string image = fmt::format("i{}.png", i), label = fmt::format("l{}.png", i);
      write_png(folder / image, made_up_image(24 + i, 40, i));
      write_label_png(folder / label, made_up_label(24 + i, 40, 4, i));
      samples.push_back({folder / image, folder / label});
    }
    config.augment.crop_h = 25;
    config.augment.crop_w = 33;
    config.batch = 2;
    config.seed = 11;
  }
  TemporaryFolder folder;
  std::vector<Sample> samples;
  LoaderConfig config;
};

struct Copy {
  std::int64_t iteration, epoch;
  std::vector<float> images;
  std::vector<std::uint8_t> labels;
  bool operator==(const Copy&) const = default;
};

Copy copy(const Batch& b) {
  const std::size_t pixels = std::size_t(b.samples * b.height * b.width);
  return {b.iteration, b.epoch, {b.images, b.images + pixels * 3}, {b.labels, b.labels + pixels}};
}

std::vector<Copy> run(const Fixture& f, const LoaderConfig& config, int batches, std::int64_t start = 0) {
  Loader loader(made_up_dataset(4), f.samples, config);
  if (start > 0) loader.seek(start);
  std::vector<Copy> result;
  for (int i = 0; i < batches; ++i) result.push_back(copy(loader.next()));
  return result;
}

}  // namespace

TEST_CASE("batches do not depend on workers, prefetch or cache") {
  Fixture f(7);
  f.config.workers = 0;
  const auto reference = run(f, f.config, 10);
  CHECK(reference[3].epoch == 1);  // 7 samples, batch 2: 3 iterations an epoch
  CHECK(reference[9].iteration == 9);
  CHECK(reference[0].images != reference[3].images);
  for (const int workers : {1, 3}) {
    for (const int prefetch : {1, 4}) {
      for (const std::size_t cache : {std::size_t{0}, std::size_t{9000}, std::size_t{1} << 30}) {
        f.config.workers = workers;
        f.config.prefetch = prefetch;
        f.config.cache_bytes = cache;
        CHECK(run(f, f.config, 10) == reference);
      }
    }
  }
  f.config.seed = 12;
  CHECK(run(f, f.config, 1)[0].images != reference[0].images);
}

TEST_CASE("seek continues as if the loader had come from the start") {
  Fixture f(7);
  for (const int workers : {0, 2}) {
    f.config.workers = workers;
    const auto all = run(f, f.config, 9);
    CHECK(run(f, f.config, 2, 7) == std::vector<Copy>(all.begin() + 7, all.end()));
    Loader loader(made_up_dataset(4), f.samples, f.config);
    for (int i = 0; i < 5; ++i) loader.next();
    loader.seek(1);
    CHECK(copy(loader.next()) == all[1]);
    CHECK(copy(loader.next()) == all[2]);
    CHECK_THROWS_AS(loader.seek(-1), std::invalid_argument);
  }
}

TEST_CASE("ranks together see the batch of one rank") {
  Fixture f(8);
  f.config.batch = 4;
  const auto whole = run(f, f.config, 4);
  std::vector<std::vector<Copy>> parts;
  f.config.count = 3;  // the ranks' parts may differ in size
  parts.push_back(run(f, f.config, 4));
  f.config.first = 3;
  f.config.count = 1;
  parts.push_back(run(f, f.config, 4));
  for (std::size_t i = 0; i < 4; ++i) {
    auto joined = parts[0][i].images;
    joined.insert(joined.end(), parts[1][i].images.begin(), parts[1][i].images.end());
    CHECK(joined == whole[i].images);
  }
}

TEST_CASE("an epoch visits every sample at most once, in an order of its own") {
  const auto a = epoch_order(100, 1, 0), b = epoch_order(100, 1, 1);
  CHECK(std::set<std::uint32_t>(a.begin(), a.end()).size() == 100);
  CHECK(*std::max_element(a.begin(), a.end()) == 99);
  CHECK(a != b);
  CHECK(a == epoch_order(100, 1, 0));
  CHECK(a != epoch_order(100, 2, 0));
}

TEST_CASE("the buffers of the loader are reused") {
  Fixture f(6);
  for (const int workers : {0, 2}) {
    f.config.workers = workers;
    f.config.prefetch = 2;
    Loader loader(made_up_dataset(4), f.samples, f.config);
    std::set<const float*> seen;
    for (int i = 0; i < 12; ++i) seen.insert(loader.next().images);
    CHECK(seen.size() <= 3);
  }
}

TEST_CASE("a bad file surfaces in next() with its name, in its iteration, again and again") {
  Fixture f(6);
  const auto order = epoch_order(6, f.config.seed, 0);
  const std::filesystem::path bad = f.samples[order[3]].image;  // in the second batch
  auto bytes = read_file_bytes(bad);
  bytes.resize(bytes.size() / 2);
  write_file_bytes(bad, bytes);
  for (const int workers : {0, 1, 3}) {
    f.config.workers = workers;
    Loader loader(made_up_dataset(4), f.samples, f.config);
    CHECK(loader.next().iteration == 0);
    for (int again = 0; again < 2; ++again) {
      contains(message_of<DataError>([&] { loader.next(); }), bad.filename().string());
    }
    loader.seek(2);
    CHECK(loader.next().iteration == 2);
  }
}

TEST_CASE("a loader can be dropped at any time") {
  Fixture f(6);
  f.config.workers = 3;
  for (int taken = 0; taken < 3; ++taken) {
    Loader loader(made_up_dataset(4), f.samples, f.config);
    for (int i = 0; i < taken; ++i) loader.next();
  }
  SUCCEED();
}

TEST_CASE("impossible loader settings and too few samples are refused") {
  Fixture f(3);
  const auto with = [&](auto change) {
    LoaderConfig config = f.config;
    change(config);
    Loader loader(made_up_dataset(4), f.samples, config);
  };
  contains(message_of<DataError>([&] { with([](auto& c) { c.batch = 4; }); }), "3 samples");
  CHECK_THROWS_AS(with([](auto& c) { c.batch = 2, c.first = 1, c.count = 2; }), std::invalid_argument);
  CHECK_THROWS_AS(with([](auto& c) { c.batch = 2, c.first = 2; }), std::invalid_argument);
  CHECK_THROWS_AS(with([](auto& c) { c.workers = -1; }), std::invalid_argument);
  CHECK_THROWS_AS(with([](auto& c) { c.augment.crop_h = 0; }), std::invalid_argument);
  f.samples[1].label.clear();
  contains(message_of<DataError>([&] { with([](auto&) {}); }), "no label");
}
