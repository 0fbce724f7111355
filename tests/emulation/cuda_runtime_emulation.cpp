#include "tests/emulation/cuda_runtime_emulation.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>

using Work = std::vector<std::function<void()>>;

struct CUstream_st {
  std::deque<std::function<void()>> queue;
  bool recording = false;
  Work recorded;
};
struct CUevent_st {
  /// Outlives the event in the work that is still to come to it.
  struct State {
    std::atomic<int64_t> recorded = 0, reached = 0;  // how often
    std::chrono::steady_clock::time_point passed;
  };
  cudaStream_t stream = nullptr;
  bool timed = true;
  std::shared_ptr<State> state = std::make_shared<State>();
};
struct CUgraph_st {
  Work work;
};
struct CUgraphExec_st {
  Work work;
};

namespace {
/// Does the stream's work, up to the point at which `enough` holds. Work may wait for other streams, which may wait for
/// this one: it goes on where it is.
template <class Enough>
void drain(cudaStream_t stream, Enough enough) {
  while (!stream->queue.empty() && !enough()) {
    const auto work = std::move(stream->queue.front());
    stream->queue.pop_front();
    work();
  }
}
void drain(cudaStream_t stream) {
  drain(stream, [] { return false; });
}
}  // namespace

void cuda_emulator::enqueue(cudaStream_t stream, std::function<void()> work) {
  if (stream->recording) {
    stream->recorded.push_back(std::move(work));
  } else {
    stream->queue.push_back(std::move(work));
  }
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    default:
      return "invalid argument";
  }
}
cudaError_t cudaGetLastError() {
  return cudaSuccess;
}
namespace {
/// One, unless the environment says how many.
int devices() {
  const char* wanted = std::getenv("PSANET_EMULATED_GPUS");
  return wanted != nullptr ? std::atoi(wanted) : 1;
}
}  // namespace
cudaError_t cudaGetDeviceCount(int* count) {
  *count = devices();
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  return device >= 0 && device < devices() ? cudaSuccess : cudaErrorInvalidValue;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "emulated on the processor");
  properties->totalGlobalMem = size_t{4} << 30;
  properties->major = 9;
  properties->multiProcessorCount = 4;  // few: kernels that divide work by it do so in more than one way in tests
  properties->l2CacheSize = 1 << 20;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = 0;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 0;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  // posix_memalign takes any size, so the sanitizer's red zone begins right behind the last byte.
  *memory = nullptr;
  if (bytes == 0) return cudaSuccess;
  if (bytes > size_t{16} << 30 || posix_memalign(memory, 256, bytes) != 0) return cudaErrorMemoryAllocation;
  // NaN: what nobody wrote shows. Not memset: the race detector keeps books on that, a second for a context's scratch.
  void* to = *memory;
  asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(0xff) : "memory");
  return cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
namespace {
/// Begin and size of every piece of pinned memory.
std::map<const char*, size_t>& pinned() {
  static auto* pieces = new std::map<const char*, size_t>;  // contexts that die with the program still ask for it
  return *pieces;
}
bool is_pinned(const void* p) {
  const auto* at = static_cast<const char*>(p);
  auto piece = pinned().upper_bound(at);
  return piece != pinned().begin() && at < std::prev(piece)->first + std::prev(piece)->second;
}
}  // namespace

cudaError_t cudaMallocHost(void** memory, size_t bytes) {
  *memory = std::malloc(bytes);
  if (*memory == nullptr) return cudaErrorMemoryAllocation;
  pinned()[static_cast<const char*>(*memory)] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* memory) {
  pinned().erase(static_cast<const char*>(memory));
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  *free_bytes = *total_bytes = size_t{4} << 30;
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  if (kind == cudaMemcpyHostToDevice && !is_pinned(from)) {
    const auto* first = static_cast<const char*>(from);
    cuda_emulator::enqueue(stream, [to, staged = std::vector<char>(first, first + bytes)] {
      std::memcpy(to, staged.data(), staged.size());
    });
  } else {
    cuda_emulator::enqueue(stream, [=] { std::memcpy(to, from, bytes); });
  }
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  if (bytes > 0) cuda_emulator::enqueue(stream, [=] { std::memset(memory, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  drain(stream);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (stream->recording) return cudaErrorInvalidValue;  // as on a GPU: one does not wait while recording
  drain(stream);
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (stream->recording) return cudaErrorInvalidValue;
  // As recorded now; later recordings of the same event do not matter, and none at all is nothing to wait for.
  cuda_emulator::enqueue(stream, [other = event->stream, state = event->state, wanted = event->state->recorded.load()] {
    if (state->reached < wanted) drain(other, [&] { return state->reached >= wanted; });
  });
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new CUevent_st;
  (*event)->timed = flags != cudaEventDisableTiming;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (stream->recording) return cudaErrorInvalidValue;
  event->stream = stream;
  cuda_emulator::enqueue(stream, [state = event->state, number = ++event->state->recorded] {
    state->passed = std::chrono::steady_clock::now();
    state->reached = number;
  });
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return event->state->reached >= event->state->recorded ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->stream == nullptr) return cudaErrorInvalidValue;
  return cudaStreamSynchronize(event->stream);
}
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t begin, cudaEvent_t end) {
  if (!begin->timed || !end->timed) return cudaErrorInvalidValue;
  *ms = std::chrono::duration<float, std::milli>(end->state->passed - begin->state->passed).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  stream->recording = true;
  stream->recorded.clear();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!stream->recording) return cudaErrorInvalidValue;
  stream->recording = false;
  *graph = new CUgraph_st{std::move(stream->recorded)};
  return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t*, size_t* count) {
  *count = graph->work.size();
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new CUgraphExec_st{graph->work};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  for (const auto& work : executable->work) cuda_emulator::enqueue(stream, work);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
