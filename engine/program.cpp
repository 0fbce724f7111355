#include "engine/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <set>
#include <stdexcept>

#include "engine/communicator.h"
#include "engine/error.h"
#include "engine/memory_plan.h"
#include "engine/rewrite.h"
#include "kernels/memory.h"

namespace psanet {

const Type& Lowering::out(size_t i) const {
  return node_.outputs[i];
}

void Lowering::refuse(DType dtype) const {
  throw ConfigError(fmt::format("{} ({}): values of {} on a device that computes in f32 only", node_.name,
                                node_.op()->name(), name(dtype)));
}

Program::Program(Device& device, Graph graph, Parameters& parameters, uint64_t seed)
    : device_(device), graph_(prune(graph)), parameters_(parameters) {
  parameters_.add(graph_, seed);
  check_updates();
  lower(find_fixed());
  report_memory();
}

/// A value that an op updates in place must not be read after it: the reader would see one step too far.
void Program::check_updates() const {
  std::map<int, int> updated_by;  // source node -> node
  for (size_t id = 0; id < graph_.nodes().size(); ++id) {
    const Node& node = graph_.nodes()[id];
    for (Value v : node.inputs) {
      auto it = v ? updated_by.find(v.node) : updated_by.end();
      if (it != updated_by.end()) {
        throw std::logic_error(fmt::format("{} reads {} after {} has updated it", node.name, graph_.node(v).name,
                                           graph_.node(it->second).name));
      }
    }
    if (!node.op()) continue;
    for (int i : node.op()->mutates(node.inputs.size()))
      updated_by[node.inputs[static_cast<size_t>(i)].node] = static_cast<int>(id);
  }
}

/// Of each node: does it depend only on constants and on what outlives runs and nothing in this graph updates?
std::vector<bool> Program::find_fixed() {
  std::set<int> updated;
  for (const Node& node : graph_.nodes()) {
    if (!node.op()) continue;
    for (int i : node.op()->mutates(node.inputs.size())) updated.insert(node.inputs[static_cast<size_t>(i)].node);
  }
  updates_ = !updated.empty();
  std::vector<bool> fixed(graph_.nodes().size(), false);
  for (size_t id = 0; id < graph_.nodes().size(); ++id) {
    const Node& node = graph_.nodes()[id];
    if (node.source()) {
      fixed[id] = !node.is(Source::Kind::input) && !updated.count(static_cast<int>(id));
    } else if (node.op()->mutates(node.inputs.size()).empty()) {
      fixed[id] = std::all_of(node.inputs.begin(), node.inputs.end(),
                              [&](Value v) { return !v || fixed[static_cast<size_t>(v.node)]; });
    }
  }
  return fixed;
}

void Program::lower(const std::vector<bool>& fixed) {
  const auto uses = graph_.use_counts();
  std::vector<PlannedCall> planned_fixed, planned_runs;
  for (int id = 0; id < static_cast<int>(graph_.nodes().size()); ++id) {
    const Node& node = graph_.node(id);
    if (!node.op()) continue;
    std::vector<bool> fixed_inputs, wanted;
    for (Value v : node.inputs) fixed_inputs.push_back(v && fixed[static_cast<size_t>(v.node)]);
    for (int count : uses[static_cast<size_t>(id)]) wanted.push_back(count > 0);
    Lowering lowering(device_, node, graph_.types(node.inputs), fixed_inputs, wanted);
    Launch launch = node.op()->lower(lowering);
    const int64_t retained =
        std::exchange(memory_.retained_bytes, memory_.retained_bytes + kernels::aligned(launch.retained_bytes));
    if (launch.digest) {
      fixed_.push_back({id, std::move(launch.digest), {}, retained});
      planned_fixed.push_back({id, false, launch.workspace_bytes});
    }
    const bool once = fixed[static_cast<size_t>(id)];
    (once ? fixed_ : runs_).push_back({id, std::move(launch.run), {}, retained, launch.recordable});
    (once ? planned_fixed : planned_runs).push_back({id, true, launch.workspace_bytes, std::move(launch.digest_only)});
  }
  plan_ = plan_program(graph_, planned_fixed, planned_runs);
}

void Program::report_memory() {
  for (int id = 0; id < static_cast<int>(graph_.nodes().size()); ++id) {
    const Node& node = graph_.node(id);
    if (node.source() && node.source()->kept()) continue;
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      if (home({id, static_cast<int>(o)}).place != ProgramPlan::Place::own) continue;
      (node.is(Source::Kind::input) ? memory_.input_bytes : memory_.constant_bytes) +=
          kernels::aligned(node.outputs[o].bytes());
    }
  }
  for (const Parameters::Entry& entry : parameters_.entries()) {
    memory_.parameter_bytes += kernels::aligned(entry.tensor.type().bytes());
  }
  memory_.arena_bytes = plan_.arena_bytes;
  memory_.arena_live_bytes = plan_.arena_live_bytes;
  memory_.unshared_bytes = plan_.unshared_bytes;
}

void* Program::address(Value v) {
  using Place = ProgramPlan::Place;
  if (!v || home(v).place == Place::nowhere) return nullptr;
  return home(v).place == Place::own ? own(v).address() : arena_->data() + home(v).offset_bytes;
}

void Program::allocate() {
  if (allocated_) return;
  arena_ = std::make_shared<Storage>(device_, memory_.arena_bytes);
  retained_ = std::make_shared<Storage>(device_, memory_.retained_bytes);

  own_.clear();
  for (int id = 0; id < static_cast<int>(graph_.nodes().size()); ++id) {
    const Node& node = graph_.node(id);
    own_.emplace_back(node.outputs.size());
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      const Value v{id, static_cast<int>(o)};
      if (home(v).place != ProgramPlan::Place::own) continue;
      if (node.source() && node.source()->kept()) {
        own(v) = parameters_.tensor(key_of(node));
        continue;
      }
      own(v) = Tensor(device_, node.outputs[o]);
      own(v).zero();
      if (node.is(Source::Kind::constant)) {
        own(v).set(std::vector<float>(static_cast<size_t>(node.outputs[o].elements()),
                                      static_cast<float>(node.source()->initializer.value)));
      }
    }
  }
  const auto connect = [&](std::vector<Call>& calls, const std::vector<int64_t>& workspace) {
    for (size_t c = 0; c < calls.size(); ++c) {
      const Node& node = graph_.node(calls[c].node);
      Buffers& buffers = calls[c].buffers;
      for (Value v : node.inputs) buffers.inputs.push_back(address(v));
      for (size_t o = 0; o < node.outputs.size(); ++o) {
        buffers.outputs.push_back(address({calls[c].node, static_cast<int>(o)}));
      }
      buffers.workspace = arena_->data() + workspace[c];
      buffers.retained = retained_->data() + calls[c].retained_offset_bytes;
    }
  };
  connect(fixed_, plan_.fixed_workspace);
  connect(runs_, plan_.run_workspace);
  for (size_t c = 0; c < runs_.size(); ++c) {
    const bool recordable = runs_[c].recordable;
    if (stretches_.empty() || stretches_.back().recordable != recordable)
      stretches_.push_back({c, c, recordable, nullptr});
    stretches_.back().end = c + 1;
  }
  allocated_ = true;
}

bool Program::has_input(const std::string& name) const {
  return bool(graph_.find_input(name));
}

Tensor Program::input(const std::string& name) {
  allocate();
  if (!has_input(name)) throw std::logic_error("the program has no input named " + name);
  return own(graph_.find_input(name));
}

Tensor Program::result(Value v, const std::string& what, const std::string& name) {
  allocate();
  if (!v) throw std::logic_error(fmt::format("the program has no {} {}", what, name));
  const bool is_own = home(v).place == ProgramPlan::Place::own;
  return is_own ? own(v) : Tensor(arena_, home(v).offset_bytes, graph_.type(v));
}

Tensor Program::output(const std::string& name) {
  return result(graph_.output(name), "output named", name);
}

Tensor Program::gradient(const std::string& of) {
  return result(graph_.gradient(of), "gradient of", of);
}

void Program::for_live_bytes(const std::function<void(const Node&, int64_t)>& f) const {
  for (size_t c = 0; c < runs_.size(); ++c) f(graph_.node(runs_[c].node), plan_.run_live_bytes[c]);
}

double Program::flops() const {
  double sum = 0;
  for (const Call& call : runs_) {
    const Node& node = graph_.node(call.node);
    sum += node.op()->flops(graph_.types(node.inputs), node.outputs);
  }
  return sum;
}

template <class Launches>
void Program::run_by(const Launches& launches) {
  allocate();
  if (const uint64_t version = parameters_.version(); computed_at_ != version) {
    for (const Call& call : fixed_) call.body(call.buffers);
    computed_at_ = version;
  }
  try {
    launches();
  } catch (...) {
    device_.communicator().drain();  // it may still be at work on this program's memory
    if (updates_) parameters_.updated();
    throw;
  }
  ran_ = true;
  if (!updates_) return;
  parameters_.updated();
  computed_at_ = parameters_.version();  // its own updates leave what it has computed once as it is
}

void Program::run() {
  run_by([&] {
    if (record_ && ran_ && !recorded_) record();
    for (const Stretch& stretch : stretches_) stretch.recording ? stretch.recording->replay() : launch(stretch);
  });
}

Timeline Program::run_timed() {
  Timeline timeline;
  run_by([&] {
    const auto marks =
        device_.visit([&](auto& ctx) { return kernels::make_marks(ctx, static_cast<int64_t>(runs_.size()) + 1); });
    Communicator& ranks = device_.communicator();
    ranks.start_timing();
    marks->mark();
    for (const Call& call : runs_) {
      call.body(call.buffers);
      marks->mark();
    }
    const std::vector<double> seconds = marks->seconds();
    timeline.collectives = ranks.stop_timing();
    for (size_t s = 0; s < runs_.size(); ++s) {
      const Node& node = graph_.node(runs_[s].node);
      timeline.nodes.push_back({node.name, node.op()->name(), seconds[s], seconds[s + 1]});
    }
  });
  return timeline;
}

void Program::launch(const Stretch& stretch) {
  for (size_t s = stretch.first; s < stretch.end; ++s) runs_[s].body(runs_[s].buffers);
}

void Program::record() {
  for (Stretch& stretch : stretches_) {
    if (stretch.recordable && !record(stretch)) break;
  }
  recorded_ = true;
}

namespace {
void say_once(const std::string& line) {
  static std::atomic<bool> said = false;
  if (!said.exchange(true)) fmt::print(stderr, "{}\n", line);
}
}  // namespace

/// Launching while the device records puts work into the recording instead of doing it. False: the device has no such
/// thing as recordings.
bool Program::record(Stretch& stretch) {
  if (!device_.visit([](auto& ctx) { return kernels::begin_recording(ctx); })) return false;
  const auto launches = [&] { return device_.visit([](auto& ctx) { return kernels::launches_recorded(ctx); }); };
  size_t s = stretch.first;
  try {
    for (int64_t before = 0; s < stretch.end; ++s) {
      runs_[s].body(runs_[s].buffers);
      const int64_t now = launches();
      runs_[s].recorded_launches = now - std::exchange(before, now);
    }
    stretch.recording = device_.visit([](auto& ctx) { return kernels::end_recording(ctx); });
  } catch (const DeviceError& e) {
    // Nothing of it has run. What cannot be recorded can still be launched; if it cannot, that will say why.
    device_.visit([](auto& ctx) { kernels::abandon_recording(ctx); });
    for (size_t r = stretch.first; r < stretch.end; ++r) runs_[r].recorded_launches = 0;
    const std::string where = s < stretch.end ? " (" + graph_.node(runs_[s].node).name + ")" : "";
    say_once(fmt::format("warning: a step cannot be recorded{}: {}; it is launched piece by piece, which takes longer",
                         where, e.what()));
  } catch (...) {
    device_.visit([](auto& ctx) { kernels::abandon_recording(ctx); });
    throw;
  }
  return true;
}

std::vector<RecordedNode> Program::recorded_nodes() const {
  std::vector<RecordedNode> nodes;
  for (const Stretch& stretch : stretches_) {
    for (size_t s = stretch.first; stretch.recording && s < stretch.end; ++s) {
      const Node& node = graph_.node(runs_[s].node);
      const Types in = graph_.types(node.inputs);
      RecordedNode found{node, runs_[s].recorded_launches, node.op()->flops(in, node.outputs), 0};
      for (const Types* types : {&in, &node.outputs}) {
        for (const Type& type : *types) found.bytes += type.bytes();
      }
      nodes.push_back(found);
    }
  }
  return nodes;
}

int64_t Program::recorded_launches() const {
  int64_t sum = 0;
  for (const Stretch& stretch : stretches_) sum += stretch.recording ? stretch.recording->launches() : 0;
  return sum;
}

namespace {
int64_t first_non_finite(Device& device, const Type& type, const void* values) {
  return device.visit([&]<class Ctx>(Ctx& ctx) {
    if constexpr (kComputesIn<Ctx, kernels::bf16>) {
      if (type.dtype == DType::bf16) {
        return kernels::first_non_finite(ctx, type.elements(), static_cast<const kernels::bf16*>(values));
      }
    }
    return kernels::first_non_finite(ctx, type.elements(), static_cast<const float*>(values));
  });
}
}  // namespace

void Program::run_traced(const std::function<void(const TraceEntry&)>& sink) {
  const auto traced = [&](const Call& call) {
    const Node& node = graph_.node(call.node);
    TraceEntry entry{node, graph_.types(node.inputs), 0, 0, -1, -1};
    const auto start = std::chrono::steady_clock::now();
    call.body(call.buffers);
    device_.communicator().settle();  // the values below may be those of a bucket that is being summed
    device_.synchronize();
    entry.milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    entry.flops = node.op()->flops(entry.in, node.outputs);
    for (size_t o = 0; o < node.outputs.size() && entry.non_finite_output < 0; ++o) {
      if (!is_float(node.outputs[o].dtype) || !call.buffers.outputs[o]) continue;
      entry.non_finite_index = first_non_finite(device_, node.outputs[o], call.buffers.outputs[o]);
      if (entry.non_finite_index >= 0) entry.non_finite_output = static_cast<int>(o);
    }
    sink(entry);
  };
  run_by([&] { std::ranges::for_each(runs_, traced); });
}

}  // namespace psanet
