// The weights, inputs and labels that golden files do not store: functions of a name and a seed (golden README, "The
// hash scheme").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/parameters.h"

namespace psanet::tests {

/// Centre and half width of a tensor's values.
struct HashRange {
  double centre = 0, half = 0;
};

/// Of a parameter or running statistic with this official name and shape in a file.
HashRange hash_range(const std::string& name, const std::vector<int64_t>& file_shape, bool tight);

/// value i = centre + half * unit(key(name, seed), i), rounded to float once.
std::vector<float> hash_values(const std::string& name, uint64_t seed, HashRange range, int64_t count);

/// Parameter values of that name: as above, with the tight variant's shifted batch norms.
std::vector<float> hash_parameter(const std::string& name, uint64_t seed, const std::vector<int64_t>& file_shape,
                                  bool tight);

/// Labels in [0, classes), some 255.
std::vector<uint8_t> hash_labels(const std::string& name, uint64_t seed, int64_t classes, int64_t count);

/// sum of gradient[i] * unit(key("gradproj." + name, seed), i); the gradient in file order.
double hash_projection(const std::string& name, uint64_t seed, const std::vector<double>& gradient);

/// Gives every parameter and running statistic its hash values, every momentum zeros.
void fill_with_hash(Parameters& parameters, uint64_t seed, bool tight);

}  // namespace psanet::tests
