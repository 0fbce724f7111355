#include "engine/tensor.h"

#include <fmt/format.h>

#include <stdexcept>

#include "kernels/memory.h"

namespace psanet {

Storage::Storage(Device& device, int64_t bytes)
    : device_(device),
      data_(static_cast<std::byte*>(device.visit([&](auto& ctx) { return kernels::allocate(ctx, bytes); }))),
      bytes_(bytes) {}

Storage::~Storage() {
  device_.visit([&](auto& ctx) { kernels::release(ctx, data_); });
}

Tensor::Tensor(Device& device, Type type)
    : storage_(std::make_shared<Storage>(device, type.bytes())), type_(std::move(type)) {}

void Tensor::zero() {
  storage_->device().visit([&](auto& ctx) { kernels::fill_zero(ctx, writable(), type_.bytes()); });
}

std::unique_ptr<kernels::Readback> Tensor::readback() const {
  return storage_->device().visit([&](auto& ctx) { return kernels::make_readback(ctx, data(), type_.bytes()); });
}

namespace {
void check(const Type& type, int64_t count, DType dtype) {
  if (type.dtype != dtype || type.elements() != count) {
    throw std::logic_error(fmt::format("tensor {} accessed as {} values of {}", to_string(type), count, name(dtype)));
  }
}
}  // namespace

void Tensor::write(const void* from, int64_t count, DType dtype) {
  check(type_, count, dtype);
  storage_->device().visit([&](auto& ctx) { kernels::copy_to_device(ctx, writable(), from, type_.bytes()); });
}

void Tensor::read(void* to, int64_t count, DType dtype) const {
  check(type_, count, dtype);
  storage_->device().visit([&](auto& ctx) { kernels::copy_to_host(ctx, to, data(), type_.bytes()); });
}

}  // namespace psanet
