// Independent pieces of work on several threads, with the same outcome for any number of them.
#pragma once

#include <cstddef>
#include <functional>

namespace psanet::data {

/// Told how many pieces are done and how many there are; calls never overlap, but may come from any thread.
using ProgressCallback = std::function<void(std::size_t done, std::size_t total)>;

/// Calls work(0), ..., work(count - 1), each once, from `threads` threads (0: as many as the process may use). If calls
/// throw, no new ones begin, and the exception of the smallest index is thrown: the same one for any number of threads.
void for_each_index(std::size_t count, int threads, const std::function<void(std::size_t)>& work,
                    const ProgressCallback& progress = {});

}  // namespace psanet::data
