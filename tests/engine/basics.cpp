// Random numbers, files that are whole or absent, types.
#include <cmath>
#include <fstream>
#include <set>

#include "engine/atomic_file.h"
#include "engine/error.h"
#include "engine/graph.h"
#include "engine/random.h"
#include "engine/tensor.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {
namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

TEST_CASE("random: the streams are the published functions") {
  CHECK(hash_name("") == 0xcbf29ce484222325u);
  CHECK(hash_name("a") == 0xaf63dc4c8601ec8cu);
  CHECK(random_bits(0, 0) == 0xe220a8397b1dcdafu);  // SplitMix64 from seed 0
  CHECK(random_bits(0, 1) == 0x6e789e6aa1b965f4u);
}

TEST_CASE("random: units lie between -1 and 1, are exact floats and spread evenly") {
  double sum = 0, squares = 0;
  for (uint64_t i = 0; i < 100000; ++i) {
    const double u = random_unit(42, i);
    if (u < -1 || u >= 1 || static_cast<double>(static_cast<float>(u)) != u) FAIL("value " << i << " is " << u);
    sum += u;
    squares += u * u;
  }
  CHECK(std::abs(sum / 100000) < 0.01);
  CHECK(squares / 100000 == Approx(1.0 / 3).epsilon(0.01));
}

TEST_CASE("random: normal values have mean 0 and deviation 1, and no infinity") {
  double sum = 0, squares = 0, fourth = 0;
  for (uint64_t i = 0; i < 100000; ++i) {
    const double n = random_normal(43, i);
    if (!std::isfinite(n)) FAIL("value " << i << " is " << n);
    sum += n;
    squares += n * n;
    fourth += n * n * n * n;
  }
  CHECK(std::abs(sum / 100000) < 0.015);
  CHECK(squares / 100000 == Approx(1).epsilon(0.02));
  CHECK(fourth / 100000 == Approx(3).epsilon(0.05));
}

TEST_CASE("type: sizes that do not fit into 64 bits are refused and no sum wraps around") {
  const int64_t large = int64_t{1} << 32;
  CHECK(f32({2, 3}).bytes() == 24);
  CHECK(elements({large, 0}) == 0);
  CHECK_THROWS_WITH(elements({large, large}), "[4294967296,4294967296] has more than 2^63-1 elements");
  CHECK_THROWS_WITH(elements({2, -3}), "[2,-3] has a negative size");
  CHECK_THROWS_WITH(f32({large, large / 4}).bytes(), "f32[4294967296,1073741824] has more than 2^63-1 bytes");
  CHECK_NOTHROW(check_size(f32({kMostTensorBytes / 4}), "x"));
  CHECK_THROWS_WITH(check_size(f32({kMostTensorBytes}), "x"),
                    "x: f32[4398046511104] has 17592186044416 bytes, want at most 4398046511104 (4 TiB)");
  Graph graph;
  CHECK_THROWS_WITH(graph.input("image", f32({large, large})),
                    "image: [4294967296,4294967296] has more than 2^63-1 elements");
}

TEST_CASE("atomic file: there is the whole file or none") {
  const TemporaryFolder folder;
  const fs::path path = folder / "result.json";
  {
    AtomicFile file(path);
    file.write("half", 4);
    CHECK_FALSE(fs::exists(path));
  }
  CHECK(fs::is_empty(folder.path()));

  write_text_atomically(path, "first");
  CHECK(content(path) == "first");
  {
    AtomicFile file(path);
    file.write("never finished", 14);
  }
  CHECK(content(path) == "first");
  write_text_atomically(path, "second, longer");
  CHECK(content(path) == "second, longer");
  CHECK(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("atomic file: what cannot be written is said with the file and the system's reason") {
  const TemporaryFolder folder;
  const auto error_of = [](const fs::path& path) -> std::string {
    try {
      write_text_atomically(path, "x");
    } catch (const std::runtime_error& e) {
      return e.what();
    }
    return "nothing was thrown";
  };
  const fs::path absent = folder / "no" / "file";
  CHECK(error_of(absent) == absent.string() + ": could not be created: No such file or directory");
  fs::create_directory(folder / "taken");
  const std::string message = error_of(folder / "taken");
  CHECK(message == (folder / "taken").string() + ": could not be put in place: Is a directory");
  CHECK_FALSE(fs::exists(folder / "taken.tmp"));
}

TEST_CASE("type: shapes print as people write them") {
  CHECK(to_string(f32({2, 59, 59, 512})) == "f32[2,59,59,512]");
  CHECK(to_string(Type{DType::u8, {}}) == "u8[]");
  CHECK(f32({2, 3, 4})[-1] == 4);
  CHECK(f32({2, 3, 4}).elements() == 24);
  CHECK((Type{DType::i64, {5}}.bytes()) == 40);
  CHECK(f32({0, 3}).elements() == 0);
}

TEST_CASE("tensor: copies share memory, and every tensor begins at a multiple of 64 bytes") {
  Device device = Device::cpu(1);
  Tensor a(device, f32({3}));
  Tensor b = a;
  a.set(std::vector<float>{1, 2, 3});
  CHECK(b.get<float>() == std::vector<float>{1, 2, 3});
  b.zero();
  CHECK(a.get<float>() == std::vector<float>{0, 0, 0});
  for (int64_t size : {1, 7, 1000}) {
    const Tensor t(device, f32({size}));
    CHECK(reinterpret_cast<uintptr_t>(t.data()) % 64 == 0);
  }
  CHECK_FALSE(Tensor());
  CHECK(Tensor(device, f32({0})).get<float>().empty());
}

TEST_CASE("device: it says what it is, and takes the number of threads it is given") {
  Device device = Device::cpu(3);
  CHECK(device.describe().find("CPU: ") == 0);
  CHECK(device.describe().find("3 threads") != std::string::npos);
}

}  // namespace
}  // namespace psanet::tests
