// Memory on a device, and typed views of it.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/device.h"
#include "engine/type.h"
#include "kernels/memory.h"

namespace psanet {

/// One allocation, freed with its last owner.
class Storage {
 public:
  Storage(Device& device, int64_t bytes);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  Device& device() const { return device_; }

  /// How often it was written to from outside the programs that work on it.
  uint64_t version() const { return version_; }
  void written() { ++version_; }

 private:
  Device& device_;
  std::byte* data_;
  int64_t bytes_;
  uint64_t version_ = 0;
};

/// A typed piece of a Storage. Copies share the memory.
class Tensor {
 public:
  Tensor() = default;
  Tensor(Device& device, Type type);
  Tensor(std::shared_ptr<Storage> storage, int64_t offset_bytes, Type type)
      : storage_(std::move(storage)), offset_bytes_(offset_bytes), type_(std::move(type)) {}

  const Type& type() const { return type_; }
  explicit operator bool() const { return storage_ != nullptr; }
  const void* data() const { return storage_->data() + offset_bytes_; }
  /// For one write: whoever keeps it and writes again calls it again.
  void* writable() {
    storage_->written();
    return address();
  }
  /// For programs, which say themselves what they have written.
  void* address() const { return storage_->data() + offset_bytes_; }

  /// From and to host memory; the number of values and their type must be the tensor's (std::logic_error otherwise).
  template <class T>
  void set(std::span<const T> values) {
    write(values.data(), static_cast<int64_t>(values.size()), kDType<T>);
  }
  template <class T>
  void set(const std::vector<T>& values) {
    set(std::span<const T>(values));
  }
  template <class T>
  std::vector<T> get() const {
    std::vector<T> values(static_cast<size_t>(type_.elements()));
    read(values.data(), static_cast<int64_t>(values.size()), kDType<T>);
    return values;
  }
  template <class T>
  void get(std::span<T> values) const {
    read(values.data(), static_cast<int64_t>(values.size()), kDType<T>);
  }
  void zero();
  /// Reads this tensor's values later, without waiting for what is launched behind a request.
  std::unique_ptr<kernels::Readback> readback() const;

 private:
  void write(const void* from, int64_t count, DType dtype);
  void read(void* to, int64_t count, DType dtype) const;

  std::shared_ptr<Storage> storage_;
  int64_t offset_bytes_ = 0;
  Type type_;
};

}  // namespace psanet
