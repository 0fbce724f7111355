#include "apps/rank_environment.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>

#include "engine/error.h"

namespace psanet::apps {

namespace {

std::optional<int> number(const Environment& get, const char* name, int low, int high) {
  const char* text = get(name);
  if (!text || !*text) return std::nullopt;
  int value = 0;
  const char* end = text + std::strlen(text);
  const auto read = std::from_chars(text, end, value);
  if (read.ec != std::errc() || read.ptr != end || value < low || value > high) {
    throw ConfigError(fmt::format("environment: {}={}, want an integer of {} to {}", name, text, low, high));
  }
  return value;
}

struct Scheme {
  const char *from, *rank, *world, *local, *job;
};

constexpr int kMost = 65536;
constexpr Scheme kOurs = {"--ranks", "PSANET_RANK", "PSANET_WORLD", "PSANET_LOCAL_RANK", "PSANET_JOB"};
constexpr Scheme kOthers[] = {
    {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "TORCHELASTIC_RUN_ID"},
    {"OpenMPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "PMIX_NAMESPACE"},
    {"Slurm", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_JOB_ID"},
};

/// Nothing if the scheme says nothing, or one rank.
std::optional<RankPlace> read(const Environment& get, const Scheme& scheme) {
  const auto rank = number(get, scheme.rank, 0, kMost), world = number(get, scheme.world, 1, kMost);
  if (!world || *world == 1) return std::nullopt;
  if (!rank) {
    throw ConfigError(fmt::format("environment: {}={} without {}", scheme.world, *world, scheme.rank));
  }
  if (*rank >= *world) {
    throw ConfigError(fmt::format("environment: {}={} of {}={}", scheme.rank, *rank, scheme.world, *world));
  }
  RankPlace place;
  place.rank = *rank;
  place.world = *world;
  place.local_rank = number(get, scheme.local, 0, kMost).value_or(*rank);
  place.from = scheme.from;
  const char* job = get(scheme.job);
  if (job && *job) place.token = job;
  if (const char* token = get("PSANET_JOB_TOKEN"); token && *token) place.token = token;
  if (const char* host = get("MASTER_ADDR"); host && *host) place.host = host;
  if (const auto port = number(get, "MASTER_PORT", 1, 65534)) place.port = *port + 1;
  return place;
}

}  // namespace

std::optional<RankPlace> read_rank_environment(const Environment& get, int64_t ranks) {
  std::optional<RankPlace> place;
  if (std::optional<RankPlace> ours = read(get, kOurs)) {
    const auto port = number(get, "PSANET_STORE_PORT", 1, 65535);
    if (!port) throw ConfigError("environment: PSANET_RANK without PSANET_STORE_PORT");
    ours->host = "127.0.0.1";
    ours->port = *port;
    ours->rank_0_keeps_store = false;
    place = ours;
  } else {
    for (const Scheme& scheme : kOthers) {
      const std::optional<RankPlace> other = read(get, scheme);
      if (!other) continue;
      if (place && (place->rank != other->rank || place->world != other->world)) {
        // Ranks that torchrun or mpirun starts inside a Slurm job see the job's variables as well; theirs count.
        if (std::strcmp(scheme.from, "Slurm") == 0) continue;
        throw ConfigError(fmt::format("environment: {} says rank {} of {}, {} says rank {} of {}; unset one of them",
                                      place->from, place->rank, place->world, other->from, other->rank, other->world));
      }
      if (!place) place = other;
    }
  }
  if (place && ranks > 0 && ranks != place->world) {
    throw ConfigError(fmt::format("{} ranks are asked for, but {} has started {}; leave --ranks and --gpus out", ranks,
                                  place->from, place->world));
  }
  return place;
}

std::string device_of_rank(const std::string& device, const RankPlace& place, int gpus) {
  if (device == "cpu" || (device == "auto" && gpus == 0)) return "cpu";
  if (device != "cuda" && device != "auto") {
    throw ConfigError(fmt::format("--device {}: found with {} ranks, want cuda: every rank takes a GPU of its own",
                                  device, place.world));
  }
  if (gpus == 1) return "cuda:0";  // what is started with a GPU for each task sees one
  if (place.local_rank >= gpus && gpus > 0) {
    throw ConfigError(fmt::format("--device {}: rank {} is number {} of this machine, which has GPUs 0 to {}", device,
                                  place.rank, place.local_rank, gpus - 1));
  }
  return fmt::format("cuda:{}", place.local_rank);
}

}  // namespace psanet::apps
