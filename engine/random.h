// Random numbers as functions of a key and an index: no state, so no order of evaluation can change them.
#pragma once

#include <cstdint>
#include <string_view>

namespace psanet {

/// FNV-1a, 64 bits.
uint64_t hash_name(std::string_view name);

/// The i-th 64 bits of the stream `key` (SplitMix64).
uint64_t random_bits(uint64_t key, uint64_t i);

/// Uniform in [-1, 1), a multiple of 2^-23: exact in float.
double random_unit(uint64_t key, uint64_t i);

/// Standard normal (Box-Muller on two draws of the stream).
double random_normal(uint64_t key, uint64_t i);

}  // namespace psanet
