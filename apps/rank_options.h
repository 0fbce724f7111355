// --ranks, --gpus and --collective-limit: a program becomes the launcher of ranks, or one of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "apps/app.h"
#include "engine/distributed/host_communicator.h"

namespace psanet::apps {

struct RankOptions {
  int64_t ranks = 0, gpus = 0, limit_seconds = 600;  // 0: not asked for
  void add_to(App& app);
  std::chrono::milliseconds limit() const { return std::chrono::seconds(limit_seconds); }
};

/// What became of this process. Neither: it works alone.
struct RankStart {
  std::optional<int> launched;               // it has started the ranks, they have ended, and this is the exit code
  std::shared_ptr<HostCommunicator> joined;  // it is one of the ranks

  /// Runs `work`. An exception that leaves it, of a rank, is told to the other ranks, which then end too.
  void run(const std::function<void()>& work) const;
};

/// `device` becomes the rank's own. ConfigError for what contradicts each other (the environment, too), DeviceError
/// where GPUs or Gloo are missing or the ranks do not come together.
RankStart start_ranks(const RankOptions& options, DeviceChoice& device, char** argv);

}  // namespace psanet::apps
