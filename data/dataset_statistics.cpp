#include "data/dataset_statistics.h"

#include <cmath>
#include <mutex>

namespace psanet::data {
namespace {

/// Sums of whole numbers: their order does not matter.
struct Sums {
  std::array<std::uint64_t, 3> values{}, squares{};
  std::uint64_t count = 0;
};

Sums sums_of(const Image& image) {
  Sums sums;
  sums.count = image.pixels.size() / 3;
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    for (std::size_t k = 0; k < 3; ++k) {
      const std::uint64_t v = image.pixels[i + k];
      sums.values[k] += v;
      sums.squares[k] += v * v;
    }
  }
  return sums;
}

}  // namespace

double DatasetStatistics::pixel_share(int c) const {
  const std::int64_t with_class = pixels - ignored_pixels;
  return with_class > 0 ? double(class_pixels[std::size_t(c)]) / double(with_class) : 0;
}

double DatasetStatistics::image_share(int c) const {
  return images > 0 ? double(class_images[std::size_t(c)]) / double(images) : 0;
}

DatasetStatistics collect_statistics(const Dataset& dataset, const std::vector<Sample>& samples, int threads,
                                     const ProgressCallback& progress) {
  const auto classes = std::size_t(dataset.class_count());
  DatasetStatistics result;
  result.images = samples.size();
  result.class_pixels.resize(classes);
  result.class_images.resize(classes);
  Sums total;
  std::mutex mutex;
  for_each_index(
      samples.size(), threads,
      [&](std::size_t i) {
        const LabelledImage sample = load_sample(dataset, samples[i]);
        const Sums sums = sums_of(sample.image);
        std::array<std::int64_t, 256> counts{};
        for (const std::uint8_t v : sample.label.labels) ++counts[v];
        const std::lock_guard lock(mutex);
        ++result.sizes[{sample.image.height, sample.image.width}];
        result.pixels += std::int64_t(sample.label.labels.size());
        result.ignored_pixels += counts[kIgnore];
        for (std::size_t c = 0; c < classes; ++c) {
          result.class_pixels[c] += counts[c];
          result.class_images[c] += counts[c] > 0;
        }
        total.count += sums.count;
        for (std::size_t k = 0; k < 3; ++k) {
          total.values[k] += sums.values[k];
          total.squares[k] += sums.squares[k];
        }
      },
      progress);
  for (std::size_t k = 0; k < 3 && total.count > 0; ++k) {
    const double n = double(total.count);
    result.mean[k] = double(total.values[k]) / n;
    result.deviation[k] = std::sqrt(std::max(0.0, double(total.squares[k]) / n - result.mean[k] * result.mean[k]));
  }
  return result;
}

}  // namespace psanet::data
