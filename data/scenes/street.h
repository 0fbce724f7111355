// One street in numbers: everything that is drawn at random before the first pixel is painted.
#pragma once

#include <vector>

#include "data/random.h"
#include "data/scenes/scene_config.h"

namespace psanet::data {

struct Colour {
  double r = 0, g = 0, b = 0;  ///< 0..255, not yet rounded
};
inline Colour operator*(Colour c, double s) {
  return {c.r * s, c.g * s, c.b * s};
}
inline Colour mix(Colour a, Colour b, double t) {
  return {a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

/// A pinhole camera looking along the street: X right, Y up, Z ahead, in metres; the ground is Y = 0.
struct Camera {
  double focal_px = 120, horizon_y = 46, vanishing_x = 80, height_m = 4;
  double x_of(double x_m, double z_m) const { return vanishing_x + focal_px * x_m / z_m; }
  double y_of(double y_m, double z_m) const { return horizon_y + focal_px * (height_m - y_m) / z_m; }
};

struct Building {
  double near_m, far_m, height_m;
  Colour wall, window;
  double floor_m, bay_m;  ///< spacing of the windows
};
struct Tree {
  double x_m, z_m, crown_y_m, radius_m;
  Colour leaves;
};
struct Car {
  double x_m, z_m, width_m, height_m;
  Colour paint;
};

struct Street {
  Camera camera;
  double road_half_m, stripe_m;       ///< the lanes reach to +-road_half_m, the stripes from there to the walls
  std::vector<Building> left, right;  ///< near to far
  std::vector<Tree> trees;
  std::vector<Car> cars;
  bool lane_closed[2];            ///< left, right
  bool cycle_path;                ///< what the stripes are
  double boards_z_m, boards_y_m;  ///< of the gantry over the lanes: distance, height of the boards' middle
  double mast_x_m, mast_z_m, mast_y_m;
  bool bonnet;
  double bonnet_px;
  double light, warmth;
  Colour sky_top, sky_low;
  std::uint32_t texture_seed;
};

Street draw_street(const SceneConfig& config, KeyedRandom& random);

}  // namespace psanet::data
