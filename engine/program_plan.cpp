#include "engine/program_plan.h"

#include <algorithm>

#include "kernels/memory.h"

namespace psanet {

namespace {

using Place = ProgramPlan::Place;

bool holds(const std::vector<int>& list, size_t i) {
  return std::find(list.begin(), list.end(), static_cast<int>(i)) != list.end();
}

class Planner {
 public:
  Planner(const Graph& graph, const std::vector<PlannedCall>& fixed, const std::vector<PlannedCall>& runs)
      : graph_(graph), fixed_(fixed), runs_(runs), uses_(graph.use_counts()) {
    for (const Node& node : graph.nodes()) {
      first_.push_back(values_);
      values_ += node.outputs.size();
      const auto place = node.source() ? Place::own : Place::nowhere;
      plan_.homes.emplace_back(node.outputs.size(), ProgramPlan::Home{place, 0});
    }
  }

  ProgramPlan run() {
    last_run_ = last_reads(runs_);
    for (Value v : graph_.results()) last_run_[index(v)] = static_cast<int>(runs_.size());
    plan_fixed();
    plan_runs();
    return std::move(plan_);
  }

 private:
  /// The buffers of a period, and who lies in them.
  struct Period {
    std::vector<BufferLife> buffers;
    std::vector<std::pair<Value, size_t>> values;      // value, buffer
    std::vector<std::pair<size_t, size_t>> workspace;  // call, buffer
    size_t add(int64_t bytes, int first, int last) {
      buffers.push_back({bytes, first, last});
      return buffers.size() - 1;
    }
  };

  size_t index(Value v) const { return first_[static_cast<size_t>(v.node)] + static_cast<size_t>(v.output); }
  ProgramPlan::Home& home(Value v) { return plan_.homes[static_cast<size_t>(v.node)][static_cast<size_t>(v.output)]; }
  /// Outputs that nobody reads need no memory if the op can do without.
  bool needed(int node, size_t output) const {
    return uses_[static_cast<size_t>(node)][output] > 0 || !holds(graph_.node(node).op()->skippable(), output);
  }

  /// Of each value: the last call that reads it, or -1.
  std::vector<int> last_reads(const std::vector<PlannedCall>& calls) const {
    std::vector<int> last(values_, -1);
    for (size_t c = 0; c < calls.size(); ++c) {
      const Values& inputs = graph_.node(calls[c].node).inputs;
      for (size_t i = 0; i < inputs.size(); ++i) {
        if (inputs[i] && !holds(calls[c].reads_not, i)) last[index(inputs[i])] = static_cast<int>(c);
      }
    }
    return last;
  }

  /// Fixed values that a run reads have memory of their own; the others live until the last one made of them.
  void plan_fixed() {
    Period period;
    const std::vector<int> last = last_reads(fixed_);
    for (size_t c = 0; c < fixed_.size(); ++c) {
      const PlannedCall& call = fixed_[c];
      const int now = static_cast<int>(c);
      const Node& node = graph_.node(call.node);
      for (size_t o = 0; call.computes && o < node.outputs.size(); ++o) {
        const Value v{call.node, static_cast<int>(o)};
        if (last_run_[index(v)] >= 0) {
          home(v).place = Place::own;
        } else if (needed(call.node, o)) {
          period.values.emplace_back(v, period.add(node.outputs[o].bytes(), now, std::max(last[index(v)], now)));
        }
      }
      if (call.workspace_bytes > 0) period.workspace.emplace_back(c, period.add(call.workspace_bytes, now, now));
    }
    place(period, plan_.fixed_workspace, fixed_.size());
  }

  void plan_runs() {
    Period period;
    std::vector<int> buffer_of(values_, -1);
    for (size_t c = 0; c < runs_.size(); ++c) {
      const PlannedCall& call = runs_[c];
      const int now = static_cast<int>(c);
      const Node& node = graph_.node(call.node);
      std::vector<int> taken;
      for (size_t o = 0; o < node.outputs.size(); ++o) {
        if (!needed(call.node, o)) continue;
        const Value v{call.node, static_cast<int>(o)};
        const int64_t bytes = node.outputs[o].bytes();
        const int last = std::max(last_run_[index(v)], now);
        plan_.unshared_bytes += kernels::aligned(bytes);
        int buffer = buffer_to_share(node, o, now, buffer_of);
        if (buffer >= 0 && !holds(taken, static_cast<size_t>(buffer))) {
          taken.push_back(buffer);
          period.buffers[static_cast<size_t>(buffer)].last = last;
        } else {
          buffer = static_cast<int>(period.add(bytes, now, last));
        }
        buffer_of[index(v)] = buffer;
        period.values.emplace_back(v, static_cast<size_t>(buffer));
      }
      if (call.workspace_bytes > 0) period.workspace.emplace_back(c, period.add(call.workspace_bytes, now, now));
    }
    plan_.run_live_bytes = place(period, plan_.run_workspace, runs_.size());
  }

  /// The buffer of an input that output `o` may take; -1: none.
  int buffer_to_share(const Node& node, size_t o, int now, const std::vector<int>& buffer_of) const {
    std::vector<int> allowed;
    for (const Sharing& sharing : node.op()->shares()) {
      if (sharing.output == static_cast<int>(o)) allowed.push_back(sharing.input);
    }
    for (int i : allowed) {
      const Value in = static_cast<size_t>(i) < node.inputs.size() ? node.inputs[static_cast<size_t>(i)] : Value{};
      if (!in || last_run_[index(in)] != now || graph_.type(in).bytes() != node.outputs[o].bytes()) continue;
      const int buffer = buffer_of[index(in)];
      if (buffer < 0) continue;
      // An op may read the same memory through several inputs (x + x): all of them have to allow it.
      bool by_others = false;
      for (size_t j = 0; j < node.inputs.size(); ++j) {
        const bool same = node.inputs[j] && buffer_of[index(node.inputs[j])] == buffer;
        by_others = by_others || (same && !holds(allowed, j));
      }
      if (!by_others) return buffer;
    }
    return -1;
  }

  /// Writes the offsets down; returns the bytes alive at each call.
  std::vector<int64_t> place(const Period& period, std::vector<int64_t>& workspace, size_t calls) {
    MemoryPlan planned = plan_memory(period.buffers, kernels::kAlignment_bytes);
    for (const auto& [v, buffer] : period.values) home(v) = {Place::arena, planned.offset_bytes[buffer]};
    workspace.assign(calls, 0);
    for (const auto& [call, buffer] : period.workspace) workspace[call] = planned.offset_bytes[buffer];
    plan_.arena_bytes = std::max(plan_.arena_bytes, planned.total_bytes);
    plan_.arena_live_bytes = std::max(plan_.arena_live_bytes, planned.live_bytes);
    plan_.lookups += planned.lookups;
    return std::move(planned.live_bytes_at);
  }

  const Graph& graph_;
  const std::vector<PlannedCall>&fixed_, &runs_;
  const std::vector<std::vector<int>> uses_;
  std::vector<size_t> first_;  // of each node: the index of its first output among all values
  size_t values_ = 0;
  std::vector<int> last_run_;
  ProgramPlan plan_;
};

}  // namespace

ProgramPlan plan_program(const Graph& graph, const std::vector<PlannedCall>& fixed,
                         const std::vector<PlannedCall>& runs) {
  return Planner(graph, fixed, runs).run();
}

}  // namespace psanet
