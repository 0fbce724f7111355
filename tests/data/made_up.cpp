#include "tests/data/made_up.h"

#include <fmt/format.h>

#include <cmath>

namespace psanet::tests {

data::Image made_up_image(int height, int width, int seed) {
  data::Image image(height, width);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const double wave = std::sin(0.21 * x + 0.7 * seed) + std::cos(0.13 * y - 0.3 * seed);
      const int texture = (x * 7 + y * 13 + seed * 29) % 17;
      image.set(
          y, x,
          {std::uint8_t(120 + 40 * wave + texture), std::uint8_t(255 * x / width), std::uint8_t(255 * y / height)});
    }
  }
  return image;
}

data::LabelMap made_up_label(int height, int width, int classes, int seed) {
  data::LabelMap label(height, width);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      label.at(y, x) = std::uint8_t((x / 5 + y / 7 + seed) % classes);
      if ((x + 3 * y + seed) % 53 == 0) label.at(y, x) = data::kIgnore;
    }
  }
  return label;
}

data::Dataset made_up_dataset(int classes) {
  data::Dataset dataset;
  dataset.name = "made-up";
  dataset.file = "made-up.json";
  dataset.class_of.fill(-1);
  dataset.class_of[data::kIgnore] = data::kIgnore;
  for (int c = 0; c < classes; ++c) {
    dataset.classes.push_back({fmt::format("class {}", c), {std::uint8_t(c * 20), 100, 50}});
    dataset.class_of[std::size_t(c)] = std::int16_t(c);
  }
  dataset.lists = {{"train", "train.txt"}, {"test", "test.txt"}};
  return dataset;
}

bool contains(const std::string& text, const std::string& part) {
  INFO("text: " << text << "\npart: " << part);
  const bool found = text.find(part) != std::string::npos;
  CHECK(found);
  return found;
}

}  // namespace psanet::tests
