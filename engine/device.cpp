#include "engine/device.h"

namespace psanet {

std::string Device::describe() const {
  return std::visit([](const auto& ctx) { return kernels::describe(ctx); }, context_);
}

}  // namespace psanet
