// What a training run saves, when it cannot, and how it goes on.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "engine/parameters.h"
#include "models/checkpoint_store.h"

namespace psanet::apps {

/// What --resume asks for.
struct ResumeChoice {
  enum class Kind : uint8_t {
    none,       // a new run
    newest,     // the newest whole checkpoint; there must be one
    automatic,  // the same where the run folder holds any checkpoint, else a new run
    iteration   // that one
  } kind = Kind::none;
  int64_t iteration = 0;

  /// "" (none), "newest", "auto" or a number; ConfigError for anything else.
  static ResumeChoice parse(const std::string& text);
  static bool is_one(const std::string& text);
  explicit operator bool() const { return kind != Kind::none; }
};

class RunCheckpoints {
 public:
  struct Options {
    std::filesystem::path run_folder;  // checkpoints/, weights.safetensors and best.safetensors are in it
    models::Retention retention;
    FileSystem* files = &real_files();
    /// All that a checkpoint holds beside tensors, after that many iterations. On resume it must be what was saved, but
    /// for the keys `may_differ` and what lies below them; `note_differences` of those are told.
    std::function<nlohmann::ordered_json(int64_t)> state;
    nlohmann::ordered_json defaults;  // of keys that a checkpoint's state lacks
    std::set<std::string> may_differ, note_differences;
    /// Gets a line for whoever watches the run.
    std::function<void(const std::string&)> say;
  };

  explicit RunCheckpoints(Options options);

  /// Does the run folder hold a run, whole or not?
  bool holds_run() const;

  /// Loads what `choice` asks for into `parameters` and returns the iterations done; nothing for a new run. Says which
  /// ones it passed over, and why. ConfigError if it belongs to another run (the differences
  /// by name); WeightsError if there is none that is whole.
  std::optional<int64_t> resume(const ResumeChoice& choice, Parameters& parameters);

  /// Saves checkpoint and weights. FileError if they cannot be written, TrainingDiverged if a value is NaN or infinite;
  /// either way the older checkpoints are as they were.
  void save(const Parameters& parameters, int64_t iteration);
  /// The same, but what goes wrong is said, and false returned: the next save tries again.
  bool try_save(const Parameters& parameters, int64_t iteration, const std::string& next_try);

  /// Notes scores of these parameters; if they are the best by the retention's metric so far, makes sure that a
  /// checkpoint holds them, and writes best.safetensors. What goes wrong is said.
  void add_scores(const Parameters& parameters, int64_t iteration, const std::map<std::string, double>& metrics);
  /// Has the checkpoint of that iteration its scores?
  bool has_scores(int64_t iteration) const;

  /// The newest checkpoint that was saved or loaded, or -1.
  int64_t newest() const { return newest_; }

 private:
  void save(const Parameters& parameters, int64_t iteration, const std::map<std::string, double>& metrics);
  void check_fit(const models::Checkpoint& checkpoint, const Parameters& parameters) const;

  Options options_;
  models::CheckpointStore store_;
  int64_t newest_ = -1;
};

}  // namespace psanet::apps
