// Networks that no one thought of, made of the words of the model language.
#pragma once

#include "layers/language.h"

namespace psanet::tests {

/// Numbers from a key, one after the other.
class Dice {
 public:
  explicit Dice(uint64_t key) : key_(key) {}
  int64_t below(int64_t limit);
  double unit();  // in [-1, 1)
  /// One in `of` times.
  bool once_in(int64_t of) { return below(of) == 0; }

 private:
  uint64_t key_, next_ = 0;
};

constexpr int64_t kRandomNetworkClasses = 4;

/// Some twenty layers on values drawn at random, of "image" [batch,9,9,3]: convolutions with and without batch norm,
/// residual sums, joined and enlarged maps, attention with the convolution that scores for it. Its output "logits" has
/// the classes as channels, often behind a resize. The same key gives the same network in both modes.
Graph random_network(uint64_t key, layers::Mode mode, int64_t batch);

}  // namespace psanet::tests
