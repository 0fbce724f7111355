// NCCL as it is found when the program runs. Its entry points are declared here, so that building needs no nccl.h and
// starting no library; where nccl.h is, kernels/cuda/vendor/nccl.cpp compares (names: nccl.h without the prefix).
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "kernels/cuda/portable.h"

namespace psanet::kernels::cuda::nccl {

enum Result : int { success = 0, system_error = 2, internal_error = 3, remote_error = 6, in_progress = 7 };
enum DataType : int { int8 = 0, int64 = 4, float32 = 7, float64 = 8 };
enum RedOp : int { sum = 0 };
struct Communicator;  // opaque
struct UniqueId {
  char internal[128];
};
/// As of NCCL 2.14: later versions see by size and version that the rest is theirs to choose.
struct Config {
  size_t size = sizeof(Config);
  unsigned magic = 0xcafebeef;
  unsigned version = 21400;
  int blocking = 0;
};

/// A communicator that does not block exists since 2.14.
inline constexpr int kOldest = 21400;

struct Library {
  std::string file;
  int version = 0;  // as ncclGetVersion counts

  Result (*GetVersion)(int* version) = nullptr;
  const char* (*GetErrorString)(Result) = nullptr;
  const char* (*GetLastError)(Communicator*) = nullptr;
  Result (*GetUniqueId)(UniqueId*) = nullptr;
  Result (*CommInitRankConfig)(Communicator**, int world, UniqueId, int rank, Config*) = nullptr;
  Result (*CommGetAsyncError)(Communicator*, Result*) = nullptr;
  Result (*CommFinalize)(Communicator*) = nullptr;
  Result (*CommDestroy)(Communicator*) = nullptr;
  Result (*CommAbort)(Communicator*) = nullptr;
  Result (*AllReduce)(const void* from, void* to, size_t count, DataType, RedOp, Communicator*, cudaStream_t) = nullptr;
  Result (*Broadcast)(const void* from, void* to, size_t count, DataType, int root, Communicator*,
                      cudaStream_t) = nullptr;
  Result (*AllGather)(const void* from, void* to, size_t count, DataType, Communicator*, cudaStream_t) = nullptr;

  /// What the library says of a result, with its last error's details.
  std::string words(Result result, Communicator* communicator) const;
};

/// Loads the library (see NcclOptions::library), once; it stays. DeviceError if it is not there, lacks something or is
/// older than kOldest.
std::shared_ptr<const Library> load(const std::string& file);

/// "2.28.9" of 22809.
std::string version_text(int version);

}  // namespace psanet::kernels::cuda::nccl
