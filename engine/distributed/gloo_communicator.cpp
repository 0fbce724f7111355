#include "engine/distributed/gloo_communicator.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/distributed/store_server.h"
#include "engine/distributed/tcp.h"
#include "engine/error.h"

#ifdef PSANET_HAS_GLOO
#include <gloo/allgather.h>
#include <gloo/allreduce.h>
#include <gloo/barrier.h>
#include <gloo/broadcast.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/store.h>
#include <gloo/transport/tcp/device.h>
#endif

namespace psanet {

#ifdef PSANET_HAS_GLOO

namespace {

/// Gloo's addresses by way of our store.
class Addresses final : public gloo::rendezvous::Store {
 public:
  Addresses(StoreClient& store, std::chrono::milliseconds limit) : store_(store), limit_(limit) {}
  void set(const std::string& key, const std::vector<char>& data) override {
    store_.set("gloo/" + key, std::string(data.begin(), data.end()));
  }
  std::vector<char> get(const std::string& key) override {
    const std::string value = store_.get("gloo/" + key, limit_);
    return {value.begin(), value.end()};
  }
  void wait(const std::vector<std::string>& keys) override { wait(keys, limit_); }
  void wait(const std::vector<std::string>& keys, const std::chrono::milliseconds& limit) override {
    for (const std::string& key : keys) store_.get("gloo/" + key, limit);
  }

 private:
  StoreClient& store_;
  std::chrono::milliseconds limit_;
};

template <class T>
void add(void* c, const void* a, const void* b, size_t count) {
  auto* to = static_cast<T*>(c);
  const auto *x = static_cast<const T*>(a), *y = static_cast<const T*>(b);
  for (size_t i = 0; i < count; ++i) to[i] = x[i] + y[i];
}

class GlooCommunicator final : public HostCommunicator {
 public:
  GlooCommunicator(std::shared_ptr<StoreClient> store, int rank, int world, std::chrono::milliseconds limit)
      : HostCommunicator(rank, world), store_(std::move(store)), limit_(limit) {
    // Programs do not start all at once, however short a collective may be.
    const auto connecting = std::max<std::chrono::milliseconds>(limit, std::chrono::seconds(30));
    gloo::transport::tcp::attr attributes(reachable_address(connecting).c_str());
    auto device = gloo::transport::tcp::CreateDevice(attributes);
    const auto context = std::make_shared<gloo::rendezvous::Context>(rank, world);
    context->setTimeout(connecting);
    Addresses addresses(*store_, connecting);
    context->connectFullMesh(addresses, device);
    context_ = context;
  }
  ~GlooCommunicator() override { stop_threads(); }

  std::string failure(std::chrono::milliseconds limit) override { return store_->failure(limit); }
  void fail(const std::string& why) noexcept override { store_->fail(why); }

 private:
  /// The address by which a rank reaches the rendezvous is one by which others reach it; but on the rendezvous' own
  /// machine that may be loopback, and the others then know the machine by the address they reached it by.
  std::string reachable_address(std::chrono::milliseconds patience) {
    const std::string own = store_->own_address(), prefix = "address of rank ";
    store_->set(prefix + std::to_string(rank()), own);
    bool others_elsewhere = false;
    for (int r = 0; r < world(); ++r) {
      others_elsewhere |= !is_loopback(store_->get(prefix + std::to_string(r), patience));
    }
    return others_elsewhere && is_loopback(own) ? store_->get(kStoreServer_address, patience) : own;
  }

  void sum(Lane lane, std::span<float> values) override { sum_of(lane, values); }
  void sum(Lane lane, std::span<int64_t> values) override { sum_of(lane, values); }

  template <class T>
  void sum_of(Lane lane, std::span<T> values) {
    if (values.empty()) return;
    gloo::AllreduceOptions options(context_);
    options.setAlgorithm(gloo::AllreduceOptions::Algorithm::RING);
    options.setOutput(values.data(), values.size());
    options.setReduceFunction(&add<T>);
    options.setTag(lane == Lane::thread ? 1 : 0);
    options.setTimeout(limit_);
    gloo::allreduce(options);
  }

  void gather(std::span<const double> mine, std::span<double> all) override {
    gloo::AllgatherOptions options(context_);
    options.setInput(const_cast<double*>(mine.data()), mine.size());  // Gloo only reads it
    options.setOutput(all.data(), all.size());
    options.setTag(2);
    options.setTimeout(limit_);
    gloo::allgather(options);
  }

  void copy_from(int root, std::span<std::byte> values) override {
    gloo::BroadcastOptions options(context_);
    options.setOutput(reinterpret_cast<uint8_t*>(values.data()), values.size());
    options.setRoot(root);
    options.setTag(3);
    options.setTimeout(limit_);
    gloo::broadcast(options);
  }

  void meet() override {
    gloo::BarrierOptions options(context_);
    options.setTag(4);
    options.setTimeout(limit_);
    gloo::barrier(options);
  }

  std::shared_ptr<StoreClient> store_;
  std::chrono::milliseconds limit_;
  std::shared_ptr<gloo::Context> context_;
};

}  // namespace

bool has_gloo() {
  return true;
}

std::shared_ptr<HostCommunicator> make_gloo_communicator(std::shared_ptr<StoreClient> store, int rank, int world,
                                                         std::chrono::milliseconds limit) {
  try {
    return std::make_shared<GlooCommunicator>(store, rank, world, limit);
  } catch (const std::exception& e) {
    store->fail(e.what());
    throw DeviceError(fmt::format("rank {} of {}: the ranks cannot connect: {}", rank, world, e.what()));
  }
}

#else

bool has_gloo() {
  return false;
}

std::shared_ptr<HostCommunicator> make_gloo_communicator(std::shared_ptr<StoreClient>, int, int,
                                                         std::chrono::milliseconds) {
  throw DeviceError("this program was built without Gloo (libgloo-dev), so it runs with one rank only");
}

#endif

}  // namespace psanet
