#include "kernels/context.h"

#include <fmt/format.h>
#include <omp.h>

#include <fstream>

#include "kernels/cpu/onednn.h"

namespace psanet::kernels {

CpuContext::CpuContext(int threads_wanted) : threads(threads_wanted > 0 ? threads_wanted : omp_get_max_threads()) {
  onednn = cpu::onednn_call("starting the CPU backend", [] {
    dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    dnnl::stream stream(engine);
    return std::make_shared<cpu::OneDnn>(cpu::OneDnn{engine, stream});
  });
}

namespace {
std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}
}  // namespace

std::string describe(const CpuContext& ctx) {
  return fmt::format("CPU: {}, {} thread{}, {}", processor_name(), ctx.threads, ctx.threads == 1 ? "" : "s",
                     cpu::describe_onednn());
}

}  // namespace psanet::kernels
