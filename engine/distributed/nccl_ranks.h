// Ranks on GPUs, by NCCL.
#pragma once

#include <chrono>
#include <memory>

#include "engine/device.h"
#include "engine/distributed/host_communicator.h"

namespace psanet {

/// Joins the device with the devices of the other ranks, all of which must call it: a processor by `host` itself, a GPU
/// by an NCCL communicator, which the ranks find each other for through `host`. `limit`: of every collective.
/// DeviceError without NCCL, if only some of the ranks have a GPU, or if they do not come together.
void join_devices(Device& device, std::shared_ptr<HostCommunicator> host, std::chrono::milliseconds limit);

}  // namespace psanet
