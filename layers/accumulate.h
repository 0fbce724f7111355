// Sums that live from run to run: gradients of several batches before one update.
#pragma once

#include "engine/lowering.h"
#include "engine/op.h"

namespace psanet::layers {

/// sum += value. Inputs: value and sum (a state) of each tensor in turn, float and of the same type. No outputs.
struct Accumulate {
  static constexpr const char* kName = "accumulate";
  void fields(Fields&) {}
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
  std::vector<int> mutates(size_t inputs) const;
};

/// Zeros in every input (states). No outputs.
struct Clear {
  static constexpr const char* kName = "clear";
  void fields(Fields&) {}
  Types infer(const Types&) const { return {}; }
  Launch lower(Lowering& l) const;
  std::vector<int> mutates(size_t inputs) const;
};

}  // namespace psanet::layers
