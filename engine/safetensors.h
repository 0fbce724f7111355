// The safetensors file format: a JSON header with names, types, shapes and places, then the bytes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/file_system.h"

namespace psanet {

/// A tensor as a file holds it. dtype is the format's own word: F32, F64, I64, I32, U8, BOOL, F16, BF16.
struct FileTensor {
  std::string dtype;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;

  int64_t elements() const;
  /// The values converted to T (float, double, int64_t, int32_t, uint8_t); every dtype can be read as every T.
  template <class T>
  std::vector<T> values() const;

  /// Of float, int64_t or uint8_t.
  template <class T>
  static FileTensor of(std::vector<int64_t> shape, std::span<const T> values);
};

struct Safetensors {
  std::map<std::string, FileTensor> tensors;
  std::map<std::string, std::string> metadata;

  /// The tensor of that name, or a WeightsError that names the file's tensors most like it.
  const FileTensor& at(const std::string& name) const;
  bool contains(const std::string& name) const { return tensors.count(name) > 0; }
};

/// Throws WeightsError (file, what was found, what is wanted) for anything but a whole, consistent file.
Safetensors read_safetensors(const std::filesystem::path& path);

/// Writes to a temporary name beside `path`, syncs and renames: the file is whole or absent. Throws FileError.
void write_safetensors(const std::filesystem::path& path, const Safetensors& file, FileSystem& files = real_files());

}  // namespace psanet
