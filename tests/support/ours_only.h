// For tests of the CUDA backend: our own convolutions and matrix products forced, or the libraries'.
#pragma once

#include "kernels/cuda/algorithms.h"

namespace psanet::tests {

/// While it lives, what is prepared is our own kernels, or (false) the library's, whatever the environment says.
class OursOnly {
 public:
  explicit OursOnly(bool yes = true) : before_(kernels::cuda::ours_only()) { kernels::cuda::use_ours_only(yes); }
  ~OursOnly() { kernels::cuda::use_ours_only(before_); }
  OursOnly(const OursOnly&) = delete;
  OursOnly& operator=(const OursOnly&) = delete;

 private:
  bool before_;
};

}  // namespace psanet::tests
