// What is wrong with one sample: its image, its label, and whether the two belong together.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/samples.h"

namespace psanet::data {

struct SampleFinding {
  bool error = true;  ///< else a warning
  std::string kind, text;
};

struct SampleCheck {
  std::vector<SampleFinding> findings;
  std::uint64_t picture = 0;               ///< a hash of the image's pixels; 0 if it could not be decoded
  std::array<std::int64_t, 256> values{};  ///< pixels of each value in the label file
};

/// Decodes both files of a sample and looks at every pixel of the label.
SampleCheck check_sample(const Dataset& dataset, const Sample& sample);

/// "0..150, 255": the values that label files of the dataset may hold.
std::string known_values(const Dataset& dataset);

}  // namespace psanet::data
