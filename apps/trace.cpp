#include "apps/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/atomic_file.h"
#include "layers/collective.h"

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

void write_timeline(const std::filesystem::path& file, const Timeline& timeline) {
  using nlohmann::ordered_json;
  ordered_json events = ordered_json::array();
  int lane = 0;
  for (const auto& [name, spans] :
       {std::pair("nodes", &timeline.nodes), std::pair("sums over ranks", &timeline.collectives)}) {
    events.push_back({{"ph", "M"}, {"pid", 0}, {"tid", lane}, {"name", "thread_name"}, {"args", {{"name", name}}}});
    for (const TimedSpan& span : *spans) {
      events.push_back({{"ph", "X"},
                        {"pid", 0},
                        {"tid", lane},
                        {"name", span.name},
                        {"cat", span.op},
                        {"ts", 1e6 * span.begin_s},
                        {"dur", 1e6 * (span.end_s - span.begin_s)}});
    }
    ++lane;
  }
  write_text_atomically(file, ordered_json{{"traceEvents", events}, {"displayTimeUnit", "ms"}}.dump() + "\n");
}

std::string describe(const Timeline& timeline) {
  double sums = 0, waited = 0;
  for (const TimedSpan& sum : timeline.collectives) {
    sums += sum.end_s - sum.begin_s;
    for (const TimedSpan& node : timeline.nodes) {
      if (node.op != layers::WaitBucket::kName && node.op != layers::MergeMoments::kName &&
          node.op != layers::AllReduce::kName) {
        continue;
      }
      waited += std::max(0.0, std::min(sum.end_s, node.end_s) - std::max(sum.begin_s, node.begin_s));
    }
  }
  return fmt::format(
      "nodes {:.1f} ms; {} sums over ranks {:.1f} ms, of which {:.1f} ms beside other nodes than those that wait for "
      "them",
      timeline.nodes.empty() ? 0.0 : 1e3 * timeline.nodes.back().end_s, timeline.collectives.size(), 1e3 * sums,
      1e3 * (sums - waited));
}

}  // namespace psanet::apps
