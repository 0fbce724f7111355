// Generated street scenes for the demo: photographs nobody had to take or label.
//
// Perspective street with buildings, trees, cars, boards, textures, haze, noise. Two pairs of classes look exactly the
// same from near: an open and a closed road, a pavement and a cycle path. Which of the two it is, only the colour of a
// board high above the street tells: green or red over the lanes, blue or yellow on a mast at the side. The ground that
// a board decides is some 50 to 130 pixels away, so a network must carry what it sees there across the picture. All
// cues survive mirroring.
#pragma once

#include <cstdint>

#include "data/image.h"
#include "data/random.h"
#include "data/scenes/scene_config.h"

namespace psanet::data {

struct Scene {
  Image image;
  LabelMap label;  ///< SceneClass values and kIgnore
};

/// The scene of (seed, split, index); the same on every machine.
Scene make_scene(const SceneConfig& config, std::uint64_t seed, std::uint32_t split, std::uint32_t index);

}  // namespace psanet::data
