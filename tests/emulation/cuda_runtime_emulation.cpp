#include "tests/emulation/cuda_runtime_emulation.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>

struct Piece {
  std::function<void()> work;
  const char* name;
};
using Work = std::vector<Piece>;

struct CUgraph_st {
  Work work;
};
struct CUstream_st {
  int device = 0;
  bool recording_broken = false;
  std::deque<std::function<void()>> queue;
  bool recording = false;
  std::unique_ptr<CUgraph_st> recorded;
};
struct CUevent_st {
  /// Outlives the event in the work that is still to come to it.
  struct State {
    std::atomic<int64_t> recorded = 0, reached = 0;  // how often
    std::chrono::steady_clock::time_point passed;
  };
  cudaStream_t stream = nullptr;
  int device = 0;
  bool timed = true;
  std::shared_ptr<State> state = std::make_shared<State>();
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

namespace {
constexpr const char* kCopy = "copy";
constexpr const char* kClear = "clear";
constexpr const char* kEvent = "";  // costs nothing and is not written down

/// Where times of kernels go; null if nobody wants them.
std::FILE* kernel_times() {
  static std::FILE* file = [] {
    const char* name = std::getenv("PSANET_KERNEL_TIMES");
    return name == nullptr ? nullptr : std::fopen(name, "w");
  }();
  return file;
}

/// The piece of work, which writes down when it ran if that is wanted.
std::function<void()> timed(Piece piece, int64_t correlation, int graph, size_t node) {
  if (kernel_times() == nullptr || piece.name == kEvent) return std::move(piece.work);
  return [=] {
    const auto now = [] {
      return static_cast<long long>(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
    };
    const long long begin = now();
    piece.work();
    const char* kind = piece.name == kCopy || piece.name == kClear ? piece.name : "kernel";
    std::fprintf(kernel_times(), "%s\t%lld\t%lld\t1\t%lld\t%d\t%zu\t0\t%s\n", kind, begin, now(),
                 static_cast<long long>(correlation), graph, node, piece.name);
    std::fflush(kernel_times());
  };
}
std::atomic<int64_t> correlations = 0;
}  // namespace

void cuda_emulator::enqueue(cudaStream_t stream, std::function<void()> work, const char* name) {
  if (stream->recording) {
    stream->recorded->work.push_back({std::move(work), name});
  } else {
    stream->queue.push_back(timed({std::move(work), name}, ++correlations, 0, 0));
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
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorNoKernelImageForDevice:
      return "no kernel image is available for execution on the device";
    case cudaErrorInvalidResourceHandle:
      return "invalid resource handle";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
    default:
      return "invalid argument";
  }
}
cudaError_t cudaGetLastError() {
  return cudaSuccess;
}
namespace {
/// What the environment says of the emulated machine (docs/cuda-emulation.md).
int setting(const char* name, int otherwise) {
  const char* wanted = std::getenv(name);
  return wanted != nullptr ? std::atoi(wanted) : otherwise;
}
int devices() {
  return setting("PSANET_EMULATED_GPUS", 1);
}
constexpr int kRuntimeVersion = 13000;
/// 0: none is installed.
int driver() {
  return setting("PSANET_EMULATED_DRIVER", kRuntimeVersion);
}
/// 90: Hopper.
int capability() {
  return setting("PSANET_EMULATED_CAPABILITY", 90);
}
thread_local int current_device = 0;
}  // namespace
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  if (driver() < kRuntimeVersion) return cudaErrorInsufficientDriver;
  if (devices() == 0) return cudaErrorNoDevice;
  *count = devices();
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= devices()) return cudaErrorInvalidDevice;
  current_device = device;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "emulated on the processor");
  properties->totalGlobalMem = size_t{4} << 30;
  properties->major = capability() / 10;
  properties->minor = capability() % 10;
  // Few: kernels that divide work by it do so in more than one way in tests.
  properties->multiProcessorCount = setting("PSANET_EMULATED_MULTIPROCESSORS", 4);
  properties->l2CacheSize = 1 << 20;
  properties->sharedMemPerBlockOptin = static_cast<size_t>(setting("PSANET_EMULATED_SHARED_KIB", 227)) << 10;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = driver();
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = kRuntimeVersion;
  return cudaSuccess;
}

void cuda_emulator::require_current_device(cudaStream_t stream) {
  if (stream->device != current_device) fail("work is put into a stream that is not of the thread's current device");
}

namespace {
std::map<std::pair<const void*, int>, size_t>& dynamic_shared_asked_for() {
  static auto* asked = new std::map<std::pair<const void*, int>, size_t>;
  return *asked;
}
bool recording_is_refused = false;
}  // namespace

size_t cuda_emulator::shared_allowed_bytes(const void* kernel) {
  const auto& asked = dynamic_shared_asked_for();
  const auto at = asked.find({kernel, current_device});
  constexpr size_t kUnasked = 48 << 10;
  return at == asked.end() ? kUnasked : std::max(kUnasked, at->second);
}

cudaError_t cuda_emulator::allow_dynamic_shared(const void* kernel, int bytes) {
  cudaDeviceProp properties;
  cudaGetDeviceProperties(&properties, current_device);
  if (bytes < 0 || static_cast<size_t>(bytes) > properties.sharedMemPerBlockOptin) return cudaErrorInvalidValue;
  // Who asks may have static shared memory beside it, up to what a block can have at all.
  dynamic_shared_asked_for()[{kernel, current_device}] = properties.sharedMemPerBlockOptin;
  return cudaSuccess;
}

void cuda_emulator::refuse_recording(bool refuse) {
  recording_is_refused = refuse;
}

bool cuda_emulator::breaks_recording(cudaStream_t stream) {
  if (!recording_is_refused || !stream->recording) return false;
  stream->recording_broken = true;
  return true;
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
    cuda_emulator::enqueue(
        stream,
        [to, staged = std::vector<char>(first, first + bytes)] { std::memcpy(to, staged.data(), staged.size()); },
        kCopy);
  } else {
    cuda_emulator::enqueue(
        stream, [=] { std::memcpy(to, from, bytes); }, kCopy);
  }
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  if (stream->device != current_device) return cudaErrorInvalidResourceHandle;
  if (bytes > 0)
    cuda_emulator::enqueue(
        stream, [=] { std::memset(memory, value, bytes); }, kClear);
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  (*stream)->device = current_device;
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
  cuda_emulator::enqueue(
      stream,
      [other = event->stream, state = event->state, wanted = event->state->recorded.load()] {
        if (state->reached < wanted) drain(other, [&] { return state->reached >= wanted; });
      },
      kEvent);
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new CUevent_st;
  (*event)->device = current_device;
  (*event)->timed = flags != cudaEventDisableTiming;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (event->device != stream->device) return cudaErrorInvalidResourceHandle;
  if (stream->recording) return cudaErrorInvalidValue;
  event->stream = stream;
  cuda_emulator::enqueue(
      stream,
      [state = event->state, number = ++event->state->recorded] {
        state->passed = std::chrono::steady_clock::now();
        state->reached = number;
      },
      kEvent);
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
  if (begin->device != end->device) return cudaErrorInvalidResourceHandle;
  *ms = std::chrono::duration<float, std::milli>(end->state->passed - begin->state->passed).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream->device != current_device) return cudaErrorInvalidResourceHandle;
  stream->recording = true;
  stream->recording_broken = false;
  stream->recorded = std::make_unique<CUgraph_st>();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!stream->recording) return cudaErrorInvalidValue;
  stream->recording = false;
  *graph = nullptr;
  if (stream->recording_broken) return cudaErrorStreamCaptureInvalidated;
  *graph = stream->recorded.release();
  return cudaSuccess;
}
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, cudaStreamCaptureStatus* status, unsigned long long*,
                                     cudaGraph_t* graph, const void*, const void*, size_t*) {
  *status = !stream->recording         ? cudaStreamCaptureStatusNone
            : stream->recording_broken ? cudaStreamCaptureStatusInvalidated
                                       : cudaStreamCaptureStatusActive;
  *graph = stream->recorded.get();
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
  if (stream->device != current_device) return cudaErrorInvalidResourceHandle;
  const int64_t correlation = ++correlations;
  for (size_t i = 0; i < executable->work.size(); ++i) {
    stream->queue.push_back(timed(executable->work[i], correlation, 1, i + 1));
  }
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
