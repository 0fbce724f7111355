// A device: one of the kernel contexts. Above kernels/, only this file and device.cpp know which there are.
#pragma once

#include <string>
#include <variant>

#include "kernels/context.h"

namespace psanet {

/// Owns the context that everything of one process runs on. Neither copied nor moved: tensors and programs refer to it.
class Device {
 public:
  /// The processor with `threads` threads (0: all that the process may use).
  static Device cpu(int threads = 0) { return Device(kernels::CpuContext(threads)); }

  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// Calls f(context) with the context's own type. A kernel without an overload for one of the contexts does not
  /// compile.
  template <class F>
  decltype(auto) visit(F&& f) {
    return std::visit(std::forward<F>(f), context_);
  }

  std::string describe() const;

 private:
  using Context = std::variant<kernels::CpuContext>;
  explicit Device(Context context) : context_(std::move(context)) {}
  Context context_;
};

}  // namespace psanet
