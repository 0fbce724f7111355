// Device memory for data whose size changes from call to call.
#pragma once

#include <memory>

#include "engine/tensor.h"

namespace psanet {

/// Grows to the largest size asked for and stays there: calls that need no more allocate nothing.
class GrowingBuffer {
 public:
  explicit GrowingBuffer(Device& device) : device_(device) {}

  /// Room for `count` values of T; what was there is lost if it had to grow. DeviceError if there is not so much
  /// memory.
  template <class T>
  T* room_for(int64_t count) {
    const int64_t bytes = count * static_cast<int64_t>(sizeof(T));
    if (!storage_ || storage_->bytes() < bytes) {
      storage_.reset();  // first, so that both are never there together
      storage_ = std::make_unique<Storage>(device_, bytes);
    }
    return reinterpret_cast<T*>(storage_->data());
  }
  /// Room for the values, and the values in it.
  template <class T>
  T* hold(std::span<const T> values) {
    T* memory = room_for<T>(static_cast<int64_t>(values.size()));
    device_.visit([&](auto& ctx) {
      kernels::copy_to_device(ctx, memory, values.data(), static_cast<int64_t>(values.size_bytes()));
    });
    return memory;
  }
  template <class T>
  T* values() const {
    return storage_ ? reinterpret_cast<T*>(storage_->data()) : nullptr;
  }
  int64_t bytes() const { return storage_ ? storage_->bytes() : 0; }

 private:
  Device& device_;
  std::unique_ptr<Storage> storage_;
};

}  // namespace psanet
