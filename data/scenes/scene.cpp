#include "data/scenes/scene.h"

#include <algorithm>
#include <cmath>

#include "data/scenes/canvas.h"

namespace psanet::data {
namespace {

/// Close to a normal distribution, by addition only: twelve uniform numbers have variance one.
double bell(KeyedRandom& random) {
  double sum = 0;
  for (int i = 0; i < 3; ++i) {
    const std::uint32_t bits = random.next();
    for (int k = 0; k < 4; ++k) sum += double((bits >> (8 * k)) & 255) / 255;
  }
  return sum - 6;
}

std::uint8_t to_byte(double v) {
  return std::uint8_t(std::clamp(std::floor(v + 0.5), 0.0, 255.0));
}

}  // namespace

Scene make_scene(const SceneConfig& config, std::uint64_t seed, std::uint32_t split, std::uint32_t index) {
  KeyedRandom random(seed, Purpose::scene, split, index);
  const Street street = draw_street(config, random);
  Canvas canvas(config.height, config.width);
  paint_background(street, canvas);
  paint_objects(config, street, canvas);

  Scene scene{Image(config.height, config.width), LabelMap(config.height, config.width)};
  constexpr int n = Canvas::kSamples;
  const Colour tint{street.light * (1 + street.warmth), street.light, street.light * (1 - street.warmth)};
  for (int y = 0; y < config.height; ++y) {
    for (int x = 0; x < config.width; ++x) {
      Colour sum;
      for (int k = 0; k < n * n; ++k) {
        const Colour& c = canvas.at(y * n + k / n, x * n + k % n).colour;
        sum = {sum.r + c.r, sum.g + c.g, sum.b + c.b};
      }
      const double grey = bell(random) * config.noise;  // light noise is common to the channels, colour noise weaker
      const auto channel = [&](double v, double t) {
        return to_byte(v / (n * n) * t + grey * 0.8 + bell(random) * config.noise * 0.4);
      };
      const std::uint8_t r = channel(sum.r, tint.r), g = channel(sum.g, tint.g), b = channel(sum.b, tint.b);
      scene.image.set(y, x, {r, g, b});
      scene.label.at(y, x) = canvas.at(y * n + n / 2, x * n + n / 2).label;
    }
  }
  return scene;
}

}  // namespace psanet::data
