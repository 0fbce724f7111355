#include "kernels/memory.h"

#include <fmt/format.h>

#include "kernels/cuda/runtime.h"

namespace psanet::kernels {

void* allocate(CudaContext& ctx, int64_t bytes) {
  cuda::use_device(ctx);
  void* memory = nullptr;
  const cudaError_t result = cudaMalloc(&memory, static_cast<size_t>(std::max<int64_t>(bytes, kAlignment_bytes)));
  if (result != cudaSuccess) {
    cudaGetLastError();
    size_t free_bytes = 0, total_bytes = 0;
    cudaMemGetInfo(&free_bytes, &total_bytes);
    constexpr double kGiB = 1 << 30;
    throw DeviceError(fmt::format(
        "allocating {} bytes ({:.1f} GiB) on CUDA device {}: {}; {:.1f} of {:.1f} GiB are free; use a smaller batch or "
        "crop",
        bytes, static_cast<double>(bytes) / kGiB, ctx.device, cudaGetErrorString(result),
        static_cast<double>(free_bytes) / kGiB, static_cast<double>(total_bytes) / kGiB));
  }
  return memory;
}

void release(CudaContext& ctx, void* memory) noexcept {
  cudaStreamSynchronize(ctx.runtime->stream);
  cudaFree(memory);
}

void fill_zero(CudaContext& ctx, void* memory, int64_t bytes) {
  cuda::use_device(ctx);
  PSANET_CUDA_CHECK(cudaMemsetAsync(memory, 0, static_cast<size_t>(bytes), ctx.runtime->stream));
}

void copy_on_device(CudaContext& ctx, void* to, const void* from, int64_t bytes) {
  cuda::use_device(ctx);
  PSANET_CUDA_CHECK(
      cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice, ctx.runtime->stream));
}

void synchronize(CudaContext& ctx) {
  PSANET_CUDA_CHECK(cudaStreamSynchronize(ctx.runtime->stream));
}

namespace cuda {
namespace {

class GraphRecording final : public Recording {
 public:
  GraphRecording(CudaContext& ctx, cudaGraph_t graph) : ctx_(ctx) {
    size_t nodes = 0;
    const cudaError_t counted = cudaGraphGetNodes(graph, nullptr, &nodes);
    const cudaError_t made = cudaGraphInstantiate(&executable_, graph, 0);
    cudaGraphDestroy(graph);
    if (made != cudaSuccess) executable_ = nullptr;
    PSANET_CUDA_CHECK(counted);
    PSANET_CUDA_CHECK(made);
    launches_ = static_cast<int64_t>(nodes);
  }
  ~GraphRecording() override {
    cudaStreamSynchronize(ctx_.runtime->stream);  // a replay may be under way
    cudaGraphExecDestroy(executable_);
  }

  void replay() override {
    use_device(ctx_);
    PSANET_CUDA_CHECK(cudaGraphLaunch(executable_, ctx_.runtime->stream));
  }
  int64_t launches() const override { return launches_; }

 private:
  CudaContext ctx_;
  cudaGraphExec_t executable_ = nullptr;
  int64_t launches_ = 0;
};

class EventMarks final : public Marks {
 public:
  EventMarks(CudaContext& ctx, int64_t most) : stream_(ctx.runtime->stream), events_(static_cast<size_t>(most)) {
    use_device(ctx);
    for (cudaEvent_t& event : events_) PSANET_CUDA_CHECK(cudaEventCreate(&event));
  }
  ~EventMarks() override {
    for (cudaEvent_t event : events_) cudaEventDestroy(event);
  }

  void mark() override { PSANET_CUDA_CHECK(cudaEventRecord(events_.at(marked_++), stream_)); }
  std::vector<double> seconds() override {
    PSANET_CUDA_CHECK(cudaStreamSynchronize(stream_));
    std::vector<double> result;
    for (size_t i = 0; i < marked_; ++i) {
      float milliseconds = 0;
      PSANET_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, events_[0], events_[i]));
      result.push_back(static_cast<double>(milliseconds) / 1000);
    }
    return result;
  }

 private:
  cudaStream_t stream_;
  std::vector<cudaEvent_t> events_;
  size_t marked_ = 0;
};

}  // namespace
}  // namespace cuda

std::unique_ptr<Marks> make_marks(CudaContext& ctx, int64_t most) {
  return std::make_unique<cuda::EventMarks>(ctx, most);
}

bool begin_recording(CudaContext& ctx) {
  cuda::use_device(ctx);
  PSANET_CUDA_CHECK(cudaStreamBeginCapture(ctx.runtime->stream, cudaStreamCaptureModeThreadLocal));
  return true;
}

int64_t launches_recorded(CudaContext& ctx) {
  cudaStreamCaptureStatus status{};
  cudaGraph_t graph = nullptr;
#if CUDART_VERSION >= 13000
  PSANET_CUDA_CHECK(cudaStreamGetCaptureInfo(ctx.runtime->stream, &status, nullptr, &graph, nullptr, nullptr, nullptr));
#else
  PSANET_CUDA_CHECK(cudaStreamGetCaptureInfo_v2(ctx.runtime->stream, &status, nullptr, &graph, nullptr, nullptr));
#endif
  if (status != cudaStreamCaptureStatusActive) throw DeviceError("CUDA: the recording was broken by what is in it");
  size_t nodes = 0;
  PSANET_CUDA_CHECK(cudaGraphGetNodes(graph, nullptr, &nodes));
  return static_cast<int64_t>(nodes);
}

void abandon_recording(CudaContext& ctx) noexcept {
  cudaGraph_t graph = nullptr;
  if (cudaStreamEndCapture(ctx.runtime->stream, &graph) == cudaSuccess && graph != nullptr) cudaGraphDestroy(graph);
  cudaGetLastError();
}

std::unique_ptr<Recording> end_recording(CudaContext& ctx) {
  cuda::use_device(ctx);
  cudaGraph_t graph = nullptr;
  PSANET_CUDA_CHECK(cudaStreamEndCapture(ctx.runtime->stream, &graph));
  return std::make_unique<cuda::GraphRecording>(ctx, graph);
}

}  // namespace psanet::kernels
