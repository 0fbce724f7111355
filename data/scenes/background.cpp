// Sky, building fronts and ground, point by point: which plane does the line of sight meet first?
#include <algorithm>
#include <cmath>

#include "data/scenes/canvas.h"
#include "data/scenes/texture.h"

namespace psanet::data {
namespace {

constexpr std::uint8_t id(SceneClass c) {
  return std::uint8_t(c);
}
constexpr double kStreetEnd = 70;  // metres

double part(double x) {
  return x - std::floor(x);
}

Colour sky_colour(const Street& s, double x, double y) {
  const double t = std::clamp(y / s.camera.horizon_y, 0.0, 1.0);
  const double cloud = std::clamp(cloud_noise(s.texture_seed + 7, x / 30, y / 12) * 2.4 - 1.1, 0.0, 1.0);
  return mix(mix(s.sky_top, s.sky_low, t), {235, 236, 238}, cloud * 0.7);
}

/// A point of a front: window, frame, shop base, plaster or brick.
Colour wall_colour(const Street& s, const Building& b, bool left, double z, double y) {
  const double u = part((z - b.near_m) / b.bay_m), v = part(y / b.floor_m);
  const std::uint32_t seed = s.texture_seed + (left ? 11 : 13);
  const double grain = 0.88 + 0.24 * cloud_noise(seed, z * 2, y * 2);
  if (y < 0.5) return b.wall * (0.7 * grain);
  if (y > b.height_m - 0.5) return b.wall * (0.62 * grain);  // cornice
  if (u > 0.28 && u < 0.74 && v > 0.30 && v < 0.80) {
    const double lit = hash_unit(seed, int((z - b.near_m) / b.bay_m), int(y / b.floor_m));
    return b.window * (0.8 + 0.6 * lit);
  }
  if (u > 0.24 && u < 0.78 && v > 0.25 && v < 0.85) return b.wall * 1.15;  // frame
  return b.wall * grain;
}

struct Hit {
  Colour colour;
  double z;
  SceneClass what;
};

/// Lanes and stripes. The two kinds of road, and the two kinds of stripe, are painted by the same code: nothing here
/// may depend on lane_closed or cycle_path but the class.
Hit ground(const Street& s, double x_m, double z) {
  const double side = std::abs(x_m);
  const double grain = cloud_noise(s.texture_seed, x_m * 3, z * 1.2);
  if (side > s.road_half_m + 0.12) {
    const double tile_u = part(x_m / 0.8), tile_v = part(z / 1.2);
    const double joint = tile_u < 0.07 || tile_v < 0.07 ? 0.86 : 1;
    return {Colour{158, 152, 146} * (joint * (0.85 + 0.3 * grain)), z,
            s.cycle_path ? SceneClass::cycle_path : SceneClass::pavement};
  }
  const SceneClass what = s.lane_closed[x_m > 0] ? SceneClass::closed_road : SceneClass::open_road;
  if (side > s.road_half_m) return {Colour{190, 188, 184} * (0.9 + 0.2 * grain), z, what};  // kerb
  const bool centre_line = side < 0.09 && part(z / 4) < 0.5;
  const bool edge_line = side > s.road_half_m - 0.35 && side < s.road_half_m - 0.2;
  if (centre_line || edge_line) return {Colour{214, 214, 208} * (0.9 + 0.15 * grain), z, what};
  const double patch = smooth_noise(s.texture_seed + 5, x_m * 0.5, z * 0.15) > 0.72 ? 0.86 : 1;  // repaired asphalt
  return {Colour{92, 93, 97} * (patch * (0.8 + 0.4 * grain)), z, what};
}

/// The building front on one side, if the line of sight meets one.
bool wall(const Street& s, double x, double y, Hit& hit) {
  const Camera& c = s.camera;
  const double dx = x - c.vanishing_x;
  if (std::abs(dx) < 1e-6) return false;
  const double z = (s.road_half_m + s.stripe_m) * c.focal_px / std::abs(dx);
  if (z > kStreetEnd) return false;
  const double y_m = c.height_m - (y - c.horizon_y) * z / c.focal_px;
  if (y_m < 0) return false;
  for (const Building& b : dx < 0 ? s.left : s.right) {
    if (z < b.near_m || z >= b.far_m || y_m > b.height_m) continue;
    hit = {wall_colour(s, b, dx < 0, z, y_m) * (dx < 0 ? 0.92 : 1.04), z, SceneClass::building};
    return true;
  }
  return false;
}

}  // namespace

Colour haze(const Street& s, Colour colour, double z_m) {
  return mix(colour, s.sky_low, 1 - 1 / (1 + z_m / 140));
}

void paint_background(const Street& s, Canvas& canvas) {
  const Camera& c = s.camera;
  for (int py = 0; py < canvas.height(); ++py) {
    for (int px = 0; px < canvas.width(); ++px) {
      const double x = (px + 0.5) / Canvas::kSamples, y = (py + 0.5) / Canvas::kSamples;
      Canvas::Point& point = canvas.at(py, px);
      Hit hit;
      if (wall(s, x, y, hit)) {
        point = {haze(s, hit.colour, hit.z), hit.z, id(hit.what)};
        continue;
      }
      if (y > c.horizon_y + 0.5) {
        const double z = c.focal_px * c.height_m / (y - c.horizon_y);
        if (z < kStreetEnd) {
          hit = ground(s, (x - c.vanishing_x) * z / c.focal_px, z);
          point = {haze(s, hit.colour, hit.z), hit.z, id(hit.what)};
          continue;
        }
      }
      // The far end: a house across the street, seen through the air.
      const double end_y = c.y_of(6 + 3 * hash_unit(s.texture_seed + 3, int(x / 6), 0), kStreetEnd);
      if (y > end_y) {
        point = {haze(s, {150, 140, 134}, 90), kStreetEnd, id(SceneClass::building)};
      } else {
        point = {sky_colour(s, x, y), 1e6, id(SceneClass::sky)};
      }
    }
  }
}

}  // namespace psanet::data
