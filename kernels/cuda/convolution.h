// One pass of a convolution as a vendor library runs it: what lies between conv2d.cpp, which decides, and cuDNN
// (vendor/convolution.cpp) or the loops that take its place in the emulation.
#pragma once

#include <memory>
#include <optional>
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

/// A 1x1 convolution that leaves out no pixel is a product of [pixels, channels] with the weights.
bool is_product(const Conv2dDims& dims);

/// "convolution forward [16,59,59,512] to 2048, kernel 1x1 ..., bf16->bf16 bias relu"
std::string describe(const ConvolutionProblem& problem);

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

/// Plans that add in a fixed order, the library's best guess first; none if it cannot do the problem. All that one of
/// its heuristics proposes, and what the next ones propose while there are fewer than `enough`: the first ten may all
/// want too large a workspace (in tf32 on an A100 for 16 maps of 97x97 with 2048 channels they do).
ConvolutionPlans library_plans(CudaContext& ctx, const ConvolutionProblem& problem, size_t enough);

/// The plans that a convolution's is chosen from (conv2d.cpp): with the epilogue in them or in a kernel behind them,
/// and as a matrix product where it is one; or, only if none of these can be built, those that compute bf16 by way of
/// float.
ConvolutionPlans convolution_plans(CudaContext& ctx, const ConvolutionProblem& problem, bool by_way_of_float);

/// A context for a GPU that need not be there: plans of convolutions can be made and built for it, nothing can run. The
/// description is JSON in cuDNN's words (tests/cudnn_plans/h100.json); DeviceError if it is not. Nothing if this cuDNN
/// knows no descriptions (before 9.8).
std::optional<CudaContext> described_gpu(const std::string& json, Float32Math math);
/// The description of a context's GPU, as described_gpu() reads it. DeviceError if this cuDNN knows none.
std::string description_of(CudaContext& ctx);

/// "cuDNN 9.19.0", for reports.
std::string convolution_library_version();

/// More workspace than this a plan must not want.
inline constexpr int64_t kMost_convolution_workspace_bytes = int64_t{1} << 30;

/// y = relu?(y + bias? + residual?), y [rows, channels]; null for none.
template <class T>
void convolution_epilogue(CudaContext& ctx, int64_t rows, int64_t channels, const float* bias, const T* residual,
                          bool relu, T* y);

}  // namespace psanet::kernels::cuda
