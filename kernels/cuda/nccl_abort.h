// Aborting a communicator that may not let itself be aborted.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "kernels/cuda/nccl_library.h"

namespace psanet::kernels::cuda::nccl {

/// Aborts the communicator (kernels of its that run on the device end, too). `calls` is held by whoever is inside
/// another of the library's calls with it. If it takes longer than limit_s, the process prints `line` with what
/// happened and ends with kNccl_stuck_exit_code, without destructors: they would wait for the very same kernels.
void abort_or_end(std::shared_ptr<const Library> library, Communicator* communicator, int device, std::mutex& calls,
                  double limit_s, const std::string& line);

}  // namespace psanet::kernels::cuda::nccl
