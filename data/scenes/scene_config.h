// What the generated street scenes look like, and how hard they are.
#pragma once

#include <cstdint>

namespace psanet::data {

/// Every choice of a scene that a person may want to tune. Lengths in the street are metres, in the picture pixels.
struct SceneConfig {
  int height = 112, width = 160;  ///< px

  // The cues: boards high above the street that alone tell what the ground below is (docs/data.md).
  double board_height_m = 1.7, board_width_m = 2.8;  ///< of each board over a lane
  double mast_board_m = 2.4;                         ///< side of the square board on the mast
  double cue_distance_m = 13;                        ///< from the camera to the boards; nearer is larger and higher
  double split_lanes_probability = 0.0;              ///< the two lanes get states of their own instead of one

  int cars_min = 1, cars_max = 3;
  int trees_min = 2, trees_max = 5;
  double bonnet_probability = 0.35;  ///< the bonnet of our own car at the bottom, labelled 255
  double noise = 6;                  ///< standard deviation of the sensor noise, grey levels
  double light_min = 0.75, light_max = 1.15;
};

/// The classes, in the order of data/scenes/dataset.json.
enum class SceneClass : std::uint8_t { sky, building, tree, car, sign, open_road, closed_road, pavement, cycle_path };
inline constexpr int kSceneClasses = 9;

}  // namespace psanet::data
