#include "data/scenes/street.h"

#include <algorithm>

namespace psanet::data {
namespace {

std::vector<Building> draw_row(KeyedRandom& random) {
  static constexpr Colour kWalls[] = {{168, 120, 98},  {186, 170, 146}, {150, 148, 150},
                                      {196, 184, 172}, {140, 104, 92},  {170, 160, 128}};
  std::vector<Building> row;
  double z = 5;
  while (z < 70) {
    Building b;
    b.near_m = z;
    b.far_m = z + random.uniform(6, 14);
    b.height_m = random.uniform(7, 15);
    b.wall = kWalls[random.below(6)] * random.uniform(0.8, 1.1);
    b.window = Colour{60, 70, 84} * random.uniform(0.7, 1.5);
    b.floor_m = random.uniform(2.6, 3.4);
    b.bay_m = random.uniform(1.8, 3.2);
    row.push_back(b);
    z = b.far_m;
    if (random.chance(0.25)) {  // a low house, higher than the camera: the ground behind must stay hidden
      b.near_m = z;
      b.far_m = z + random.uniform(2, 5);
      b.height_m = random.uniform(4.6, 5.4);
      row.push_back(b);
      z = b.far_m;
    }
  }
  return row;
}

}  // namespace

Street draw_street(const SceneConfig& config, KeyedRandom& random) {
  Street s;
  // All positions in the picture scale with its size; the numbers are for 112 x 160.
  const double scale = config.width / 160.0;
  s.camera.focal_px = 120 * scale;
  s.camera.horizon_y = config.height * random.uniform(0.40, 0.47);
  s.camera.vanishing_x = config.width * random.uniform(0.42, 0.58);
  s.camera.height_m = random.uniform(3.6, 4.4);
  s.road_half_m = random.uniform(3.2, 4.0);
  s.stripe_m = random.uniform(2.6, 3.4);
  s.left = draw_row(random);
  s.right = draw_row(random);

  s.lane_closed[0] = random.chance(0.5);
  const bool split = random.chance(config.split_lanes_probability), other = random.chance(0.5);
  s.lane_closed[1] = split ? other : s.lane_closed[0];
  s.cycle_path = random.chance(0.5);
  s.boards_z_m = config.cue_distance_m * random.uniform(0.92, 1.08);
  s.boards_y_m = s.camera.height_m +
                 (s.camera.horizon_y - config.height * random.uniform(0.10, 0.16)) * s.boards_z_m / s.camera.focal_px;
  s.mast_z_m = s.boards_z_m * random.uniform(0.8, 0.95);
  // On a stripe, but never so far out that the picture cuts its board.
  const bool mast_right = random.chance(0.5);
  const double room_px = mast_right ? config.width - s.camera.vanishing_x : s.camera.vanishing_x;
  const double outermost_m = (room_px - 2) * s.mast_z_m / s.camera.focal_px - config.mast_board_m / 2;
  s.mast_x_m = std::min(s.road_half_m + s.stripe_m * 0.55, outermost_m) * (mast_right ? 1 : -1);
  s.mast_y_m = s.camera.height_m +
               (s.camera.horizon_y - config.height * random.uniform(0.12, 0.24)) * s.mast_z_m / s.camera.focal_px;

  const int trees = config.trees_min + int(random.below(std::uint32_t(config.trees_max - config.trees_min + 1)));
  for (int i = 0; i < trees; ++i) {
    Tree t;
    t.z_m = random.uniform(11, 34);
    t.x_m = (s.road_half_m + s.stripe_m * random.uniform(0.7, 1.0)) * (random.chance(0.5) ? 1 : -1);
    t.crown_y_m = random.uniform(3.6, 5.2);
    t.radius_m = random.uniform(1.3, 2.1);
    t.leaves = mix({52, 96, 40}, {110, 130, 48}, random.uniform());
    s.trees.push_back(t);
  }

  static constexpr Colour kPaints[] = {{150, 30, 34}, {40, 60, 130},   {210, 210, 208},
                                       {46, 48, 52},  {120, 126, 130}, {70, 100, 84}};
  const int cars = config.cars_min + int(random.below(std::uint32_t(config.cars_max - config.cars_min + 1)));
  for (int i = 0; i < cars; ++i) {
    Car c;
    c.z_m = random.uniform(8.5, 24);
    c.x_m = (s.road_half_m * 0.5 + random.uniform(-0.3, 0.3)) * (random.chance(0.5) ? 1 : -1);
    c.width_m = random.uniform(1.8, 2.2);
    c.height_m = random.uniform(1.5, 2.3);
    c.paint = kPaints[random.below(6)] * random.uniform(0.85, 1.1);
    s.cars.push_back(c);
  }

  s.bonnet = random.chance(config.bonnet_probability);
  s.bonnet_px = config.height * random.uniform(0.05, 0.10);
  s.light = random.uniform(config.light_min, config.light_max);
  s.warmth = random.uniform(-0.05, 0.05);
  s.sky_top = mix({92, 140, 205}, {150, 156, 168}, random.uniform());
  s.sky_low = mix({196, 214, 232}, {206, 206, 208}, random.uniform());
  s.texture_seed = random.next();
  return s;
}

}  // namespace psanet::data
