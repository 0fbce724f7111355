#include "apps/loss_watch.h"

#include <cmath>

namespace psanet::apps {

bool LossWatch::see(float loss) {
  if (std::isfinite(loss)) {
    in_a_row_ = 0;
    return true;
  }
  ++skipped_;
  return ++in_a_row_ < kLimit;
}

}  // namespace psanet::apps
