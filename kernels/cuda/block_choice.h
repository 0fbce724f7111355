// The number of multiprocessors by which kernels choose how to divide their work. Tests force a choice with it: what a
// large GPU takes for large maps can be run on small ones.
#pragma once

#include "kernels/context.h"

namespace psanet::kernels::cuda {

int multiprocessors(const CudaContext& ctx);
/// From now on kernels on this context divide their work as if there were so many (at least 1; many more than there are
/// make some kernels want more scratch memory than there is).
void pretend_multiprocessors(CudaContext& ctx, int count);

}  // namespace psanet::kernels::cuda
