// What a model costs, as text.
#pragma once

#include <string>

#include "models/model_file.h"

namespace psanet::apps {

/// Parameters and operations of each part, memory of an evaluation and of a training step at this batch.
std::string model_report(const models::Model& model, int64_t batch, int threads);

/// Version, compiler, backends, device, models that ship with us.
std::string build_report(int threads);

}  // namespace psanet::apps
