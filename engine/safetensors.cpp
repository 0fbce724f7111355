#include "engine/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <variant>

#include "engine/atomic_file.h"
#include "engine/error.h"
#include "engine/json/reader.h"
#include "engine/json/text.h"
#include "engine/type.h"

namespace psanet {

using nlohmann::json;

namespace {

constexpr JsonLimits kHeaderLimits{int64_t{64} << 20, 8'000'000};  // ten values and about a hundred bytes a tensor

struct Half {
  uint16_t bits;

  operator float() const {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
    const uint32_t exponent = (bits >> 10) & 0x1fu;
    const uint32_t mantissa = bits & 0x3ffu;
    if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24
      const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
      return sign ? -magnitude : magnitude;
    }
    return std::bit_cast<float>(sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | (mantissa << 13));
  }
};

struct BFloat16 {
  uint16_t bits;

  operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};

using Number =
    std::variant<double, float, Half, BFloat16, int64_t, int32_t, uint32_t, int16_t, uint16_t, int8_t, uint8_t>;

/// A number of the type that each of the format's words means.
const std::map<std::string, Number> kNumbers = {
    {"F64", double{}},  {"F32", float{}},   {"F16", Half{}},     {"BF16", BFloat16{}}, {"I64", int64_t{}},
    {"U64", int64_t{}}, {"I32", int32_t{}}, {"U32", uint32_t{}}, {"I16", int16_t{}},   {"U16", uint16_t{}},
    {"I8", int8_t{}},   {"U8", uint8_t{}},  {"BOOL", uint8_t{}}};

/// 0: there is no such dtype.
int64_t dtype_bytes(const std::string& dtype) {
  const auto found = kNumbers.find(dtype);
  return found == kNumbers.end() ? 0 : std::visit([](auto number) { return int64_t{sizeof number}; }, found->second);
}

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace

int64_t FileTensor::elements() const {
  return psanet::elements(shape);
}

template <class T>
std::vector<T> FileTensor::values() const {
  std::vector<T> result(static_cast<size_t>(elements()));
  const auto convert = [&]<class From>(From) {
    for (size_t i = 0; i < result.size(); ++i) result[i] = static_cast<T>(load<From>(bytes.data() + i * sizeof(From)));
  };
  std::visit(convert, kNumbers.at(dtype));
  return result;
}

template std::vector<float> FileTensor::values() const;
template std::vector<double> FileTensor::values() const;
template std::vector<int64_t> FileTensor::values() const;
template std::vector<int32_t> FileTensor::values() const;
template std::vector<uint8_t> FileTensor::values() const;

template <class T>
FileTensor FileTensor::of(std::vector<int64_t> shape, std::span<const T> values) {
  FileTensor tensor{std::is_same_v<T, float> ? "F32" : std::is_same_v<T, int64_t> ? "I64" : "U8", std::move(shape), {}};
  if (tensor.elements() != static_cast<int64_t>(values.size())) {
    throw std::logic_error("FileTensor::of: number of values and shape differ");
  }
  const auto bytes = std::as_bytes(values);
  tensor.bytes.assign(bytes.begin(), bytes.end());
  return tensor;
}

template FileTensor FileTensor::of(std::vector<int64_t>, std::span<const float>);
template FileTensor FileTensor::of(std::vector<int64_t>, std::span<const int64_t>);
template FileTensor FileTensor::of(std::vector<int64_t>, std::span<const uint8_t>);

const FileTensor& Safetensors::at(const std::string& name) const {
  auto it = tensors.find(name);
  if (it != tensors.end()) return it->second;
  std::vector<std::string> names;
  for (const auto& [known, tensor] : tensors) names.push_back(known);
  const std::string like = nearest(name, names);
  throw WeightsError(fmt::format("no tensor \"{}\"{}", name,
                                 like.empty() ? "" : fmt::format("; the most similar name is \"{}\"", like)));
}

namespace {

/// Where the data of a tensor are, in bytes after the header.
struct Place {
  std::string name;
  uint64_t begin = 0, end = 0;
};

Place read_place(const std::string& name, const JsonReader& entry, uint64_t data_bytes, Safetensors& file) {
  FileTensor tensor{entry.at("dtype").text(), {}, {}};
  uint64_t wanted = static_cast<uint64_t>(dtype_bytes(tensor.dtype));
  if (wanted == 0) entry.fail(fmt::format("the unknown dtype {}", printed(tensor.dtype)));
  for (const JsonReader& size : entry.at("shape").items()) {
    tensor.shape.push_back(size.integer());
    if (tensor.shape.back() < 0 ||
        __builtin_mul_overflow(wanted, static_cast<uint64_t>(tensor.shape.back()), &wanted)) {
      entry.fail("an impossible shape");
    }
  }
  const JsonReader offsets = entry.at("data_offsets");
  if (offsets.items().size() != 2) offsets.wrong("[begin, end]");
  Place place{name, static_cast<uint64_t>(offsets.item(0).integer(0)),
              static_cast<uint64_t>(offsets.item(1).integer(0))};
  if (place.begin > place.end || place.end > data_bytes) {
    entry.fail(fmt::format("ends at byte {} of {} data bytes; the file is cut short", place.end, data_bytes));
  }
  if (place.end - place.begin != wanted) {
    entry.fail(fmt::format("has {} bytes, its shape needs {}", place.end - place.begin, wanted));
  }
  file.tensors.emplace(name, std::move(tensor));
  return place;
}

/// Fills in metadata, and tensors without their bytes. Tensors do not overlap: together they are no larger than the
/// file.
std::vector<Place> read_places(const json& header, const std::string& unreadable, uint64_t data_bytes,
                               Safetensors& file) {
  std::vector<Place> places;
  for (const auto& [name, value] : header.items()) {
    const JsonReader entry(value, fmt::format("{}entry \"{}\"", unreadable, printed(name)), {raise<WeightsError>});
    if (name == "__metadata__") {
      for (const auto& [key, text] : entry.members()) file.metadata[key] = text.text();
    } else {
      places.push_back(read_place(name, entry, data_bytes, file));
    }
  }
  std::sort(places.begin(), places.end(),
            [](const Place& a, const Place& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  const Place* last = nullptr;
  for (const Place& place : places) {
    if (place.begin == place.end) continue;
    if (last && place.begin < last->end) {
      throw WeightsError(
          fmt::format("{}tensors \"{}\" and \"{}\" overlap", unreadable, printed(last->name), printed(place.name)));
    }
    last = &place;
  }
  return places;
}

}  // namespace

Safetensors read_safetensors(const std::filesystem::path& path) {
  const auto fail = [&](const std::string& why) -> WeightsError {
    return WeightsError(fmt::format("{}: not a readable safetensors file: {}", path.string(), why));
  };
  std::error_code ec;
  if (!std::filesystem::exists(path, ec)) throw WeightsError(fmt::format("{}: no such file", path.string()));
  if (!std::filesystem::is_regular_file(path, ec)) throw WeightsError(fmt::format("{}: is no file", path.string()));
  std::ifstream in(path, std::ios::binary);
  if (!in) throw WeightsError(fmt::format("{}: cannot be opened for reading", path.string()));
  const auto file_bytes = static_cast<uint64_t>(std::filesystem::file_size(path));

  std::byte length_bytes[8];
  if (file_bytes < 8 || !in.read(reinterpret_cast<char*>(length_bytes), 8)) {
    throw fail(fmt::format("it has {} bytes, the header alone needs 8", file_bytes));
  }
  const auto header_bytes = load<uint64_t>(length_bytes);
  if (header_bytes > file_bytes - 8) {
    throw fail(fmt::format("its header claims {} bytes, the file has {}", header_bytes, file_bytes));
  }
  if (header_bytes > static_cast<uint64_t>(kHeaderLimits.bytes)) {
    throw fail(fmt::format("its header has {} bytes, want at most {}", header_bytes, kHeaderLimits.bytes));
  }
  std::string header(header_bytes, '\0');
  in.read(header.data(), static_cast<std::streamsize>(header_bytes));
  const std::string unreadable = path.string() + ": not a readable safetensors file: ";
  const json parsed =
      parse_json(header, unreadable + "its header is no JSON object", raise<WeightsError>, kHeaderLimits);
  if (!parsed.is_object()) throw fail("its header is no JSON object");

  const uint64_t data_bytes = file_bytes - 8 - header_bytes;
  Safetensors file;
  for (const Place& place : read_places(parsed, unreadable, data_bytes, file)) {
    FileTensor& tensor = file.tensors.at(place.name);
    tensor.bytes.resize(place.end - place.begin);
    in.seekg(static_cast<std::streamoff>(8 + header_bytes + place.begin));
    in.read(reinterpret_cast<char*>(tensor.bytes.data()), static_cast<std::streamsize>(tensor.bytes.size()));
    if (!in) throw fail(fmt::format("tensor \"{}\" could not be read", place.name));
  }
  return file;
}

void write_safetensors(const std::filesystem::path& path, const Safetensors& file, FileSystem& files) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  uint64_t offset = 0;
  for (const auto& [name, tensor] : file.tensors) {
    const uint64_t end = offset + tensor.bytes.size();
    header[name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t header_bytes = text.size();

  AtomicFile out(path, files);
  out.write(&header_bytes, sizeof header_bytes);
  out.write(text.data(), text.size());
  for (const auto& [name, tensor] : file.tensors) out.write(tensor.bytes.data(), tensor.bytes.size());
  out.commit();
}

}  // namespace psanet
