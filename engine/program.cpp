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

namespace {
using kernels::aligned;

bool can_skip(const Node& node, size_t output) {
  const std::vector<int> skippable = node.op()->skippable();
  return std::find(skippable.begin(), skippable.end(), static_cast<int>(output)) != skippable.end();
}
}  // namespace

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
  classify_constants();
  lower_all();
  plan();
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

/// A node is constant if it depends only on constants and on parameters that nothing in this graph updates.
void Program::classify_constants() {
  std::set<int> updated;
  for (const Node& node : graph_.nodes()) {
    if (!node.op()) continue;
    for (int i : node.op()->mutates(node.inputs.size())) updated.insert(node.inputs[static_cast<size_t>(i)].node);
  }
  constant_.assign(graph_.nodes().size(), false);
  for (size_t id = 0; id < graph_.nodes().size(); ++id) {
    const Node& node = graph_.nodes()[id];
    if (const Source* s = node.source()) {
      constant_[id] = s->kind != Source::Kind::input && !updated.count(static_cast<int>(id));
      continue;
    }
    bool all = node.op()->mutates(node.inputs.size()).empty();
    for (Value v : node.inputs) all = all && (!v || constant_[static_cast<size_t>(v.node)]);
    constant_[id] = all;
  }
}

void Program::lower_all() {
  const auto uses = graph_.use_counts();
  for (size_t id = 0; id < graph_.nodes().size(); ++id) {
    const Node& node = graph_.nodes()[id];
    if (!node.op()) continue;
    std::vector<bool> constant, wanted;
    for (Value v : node.inputs) constant.push_back(v && constant_[static_cast<size_t>(v.node)]);
    for (int count : uses[id]) wanted.push_back(count > 0);
    Lowering lowering(device_, node, graph_.types(node.inputs), constant, wanted);
    Step step{static_cast<int>(id), node.op()->lower(lowering), {}, 0, 0, 0};
    (constant_[id] ? once_ : steps_).push_back(std::move(step));
  }
}

void Program::plan() {
  const auto uses = graph_.use_counts();
  for (const Node& node : graph_.nodes()) places_.emplace_back(node.outputs.size());

  // Refreshing comes in node order: constants are computed, and launches digest them, as soon as they are there.
  // The two periods share the arena, for they never run at the same time.
  struct Period {
    std::vector<BufferLife> buffers;
    std::vector<std::function<void(int64_t)>> assign;  // takes a buffer's offset
  };
  Period runs, refreshes;

  // The last step of each period that reads a value; values read by runs must outlive a refresh.
  std::map<Value, int> last_run, last_refresh;
  const int run_end = static_cast<int>(steps_.size());
  for (size_t s = 0; s < steps_.size(); ++s) {
    const Step& step = steps_[s];
    const Values& inputs = graph_.node(step.node).inputs;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i]) continue;
      bool refresh_only = false;
      for (int r : step.launch.refresh_only) refresh_only = refresh_only || r == static_cast<int>(i);
      if (!refresh_only) last_run[inputs[i]] = static_cast<int>(s);
      if (step.launch.refresh) last_refresh[inputs[i]] = step.node;
    }
  }
  for (const Step& step : once_) {
    for (Value v : graph_.node(step.node).inputs) {
      if (v) last_refresh[v] = std::max(last_refresh[v], step.node);
    }
  }
  for (const auto& [name, v] : graph_.outputs()) {
    if (v) last_run[v] = run_end;
  }

  for (size_t id = 0; id < graph_.nodes().size(); ++id) {
    const Node& node = graph_.nodes()[id];
    if (const Source* s = node.source()) {
      const int64_t bytes = aligned(node.outputs[0].bytes());
      if (s->kind == Source::Kind::input) memory_.input_bytes += bytes;
      if (s->kind == Source::Kind::constant || s->kind == Source::Kind::derived) memory_.constant_bytes += bytes;
    }
  }
  for (const Parameters::Entry& entry : parameters_.entries())
    memory_.parameter_bytes += aligned(entry.tensor.type().bytes());

  // Values computed at refresh: kept if a run reads them, else in the arena until the last refresh that reads them.
  for (Step& step : once_) {
    const Node& node = graph_.node(step.node);
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      const Value v{step.node, static_cast<int>(o)};
      if (last_run.count(v)) {
        memory_.constant_bytes += aligned(node.outputs[o].bytes());
        place(v).kind = Place::Kind::tensor;  // allocated later
      } else if (uses[static_cast<size_t>(step.node)][o] > 0 || !can_skip(node, o)) {
        place(v).kind = Place::Kind::arena;
        refreshes.buffers.push_back({node.outputs[o].bytes(), step.node, std::max(last_refresh[v], step.node)});
        refreshes.assign.push_back([this, v](int64_t offset) { place(v).offset_bytes = offset; });
      }
    }
    refreshes.buffers.push_back({step.launch.workspace_bytes, step.node, step.node});
    refreshes.assign.push_back([&step](int64_t offset) { step.workspace_offset_bytes = offset; });
    step.retained_offset_bytes = memory_.retained_bytes;
    memory_.retained_bytes += aligned(step.launch.retained_bytes);
  }

  // Values of runs. What nobody reads lives for its own step. An output may take the memory of an input whose last
  // reader is this very step.
  std::map<Value, size_t> buffer_of;
  for (size_t s = 0; s < steps_.size(); ++s) {
    Step& step = steps_[s];
    const Node& node = graph_.node(step.node);
    const int now = static_cast<int>(s);
    std::set<int> taken;
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      const Value v{step.node, static_cast<int>(o)};
      if (uses[static_cast<size_t>(step.node)][o] == 0 && can_skip(node, o)) continue;
      place(v).kind = Place::Kind::arena;
      memory_.unshared_bytes += aligned(node.outputs[o].bytes());
      const int last = last_run.count(v) ? last_run[v] : now;
      bool shared = false;
      for (const Sharing& sharing : node.op()->shares()) {
        if (sharing.output != static_cast<int>(o) || taken.count(sharing.input)) continue;
        if (static_cast<size_t>(sharing.input) >= node.inputs.size()) continue;
        const Value in = node.inputs[static_cast<size_t>(sharing.input)];
        auto found = in ? buffer_of.find(in) : buffer_of.end();
        if (found == buffer_of.end() || last_run[in] != now || graph_.type(in).bytes() != node.outputs[o].bytes())
          continue;
        // Read twice by this step (x + x) is no reason not to share: kernels allow y == a == b.
        const size_t buffer = found->second;
        runs.buffers[buffer].last = std::max(runs.buffers[buffer].last, last);
        const auto assign_input = runs.assign[buffer];
        runs.assign[buffer] = [this, v, assign_input](int64_t offset) {
          assign_input(offset);
          place(v).offset_bytes = offset;
        };
        buffer_of[v] = buffer;
        taken.insert(sharing.input);
        shared = true;
        break;
      }
      if (shared) continue;
      buffer_of[v] = runs.buffers.size();
      runs.buffers.push_back({node.outputs[o].bytes(), now, last});
      runs.assign.push_back([this, v](int64_t offset) { place(v).offset_bytes = offset; });
    }
    if (step.launch.workspace_bytes > 0) {
      runs.buffers.push_back({step.launch.workspace_bytes, now, now});
      runs.assign.push_back([&step](int64_t offset) { step.workspace_offset_bytes = offset; });
      if (step.launch.refresh) {
        refreshes.buffers.push_back({step.launch.workspace_bytes, step.node, step.node});
        refreshes.assign.push_back([&step](int64_t offset) { step.refresh_workspace_offset_bytes = offset; });
      }
    }
    step.retained_offset_bytes = memory_.retained_bytes;
    memory_.retained_bytes += aligned(step.launch.retained_bytes);
  }

  for (Period* period : {&runs, &refreshes}) {
    const MemoryPlan planned = plan_memory(period->buffers, kernels::kAlignment_bytes);
    for (size_t b = 0; b < period->buffers.size(); ++b) period->assign[b](planned.offset_bytes[b]);
    memory_.arena_bytes = std::max(memory_.arena_bytes, planned.total_bytes);
    memory_.arena_live_bytes = std::max(memory_.arena_live_bytes, planned.live_bytes);
    if (period == &runs) live_bytes_ = planned.live_bytes_at;
  }
}

void* Program::address(Value v) {
  if (!v) return nullptr;
  const Place& p = place(v);
  switch (p.kind) {
    case Place::Kind::nowhere:
      return nullptr;
    case Place::Kind::tensor:
      return p.tensor.data();
    case Place::Kind::arena:
      return arena_->data() + p.offset_bytes;
  }
  return nullptr;
}

void Program::allocate() {
  if (allocated_) return;
  arena_ = std::make_shared<Storage>(device_, memory_.arena_bytes);
  retained_ = std::make_shared<Storage>(device_, memory_.retained_bytes);

  for (size_t id = 0; id < graph_.nodes().size(); ++id) {
    const Node& node = graph_.nodes()[id];
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      Place& p = places_[id][o];
      const Source* s = node.source();
      if (s && (s->kind == Source::Kind::parameter || s->kind == Source::Kind::state)) {
        p = {Place::Kind::tensor, parameters_.tensor(node.name), 0};
      } else if (s || p.kind == Place::Kind::tensor) {
        p = {Place::Kind::tensor, Tensor(device_, node.outputs[o]), 0};
        p.tensor.zero();
        if (s && s->kind == Source::Kind::constant) {
          p.tensor.set(std::vector<float>(static_cast<size_t>(node.outputs[o].elements()),
                                          static_cast<float>(s->initializer.value)));
        }
      }
    }
  }
  for (std::vector<Step>* list : {&once_, &steps_}) {
    for (Step& step : *list) {
      const Node& node = graph_.node(step.node);
      for (Value v : node.inputs) step.buffers.inputs.push_back(address(v));
      for (size_t o = 0; o < node.outputs.size(); ++o)
        step.buffers.outputs.push_back(address({step.node, static_cast<int>(o)}));
      step.buffers.workspace = arena_->data() + step.workspace_offset_bytes;
      step.buffers.retained = retained_->data() + step.retained_offset_bytes;
    }
  }
  for (size_t s = 0; s < steps_.size(); ++s) {
    const bool recordable = steps_[s].launch.recordable;
    if (stretches_.empty() || stretches_.back().recordable != recordable)
      stretches_.push_back({s, s, recordable, nullptr});
    stretches_.back().end = s + 1;
  }
  allocated_ = true;
}

bool Program::has_input(const std::string& name) const {
  const Value v = graph_.find_source(name);
  return v && graph_.node(v).is(Source::Kind::input);
}

Tensor Program::input(const std::string& name) {
  allocate();
  if (!has_input(name)) throw std::logic_error("the program has no input named " + name);
  return place(graph_.find_source(name)).tensor;
}

Tensor Program::output(const std::string& name) {
  allocate();
  const Value v = graph_.output(name);
  if (!v) throw std::logic_error("the program has no output named " + name);
  const Place& p = place(v);
  return p.kind == Place::Kind::tensor ? p.tensor : Tensor(arena_, p.offset_bytes, graph_.type(v));
}

void Program::for_live_bytes(const std::function<void(const Node&, int64_t)>& f) const {
  for (size_t s = 0; s < steps_.size(); ++s)
    f(graph_.node(steps_[s].node), s < live_bytes_.size() ? live_bytes_[s] : 0);
}

double Program::flops() const {
  double sum = 0;
  for (const Step& step : steps_) {
    const Node& node = graph_.node(step.node);
    sum += node.op()->flops(graph_.types(node.inputs), node.outputs);
  }
  return sum;
}

void Program::do_refresh() {
  // once_ and steps_ are both in node order: merge them.
  size_t s = 0;
  const auto refresh_until = [&](int node) {
    for (; s < steps_.size() && steps_[s].node < node; ++s) {
      Step& step = steps_[s];
      if (!step.launch.refresh) continue;
      Buffers buffers = step.buffers;
      buffers.workspace = arena_->data() + step.refresh_workspace_offset_bytes;
      step.launch.refresh(buffers);
    }
  };
  for (Step& step : once_) {
    refresh_until(step.node);
    if (step.launch.refresh) step.launch.refresh(step.buffers);
    step.launch.run(step.buffers);
  }
  refresh_until(static_cast<int>(graph_.nodes().size()));
  fresh_ = true;
}

void Program::run() {
  allocate();
  if (!fresh_) do_refresh();
  try {
    if (record_ && ran_) {
      if (!recorded_) record();
      for (Stretch& stretch : stretches_) {
        stretch.recording ? stretch.recording->replay() : launch(stretch);
      }
    } else {
      for (const Stretch& stretch : stretches_) launch(stretch);
    }
  } catch (...) {
    device_.communicator().drain();  // it may still be at work on this program's memory
    throw;
  }
  ran_ = true;
}

Timeline Program::run_timed() {
  allocate();
  if (!fresh_) do_refresh();
  const auto marks =
      device_.visit([&](auto& ctx) { return kernels::make_marks(ctx, static_cast<int64_t>(steps_.size()) + 1); });
  Communicator& ranks = device_.communicator();
  ranks.start_timing();
  marks->mark();
  try {
    for (Step& step : steps_) {
      step.launch.run(step.buffers);
      marks->mark();
    }
  } catch (...) {
    ranks.drain();
    throw;
  }
  const std::vector<double> seconds = marks->seconds();
  Timeline timeline;
  timeline.collectives = ranks.stop_timing();
  for (size_t s = 0; s < steps_.size(); ++s) {
    const Node& node = graph_.node(steps_[s].node);
    timeline.nodes.push_back({node.name, node.op()->name(), seconds[s], seconds[s + 1]});
  }
  ran_ = true;
  return timeline;
}

void Program::launch(const Stretch& stretch) {
  for (size_t s = stretch.first; s < stretch.end; ++s) steps_[s].launch.run(steps_[s].buffers);
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
      steps_[s].launch.run(steps_[s].buffers);
      const int64_t now = launches();
      steps_[s].recorded_launches = now - std::exchange(before, now);
    }
    stretch.recording = device_.visit([](auto& ctx) { return kernels::end_recording(ctx); });
  } catch (const DeviceError& e) {
    // Nothing of it has run. What cannot be recorded can still be launched; if it cannot, that will say why.
    device_.visit([](auto& ctx) { kernels::abandon_recording(ctx); });
    for (size_t r = stretch.first; r < stretch.end; ++r) steps_[r].recorded_launches = 0;
    const std::string where = s < stretch.end ? " (" + graph_.node(steps_[s].node).name + ")" : "";
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
      const Node& node = graph_.node(steps_[s].node);
      const Types in = graph_.types(node.inputs);
      RecordedNode found{node, steps_[s].recorded_launches, node.op()->flops(in, node.outputs), 0};
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
  allocate();
  if (!fresh_) do_refresh();
  for (Step& step : steps_) {
    const Node& node = graph_.node(step.node);
    TraceEntry entry{node, graph_.types(node.inputs), 0, 0, -1, -1};
    const auto start = std::chrono::steady_clock::now();
    try {
      step.launch.run(step.buffers);
    } catch (...) {
      device_.communicator().drain();
      throw;
    }
    device_.communicator().settle();  // the values below may be those of a bucket that is being summed
    device_.synchronize();
    entry.milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    entry.flops = node.op()->flops(entry.in, node.outputs);
    for (size_t o = 0; o < node.outputs.size() && entry.non_finite_output < 0; ++o) {
      if (!is_float(node.outputs[o].dtype) || !step.buffers.outputs[o]) continue;
      entry.non_finite_index = first_non_finite(device_, node.outputs[o], step.buffers.outputs[o]);
      if (entry.non_finite_index >= 0) entry.non_finite_output = static_cast<int>(o);
    }
    sink(entry);
  }
}

}  // namespace psanet
