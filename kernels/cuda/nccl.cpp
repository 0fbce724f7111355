// A communicator for a context: its stream is the compute stream.
#include "kernels/nccl.h"

#include "kernels/cuda/runtime.h"

namespace psanet::kernels {

std::unique_ptr<NcclCommunicator> make_nccl_communicator(CudaContext& ctx, const NcclId& id, int rank, int world,
                                                         const NcclOptions& options) {
  return std::make_unique<NcclCommunicator>(ctx.device, ctx.runtime->stream, id, rank, world, options);
}

}  // namespace psanet::kernels
