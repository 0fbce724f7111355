#include "engine/distributed/nccl_ranks.h"

#include <fmt/format.h>

#include <deque>
#include <stdexcept>

#include "engine/error.h"

#ifdef PSANET_HAS_CUDA
#include "kernels/nccl.h"
#endif

namespace psanet {

#ifdef PSANET_HAS_CUDA

namespace {

class NcclRanks final : public Communicator {
 public:
  NcclRanks(std::shared_ptr<HostCommunicator> host, std::unique_ptr<kernels::NcclCommunicator> nccl)
      : Communicator(host->rank(), host->world()), host_(std::move(host)), nccl_(std::move(nccl)) {}

  void set_step(int64_t step) override { nccl_->set_step(step); }

  void all_reduce(const std::string& name, std::span<float> values) override {
    nccl_->join(nccl_->all_reduce(name, values.data(), static_cast<int64_t>(values.size())));
  }
  void all_reduce(const std::string& name, std::span<int64_t> values) override {
    nccl_->join(nccl_->all_reduce(name, values.data(), static_cast<int64_t>(values.size())));
  }
  void all_gather(const std::string& name, std::span<const double> mine, std::span<double> all) override {
    nccl_->join(nccl_->all_gather(name, mine.data(), all.data(), static_cast<int64_t>(mine.size())));
  }
  void broadcast(const std::string& name, std::span<std::byte> values, int root) override {
    nccl_->join(nccl_->broadcast(name, values.data(), static_cast<int64_t>(values.size()), root));
  }
  void barrier(const std::string& name) override { host_->barrier(name); }

  void start_all_reduce(const std::string& name, std::span<float> values) override {
    started_.push_back(nccl_->all_reduce(name, values.data(), static_cast<int64_t>(values.size())));
  }
  void wait() override {
    if (started_.empty()) throw std::logic_error("nothing to wait for was started");
    const int64_t oldest = started_.front();
    started_.pop_front();
    nccl_->join(oldest);
  }
  void settle() noexcept override {
    try {
      nccl_->wait();
    } catch (const DeviceError&) {
      // check() says it
    }
  }
  /// Memory is given back behind everything that the compute stream has been given: from here on, sums too.
  void drain() noexcept override {
    started_.clear();
    try {
      nccl_->join_all();
    } catch (const DeviceError&) {
      // aborted: none is under way
    }
  }
  void check() override { nccl_->check(); }

  void start_timing() override { nccl_->start_timing(); }
  std::vector<TimedSpan> stop_timing() override {
    std::vector<TimedSpan> spans;
    for (auto& [name, begin_s, end_s] : nccl_->stop_timing()) spans.push_back({name, "NCCL", begin_s, end_s});
    return spans;
  }

 private:
  std::shared_ptr<HostCommunicator> host_;
  std::unique_ptr<kernels::NcclCommunicator> nccl_;
  std::deque<int64_t> started_;  // sums that nobody has waited for
};

template <class Ctx>
std::shared_ptr<Communicator> make_nccl_ranks(Ctx& ctx, const std::shared_ptr<HostCommunicator>& ranks,
                                              std::chrono::milliseconds limit) {
  kernels::NcclOptions options;
  options.limit_s = std::chrono::duration<double>(limit).count();
  // NCCL does not always see that a process has ended; the host's connections do.
  options.gone = [ranks] { return ranks->failure(std::chrono::milliseconds(0)); };
  options.failed = [ranks](const std::string& line) { ranks->fail(line); };
  kernels::NcclId id{};
  if (ranks->rank() == 0) id = kernels::make_nccl_id(options);
  ranks->broadcast("NCCL's id", std::as_writable_bytes(std::span(id)), 0);
  return std::make_shared<NcclRanks>(ranks,
                                     kernels::make_nccl_communicator(ctx, id, ranks->rank(), ranks->world(), options));
}

}  // namespace

#endif

void join_devices(Device& device, std::shared_ptr<HostCommunicator> host, std::chrono::milliseconds limit) {
  const std::shared_ptr<HostCommunicator> ranks = std::move(host);
  int64_t on_gpus = device.is_cpu() ? 0 : 1;
  ranks->all_reduce("GPUs", std::span(&on_gpus, 1));
  if (on_gpus != 0 && on_gpus != ranks->world()) {
    throw DeviceError(
        fmt::format("rank {} computes on {}, but {} of the {} ranks have a GPU: want all or none (--device)",
                    ranks->rank(), device.is_cpu() ? "the processor" : "a GPU", on_gpus, ranks->world()));
  }
  device.visit([&]<class Ctx>(Ctx& ctx) {
    if constexpr (kHostMemory<Ctx>) {
      device.join(ranks);
    } else {
      device.join(make_nccl_ranks(ctx, ranks, limit));
    }
  });
}

}  // namespace psanet
