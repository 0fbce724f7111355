#include "data/mat_file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>

#include "data/error.h"

namespace psanet::data {
namespace {

constexpr std::size_t kHeaderBytes = 128;
constexpr std::size_t kMaxInflatedBytes = std::size_t{1} << 29;  // a small file must not ask for all memory

/// Types of data elements.
enum Type : std::uint32_t {
  kInt8 = 1,
  kUint8 = 2,
  kInt16 = 3,
  kUint16 = 4,
  kInt32 = 5,
  kUint32 = 6,
  kSingle = 7,
  kDouble = 9,
  kMatrix = 14,
  kCompressed = 15
};

/// Classes of arrays, the first byte of a matrix's flags.
enum ArrayClass : std::uint32_t { kStructClass = 2, kFirstNumericClass = 6, kLastNumericClass = 13 };

struct Element {
  std::uint32_t type = 0;
  Bytes data;
};

/// Walks through the elements that stand one after the other in some bytes.
class Elements {
 public:
  Elements(Bytes bytes, bool swap, const std::string& name) : left_(bytes), swap_(swap), name_(name) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(
        fmt::format("{}: the MATLAB file is truncated or damaged ({}); copy or download it again", name_, what));
  }
  bool more() const { return left_.size() >= 8; }

  Element next(const char* what) {
    if (!more()) fail(fmt::format("it ends before {}", what));
    const auto word = number<std::uint32_t>(left_, 0);
    if (word >> 16 != 0) {  // a small element: up to 4 bytes stand in the tag itself
      const Element element{word & 0xFFFF, left_.subspan(4, std::min<std::size_t>(word >> 16, 4))};
      left_ = left_.subspan(8);
      return element;
    }
    const std::size_t count = number<std::uint32_t>(left_, 4);
    if (count > left_.size() - 8)
      fail(fmt::format("{} should have {} bytes, {} are left", what, count, left_.size() - 8));
    const Element element{word, left_.subspan(8, count)};
    const std::size_t padded = word == kCompressed ? count : (count + 7) / 8 * 8;
    left_ = left_.subspan(8 + std::min(padded, left_.size() - 8));
    return element;
  }

  Elements inside(const Element& element) const { return {element.data, swap_, name_}; }
  Elements inside(Bytes bytes) const { return {bytes, swap_, name_}; }

  template <typename T>
  T number(Bytes bytes, std::size_t offset) const {
    std::array<std::uint8_t, sizeof(T)> raw;
    std::copy_n(bytes.begin() + std::ptrdiff_t(offset), sizeof(T), raw.begin());
    if (swap_) std::reverse(raw.begin(), raw.end());
    T value;
    std::memcpy(&value, raw.data(), sizeof value);
    return value;
  }

  /// All numbers of an element, of whatever type it stores them in.
  std::vector<double> numbers(const Element& element) const {
    switch (element.type) {
      case kInt8:
        return numbers_of<std::int8_t>(element.data);
      case kUint8:
        return numbers_of<std::uint8_t>(element.data);
      case kInt16:
        return numbers_of<std::int16_t>(element.data);
      case kUint16:
        return numbers_of<std::uint16_t>(element.data);
      case kInt32:
        return numbers_of<std::int32_t>(element.data);
      case kUint32:
        return numbers_of<std::uint32_t>(element.data);
      case kSingle:
        return numbers_of<float>(element.data);
      case kDouble:
        return numbers_of<double>(element.data);
      default:
        fail(fmt::format("numbers of the unknown type {}", element.type));
    }
  }

 private:
  template <typename T>
  std::vector<double> numbers_of(Bytes bytes) const {
    std::vector<double> values(bytes.size() / sizeof(T));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = double(number<T>(bytes, i * sizeof(T)));
    return values;
  }

  Bytes left_;
  bool swap_;
  const std::string& name_;
};

std::vector<std::uint8_t> inflate_all(const Elements& from, Bytes bytes) {
  struct Stream : z_stream {
    Stream() : z_stream{} {}
    ~Stream() { inflateEnd(this); }
  } stream;
  if (inflateInit(&stream) != Z_OK) from.fail("zlib cannot start");
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = uInt(bytes.size());
  std::vector<std::uint8_t> out;
  int status = Z_OK;
  while (status == Z_OK) {
    const std::size_t have = out.size();
    if (have >= kMaxInflatedBytes) from.fail("a compressed element is larger than any label map");
    out.resize(have + std::max<std::size_t>(have, 1 << 16));
    stream.next_out = out.data() + have;
    stream.avail_out = uInt(out.size() - have);
    status = inflate(&stream, Z_NO_FLUSH);
    out.resize(out.size() - stream.avail_out);
    if (status == Z_OK && stream.avail_in == 0 && stream.avail_out != 0) break;  // the input ends too early
  }
  if (status != Z_STREAM_END) from.fail("a compressed element cannot be inflated");
  return out;
}

std::string text_of(const Element& element) {
  const std::string text(element.data.begin(), element.data.end());
  return text.substr(0, text.find('\0'));
}

/// The parts that every matrix begins with; `rest` stands at what follows them.
struct Matrix {
  std::uint32_t array_class = 0;
  std::vector<double> dimensions;
  std::string name;
  Elements rest;
};

Matrix open_matrix(Elements elements) {
  const Element flags = elements.next("the flags of a matrix");
  if (flags.type != kUint32 || flags.data.size() < 8) elements.fail("a matrix without flags");
  const auto array_class = elements.number<std::uint32_t>(flags.data, 0) & 0xFF;
  const Element sizes = elements.next("the dimensions of a matrix");
  if (sizes.type != kInt32) elements.fail("a matrix without dimensions");
  const auto dimensions = elements.numbers(sizes);
  const std::string name = text_of(elements.next("the name of a matrix"));
  return {array_class, dimensions, name, elements};
}

MatMatrix numbers_of(Matrix matrix, const std::string& what, const std::string& file) {
  if (matrix.array_class < kFirstNumericClass || matrix.array_class > kLastNumericClass ||
      matrix.dimensions.size() != 2) {
    throw DataError(fmt::format("{}: {} is not a full matrix of numbers (class {}, {} dimensions)", file, what,
                                matrix.array_class, matrix.dimensions.size()));
  }
  check_size(long(matrix.dimensions[0]), long(matrix.dimensions[1]), file);
  MatMatrix result{int(matrix.dimensions[0]), int(matrix.dimensions[1]), {}};
  const auto rows = std::size_t(result.rows), columns = std::size_t(result.columns);
  const std::vector<double> stored = matrix.rest.numbers(matrix.rest.next("the numbers of a matrix"));
  if (stored.size() != rows * columns) {
    matrix.rest.fail(fmt::format("{} of {} x {} has {} numbers", what, rows, columns, stored.size()));
  }
  result.values.resize(stored.size());
  for (std::size_t c = 0; c < columns; ++c) {
    for (std::size_t r = 0; r < rows; ++r) result.values[r * columns + c] = stored[c * rows + r];
  }
  return result;
}

/// The field of a 1 x 1 struct.
std::optional<Matrix> open_field(Matrix matrix, std::string_view field) {
  Elements& rest = matrix.rest;
  const auto length = rest.numbers(rest.next("the length of field names"));
  if (length.size() != 1 || !(length[0] >= 1 && length[0] <= 1024))
    rest.fail("a struct without a length of field names");
  const Element names = rest.next("the field names");
  const auto step = std::size_t(length[0]);
  for (std::size_t at = 0; at + step <= names.data.size(); at += step) {
    const Element value = rest.next("a field");
    if (value.type != kMatrix) rest.fail("a field that is no matrix");
    if (text_of({kInt8, names.data.subspan(at, step)}) == field) return open_matrix(rest.inside(value));
  }
  return std::nullopt;
}

}  // namespace

MatMatrix decode_mat_matrix(Bytes bytes, const std::string& name, std::string_view variable, std::string_view field) {
  const std::string head(bytes.begin(), bytes.begin() + std::ptrdiff_t(std::min<std::size_t>(bytes.size(), 19)));
  if (head == "MATLAB 7.3 MAT-file") {
    throw DataError(fmt::format("{}: a MATLAB 7.3 file (HDF5); save it with -v7", name));
  }
  const bool little = bytes.size() >= kHeaderBytes && bytes[126] == 'I' && bytes[127] == 'M';
  const bool big = bytes.size() >= kHeaderBytes && bytes[126] == 'M' && bytes[127] == 'I';
  if (!little && !big) {
    throw DataError(fmt::format("{}: not a MATLAB 5 file ({} bytes); copy or download it again", name, bytes.size()));
  }
  const std::string what = fmt::format("{}{}{}", variable, field.empty() ? "" : ".", field);
  Elements top(bytes.subspan(kHeaderBytes), big, name);
  while (top.more()) {
    const Element element = top.next("a variable");
    const std::vector<std::uint8_t> inflated =
        element.type == kCompressed ? inflate_all(top, element.data) : std::vector<std::uint8_t>();
    const Element value = element.type == kCompressed ? top.inside(Bytes(inflated)).next("a variable") : element;
    if (value.type != kMatrix) continue;
    Matrix matrix = open_matrix(top.inside(value));
    if (matrix.name != variable) continue;
    if (field.empty()) return numbers_of(std::move(matrix), what, name);
    if (matrix.array_class != kStructClass) {
      throw DataError(fmt::format("{}: {} is not a struct, wanted {}", name, variable, what));
    }
    if (auto found = open_field(std::move(matrix), field)) return numbers_of(std::move(*found), what, name);
  }
  throw DataError(fmt::format("{}: no {} in it", name, what));
}

}  // namespace psanet::data
