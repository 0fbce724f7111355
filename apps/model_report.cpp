#include "apps/model_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/program.h"
#include "layers/passes/passes.h"
#include "models/model_file.h"
#include "models/training_step.h"

namespace psanet::apps {

namespace {

double mib(int64_t bytes) {
  return static_cast<double>(bytes) / 1048576.0;
}

std::string memory_line(const char* what, const MemoryReport& m) {
  return fmt::format(
      "{:<12} peak {:>9.1f} MiB = parameters and states {:.1f} + inputs {:.1f} + constants {:.1f} + packed weights "
      "{:.1f} + arena {:.1f} "
      "(lower bound {:.1f}; without sharing {:.1f})\n",
      what, mib(m.peak_bytes()), mib(m.parameter_bytes), mib(m.input_bytes), mib(m.constant_bytes),
      mib(m.retained_bytes), mib(m.arena_bytes), mib(m.arena_live_bytes), mib(m.unshared_bytes));
}

struct Part {
  int64_t parameters = 0;
  double evaluation_flops = 0, training_flops = 0;
  int64_t evaluation_bytes = 0, training_bytes = 0;  // the most of the arena in use while one of the part's nodes runs
};

void add_flops(const models::Model& model, const Graph& graph, std::map<std::string, Part>& parts,
               double Part::*member) {
  for (const Node& node : graph.nodes()) {
    if (node.op()) parts[model.part_of(node.name)].*member += node.op()->flops(graph.types(node.inputs), node.outputs);
  }
}

void find_peaks(const models::Model& model, const Program& program, std::map<std::string, Part>& parts,
                int64_t Part::*member) {
  program.for_live_bytes([&](const Node& node, int64_t bytes) {
    int64_t& peak = parts[model.part_of(node.name)].*member;
    peak = std::max(peak, bytes);
  });
}

}  // namespace

std::string model_report(const std::string& name, const std::vector<std::string>& settings, int64_t batch,
                         const DeviceChoice& choice) {
  nlohmann::json lets = nlohmann::json::object();
  for (const std::string& setting : settings) models::add_setting(lets, setting);
  const models::Model model = models::read_model(name, lets);
  Device device = choice.open();
  const Graph train = model.build({layers::Mode::train, batch});
  models::TrainingOptions options;
  options.aux_weight = model.aux_weight;
  options.target = device.target();
  Parameters train_parameters(device), eval_parameters(device);
  const Program evaluation(device,
                           layers::optimize_for_evaluation(model.build({layers::Mode::eval, batch}), device.target()),
                           eval_parameters);
  const Program training(device, models::training_step(train, options), train_parameters);

  std::map<std::string, Part> parts;
  for (const Parameters::Entry& entry : train_parameters.entries()) {
    if (entry.source.kind == Source::Kind::parameter)
      parts[model.part_of(entry.name)].parameters += entry.tensor.type().elements();
  }
  add_flops(model, evaluation.graph(), parts, &Part::evaluation_flops);
  add_flops(model, training.graph(), parts, &Part::training_flops);
  find_peaks(model, evaluation, parts, &Part::evaluation_bytes);
  find_peaks(model, training, parts, &Part::training_bytes);

  std::string text = fmt::format("{}: {}\n{} classes, crop {}x{}, batch {}\n\n", model.file, model.about, model.classes,
                                 model.crop_h, model.crop_w, batch);
  text += fmt::format("{:<10} {:>12} {:>18} {:>16} {:>15} {:>13}\n", "part", "parameters", "evaluation GFLOP",
                      "training GFLOP", "evaluation MiB", "training MiB");
  Part all;
  const auto row = [&](const std::string& part, const Part& p) {
    text +=
        fmt::format("{:<10} {:>12} {:>18.2f} {:>16.2f} {:>15.1f} {:>13.1f}\n", part, p.parameters,
                    p.evaluation_flops / 1e9, p.training_flops / 1e9, mib(p.evaluation_bytes), mib(p.training_bytes));
  };
  std::vector<std::string> order = model.parts;
  order.emplace_back("");
  for (const std::string& part : order) {
    const Part& p = parts[part];
    if (p.parameters == 0 && p.evaluation_flops == 0 && p.training_flops == 0) continue;
    row(part.empty() ? "(other)" : part, p);
    all.parameters += p.parameters;
    all.evaluation_flops += p.evaluation_flops;
    all.training_flops += p.training_flops;
    all.evaluation_bytes = std::max(all.evaluation_bytes, p.evaluation_bytes);
    all.training_bytes = std::max(all.training_bytes, p.training_bytes);
  }
  row("all", all);
  text += "(MiB: the most that is in use for intermediate values while the part's nodes run, forward and backward)\n";
  text += "\n" + memory_line("evaluation", evaluation.memory()) + memory_line("training", training.memory());
  text += fmt::format("launches: evaluation {}, training step {}\n", evaluation.launches(), training.launches());
  return text;
}

std::string build_report(const DeviceChoice& choice) {
  const Device device = choice.open();
  return fmt::format("psanet {} ({}), compiler {}\nbackends: {}\ndevice: {}\nmodels: {}\n", PSANET_VERSION,
                     PSANET_BUILD_TYPE, __VERSION__, Device::backends(), device.describe(),
                     fmt::join(models::our_models(), " "));
}

}  // namespace psanet::apps
