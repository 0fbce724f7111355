// What a model costs, as text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/app.h"

namespace psanet::apps {

/// Parameters and operations of each part, memory of an evaluation and of a training step at this batch.
/// `model` and `settings` as on the command line.
std::string model_report(const std::string& model, const std::vector<std::string>& settings, int64_t batch,
                         const DeviceChoice& choice);

/// Version, compiler, backends, device, models that ship with us.
std::string build_report(const DeviceChoice& choice);

}  // namespace psanet::apps
