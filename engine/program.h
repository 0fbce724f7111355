// A graph made ready to run: prepared launches, one planned arena, fixed addresses. run() allocates nothing.
#pragma once

#include <functional>
#include <optional>

#include "engine/graph.h"
#include "engine/lowering.h"
#include "engine/parameters.h"
#include "engine/program_plan.h"
#include "engine/timeline.h"
#include "kernels/memory.h"

namespace psanet {

/// What a program needs, known before anything is allocated.
struct MemoryReport {
  int64_t parameter_bytes = 0;  // parameters and states, shared between programs
  int64_t input_bytes = 0;
  int64_t constant_bytes = 0;    // constants, and values computed once from parameters
  int64_t retained_bytes = 0;    // packed weights
  int64_t arena_bytes = 0;       // everything else, placed by lifetime
  int64_t arena_live_bytes = 0;  // the most that is alive at one step: a lower bound of arena_bytes
  int64_t unshared_bytes = 0;    // what the arena's tensors would take without a plan
  int64_t peak_bytes() const { return parameter_bytes + input_bytes + constant_bytes + retained_bytes + arena_bytes; }
};

/// What a node put into the recording of a run.
struct RecordedNode {
  const Node& node;
  int64_t launches = 0;  // kernels, copies and clears, which follow those of the node before
  double flops = 0;
  int64_t bytes = 0;  // of its inputs and outputs
};

/// One node of a traced run.
struct TraceEntry {
  const Node& node;
  Types in;
  double milliseconds = 0;
  double flops = 0;
  int non_finite_output = -1;     // the first output that holds NaN or infinity, or -1
  int64_t non_finite_index = -1;  // the first such value in it
};

class Program {
 public:
  /// Lowers `graph` for `device`; `parameters` gets what it lacks (initial values from `seed`).
  Program(Device& device, Graph graph, Parameters& parameters, uint64_t seed = 0);

  const Graph& graph() const { return graph_; }
  const MemoryReport& memory() const { return memory_; }
  /// Launches of one run.
  int64_t launches() const { return static_cast<int64_t>(runs_.size()); }
  /// Bytes of the arena in use while a node runs, for every node that does: f(node, bytes).
  void for_live_bytes(const std::function<void(const Node&, int64_t)>& f) const;
  /// Multiplications and additions of one run.
  double flops() const;

  /// Takes all memory now (otherwise the first of input(), output(), run() does). DeviceError when it is not there.
  void allocate();

  /// To be set before run(); keeps its content. std::logic_error for an unknown name.
  Tensor input(const std::string& name);
  bool has_input(const std::string& name) const;
  /// Valid after run() until the next. std::logic_error for an unknown name.
  Tensor output(const std::string& name);
  /// The same for the gradient of the source of that name.
  Tensor gradient(const std::string& of);

  /// What depends on nothing but parameters that this program does not update is computed anew when
  /// Parameters::version() says that they have changed. Where the device can, the second run is recorded (the first
  /// lets libraries load what they load when first used), and the later ones replay the recording: the same bits for
  /// one launch, or for one launch between any two collectives. What a library refuses to have recorded is launched
  /// anew in every run; the first time in a process that is said on standard error.
  void run();
  /// Whether runs are recorded; to be set before the first.
  void record_runs(bool record) { record_ = record; }
  /// Kernels, copies and clears in recordings; 0 if there are none.
  int64_t recorded_launches() const;
  /// Node by node, in the order of the recordings; empty if there are none.
  std::vector<RecordedNode> recorded_nodes() const;
  /// The same numbers, node by node, with times; the sink sees each node after it ran.
  void run_traced(const std::function<void(const TraceEntry&)>& sink);
  /// The same numbers, launched one by one but without waiting between them, and when each ran.
  Timeline run_timed();

 private:
  /// Something that happens in a period (ProgramPlan): a node's run, or its digestion of fixed inputs.
  struct Call {
    int node = 0;
    std::function<void(const Buffers&)> body;
    Buffers buffers;
    int64_t retained_offset_bytes = 0;
    bool recordable = true;
    int64_t recorded_launches = 0;
  };
  /// Calls [first, end) of a run, all or none of which may be recorded. Without a recording they are launched one by
  /// one.
  struct Stretch {
    size_t first = 0, end = 0;
    bool recordable = true;
    std::unique_ptr<kernels::Recording> recording;
  };

  void check_updates() const;
  std::vector<bool> find_fixed();
  void lower(const std::vector<bool>& fixed);
  void report_memory();
  Tensor& own(Value v) { return own_[static_cast<size_t>(v.node)][static_cast<size_t>(v.output)]; }
  const ProgramPlan::Home& home(Value v) const {
    return plan_.homes[static_cast<size_t>(v.node)][static_cast<size_t>(v.output)];
  }
  void* address(Value v);
  Tensor result(Value v, const std::string& what, const std::string& name);
  /// A run: takes memory if there is none yet, brings what was computed once up to date, calls launches() and notes
  /// how that ended.
  template <class Launches>
  void run_by(const Launches& launches);
  void launch(const Stretch& stretch);
  void record();
  bool record(Stretch& stretch);

  Device& device_;
  Graph graph_;
  Parameters& parameters_;
  bool updates_ = false;            // some of parameters_
  std::vector<Call> fixed_, runs_;  // the two periods
  ProgramPlan plan_;
  std::vector<std::vector<Tensor>> own_;  // of values whose place is their own
  std::shared_ptr<Storage> arena_, retained_;
  MemoryReport memory_;
  std::vector<Stretch> stretches_;       // all of runs_, in order
  std::optional<uint64_t> computed_at_;  // the version of parameters_ that fixed_ ran with
  bool allocated_ = false, ran_ = false, record_ = true, recorded_ = false;
};

}  // namespace psanet
