// Tensor files: what is written reads back, what is damaged is refused by name.
#include "engine/safetensors.h"

#include <cmath>
#include <cstring>
#include <fstream>

#include "engine/error.h"
#include "tests/support/catch.h"
#include "tests/support/golden.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {
namespace {

namespace fs = std::filesystem;

void write_file(const fs::path& path, const std::string& header, const std::string& data) {
  const uint64_t length = header.size();
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&length), 8);
  out << header << data;
}

std::string error_of(const fs::path& path) {
  try {
    read_safetensors(path);
  } catch (const WeightsError& e) {
    return e.what();
  }
  return "nothing was thrown";
}

Safetensors example() {
  Safetensors file;
  const std::vector<float> floats = {1.5f, -2, 0, 3e-30f, 5, 6};
  const std::vector<int64_t> longs = {int64_t{1} << 40, -7};
  const std::vector<uint8_t> bytes = {0, 255, 3};
  file.tensors["layer.weight"] = FileTensor::of({2, 3}, std::span<const float>(floats));
  file.tensors["layer.count"] = FileTensor::of({2}, std::span<const int64_t>(longs));
  file.tensors["a.label"] = FileTensor::of({1, 3}, std::span<const uint8_t>(bytes));
  file.tensors["empty"] = FileTensor::of({0, 3}, std::span<const float>());
  file.metadata["note"] = "h\u00e9llo \"quoted\"";
  return file;
}

TEST_CASE("safetensors: what is written reads back the same") {
  const TemporaryFolder folder;
  write_safetensors(folder / "a.safetensors", example());
  const Safetensors back = read_safetensors(folder / "a.safetensors");
  const Safetensors wanted = example();
  CHECK(back.metadata == wanted.metadata);
  REQUIRE(back.tensors.size() == wanted.tensors.size());
  for (const auto& [name, tensor] : wanted.tensors) {
    INFO(name);
    CHECK(back.at(name).dtype == tensor.dtype);
    CHECK(back.at(name).shape == tensor.shape);
    CHECK(back.at(name).bytes == tensor.bytes);
  }
  CHECK(back.at("layer.count").values<int64_t>() == std::vector<int64_t>{int64_t{1} << 40, -7});
  CHECK(back.at("a.label").values<float>() == std::vector<float>{0, 255, 3});
  CHECK(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()) == 1);  // no temporary file
}

TEST_CASE("safetensors: the file is as others expect it: padded header, data from a multiple of eight") {
  const TemporaryFolder folder;
  write_safetensors(folder / "a.safetensors", example());
  std::ifstream in(folder / "a.safetensors", std::ios::binary);
  const std::string all((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  uint64_t length = 0;
  std::memcpy(&length, all.data(), 8);
  CHECK(length % 8 == 0);
  CHECK(all[8] == '{');
  CHECK(all.size() == 8 + length + 24 + 16 + 3);
  CHECK(all.find("\"layer.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[19,43]}") != std::string::npos);
}

TEST_CASE("safetensors: half, bfloat and the integers convert to floats") {
  FileTensor half{"F16", {7}, {}};
  const std::vector<uint16_t> bits = {0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00, 0x3555};
  half.bytes.resize(14);
  std::memcpy(half.bytes.data(), bits.data(), 14);
  const std::vector<float> values = half.values<float>();
  CHECK(values[0] == 1.0f);
  CHECK(values[1] == -2.0f);
  CHECK(values[2] == 65504.0f);
  CHECK(values[3] == 0x1p-24f);
  CHECK((values[4] == 0.0f && std::signbit(values[4])));
  CHECK(std::isinf(values[5]));
  CHECK(values[6] == Approx(1.0 / 3).epsilon(1e-3));

  FileTensor brain{"BF16", {2}, {}};
  const std::vector<uint16_t> brain_bits = {0x3f80, 0xc040};
  brain.bytes.resize(4);
  std::memcpy(brain.bytes.data(), brain_bits.data(), 4);
  CHECK(brain.values<float>() == std::vector<float>{1, -3});
}

TEST_CASE("safetensors: a name that is not there is answered with the nearest") {
  try {
    example().at("layer.weigth");
    FAIL("nothing was thrown");
  } catch (const WeightsError& e) {
    CHECK(std::string(e.what()) == "no tensor \"layer.weigth\"; the most similar name is \"layer.weight\"");
  }
}

TEST_CASE("safetensors: every kind of damage is a WeightsError of one line that names the file") {
  const TemporaryFolder folder;
  const std::string good = R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", data(8, '\0');
  struct Damage {
    const char* says;
    std::string header, data;
  };
  const std::vector<Damage> list = {
      {"ends at byte 8 of 7 data bytes; the file is cut short", good, data.substr(1)},
      {"ends at byte 8 of 0 data bytes; the file is cut short", good, ""},
      {"its header is no JSON object", "[1, 2]", data},
      {"its header is no JSON object", "{\"x\": ", data},
      {"its header is no JSON object", "", data},
      {"has 4 bytes, its shape needs 8", R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", data},
      {"has 8 bytes, its shape needs 24", R"({"x":{"dtype":"F32","shape":[2,3],"data_offsets":[0,8]}})", data},
      {"ends at byte 0", R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", data},
      {"the unknown dtype F8", R"({"x":{"dtype":"F8","shape":[8],"data_offsets":[0,8]}})", data},
      {"an impossible shape", R"({"x":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", data},
      {"an impossible shape", R"({"x":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,8]}})", data},
      {"entry \"x\"", R"({"x":{"shape":[2],"data_offsets":[0,8]}})", data},
      {"entry \"x\"", R"({"x":{"dtype":"F32","data_offsets":[0,8]}})", data},
      {"entry \"x\"", R"({"x":{"dtype":"F32","shape":[2]}})", data},
      {"entry \"x\"", R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", data},
      {"entry \"x\"", R"({"x":{"dtype":32,"shape":[2],"data_offsets":[0,8]}})", data},
      {"entry \"x\"", R"({"x":{"dtype":"F32","shape":"2","data_offsets":[0,8]}})", data},
      {"entry \"x\"", R"({"x":7})", data},
      {"entry \"__metadata__\"", R"({"__metadata__":{"a":1}})", data},
      {"entry \"x\".shape[0]: found 1.9, want an integer",
       R"({"x":{"dtype":"F32","shape":[1.9],"data_offsets":[0,4]}})", data},
      {"an impossible shape", R"({"x":{"dtype":"F32","shape":[9223372036854775807,9],"data_offsets":[0,8]}})", data},
      {"entry \"x\".data_offsets[0]: found -8", R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}})", data},
      {"entry \"x\".data_offsets[1]: found 18446744073709551615",
       R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[0,18446744073709551615]}})", data},
      {"tensors \"x\" and \"y\" overlap",
       R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"y":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})",
       data},
      {"tensors \"a\" and \"b\" overlap",
       R"({"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
       data},
      {"the key \"x\" stands twice",
       R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})",
       data},
      {"deeper than 64", std::string(100000, '['), data},
  };
  int number = 0;
  for (const Damage& damage : list) {
    const fs::path path = folder / ("damaged" + std::to_string(number++) + ".safetensors");
    write_file(path, damage.header, damage.data);
    const std::string message = error_of(path);
    INFO(damage.header << ": " << message);
    CHECK(message.rfind(path.string() + ": not a readable safetensors file: ", 0) == 0);
    CHECK(message.find(damage.says) != std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
  }
  write_file(folder / "good.safetensors", good, data);
  CHECK(error_of(folder / "good.safetensors") == "nothing was thrown");
}

TEST_CASE("safetensors: files that are none") {
  const TemporaryFolder folder;
  CHECK(error_of(folder / "absent").find("absent: no such file") != std::string::npos);
  CHECK(error_of(folder.path()).find("is no file") != std::string::npos);
  std::ofstream(folder / "short") << "abc";
  CHECK(error_of(folder / "short").find("it has 3 bytes, the header alone needs 8") != std::string::npos);
  std::ofstream(folder / "empty");
  CHECK(error_of(folder / "empty").find("it has 0 bytes") != std::string::npos);
  std::ofstream(folder / "text") << "this is a text file of some length";
  CHECK(error_of(folder / "text").find("its header claims") != std::string::npos);
}

TEST_CASE("safetensors: the memory is no more than the file") {
  const TemporaryFolder folder;
  write_file(folder / "sparse", "", "");
  const uint64_t header = uint64_t{1} << 40;
  std::ofstream(folder / "sparse", std::ios::binary).write(reinterpret_cast<const char*>(&header), 8);
  fs::resize_file(folder / "sparse", (uint64_t{1} << 40) + 8);
  CHECK(error_of(folder / "sparse").find("its header has 1099511627776 bytes, want at most 67108864") !=
        std::string::npos);
  // A thousand tensors that are all the same mebibyte.
  std::string many = "{";
  for (int i = 0; i < 1000; ++i) {
    many += (i ? ",\"" : "\"") + std::to_string(i) + R"(":{"dtype":"U8","shape":[1048576],"data_offsets":[0,1048576]})";
  }
  write_file(folder / "many", many + "}", std::string(1 << 20, 'x'));
  CHECK(error_of(folder / "many").find("overlap") != std::string::npos);
  // Neighbours and empty tensors do not overlap.
  write_file(
      folder / "good",
      R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]},
                                  "e":{"dtype":"U8","shape":[0],"data_offsets":[4,4]},"f":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
      "12345678");
  CHECK(error_of(folder / "good") == "nothing was thrown");
}

TEST_CASE("safetensors: a file that cannot be written is a FileError that names it") {
  const TemporaryFolder folder;
  try {
    write_safetensors(folder / "no" / "such" / "x.safetensors", example());
    FAIL("nothing was thrown");
  } catch (const FileError& e) {
    CHECK(std::string(e.what()).find((folder / "no" / "such" / "x.safetensors").string()) == 0);
  }
}

TEST_CASE("golden: every dtype and shape of the reference checkpoint reads exactly", "[golden]") {
  const auto dir = golden_dir();
  if (!dir) return;
  const Safetensors file = read_safetensors(*dir / "checkpoint" / "views_expected.safetensors");
  CHECK(file.tensors.size() == 14);
  const std::vector<double> base = file.at("module.base").values<double>();
  CHECK(file.at("module.f64").dtype == "F64");
  CHECK(file.at("module.empty").shape == std::vector<int64_t>{0, 3});
  CHECK(file.at("module.empty").values<float>().empty());
  CHECK(file.at("module.scalar").shape.empty());
  CHECK(file.at("module.scalar").values<float>().size() == 1);
  CHECK(file.at("module.boolean").values<uint8_t>().size() == 3);
  // The transposed view holds the base's values in the other order.
  const std::vector<double> transposed = file.at("module.transposed").values<double>();
  REQUIRE(transposed.size() == 48);
  for (size_t r = 0; r < 6; ++r)
    for (size_t c = 0; c < 8; ++c) CHECK(transposed[c * 6 + r] == base[r * 8 + c]);
}

}  // namespace
}  // namespace psanet::tests
