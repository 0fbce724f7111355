#include "models/axis_taps.h"

#include <algorithm>
#include <cmath>

namespace psanet::models {

void HostTaps::bilinear(int64_t in, int64_t size) {
  out = size;
  taps = in == size ? 1 : 2;
  index.clear();
  weight.clear();
  const double factor = static_cast<double>(in) / static_cast<double>(size);
  for (int64_t i = 0; i < size; ++i) {
    const auto source = static_cast<float>((static_cast<double>(i) + 0.5) * factor - 0.5);
    const float at = std::clamp(source, 0.0f, static_cast<float>(in - 1));
    const auto low = static_cast<int64_t>(at);
    const float t = at - static_cast<float>(low);
    index.push_back(static_cast<int32_t>(low));
    weight.push_back(1 - t);
    if (taps == 1) continue;
    index.push_back(static_cast<int32_t>(std::min(low + 1, in - 1)));
    weight.push_back(t);
  }
}

void HostTaps::imresize(int64_t in, int64_t size) {
  out = size;
  index.clear();
  weight.clear();
  const double scale = static_cast<double>(size) / static_cast<double>(in);
  const double squeeze = std::min(1.0, scale);  // below 1: the triangle is wider
  const double width = 2 / squeeze;
  taps = in == size ? 1 : static_cast<int64_t>(std::ceil(width)) + 1;
  for (int64_t i = 0; i < size; ++i) {
    if (taps == 1) {
      index.push_back(static_cast<int32_t>(i));
      weight.push_back(1);
      continue;
    }
    const double centre = (static_cast<double>(i) + 0.5) / scale - 0.5;
    const auto first = static_cast<int64_t>(std::floor(centre - width / 2)) + 1;  // what lies further left weighs 0
    const auto triangle = [&](int64_t k) {
      return std::max(0.0, 1 - squeeze * std::abs(centre - static_cast<double>(first + k)));
    };
    double sum = 0;
    for (int64_t k = 0; k < taps; ++k) sum += triangle(k);
    for (int64_t k = 0; k < taps; ++k) {
      int64_t place = (first + k) % (2 * in);  // reflected: ..., 1, 0, 0, 1, ..., in-1, in-1, in-2, ...
      if (place < 0) place += 2 * in;
      index.push_back(static_cast<int32_t>(place < in ? place : 2 * in - 1 - place));
      weight.push_back(static_cast<float>(triangle(k) / sum));
    }
  }
}

void HostTaps::average(std::span<const int32_t> visits, int64_t offset) {
  for (size_t i = 0; i < index.size(); ++i) {
    index[i] += static_cast<int32_t>(offset);
    weight[i] /= static_cast<float>(visits[static_cast<size_t>(index[i])]);
  }
}

}  // namespace psanet::models
