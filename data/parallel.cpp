#include "data/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace psanet::data {

void for_each_index(std::size_t count, int threads, const std::function<void(std::size_t)>& work,
                    const ProgressCallback& progress) {
  std::atomic<std::size_t> next = 0;
  std::atomic<bool> failed = false;
  std::mutex mutex;  // guards what follows
  std::size_t done = 0, first_failure = count;
  std::exception_ptr failure;

  const auto run = [&] {
    while (!failed) {
      // Indices are handed out in order: whatever is smaller than one that fails is finished, and may fail, too.
      const std::size_t i = next++;
      if (i >= count) return;
      try {
        work(i);
        const std::lock_guard lock(mutex);
        ++done;
        if (progress) progress(done, count);
      } catch (...) {
        const std::lock_guard lock(mutex);
        failed = true;
        if (i < first_failure) {
          first_failure = i;
          failure = std::current_exception();
        }
      }
    }
  };

  const std::size_t wanted = threads > 0 ? std::size_t(threads) : std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> helpers;
  for (std::size_t t = 1; t < std::min(wanted, count); ++t) helpers.emplace_back(run);
  run();
  for (std::thread& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace psanet::data
