// The engine's communicator over NCCL: one rank on an emulated GPU, with the stub in NCCL's place.
#include "tests/distributed/ranks.h"

#include <stdexcept>

#include "engine/distributed/nccl_ranks.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

TEST_CASE("ranks: more waits than sums are an error of the program") {
  if (!has_gloo()) {
    WARN("SKIPPED: built without Gloo");
    return;
  }
  on_ranks(1, [](const std::shared_ptr<HostCommunicator>& host) {
    for (const std::string name : {"cpu", "cuda"}) {
      INFO(name);
      Device device = Device::named(name, Precision::fp32);
      join_devices(device, host, std::chrono::seconds(30));
      Communicator& ranks = device.communicator();
      CHECK(message_of<std::logic_error>([&] { ranks.wait(); }) == "nothing to wait for was started");
      std::vector<float> x{1, 2};
      if (name == "cpu") ranks.start_all_reduce("sum", x);
      if (name == "cuda") ranks.start_all_reduce("sum", std::span<float>());
      ranks.wait();
      CHECK(message_of<std::logic_error>([&] { ranks.wait(); }) == "nothing to wait for was started");
      ranks.start_all_reduce("sum", std::span<float>());
      ranks.drain();
      CHECK(message_of<std::logic_error>([&] { ranks.wait(); }) == "nothing to wait for was started");
      ranks.barrier("end");
    }
  });
}

}  // namespace
}  // namespace psanet::tests
