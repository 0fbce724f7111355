// A small checkpoint whose every value depends on its iteration.
#pragma once

#include "models/checkpoint.h"

namespace psanet::tests {

inline models::Checkpoint made_up_checkpoint(int64_t iteration) {
  models::Checkpoint c;
  c.iteration = iteration;
  std::vector<float> values(12);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(iteration) + 0.5f * static_cast<float>(i);
  c.tensors.tensors["conv.weight"] = FileTensor::of({3, 4}, std::span<const float>(values));
  c.tensors.tensors["momentum.conv.weight"] = FileTensor::of({4, 3}, std::span<const float>(values));
  c.tensors.tensors["bn.num_batches_tracked"] = FileTensor::of({}, std::span<const int64_t>(&iteration, 1));
  c.state = {{"recipe", {{"batch", 8}, {"rate", 0.1}}}, {"seed", 7}};
  return c;
}

inline bool same(const models::Checkpoint& a, const models::Checkpoint& b) {
  if (a.iteration != b.iteration || a.state != b.state || a.metrics != b.metrics) return false;
  if (a.tensors.tensors.size() != b.tensors.tensors.size()) return false;
  for (const auto& [name, tensor] : a.tensors.tensors) {
    if (!b.tensors.contains(name)) return false;
    const FileTensor& other = b.tensors.at(name);
    if (tensor.dtype != other.dtype || tensor.shape != other.shape || tensor.bytes != other.bytes) return false;
  }
  return true;
}

}  // namespace psanet::tests
