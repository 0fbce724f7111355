// Flat things that stand in the street, facing the camera.
#include <algorithm>
#include <cmath>

#include "data/scenes/canvas.h"
#include "data/scenes/texture.h"

namespace psanet::data {
namespace {

constexpr std::uint8_t id(SceneClass c) {
  return std::uint8_t(c);
}

/// A box given in metres, as pixels.
struct Box {
  double left, top, right, bottom;
  double u(double x) const { return (x - left) / (right - left); }
  double v(double y) const { return (y - top) / (bottom - top); }
};

Box box_of(const Camera& c, double x_m, double z_m, double width_m, double low_m, double high_m) {
  return {c.x_of(x_m - width_m / 2, z_m), c.y_of(high_m, z_m), c.x_of(x_m + width_m / 2, z_m), c.y_of(low_m, z_m)};
}

void paint_tree(const Street& s, const Tree& t, std::uint32_t seed, Canvas& canvas) {
  const Box trunk = box_of(s.camera, t.x_m, t.z_m, 0.4, 0, t.crown_y_m);
  canvas.fill(trunk.left, trunk.top, trunk.right, trunk.bottom, t.z_m, id(SceneClass::tree),
              [&](double x, double y, Colour& out) {
                out = haze(s, Colour{84, 66, 50} * (0.8 + 0.4 * smooth_noise(seed, x, y / 3)), t.z_m);
                return true;
              });
  const Box crown =
      box_of(s.camera, t.x_m, t.z_m, t.radius_m * 2.4, t.crown_y_m - t.radius_m * 1.1, t.crown_y_m + t.radius_m * 1.3);
  canvas.fill(crown.left, crown.top, crown.right, crown.bottom, t.z_m - 0.1, id(SceneClass::tree),
              [&](double x, double y, Colour& out) {
                const double u = crown.u(x) * 2 - 1, v = crown.v(y) * 2 - 1;
                const double edge = 0.62 + 0.38 * cloud_noise(seed + 1, u * 3 + 9, v * 3 + 9);
                if (u * u + v * v > edge) return false;
                const double leaf = cloud_noise(seed + 2, u * 7 + 9, v * 7 + 9);
                out = haze(s, t.leaves * ((0.55 + 0.9 * leaf) * (1.1 - 0.25 * v)), t.z_m);
                return true;
              });
}

void paint_car(const Street& s, const Car& car, Canvas& canvas) {
  const Box b = box_of(s.camera, car.x_m, car.z_m, car.width_m, 0, car.height_m);
  // The shadow stays part of whatever ground it falls on.
  const Box shadow = box_of(s.camera, car.x_m, car.z_m, car.width_m * 1.15, -0.25, 0.12);
  for (int y = std::max(0, int(shadow.top * Canvas::kSamples));
       y < std::min(canvas.height(), int(shadow.bottom * Canvas::kSamples)); ++y) {
    for (int x = std::max(0, int(shadow.left * Canvas::kSamples));
         x < std::min(canvas.width(), int(shadow.right * Canvas::kSamples)); ++x) {
      Canvas::Point& p = canvas.at(y, x);
      if (p.z > car.z_m - 2 && p.label != id(SceneClass::car)) p.colour = p.colour * 0.6;
    }
  }
  // Cars too small to outline well are left out of the labels.
  const std::uint8_t label = b.right - b.left < 8 ? kIgnore : id(SceneClass::car);
  canvas.fill(b.left, b.top, b.right, b.bottom, car.z_m, label, [&](double x, double y, Colour& out) {
    const double u = b.u(x) * 2 - 1, v = b.v(y);  // u -1..1, v 0 top .. 1 bottom
    const double half = v < 0.45 ? 0.68 + 0.6 * v : 0.97;
    if (std::abs(u) > half) return false;
    Colour c = car.paint * (1.12 - 0.35 * v);
    if (v > 0.10 && v < 0.42 && std::abs(u) < half - 0.12) c = Colour{44, 54, 66} * (1.3 - v);  // window
    if (v > 0.86) {
      if (std::abs(u) < 0.55) return false;  // under the car
      c = {26, 26, 28};                      // wheels
    } else if (v > 0.52 && v < 0.66 && std::abs(u) > 0.68) {
      c = {222, 196, 150};  // lamps
    } else if (v > 0.70 && v < 0.78) {
      c = c * 0.6;  // bumper
    }
    out = haze(s, c, car.z_m);
    return true;
  });
}

/// Poles are too thin to be a class of their own.
void paint_pole(const Street& s, const Box& b, double z_m, Canvas& canvas) {
  canvas.fill(b.left, b.top, b.right, b.bottom, z_m, kIgnore, [&](double x, double, Colour& out) {
    out = haze(s, Colour{112, 116, 120} * (0.75 + 0.5 * b.u(x)), z_m);
    return true;
  });
}

/// A coloured plate with a white frame and a white sign: a cross, a bar, a disc or a diamond would all do; the colour
/// counts.
void paint_board(const Street& s, const Box& b, double z_m, Colour plate, Canvas& canvas) {
  canvas.fill(b.left, b.top, b.right, b.bottom, z_m - 0.2, id(SceneClass::sign), [&](double x, double y, Colour& out) {
    const double u = std::abs(b.u(x) * 2 - 1), v = std::abs(b.v(y) * 2 - 1);
    const bool frame = u > 0.9 || v > 0.86;
    out = haze(s, frame ? Colour{226, 226, 224} : plate * (1.04 - 0.1 * v), z_m);
    return true;
  });
}

void paint_gantry(const SceneConfig& config, const Street& s, Canvas& canvas) {
  const double z = s.boards_z_m, half = s.road_half_m + s.stripe_m * 0.25;
  const double top = s.boards_y_m + config.board_height_m * 0.1;
  for (const double x : {-half, half}) paint_pole(s, box_of(s.camera, x, z, 0.22, 0, top), z, canvas);
  paint_pole(s, box_of(s.camera, 0, z, 2 * half, top - 0.2, top), z, canvas);
  for (int lane = 0; lane < 2; ++lane) {
    const double x = s.road_half_m * 0.5 * (lane ? 1 : -1);
    const Box b = box_of(s.camera, x, z, config.board_width_m, s.boards_y_m - config.board_height_m / 2,
                         s.boards_y_m + config.board_height_m / 2);
    paint_board(s, b, z, s.lane_closed[lane] ? Colour{205, 32, 30} : Colour{24, 160, 70}, canvas);
  }
}

void paint_mast(const SceneConfig& config, const Street& s, Canvas& canvas) {
  const double z = s.mast_z_m, half = config.mast_board_m / 2;
  paint_pole(s, box_of(s.camera, s.mast_x_m, z, 0.25, 0, s.mast_y_m), z, canvas);
  paint_board(s, box_of(s.camera, s.mast_x_m, z, config.mast_board_m, s.mast_y_m - half, s.mast_y_m + half), z,
              s.cycle_path ? Colour{20, 70, 200} : Colour{240, 196, 20}, canvas);
}

void paint_bonnet(const Street& s, Canvas& canvas) {
  const double height = canvas.height() / double(Canvas::kSamples), width = canvas.width() / double(Canvas::kSamples);
  canvas.fill(0, height - s.bonnet_px, width, height, 0.5, kIgnore, [&](double x, double y, Colour& out) {
    const double u = x / width * 2 - 1, v = (height - y) / s.bonnet_px;
    if (v > 1 - u * u) return false;
    out = Colour{48, 52, 60} * (0.7 + 0.9 * v);
    return true;
  });
}

}  // namespace

void paint_objects(const SceneConfig& config, const Street& s, Canvas& canvas) {
  for (std::size_t i = 0; i < s.trees.size(); ++i)
    paint_tree(s, s.trees[i], s.texture_seed + 100 + std::uint32_t(i) * 8, canvas);
  for (const Car& car : s.cars) paint_car(s, car, canvas);
  paint_gantry(config, s, canvas);
  paint_mast(config, s, canvas);
  if (s.bonnet) paint_bonnet(s, canvas);
}

}  // namespace psanet::data
