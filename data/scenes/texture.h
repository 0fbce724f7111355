// Random-looking but repeatable patterns, from integer hashes and plain arithmetic only (the same bits everywhere).
#pragma once

#include <cstdint>

namespace psanet::data {

/// A hash of a lattice point as a number in [0, 1).
double hash_unit(std::uint32_t seed, int x, int y);

/// Smooth noise in [0, 1) with one random value per unit square.
double smooth_noise(std::uint32_t seed, double x, double y);

/// Three octaves of smooth_noise, in [0, 1).
double cloud_noise(std::uint32_t seed, double x, double y);

}  // namespace psanet::data
