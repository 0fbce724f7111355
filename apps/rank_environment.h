// Which rank of how many this process is, from the environment of whatever started it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace psanet::apps {

struct RankPlace {
  int rank = 0, world = 1;
  int local_rank = 0;                                // among the ranks of this machine
  std::string host = "127.0.0.1", token = "psanet";  // of the rendezvous
  int port = 29501;
  bool rank_0_keeps_store = true;  // else the launcher does
  std::string from;                // "torchrun", "Slurm", "OpenMPI", "--ranks"
};

/// getenv(), or a test's table.
using Environment = std::function<const char*(const char*)>;

/// Reads our own launcher's variables, torchrun's (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT), Slurm's (SLURM_PROCID,
/// SLURM_NTASKS, SLURM_JOB_ID) and OpenMPI's (OMPI_COMM_WORLD_RANK, _SIZE), in this order; nothing where none of them
/// says more than one rank. The rendezvous is at MASTER_ADDR (default: loopback), at the port behind MASTER_PORT, which
/// torchrun uses itself. ConfigError in one line for what makes no sense, for two that contradict each other, and for
/// `ranks` (of the command line; 0: not given) that differs. Who does not know local ranks has all of them on one
/// machine.
std::optional<RankPlace> read_rank_environment(const Environment& get, int64_t ranks);

/// The device of a rank, from --device and the number of GPUs that its process sees: "cpu", or the GPU of its local
/// rank ("cuda:3"); the only one, if only one is to be seen. ConfigError if there are fewer.
std::string device_of_rank(const std::string& device, const RankPlace& place, int gpus);

}  // namespace psanet::apps
