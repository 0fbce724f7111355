// Which memory the values of a program have: one plan for both of its periods.
#pragma once

#include "engine/graph.h"
#include "engine/memory_plan.h"

namespace psanet {

/// What the plan must know of something that happens in a period, in the order in which it happens.
struct PlannedCall {
  int node = 0;
  bool computes = true;             // the node's outputs; otherwise it digests inputs alone
  int64_t workspace_bytes = 0;      // scratch
  std::vector<int> reads_not = {};  // inputs that it leaves alone
};

/// A program has two periods, which never overlap and share one arena: what depends on nothing that changes from run to
/// run is computed once ("fixed"), the rest in every run.
struct ProgramPlan {
  enum class Place : uint8_t {
    nowhere,  // a skippable output that nobody reads
    own,      // memory of its own: sources, and fixed values that runs read
    arena
  };
  struct Home {
    Place place = Place::nowhere;
    int64_t offset_bytes = 0;  // in the arena
  };
  std::vector<std::vector<Home>> homes;                 // of each node's outputs
  std::vector<int64_t> fixed_workspace, run_workspace;  // offset of each call's scratch
  int64_t arena_bytes = 0, arena_live_bytes = 0;        // the second: the most that is alive at one time
  int64_t unshared_bytes = 0;                           // what the arena's values of runs would take without a plan
  std::vector<int64_t> run_live_bytes;                  // at each call of a run
  int64_t lookups = 0;                                  // MemoryPlan
};

/// `fixed` and `runs`: the calls of the two periods. An output of a run may take the memory of an input that its op
/// allows (Op::shares()) if nobody reads it later, and this op itself only through inputs that it allows.
ProgramPlan plan_program(const Graph& graph, const std::vector<PlannedCall>& fixed,
                         const std::vector<PlannedCall>& runs);

}  // namespace psanet
