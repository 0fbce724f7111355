// Parameters as files: official names and layouts, so that official weights load here and ours load there.
#pragma once

#include "engine/parameters.h"

namespace psanet::models {

/// Everything a state_dict has: parameters, running statistics, and num_batches_tracked (i64 scalar, = iterations) for
/// every batch norm. With `optimizer` also the momentum buffers ("momentum.<parameter>"), so that training can go on.
Safetensors to_file(const Parameters& parameters, int64_t iterations, bool optimizer);

/// "tensors 321 loaded; 2 of the model not in the file: ...; 4 of the file unused: ..."
std::string describe(const LoadReport& report);

}  // namespace psanet::models
