#include "kernels/cuda/algorithms.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <set>

#include "kernels/cuda/convolution.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/runtime.h"
#include "kernels/memory.h"

namespace psanet::kernels::cuda {

namespace {

constexpr const char* kHeader = "psanet algorithms 1";

/// Lines "key<tab>name" behind the header.
std::map<std::string, std::string> read(const std::filesystem::path& path) {
  std::map<std::string, std::string> chosen;
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line) || line != kHeader) return chosen;
  while (std::getline(file, line)) {
    const size_t tab = line.find('\t');
    if (tab == std::string::npos || tab == 0 || tab + 1 == line.size()) continue;
    if (line.find('\t', tab + 1) != std::string::npos) continue;
    chosen[line.substr(0, tab)] = line.substr(tab + 1);
  }
  return chosen;
}

/// Under another name first: whoever reads at the same time finds the old file or the new one, never half of one.
void write(const std::filesystem::path& path, const std::map<std::string, std::string>& chosen) {
  std::error_code failed;
  std::filesystem::create_directories(path.parent_path(), failed);
  const std::filesystem::path fresh = path.string() + fmt::format(".{}", getpid());
  std::ofstream file(fresh);
  file << kHeader << '\n';
  for (const auto& [key, name] : chosen) file << key << '\t' << name << '\n';
  file.close();
  if (file.good()) std::filesystem::rename(fresh, path, failed);
  if (!file.good() || failed) std::filesystem::remove(fresh, failed);
}

/// "" if it is not set.
std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::filesystem::path default_file() {
  if (const auto cache = variable("XDG_CACHE_HOME"); !cache.empty()) {
    return std::filesystem::path(cache) / "psanet" / "algorithms.txt";
  }
  if (const auto home = variable("HOME"); !home.empty()) {
    return std::filesystem::path(home) / ".cache" / "psanet" / "algorithms.txt";
  }
  return {};
}

std::string wanted_algorithms() {
  return variable("PSANET_ALGORITHMS");
}

std::shared_ptr<AlgorithmStore> store_of_environment() {
  const std::string wanted = wanted_algorithms();
  if (wanted == "off" || wanted == "heuristic" || wanted == "ours") return nullptr;
  return std::make_shared<AlgorithmStore>(wanted.empty() ? default_file() : std::filesystem::path(wanted));
}

std::string log_file() {
  return variable("PSANET_ALGORITHMS_LOG");
}

std::shared_ptr<AlgorithmStore>& process_store() {
  static std::shared_ptr<AlgorithmStore> store = store_of_environment();
  return store;
}

std::atomic<bool>& process_ours_only() {
  static std::atomic<bool> ours = wanted_algorithms() == "ours";
  return ours;
}

}  // namespace

AlgorithmStore::AlgorithmStore(std::filesystem::path file) : file_(std::move(file)) {
  if (!file_.empty()) chosen_ = read(file_);
}

std::optional<std::string> AlgorithmStore::find(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto at = chosen_.find(key);
  return at == chosen_.end() ? std::nullopt : std::optional(at->second);
}

void AlgorithmStore::put(const std::string& key, const std::string& name) {
  const std::lock_guard lock(mutex_);
  chosen_[key] = name;
  if (file_.empty()) return;
  for (const auto& [other, its_name] : read(file_)) chosen_.emplace(other, its_name);
  write(file_, chosen_);
}

std::shared_ptr<AlgorithmStore> algorithms() {
  return process_store();
}

void use_algorithms(std::shared_ptr<AlgorithmStore> store) {
  process_store() = std::move(store);
}

bool ours_only() {
  return process_ours_only();
}

void use_ours_only(bool yes) {
  process_ours_only() = yes;
}

bool logs_algorithms() {
  return !log_file().empty();
}

void log_algorithms(const std::string& line) {
  const std::string file = log_file();
  if (file.empty()) return;
  if (file == "-") {
    fmt::print("{}\n", line);
    std::fflush(stdout);
  } else {
    std::ofstream(file, std::ios::app) << line << '\n';  // opened anew: what a crash leaves is complete
  }
}

namespace {

std::optional<size_t> choose_silently(AlgorithmStore* store, const AlgorithmChoice& choice) {
  if (store != nullptr) {
    if (const auto stored = store->find(choice.key)) {
      for (size_t i = 0; i < choice.names.size(); ++i) {
        if (choice.names[i] != *stored) continue;
        if (choice.build(i)) return i;
        break;
      }
    }
  }
  // Some candidates are compiled when they are built, a second each. The library names its best guesses first.
  using Clock = std::chrono::steady_clock;
  Clock::time_point patience_ends = Clock::time_point::max();  // from the first: that loads the library, too
  std::vector<size_t> usable;
  std::set<std::string> seen;
  for (size_t i = 0; i < choice.names.size() && usable.size() < (store == nullptr ? 1 : kMeasured); ++i) {
    if (Clock::now() > patience_ends) break;
    if (!seen.insert(choice.names[i]).second || !choice.build(i)) continue;
    if (usable.empty()) patience_ends = Clock::now() + kPatience;
    usable.push_back(i);
  }
  if (usable.empty()) return std::nullopt;
  if (usable.size() == 1) {
    // Stored too: another process might have had time for more candidates, and chosen another.
    if (store != nullptr) store->put(choice.key, choice.names[usable[0]]);
    return usable[0];
  }

  constexpr double kNever = std::numeric_limits<double>::infinity();
  double best_time = kNever;
  size_t best = usable[0];  // if none can be measured, the best guess; it is not stored
  for (size_t i : usable) {
    try {
      if (const double time = choice.seconds(i); time < best_time) {
        best_time = time;
        best = i;
      }
    } catch (const DeviceError&) {  // not enough memory to measure, or it does not run: the others may
    }
  }
  if (best_time < kNever) store->put(choice.key, choice.names[best]);
  return best;
}

}  // namespace

std::optional<size_t> choose(AlgorithmStore* store, const AlgorithmChoice& choice) {
  log_algorithms(choice.key);
  for (const std::string& name : choice.names) log_algorithms("  proposed: " + name);
  AlgorithmChoice logged = choice;
  logged.seconds = [&](size_t i) {
    const double seconds = choice.seconds(i);
    log_algorithms(fmt::format("  {:.1f} us: {}", 1e6 * seconds, choice.names[i]));
    return seconds;
  };
  const auto chosen = choose_silently(store, logged);
  log_algorithms(chosen ? "  chosen: " + choice.names[*chosen] : "  chosen: none");
  return chosen;
}

double best_seconds(CudaContext& ctx, const std::function<void()>& run) {
  constexpr size_t kRuns = 5;
  const auto marks = make_marks(ctx, 2 * kRuns);
  run();
  for (size_t i = 0; i < kRuns; ++i) {
    marks->mark();
    run();
    marks->mark();
    synchronize(ctx);
  }
  const std::vector<double> moments = marks->seconds();
  double best = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < kRuns; ++i) best = std::min(best, moments[2 * i + 1] - moments[2 * i]);
  return best;
}

std::string machine_key(const CudaContext& ctx) {
  return fmt::format("{} | {}, {}", ctx.runtime->name, gemm_library_version(), convolution_library_version());
}

MeasuringMemory::MeasuringMemory(CudaContext& ctx, int64_t bytes) : ctx_(ctx), memory_(allocate(ctx_, bytes)) {
  constexpr int kByte = 0x3c;  // 0.0115 in float and in bf16; zeros would be multiplied at a higher clock
  use_device(ctx);
  PSANET_CUDA_CHECK(cudaMemsetAsync(memory_, kByte, static_cast<size_t>(bytes), ctx.runtime->stream));
}

MeasuringMemory::~MeasuringMemory() {
  release(ctx_, memory_);
}

}  // namespace psanet::kernels::cuda
