#include "apps/rank_options.h"

#include <fmt/format.h>

#include <cstdlib>

#include "apps/launcher.h"
#include "engine/error.h"

namespace psanet::apps {

namespace {

/// How many ranks the command line asks for; 0: it does not.
int64_t ranks_wanted(const RankOptions& options, DeviceChoice& device) {
  if (options.gpus == 0) return options.ranks;
  if (options.ranks > 0) {
    throw ConfigError(fmt::format("--gpus {}: found --ranks {} too, want one of the two", options.gpus, options.ranks));
  }
  if (device.device != "auto" && device.device != "cuda") {
    throw ConfigError(
        fmt::format("--gpus {}: found --device {} too, want one of the two", options.gpus, device.device));
  }
  device.device = "cuda";
  return options.gpus;
}

void require_gpus(int64_t gpus) {
  if (gpus == 0) return;
  const int found = Device::gpus();
  if (found == 0) Device::cuda();  // says why
  if (found < gpus) throw DeviceError(fmt::format("--gpus {}: this machine has {}", gpus, found));
}

}  // namespace

void RankOptions::add_to(App& app) {
  app.option("--ranks", ranks, "starts this many processes that work together (docs/distributed.md)", 1);
  app.option("--gpus", gpus, "the same with a GPU for each: --ranks with --device cuda", 1);
  app.option("--collective-limit", limit_seconds, "seconds that a rank waits for the others before it gives up", 1);
}

void RankStart::run(const std::function<void()>& work) const {
  try {
    work();
  } catch (const std::exception& e) {
    if (joined) joined->fail(e.what());
    throw;
  }
}

RankStart start_ranks(const RankOptions& options, DeviceChoice& device, char** argv) {
  const int64_t wanted = ranks_wanted(options, device);
  const auto place = read_rank_environment([](const char* variable) { return std::getenv(variable); }, wanted);
  RankStart start;
  if (place) {
    device.device = device_of_rank(device.device, *place, Device::gpus());
    start.joined = join_ranks(*place, options.limit());
  } else if (wanted > 1) {
    require_gpus(options.gpus);
    start.launched = launch_ranks(wanted, device.threads, argv);
  }
  return start;
}

}  // namespace psanet::apps
