// A run of places along an axis.
#pragma once

#include "kernels/cuda/portable.h"

namespace psanet::kernels::cuda {

struct Range {
  int begin, end;
};

}  // namespace psanet::kernels::cuda
