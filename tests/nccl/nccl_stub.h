// What tests tell the stub library in NCCL's place: what is to go wrong, and how work is put into a stream.
#pragma once

#include <functional>

struct CUstream_st;

namespace psanet::tests {

/// nccl_stub_script: forgets what was, and takes statements separated by ";":
///   "all_reduce 3: error"     the third call of that collective is refused (also broadcast, all_gather)
///   "all_reduce 2: hang"      that collective, once begun on the device, ends only when the communicator is aborted
///   "all_reduce 1: stuck"     the call itself never returns
///   "async error after 2"     once two collectives are done, the library has an error of its own to report
///   "init: error", "init: hang", "abort: hang", "destroy: in progress", "version: 2803"
/// Throws std::invalid_argument if there is anything else in it.
using NcclStubScript = void(const char* script);

/// nccl_stub_enqueue_with: the function that puts work at the end of a stream (cuda_emulator::enqueue).
using NcclStubEnqueue = void(void (*enqueue)(CUstream_st*, std::function<void()>));

/// nccl_stub_count: how often a function ("init", "all_reduce", "abort", "destroy") was called since the last script.
using NcclStubCount = int(const char* function);

}  // namespace psanet::tests
