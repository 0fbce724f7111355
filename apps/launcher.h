// Ranks as processes of this machine.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "apps/rank_environment.h"
#include "engine/distributed/host_communicator.h"

namespace psanet::apps {

/// Starts this very program `ranks` times with the same arguments, keeps their rendezvous on loopback, passes SIGTERM,
/// SIGINT and SIGUSR1 on, and waits. When one fails, the others have three seconds to end by themselves; then they are
/// killed. None outlives this process. `threads` 0: the processors are divided among them. Returns 0, or the exit code
/// of the rank that failed first (128 + signal if one killed it), after one line that names it.
int launch_ranks(int64_t ranks, int64_t threads, char** argv);

/// Joins the other ranks. Ranks above 0 print nothing on standard output from here on. `limit`: of every collective.
std::shared_ptr<HostCommunicator> join_ranks(const RankPlace& place, std::chrono::milliseconds limit);

}  // namespace psanet::apps
