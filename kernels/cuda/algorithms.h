// Which of a vendor library's algorithms to use for a shape: measured once on a machine, remembered in a file, so that
// later processes make the same choice and give the same bits.
//
// The environment variable PSANET_ALGORITHMS names the file; "off" or "heuristic" takes the library's own first guess
// and measures nothing; "ours" asks no library: every convolution and matrix product is done by our own kernels, which
// checks the libraries. Without it the file is $XDG_CACHE_HOME/psanet/algorithms.txt or ~/.cache/psanet/algorithms.txt.
//
// PSANET_ALGORITHMS_LOG names a file, or is "-" for standard output: every choice is written there, with all that it
// was made from and why the rest was declined.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kernels/context.h"

namespace psanet::kernels::cuda {

/// Name of the chosen algorithm by key. A key says what decides the choice: operation, shape, types, GPU, versions.
class AlgorithmStore {
 public:
  /// What the file holds; lines that cannot be understood are left out. No path: remembers in memory only.
  explicit AlgorithmStore(std::filesystem::path file = {});

  std::optional<std::string> find(const std::string& key) const;
  /// Writes the file anew, with what other processes have added to it since. That it cannot be written is no error.
  void put(const std::string& key, const std::string& name);

 private:
  std::filesystem::path file_;
  std::map<std::string, std::string> chosen_;
  mutable std::mutex mutex_;
};

/// The store of this process; null if nothing is to be measured.
std::shared_ptr<AlgorithmStore> algorithms();
/// Replaces it (tests do).
void use_algorithms(std::shared_ptr<AlgorithmStore> store);

/// Are convolutions and matrix products that are prepared from now on to be our own kernels (own_kernels.h)?
bool ours_only();
/// Replaces what the environment says (tests do).
void use_ours_only(bool yes);

/// Is PSANET_ALGORITHMS_LOG set?
bool logs_algorithms();
/// Adds a line to it, if it is.
void log_algorithms(const std::string& line);

/// The algorithms that a choice is made from.
struct AlgorithmChoice {
  std::string key;
  /// Best guess first. The same from process to process; of equal names only the first is considered.
  std::vector<std::string> names;
  /// Makes an algorithm ready to run; false: it cannot be used after all. Called again, it says the same.
  std::function<bool(size_t)> build;
  /// Measures. A DeviceError makes the algorithm lose.
  std::function<double(size_t)> seconds;
};

/// At most so many algorithms are measured for a choice.
inline constexpr size_t kMeasured = 10;
/// No further candidate is built after this long, once there is one.
inline constexpr std::chrono::seconds kPatience{1};

/// Index of the stored algorithm, or of the fastest (which is then stored), or, without a store, of the first that can
/// be used; nothing if none can be. The chosen one has been built.
std::optional<size_t> choose(AlgorithmStore* store, const AlgorithmChoice& choice);

/// The shortest of a few runs on the context's stream, after one to warm up. Not while the stream is being recorded.
double best_seconds(CudaContext& ctx, const std::function<void()>& run);

/// GPU and library versions: the part of a key that every choice depends on.
std::string machine_key(const CudaContext& ctx);

/// Device memory for measuring, filled with a small number that is not zero, neither in float nor in bf16.
class MeasuringMemory {
 public:
  MeasuringMemory(CudaContext& ctx, int64_t bytes);
  ~MeasuringMemory();
  MeasuringMemory(const MeasuringMemory&) = delete;
  MeasuringMemory& operator=(const MeasuringMemory&) = delete;
  void* get() const { return memory_; }

 private:
  CudaContext ctx_;
  void* memory_;
};

}  // namespace psanet::kernels::cuda
