#include "apps/training_scores.h"

#include "apps/evaluation.h"

namespace psanet::apps {

TrainingScores::TrainingScores(Program& step, int classes, int64_t batches)
    : batches_(batches), update_(classes), sum_(classes) {
  for (int64_t i = 0; i < 2 * batches; ++i) counts_.push_back(step.output("confusion").readback());
}

void TrainingScores::request(int64_t update, int64_t batch) {
  counts_[place(update, batch)]->request();
}

void TrainingScores::take(int64_t update) {
  const int classes = update_.classes();
  update_ = data::ConfusionMatrix(classes);
  for (int64_t batch = 0; batch < batches_; ++batch) {
    const auto* counts = static_cast<const int64_t*>(counts_[place(update, batch)]->wait());
    update_.add_counts({counts, static_cast<size_t>(classes) * static_cast<size_t>(classes)});
  }
  sum_.merge(update_);
}

data::ConfusionMatrix TrainingScores::of_update(Communicator& ranks) const {
  return over_ranks(update_, ranks);
}

data::ConfusionMatrix TrainingScores::since_last_call(Communicator& ranks) {
  data::ConfusionMatrix all = over_ranks(sum_, ranks);
  sum_ = data::ConfusionMatrix(sum_.classes());
  return all;
}

}  // namespace psanet::apps
