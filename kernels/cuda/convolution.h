// One pass of a convolution as a vendor library runs it: what lies between conv2d.cpp, which decides, and cuDNN
// (vendor/convolution.cpp) or the loops that take its place in the emulation.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/conv2d.h"

namespace psanet::kernels::cuda {

enum class ConvolutionPass : uint8_t { forward, backward_data, backward_weights };

struct ConvolutionProblem {
  ConvolutionPass pass = ConvolutionPass::forward;
  Conv2dDims dims;  // its scalar: of what is read
  Scalar out = Scalar::f32;
  Conv2dEpilogue epilogue;  // of the forward pass
  Scalar bias = Scalar::f32;
  Float32Math math = Float32Math::ieee;
};

/// y from x, w; d_x from d_y, w; d_w from x, d_y: as the functions of kernels/conv2d.h have them.
struct ConvolutionOperands {
  const void *first = nullptr, *second = nullptr;
  void* out = nullptr;
  const void *bias = nullptr, *residual = nullptr;
};

/// One way to compute a pass.
class ConvolutionPlan {
 public:
  virtual ~ConvolutionPlan() = default;
  /// The same for the same problem, machine and library versions.
  virtual std::string name() const = 0;
  /// Must be called before what follows. False: there is no such way after all. May take long at first.
  virtual bool build() = 0;
  virtual int64_t workspace_bytes() const = 0;
  virtual void run(const ConvolutionOperands& operands, void* workspace) = 0;
};
using ConvolutionPlans = std::vector<std::shared_ptr<ConvolutionPlan>>;

/// At most `most` plans that add in a fixed order, the library's best guess first; none if it cannot do the problem.
ConvolutionPlans library_plans(CudaContext& ctx, const ConvolutionProblem& problem, size_t most);

/// "cuDNN 9.19.0", for reports.
std::string convolution_library_version();

/// More workspace than this a plan must not want.
inline constexpr int64_t kMost_convolution_workspace_bytes = int64_t{512} << 20;

/// y = relu?(y + bias? + residual?), y [rows, channels]; null for none.
template <class T>
void convolution_epilogue(CudaContext& ctx, int64_t rows, int64_t channels, const float* bias, const T* residual,
                          bool relu, T* y);

}  // namespace psanet::kernels::cuda
