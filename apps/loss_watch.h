// Watches the losses of a run for NaN and infinity.
#pragma once

#include <cmath>
#include <cstdint>
#include <stdexcept>

namespace psanet::apps {

/// The loss stays NaN or infinite: says since when and where it began. Exit code 7.
struct TrainingDiverged : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A step whose loss is not finite changes nothing (models::training_step), so one is survived; this many in a row mean
/// that training has come apart.
class LossWatch {
 public:
  static constexpr int64_t kLimit = 3;

  /// Losses in order. Returns false with the kLimit-th in a row that is not finite.
  bool see(float loss) {
    in_a_row_ = std::isfinite(loss) ? 0 : in_a_row_ + 1;
    return in_a_row_ < kLimit;
  }
  /// Was the last loss finite? Only then is the state worth a checkpoint.
  bool good() const { return in_a_row_ == 0; }
  int64_t in_a_row() const { return in_a_row_; }

 private:
  int64_t in_a_row_ = 0;
};

}  // namespace psanet::apps
