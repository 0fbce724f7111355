// Where kernels run. A context is passed to every kernel; overloads on its type choose the backend at compile time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace psanet::kernels {

namespace cpu {
struct OneDnn;  // oneDNN's engine and stream, defined in kernels/cpu/onednn.h
}

/// The processor: `threads` OpenMP threads, oneDNN for convolutions and matrix products.
struct CpuContext {
  /// threads <= 0: as many as the process may use (affinity mask, OMP_NUM_THREADS).
  explicit CpuContext(int threads = 0);

  int threads;
  std::shared_ptr<cpu::OneDnn> onednn;
};

/// One line for reports: processor name, threads, instruction set and library versions.
std::string describe(const CpuContext& ctx);

}  // namespace psanet::kernels
