#include "kernels/cuda/fallback.h"

#include <fmt/format.h>

#include <cstdio>
#include <mutex>
#include <set>

namespace psanet::kernels::cuda {

namespace {

struct Said {
  std::mutex mutex;
  std::set<std::string> problems;
  std::vector<std::string> lines;
};
Said& said() {
  static Said instance;
  return instance;
}

}  // namespace

void say_fallback(const std::string& library, const std::string& problem, const std::string& why) {
  Said& s = said();
  const std::lock_guard lock(s.mutex);
  if (!s.problems.insert(problem).second) return;
  s.lines.push_back(fmt::format("psanet: {} has no plan for the {}{}; using our own kernel", library, problem,
                                why.empty() ? "" : " (" + why + ")"));
  fmt::print(stderr, "{}\n", s.lines.back());
}

std::vector<std::string> said_fallbacks() {
  Said& s = said();
  const std::lock_guard lock(s.mutex);
  return s.lines;
}

}  // namespace psanet::kernels::cuda
