// The part of the CUDA runtime API that the project uses, over main memory. Streams are lazy: work is done when
// somebody waits for it, so forgotten waits show. Copies from ordinary host memory are taken at once, as the driver
// does; pinned memory is read when the copy's turn comes, so that changing it too early shows.
#pragma once

#include "tests/emulation/cuda_emulator.h"

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorNotReady = 600,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal };
enum cudaStreamCaptureStatus {
  cudaStreamCaptureStatusNone,
  cudaStreamCaptureStatusActive,
  cudaStreamCaptureStatusInvalidated
};
#define CUDART_VERSION 13000
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
inline constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDefault = 0, cudaEventDisableTiming = 2;

struct CUstream_st;
using cudaStream_t = CUstream_st*;
struct CUgraph_st;
using cudaGraph_t = CUgraph_st*;
struct CUgraphExec_st;
using cudaGraphExec_t = CUgraphExec_st*;
struct CUgraphNode_st;
using cudaGraphNode_t = CUgraphNode_st*;
struct CUevent_st;
using cudaEvent_t = CUevent_st*;

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
  int major, minor, multiProcessorCount, l2CacheSize;
  size_t sharedMemPerBlockOptin;
};

const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaGetDeviceCount(int* count);
/// Of the calling thread. What belongs to another device is refused, as on a GPU.
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaMalloc(void** memory, size_t bytes);
cudaError_t cudaFree(void* memory);
cudaError_t cudaMallocHost(void** memory, size_t bytes);
cudaError_t cudaFreeHost(void* memory);
cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreate(cudaEvent_t* event);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
/// For any thread, and it does no work: cudaErrorNotReady until somebody who waits has come to the event.
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t begin, cudaEvent_t end);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, cudaStreamCaptureStatus* status, unsigned long long* id,
                                     cudaGraph_t* graph, const void*, const void*, size_t*);
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);

namespace cuda_emulator {

/// Puts work at the end of a stream (or into the graph that the stream is recording).
/// With PSANET_KERNEL_TIMES the work is timed and written down under that name, as bench/kernel_times.cpp does on a
/// GPU.
void enqueue(cudaStream_t stream, std::function<void()> work, const char* name = "a library's kernel");

/// Ends the process, as run_grid() does, unless the stream is of the calling thread's current device: for kernels, and
/// for the libraries whose handles are of a device.
void require_current_device(cudaStream_t stream);

/// Static and dynamic shared memory that blocks of the kernel may have: 48 KiB, or what was asked for with
/// cudaFuncSetAttribute on the current device.
size_t shared_allowed_bytes(const void* kernel);

/// From now on, work that is put into a recording stream breaks the recording, as library calls may that want memory or
/// another stream.
void refuse_recording(bool refuse);
/// Breaks the recording, if the stream records and refuse_recording() says so; true if it did.
bool breaks_recording(cudaStream_t stream);

/// A kernel launch: the arguments are copied now, the grid runs later.
template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, A&&... arguments) {
  require_current_device(stream);
  const char* name = __PRETTY_FUNCTION__;
  std::tuple<std::remove_const_t<P>...> values(static_cast<P>(arguments)...);
  const size_t allowed = shared_allowed_bytes(reinterpret_cast<const void*>(kernel));
  enqueue(
      stream,
      [=] {
        run_grid(
            grid, block, shared_bytes, allowed, [&] { std::apply(kernel, values); }, name);
      },
      name);
}

cudaError_t allow_dynamic_shared(const void* kernel, int bytes);

}  // namespace cuda_emulator

template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel kernel, cudaFuncAttribute, int bytes) {
  return cuda_emulator::allow_dynamic_shared(reinterpret_cast<const void*>(kernel), bytes);
}
struct cudaFuncAttributes {
  int maxThreadsPerBlock;
};
template <class Kernel>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, Kernel) {
  *attributes = {1024};
  cudaDeviceProp properties;
  cudaGetDeviceProperties(&properties, 0);
  return properties.major >= 9 ? cudaSuccess : cudaErrorNoKernelImageForDevice;  // as if built for Hopper
}
