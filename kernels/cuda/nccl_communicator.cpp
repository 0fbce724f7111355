#include "kernels/cuda/nccl_communicator.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <stdexcept>

#include "kernels/cuda/runtime.h"

namespace psanet::kernels {

namespace nccl = cuda::nccl;

NcclCommunicator::Impl::Impl(int device_wanted, cudaStream_t compute_stream, const NcclId& id, int my_rank, int ranks,
                             const NcclOptions& wanted)
    : options(wanted),
      device(device_wanted),
      rank(my_rank),
      world(ranks),
      library(nccl::load(wanted.library)),
      compute(compute_stream) {
  if (world < 1 || rank < 0 || rank >= world) {
    throw std::logic_error(fmt::format("NCCL: there is no rank {} of {}", rank, world));
  }
  PSANET_CUDA_CHECK(cudaSetDevice(device));
  PSANET_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  PSANET_CUDA_CHECK(cudaEventCreateWithFlags(&ready, cudaEventDisableTiming));
  create(id);
  watchdog = std::thread([this] { watch(); });
}

NcclCommunicator::Impl::~Impl() {
  if (std::uncaught_exceptions() > exceptions) {
    std::unique_lock lock(mutex);
    const std::string what = under_way.empty() ? std::string() : under_way.front().what;
    lock.unlock();
    // Others may be gone: what is under way may never end.
    if (!what.empty()) fail(what + ": given up because of another error");
  }
  cudaStreamSynchronize(stream);  // the watchdog sees to it that this ends
  {
    const std::lock_guard lock(mutex);
    stopping = true;
    changed.notify_all();
  }
  watchdog.join();
  destroy();
  for (const Collective& collective : under_way) {
    cudaEventDestroy(collective.begin);
    cudaEventDestroy(collective.end);
  }
  for (cudaEvent_t unused : free_events) cudaEventDestroy(unused);
  cudaEventDestroy(ready);
  cudaStreamDestroy(stream);
}

std::string NcclCommunicator::Impl::place() const {
  return fmt::format("NCCL: rank {} of {}, step {}", rank, world, step.load());
}

nccl::Result NcclCommunicator::Impl::settled(nccl::Result result, Clock::time_point until) {
  const auto given_up = [&] {
    const std::lock_guard lock(mutex);
    return failed;
  };
  while (result == nccl::in_progress && Clock::now() < until && !given_up()) {
    nccl::Result state = nccl::in_progress;
    const auto asked = library->CommGetAsyncError(communicator, &state);
    result = asked == nccl::success ? state : asked;
    if (result == nccl::in_progress) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  return result;
}

void NcclCommunicator::Impl::create(const NcclId& id) {
  nccl::UniqueId name;
  std::copy(id.begin(), id.end(), std::begin(name.internal));
  nccl::Config config;
  const auto limit = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.limit_s));
  auto result = library->CommInitRankConfig(&communicator, world, name, rank, &config);
  const auto until = Clock::now() + limit;
  const auto poll = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.gone_poll_s));
  std::string who;
  while (communicator != nullptr && result == nccl::in_progress && who.empty() && Clock::now() < until) {
    result = settled(result, std::min(until, Clock::now() + poll));
    if (result == nccl::in_progress && options.gone) who = options.gone();
  }
  if (result == nccl::success) return;
  const std::string why = result != nccl::in_progress ? library->words(result, communicator)
                          : who.empty() ? fmt::format("not all ranks have come within {} s", options.limit_s)
                                        : who;
  const std::string line = fmt::format("NCCL: rank {} of {}: making the communicator: {}", rank, world, why);
  if (options.failed) options.failed(line);
  if (communicator != nullptr) {
    nccl::abort_or_end(library, communicator, device, calls, options.abort_limit_s, line);
  }
  cudaEventDestroy(ready);
  cudaStreamDestroy(stream);
  throw DeviceError(line);
}

void NcclCommunicator::Impl::destroy() {
  if (failed) return;  // aborted: it is gone
  const auto limit = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.limit_s));
  const auto result = settled(library->CommFinalize(communicator), Clock::now() + limit);
  if (result == nccl::success) {
    // "In progress" is as good: the library has taken it and goes on by itself; it must not be touched any more.
    const auto destroyed = library->CommDestroy(communicator);
    if (destroyed == nccl::success || destroyed == nccl::in_progress) return;
  }
  nccl::abort_or_end(library, communicator, device, calls, options.abort_limit_s,
                     place() + ": giving the communicator back: " + library->words(result, communicator));
}

int64_t NcclCommunicator::Impl::start(const char* kind, const std::string& name, const Call& call) {
  check();
  PSANET_CUDA_CHECK(cudaSetDevice(device));
  Collective* mine = nullptr;
  cudaEvent_t begin = nullptr, end = nullptr;
  int64_t number = 0;
  std::string what = fmt::format("{}: {} \"{}\"", place(), kind, name);
  {
    const std::lock_guard lock(mutex);
    begin = event();
    end = event();
    number = ++started;
    // From here on the watchdog sees it: the call itself may hang.
    under_way.push_back({number, what, name, begin, end, false, false, {}});
    mine = &under_way.back();  // a deque leaves it where it is; it is not removed before it is issued
    last = what;
  }
  PSANET_CUDA_CHECK(cudaEventRecord(ready, compute));
  PSANET_CUDA_CHECK(cudaStreamWaitEvent(stream, ready, 0));
  PSANET_CUDA_CHECK(cudaEventRecord(begin, stream));
  std::string refused;
  {
    const std::lock_guard alone(calls);
    check();
    const auto limit = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.limit_s));
    const auto result = settled(call(), Clock::now() + limit);
    if (result == nccl::in_progress) {
      refused = fmt::format("the call has not ended within {} s", options.limit_s);
    } else if (result != nccl::success) {
      refused = library->words(result, communicator);
    }
  }
  if (!refused.empty()) {
    fail(what + ": " + refused);
    check();
  }
  PSANET_CUDA_CHECK(cudaEventRecord(end, stream));
  const std::lock_guard lock(mutex);
  mine->issued = true;
  mine->running = false;  // the call has ended; when its execution begins, the time begins anew
  return number;
}

void NcclCommunicator::Impl::join(int64_t collective) {
  check();
  const std::lock_guard lock(mutex);
  if (collective < 1 || collective > started) throw std::logic_error("NCCL: no such collective was started");
  for (const Collective& c : under_way) {
    // One that is not there any more is done, and so is what follows it in the compute stream.
    if (c.number == collective) PSANET_CUDA_CHECK(cudaStreamWaitEvent(compute, c.end, 0));
  }
}

void NcclCommunicator::Impl::wait() {
  check();
  PSANET_CUDA_CHECK(cudaStreamSynchronize(stream));
  check();
  const std::string line = asynchronous_error();
  if (!line.empty()) fail(line);
  check();
}

void NcclCommunicator::Impl::check() {
  const std::lock_guard lock(mutex);
  if (failed) throw DeviceError(error);
}

cudaEvent_t NcclCommunicator::Impl::event() {
  cudaEvent_t result = nullptr;
  if (free_events.empty()) {
    PSANET_CUDA_CHECK(
        cudaEventCreateWithFlags(&result, timing_from != nullptr ? cudaEventDefault : cudaEventDisableTiming));
  } else {
    result = free_events.back();
    free_events.pop_back();
  }
  return result;
}

void NcclCommunicator::Impl::forget_events() {
  const std::lock_guard lock(mutex);
  retire();
  for (cudaEvent_t unused : free_events) cudaEventDestroy(unused);
  free_events.clear();
}

void NcclCommunicator::Impl::start_timing() {
  wait();
  forget_events();
  cudaEvent_t from = nullptr;
  PSANET_CUDA_CHECK(cudaSetDevice(device));
  PSANET_CUDA_CHECK(cudaEventCreate(&from));
  PSANET_CUDA_CHECK(cudaEventRecord(from, compute));
  const std::lock_guard lock(mutex);
  timed.clear();
  timing_from = from;
}

std::vector<NcclCommunicator::Timed> NcclCommunicator::Impl::stop_timing() {
  wait();
  forget_events();
  const std::lock_guard lock(mutex);
  cudaEventDestroy(timing_from);
  timing_from = nullptr;
  return std::move(timed);
}

NcclCommunicator::NcclCommunicator(int device, CUstream_st* compute, const NcclId& id, int rank, int world,
                                   const NcclOptions& options)
    : impl_(std::make_unique<Impl>(device, compute, id, rank, world, options)) {}
NcclCommunicator::~NcclCommunicator() = default;

void NcclCommunicator::set_step(int64_t step) {
  impl_->step = step;
}

int64_t NcclCommunicator::all_reduce(const std::string& name, float* values, int64_t count) {
  return impl_->sum(name, values, count, nccl::float32);
}
int64_t NcclCommunicator::all_reduce(const std::string& name, double* values, int64_t count) {
  return impl_->sum(name, values, count, nccl::float64);
}
int64_t NcclCommunicator::all_reduce(const std::string& name, int64_t* values, int64_t count) {
  return impl_->sum(name, values, count, nccl::int64);
}
int64_t NcclCommunicator::broadcast(const std::string& name, void* values, int64_t bytes, int root) {
  return impl_->start("broadcast", name, [&, i = impl_.get()] {
    return i->library->Broadcast(values, values, static_cast<size_t>(bytes), nccl::int8, root, i->communicator,
                                 i->stream);
  });
}
int64_t NcclCommunicator::all_gather(const std::string& name, const double* mine, double* all, int64_t count) {
  return impl_->start("all_gather", name, [&, i = impl_.get()] {
    return i->library->AllGather(mine, all, static_cast<size_t>(count), nccl::float64, i->communicator, i->stream);
  });
}

void NcclCommunicator::join(int64_t collective) {
  impl_->join(collective);
}
void NcclCommunicator::join_all() {
  if (impl_->started > 0) impl_->join(impl_->started);  // the last one to be executed
}
void NcclCommunicator::wait() {
  impl_->wait();
}
void NcclCommunicator::check() {
  impl_->check();
}
void NcclCommunicator::start_timing() {
  impl_->start_timing();
}
std::vector<NcclCommunicator::Timed> NcclCommunicator::stop_timing() {
  return impl_->stop_timing();
}

std::unique_ptr<NcclCommunicator> make_nccl_communicator(CudaContext& ctx, const NcclId& id, int rank, int world,
                                                         const NcclOptions& options) {
  return std::make_unique<NcclCommunicator>(ctx.device, ctx.runtime->stream, id, rank, world, options);
}

}  // namespace psanet::kernels
