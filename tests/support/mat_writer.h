// Writes MATLAB 5 files as the SBD annotations are, byte for byte after the published format.
#pragma once

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace psanet::tests {

using MatBytes = std::vector<std::uint8_t>;

class MatWriter {
 public:
  explicit MatWriter(bool big_endian = false) : big_(big_endian) {}

  template <typename T>
  MatBytes raw(const std::vector<T>& values) const {
    MatBytes bytes;
    for (const T& value : values) {
      std::uint8_t one[sizeof(T)];
      std::memcpy(one, &value, sizeof(T));
      if (big_) std::reverse(one, one + sizeof(T));
      bytes.insert(bytes.end(), one, one + sizeof(T));
    }
    return bytes;
  }
  static MatBytes text(const std::string& s, std::size_t length = 0) {
    MatBytes bytes(s.begin(), s.end());
    bytes.resize(std::max(length, bytes.size()));
    return bytes;
  }

  /// Tag, data, padding to 8 bytes; up to 4 bytes of data stand in the tag itself.
  MatBytes element(std::uint32_t type, const MatBytes& data) const {
    MatBytes out;
    if (data.size() <= 4) {
      out = raw<std::uint32_t>({std::uint32_t(data.size()) << 16 | type});
      out.insert(out.end(), data.begin(), data.end());
      out.resize(8);
      return out;
    }
    out = raw<std::uint32_t>({type, std::uint32_t(data.size())});
    out.insert(out.end(), data.begin(), data.end());
    if (type != 15) out.resize((out.size() + 7) / 8 * 8);
    return out;
  }
  MatBytes joined(const std::vector<MatBytes>& parts) const {
    MatBytes out;
    for (const MatBytes& part : parts) out.insert(out.end(), part.begin(), part.end());
    return out;
  }
  /// An array of a class; `parts` are what follows its name.
  MatBytes matrix(std::uint32_t array_class, int rows, int columns, const std::string& name,
                  const std::vector<MatBytes>& parts) const {
    return element(14, joined({element(6, raw<std::uint32_t>({array_class, 0})),
                               element(5, raw<std::int32_t>({rows, columns})), element(1, text(name)), joined(parts)}));
  }
  /// A matrix of bytes from row-major values.
  MatBytes bytes_matrix(int rows, int columns, const std::string& name, const MatBytes& row_major) const {
    MatBytes stored;
    for (int c = 0; c < columns; ++c) {
      for (int r = 0; r < rows; ++r) stored.push_back(row_major[std::size_t(r * columns + c)]);
    }
    return matrix(9, rows, columns, name, {element(2, stored)});
  }
  MatBytes compressed(const MatBytes& part) const {
    MatBytes out(compressBound(uLong(part.size())));
    uLongf size = uLongf(out.size());
    compress(out.data(), &size, part.data(), uLong(part.size()));
    out.resize(size);
    return element(15, out);
  }
  MatBytes file(const std::vector<MatBytes>& variables) const {
    MatBytes head = text("MATLAB 5.0 MAT-file, written by a test", 124);
    std::fill(head.begin() + 38, head.end(), std::uint8_t(' '));
    const MatBytes version = raw<std::uint16_t>({0x0100, 0x4D49});  // "MI" as a number
    return joined({head, version, joined(variables)});
  }

  /// cls/<name>.mat of SBD: GTcls with Boundaries (sparse, in cells), Segmentation and CategoriesPresent.
  MatBytes sbd(int rows, int columns, const MatBytes& labels, bool compress_it) const {
    const MatBytes sparse = matrix(5, rows, columns, "",
                                   {element(5, raw<std::int32_t>({0})),
                                    element(5, raw<std::int32_t>(std::vector<std::int32_t>(std::size_t(columns) + 1))),
                                    element(9, raw<double>({1.0}))});
    const MatBytes cells = matrix(1, 2, 1, "", {sparse, sparse});
    const MatBytes present = matrix(6, 1, 1, "", {element(2, {7})});
    const MatBytes names = joined({text("Boundaries", 32), text("Segmentation", 32), text("CategoriesPresent", 32)});
    const MatBytes variable = matrix(2, 1, 1, "GTcls",
                                     {element(5, raw<std::int32_t>({32})), element(1, names), cells,
                                      bytes_matrix(rows, columns, "", labels), present});
    return file({compress_it ? compressed(variable) : variable});
  }

 private:
  bool big_;
};

}  // namespace psanet::tests
