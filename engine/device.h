// A device: one of the kernel contexts. Above kernels/, only this file and device.cpp know which there are.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <variant>

#include "kernels/context.h"

namespace psanet {

class Communicator;

/// What activations and convolutions are computed in (docs/precision.md). Parameters, batch statistics, softmax and
/// losses are float in all of them.
enum class Precision : uint8_t {
  fp32,  // IEEE float32
  tf32,  // float32 tensors; a GPU's matrix units round their operands to 10 bits of mantissa
  bf16   // activations and the operands of convolutions are bfloat16
};

/// "fp32", "tf32", "bf16", in the enum's order.
std::span<const char* const> choices(Precision);
inline const char* name(Precision precision) {
  return choices(precision)[static_cast<size_t>(precision)];
}
/// ConfigError if there is none of that name.
Precision precision_named(const std::string& name);

/// What a graph is made ready for.
struct Target {
  Target() = default;
  Target(Precision p, bool on_gpu = false) : precision(p), gpu(on_gpu) {}  // NOLINT: a precision is a target
  Precision precision = Precision::fp32;
  bool gpu = false;
};

/// Owns the context that everything of one process runs on. Neither copied nor moved: tensors and programs refer to it.
class Device {
 public:
  /// The processor with `threads` threads (0: all that the process may use).
  static Device cpu(int threads = 0) { return Device(kernels::CpuContext(threads)); }
  /// GPU number `index`. DeviceError if it is not there, or if this program was built without CUDA.
  static Device cuda(int index = 0, Precision precision = Precision::fp32);
  /// "auto" (the first GPU, or else the processor), "cpu", "cuda" or "cuda:1". ConfigError for anything else, and for a
  /// precision that the device does not compute in.
  static Device named(const std::string& name, Precision precision, int threads = 0);

  /// GPUs that this program can use.
  static int gpus();
  static bool has_gpu() { return gpus() > 0; }
  /// Why has_gpu() is false although an NVIDIA driver is installed (it is too old, say): what a program that falls back
  /// to the processor should tell. Empty if there is a GPU, no driver, or no CUDA in this program.
  static std::string why_gpu_is_not_used();
  /// What this program was built with: "cpu", "cpu, cuda".
  static const char* backends();

  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// Calls f(context) with the context's own type. A kernel without an overload for one of the contexts does not
  /// compile.
  template <class F>
  decltype(auto) visit(F&& f) {
    return std::visit(std::forward<F>(f), context_);
  }

  /// Waits until everything launched on it is done.
  void synchronize();
  bool is_cpu() const { return std::holds_alternative<kernels::CpuContext>(context_); }
  Precision precision() const { return precision_; }
  /// What optimize_for_evaluation() and training_step() must know of it.
  Target target() const { return {precision_, !is_cpu()}; }
  std::string describe() const;

  /// The other ranks of a data-parallel run, whose devices work on other parts of the same batch; one rank by default.
  Communicator& communicator() { return *communicator_; }
  void join(std::shared_ptr<Communicator> communicator) { communicator_ = std::move(communicator); }

#ifdef PSANET_HAS_CUDA
  using Context = std::variant<kernels::CpuContext, kernels::CudaContext>;
#else
  using Context = std::variant<kernels::CpuContext>;
#endif

 private:
  static std::shared_ptr<Communicator> one_rank();
  explicit Device(Context context, Precision precision = Precision::fp32)
      : context_(std::move(context)), precision_(precision) {}
  Context context_;
  Precision precision_;
  std::shared_ptr<Communicator> communicator_ = one_rank();
};

/// Can the host read and write its tensors as they are?
template <class Ctx>
inline constexpr bool kHostMemory = std::is_same_v<Ctx, kernels::CpuContext>;

/// Are there kernels for activations stored as T? The processor computes in float alone.
template <class Ctx, class T>
inline constexpr bool kComputesIn = !(std::is_same_v<Ctx, kernels::CpuContext> && std::is_same_v<T, kernels::bf16>);

}  // namespace psanet
