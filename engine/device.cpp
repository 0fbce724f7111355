#include "engine/device.h"

#include <fmt/format.h>

#include <charconv>

#include "engine/communicator.h"
#include "engine/error.h"
#include "kernels/error.h"
#include "kernels/memory.h"

namespace psanet {

std::span<const char* const> choices(Precision) {
  static constexpr const char* kNames[] = {"fp32", "tf32", "bf16"};
  return kNames;
}

Precision precision_named(const std::string& wanted) {
  for (Precision p : {Precision::fp32, Precision::tf32, Precision::bf16}) {
    if (wanted == name(p)) return p;
  }
  throw ConfigError(fmt::format("precision \"{}\", want fp32, tf32 or bf16", wanted));
}

Device Device::cuda([[maybe_unused]] int index, [[maybe_unused]] Precision precision) {
#ifdef PSANET_HAS_CUDA
  const auto math = precision == Precision::tf32 ? kernels::Float32Math::tf32 : kernels::Float32Math::ieee;
  return Device(kernels::CudaContext(index, math), precision);
#else
  throw DeviceError("this program was built without CUDA (PSANET_CUDA=OFF, or no nvcc, cuBLAS or cuDNN was found)");
#endif
}

int Device::gpus() {
#ifdef PSANET_HAS_CUDA
  return kernels::cuda_device_count();
#else
  return 0;
#endif
}

std::string Device::why_gpu_is_not_used() {
#ifdef PSANET_HAS_CUDA
  if (!has_gpu() && kernels::cuda_driver_installed()) return kernels::why_no_cuda_device();
#endif
  return {};
}

const char* Device::backends() {
#ifdef PSANET_HAS_CUDA
  return "cpu, cuda";
#else
  return "cpu";
#endif
}

Device Device::named(const std::string& name, Precision precision, int threads) {
  const std::string cuda_prefix = "cuda:";
  if (name == "cuda" || (name == "auto" && has_gpu())) return cuda(0, precision);
  if (name.rfind(cuda_prefix, 0) == 0) {
    int index = 0;
    const char* end = name.data() + name.size();
    const auto read = std::from_chars(name.data() + cuda_prefix.size(), end, index);
    if (read.ec == std::errc() && read.ptr == end && index >= 0) return cuda(index, precision);
  } else if (name == "cpu" || name == "auto") {
    if (precision != Precision::fp32) {
      throw ConfigError(
          fmt::format("precision {} on the processor, which computes in fp32 only; give --precision fp32, "
                      "or a CUDA device",
                      psanet::name(precision)));
    }
    return cpu(threads);
  }
  throw ConfigError(fmt::format("device \"{}\", want auto, cpu, cuda or cuda:N", name));
}

std::shared_ptr<Communicator> Device::one_rank() {
  return std::make_shared<Communicator>();
}

void Device::synchronize() {
  visit([](auto& ctx) { kernels::synchronize(ctx); });
}

std::string Device::describe() const {
  const std::string text = std::visit([](const auto& ctx) { return kernels::describe(ctx); }, context_);
  return precision_ == Precision::fp32 ? text : text + ", " + name(precision_);
}

}  // namespace psanet
