// Ranks on processors, over TCP, by Gloo.
#pragma once

#include <chrono>
#include <memory>

#include "engine/distributed/host_communicator.h"
#include "engine/distributed/store_client.h"

namespace psanet {

/// Was this program built with Gloo?
bool has_gloo();

/// Connects all ranks with each other; all must call it. `limit` is that of every collective, and of the connecting.
/// DeviceError without Gloo, or if the ranks do not come together in time.
std::shared_ptr<HostCommunicator> make_gloo_communicator(std::shared_ptr<StoreClient> store, int rank, int world,
                                                         std::chrono::milliseconds limit);

}  // namespace psanet
