#include "apps/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace psanet::apps {

void run_and_print_trace(Program& program) {
  struct Total {
    double milliseconds = 0, flops = 0;
    int count = 0;
  };
  std::map<std::string, Total> by_op;
  Total all;
  std::string non_finite;
  fmt::print("{:>9}  {:>9}  {:<28}  {}\n", "ms", "GFLOP/s", "op", "node: inputs -> outputs");
  program.run_traced([&](const TraceEntry& e) {
    std::string types;
    for (const Type& t : e.in) types += (types.empty() ? "" : " ") + to_string(t);
    if (types.size() > 160) types = types.substr(0, 157) + "...";
    types += " ->";
    for (const Type& t : e.node.outputs) types += " " + to_string(t);
    fmt::print("{:>9.3f}  {:>9}  {:<28}  {}: {}\n", e.milliseconds,
               e.flops > 0 ? fmt::format("{:.1f}", e.flops / e.milliseconds / 1e6) : "", e.node.op()->name(),
               e.node.name, types);
    for (Total* t : {&by_op[e.node.op()->name()], &all}) {
      t->milliseconds += e.milliseconds;
      t->flops += e.flops;
      ++t->count;
    }
    if (e.non_finite_output >= 0 && non_finite.empty()) {
      non_finite = fmt::format("{} ({}), output {}, index {}", e.node.name, e.node.op()->name(), e.non_finite_output,
                               e.non_finite_index);
    }
  });
  std::vector<std::pair<std::string, Total>> sorted(by_op.begin(), by_op.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.second.milliseconds > b.second.milliseconds; });
  fmt::print("\n{:>9}  {:>6}  {:>6}  {:>9}  {}\n", "ms", "%", "nodes", "GFLOP/s", "op");
  for (const auto& [op, t] : sorted) {
    fmt::print("{:>9.2f}  {:>6.1f}  {:>6}  {:>9}  {}\n", t.milliseconds, 100 * t.milliseconds / all.milliseconds,
               t.count, t.flops > 0 ? fmt::format("{:.1f}", t.flops / t.milliseconds / 1e6) : "", op);
  }
  fmt::print("{:>9.2f}  {:>6.1f}  {:>6}  {:>9.1f}  all\n", all.milliseconds, 100.0, all.count,
             all.flops / all.milliseconds / 1e6);
  fmt::print("{}\n", non_finite.empty() ? "all values are finite" : "first non-finite value: " + non_finite);
}

}  // namespace psanet::apps
