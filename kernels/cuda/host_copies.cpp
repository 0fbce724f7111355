#include "kernels/cuda/host_copies.h"

#include <cstring>

#include "kernels/memory.h"

namespace psanet::kernels {

namespace cuda {

PinnedSlot::~PinnedSlot() {
  if (under_way_) cudaEventSynchronize(copied_);
  if (copied_ != nullptr) cudaEventDestroy(copied_);
  if (memory_ != nullptr) cudaFreeHost(memory_);
}

void* PinnedSlot::reserve(int64_t bytes) {
  wait();
  if (bytes > bytes_) {
    if (memory_ != nullptr) PSANET_CUDA_CHECK(cudaFreeHost(memory_));
    memory_ = nullptr;
    bytes_ = 0;
    PSANET_CUDA_CHECK(cudaMallocHost(&memory_, static_cast<size_t>(bytes)));
    bytes_ = bytes;
  }
  return memory_;
}

void PinnedSlot::copy_launched(cudaStream_t stream) {
  if (copied_ == nullptr) PSANET_CUDA_CHECK(cudaEventCreate(&copied_));
  PSANET_CUDA_CHECK(cudaEventRecord(copied_, stream));
  under_way_ = true;
}

void PinnedSlot::wait() {
  if (under_way_) PSANET_CUDA_CHECK(cudaEventSynchronize(copied_));
  under_way_ = false;
}

namespace {

void copy(CudaContext& ctx, void* to, const void* from, int64_t bytes, cudaMemcpyKind kind) {
  use_device(ctx);
  PSANET_CUDA_CHECK(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), kind, ctx.runtime->stream));
}

class PinnedReadback final : public Readback {
 public:
  PinnedReadback(CudaContext& ctx, const void* from, int64_t bytes) : ctx_(ctx), from_(from), bytes_(bytes) {
    slot_.reserve(bytes);
  }
  void request() override {
    slot_.wait();
    copy(ctx_, slot_.memory(), from_, bytes_, cudaMemcpyDeviceToHost);
    slot_.copy_launched(ctx_.runtime->stream);
  }
  const void* wait() override {
    slot_.wait();
    return slot_.memory();
  }

 private:
  CudaContext ctx_;
  const void* from_;
  int64_t bytes_;
  PinnedSlot slot_;
};

}  // namespace
}  // namespace cuda

void copy_to_device(CudaContext& ctx, void* to, const void* from_host, int64_t bytes) {
  cuda::Staging& staging = *ctx.runtime->staging;
  for (int64_t done = 0; done < bytes; done += cuda::Staging::kMost_bytes) {
    const int64_t piece = std::min(bytes - done, cuda::Staging::kMost_bytes);
    cuda::PinnedSlot& slot = staging.slots[staging.next];
    staging.next = (staging.next + 1) % cuda::Staging::kSlots;
    std::memcpy(slot.reserve(piece), static_cast<const char*>(from_host) + done, static_cast<size_t>(piece));
    cuda::copy(ctx, static_cast<char*>(to) + done, slot.memory(), piece, cudaMemcpyHostToDevice);
    slot.copy_launched(ctx.runtime->stream);
  }
}

void copy_to_host(CudaContext& ctx, void* to_host, const void* from, int64_t bytes) {
  cuda::copy(ctx, to_host, from, bytes, cudaMemcpyDeviceToHost);
  synchronize(ctx);
}

std::unique_ptr<Readback> make_readback(CudaContext& ctx, const void* from, int64_t bytes) {
  return std::make_unique<cuda::PinnedReadback>(ctx, from, bytes);
}

}  // namespace psanet::kernels
