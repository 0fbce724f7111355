// psanet-run: any model graph on tensors from a file; the door for comparisons with other frameworks.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/app.h"
#include "apps/trace.h"
#include "data/error.h"
#include "data/image.h"
#include "engine/error.h"
#include "engine/program.h"
#include "engine/swap_axes.h"
#include "layers/passes/passes.h"
#include "models/model_file.h"
#include "models/training_step.h"
#include "models/weights_file.h"

namespace psanet::apps {
namespace {

struct RunOptions {
  std::string model;
  std::vector<std::string> settings;
  std::filesystem::path weights, input, output;
  bool gradients = false, trace = false;
  int64_t steps = 0, seed = 1;
  double base_rate = 0.01, momentum = 0.9, weight_decay = 1e-4, head_rate_factor = 10;
};

/// A tensor [N,H,W,C] of a program as a file tensor [N,C,H,W].
FileTensor from_nhwc(const Tensor& tensor) {
  const Type& t = tensor.type();
  const std::vector<float> values = swap_axes(tensor.get<float>(), t[0], t[1] * t[2], t[3]);
  return FileTensor::of({t[0], t[3], t[1], t[2]}, std::span<const float>(values));
}

/// A result of one value.
FileTensor scalar(const Tensor& tensor) {
  return FileTensor::of({}, std::span<const float>(tensor.get<float>()));
}

struct Inputs {
  int64_t batch = 0;
  std::vector<float> image;    // NHWC
  std::vector<uint8_t> label;  // empty: there is none
  std::vector<int64_t> label_shape;
};

Inputs read_inputs(const std::filesystem::path& path, const models::Model& model) {
  const Safetensors file = read_safetensors(path);
  if (!file.contains("image"))
    throw data::DataError(fmt::format("{}: has no tensor \"image\" [N,3,H,W]", path.string()));
  const FileTensor& image = file.at("image");
  const std::vector<int64_t>& s = image.shape;
  if (s.size() != 4 || s[0] < 1 || s[1] != 3 || s[2] != model.crop_h || s[3] != model.crop_w || image.dtype != "F32") {
    throw data::DataError(
        fmt::format("{}: image is {} {}, want F32 [N,3,{},{}] (crop_h, crop_w of the model; see --set)", path.string(),
                    image.dtype, to_string(s), model.crop_h, model.crop_w));
  }
  Inputs inputs;
  inputs.batch = s[0];
  inputs.image = swap_axes(image.values<float>(), s[0], s[1], s[2] * s[3]);
  if (!file.contains("label")) return inputs;
  const FileTensor& label = file.at("label");
  const bool integer = label.dtype[0] == 'I' || label.dtype[0] == 'U';
  if (!integer || label.shape.size() != 3 || label.shape[0] != s[0]) {
    throw data::DataError(fmt::format("{}: label is {} {}, want integers [{},H,W]", path.string(), label.dtype,
                                      to_string(label.shape), s[0]));
  }
  inputs.label_shape = label.shape;
  for (int64_t value : label.values<int64_t>()) {
    if (value != data::kIgnore && (value < 0 || value >= model.classes)) {
      throw data::DataError(fmt::format("{}: label has the value {}, want 0..{} or {} (ignored)", path.string(), value,
                                        model.classes - 1, data::kIgnore));
    }
    inputs.label.push_back(static_cast<uint8_t>(value));
  }
  return inputs;
}

/// Runs the program, node by node if a trace is wanted.
void run(Program& program, bool trace) {
  if (trace) {
    run_and_print_trace(program);
  } else {
    program.run();
  }
}

class TensorRun {
 public:
  TensorRun(const RunOptions& options, const DeviceChoice& choice)
      : options_(options),
        seed_(static_cast<uint64_t>(options.seed)),
        model_(read_model(options)),
        inputs_(read_inputs(options.input, model_)),
        device_(choice.open()),
        parameters_(device_) {}

  void execute() {
    const bool training = options_.gradients || options_.steps > 0;
    if (training) {
      train_graph_ = model_.build({layers::Mode::train, inputs_.batch});
      parameters_.add(train_graph_, seed_);
    }
    evaluate();
    if (training) check_label();
    if (options_.gradients) differentiate();
    if (options_.steps > 0) train();
    for (auto& [name, tensor] : results_) {
      while (file_.contains(name)) name += "'";
      file_.tensors.emplace(name, std::move(tensor));
    }
    write_safetensors(options_.output, file_);
    fmt::print("{}: {} tensors written\n", options_.output.string(), file_.tensors.size());
  }

 private:
  static models::Model read_model(const RunOptions& options) {
    nlohmann::json lets = nlohmann::json::object();
    for (const std::string& setting : options.settings) models::add_setting(lets, setting);
    return models::read_model(options.model, lets);
  }

  void evaluate() {
    const Graph graph = model_.build({layers::Mode::eval, inputs_.batch});
    Program program(device_, layers::optimize_for_evaluation(graph, device_.target()), parameters_, seed_);
    if (!options_.weights.empty()) load_weights();
    program.input("image").set(inputs_.image);
    run(program, options_.trace);
    results_.emplace_back("logits", from_nhwc(program.output("logits")));
  }

  void load_weights() {
    const std::string file = options_.weights.string();
    const models::LoadReport report = models::load_weights(parameters_, read_safetensors(file), file, false);
    if (!report.missing.empty()) {
      throw WeightsError(fmt::format("{}: {} tensors of the model are missing in it, the first is {}", file,
                                     report.missing.size(), report.missing[0]));
    }
    fmt::print("{}: {}\n", file, models::describe(report));
  }

  void check_label() const {
    const std::string file = options_.input.string();
    const Type logits = train_graph_.type(train_graph_.output("logits"));
    const std::vector<int64_t> wanted = {logits[0], logits[1], logits[2]};
    if (inputs_.label.empty()) {
      throw data::DataError(fmt::format("{}: --grad and --steps need a tensor \"label\" {}", file, to_string(wanted)));
    }
    if (inputs_.label_shape != wanted) {
      throw data::DataError(
          fmt::format("{}: label is {}, want {}", file, to_string(inputs_.label_shape), to_string(wanted)));
    }
  }

  std::unique_ptr<Program> training_step(bool update) {
    models::TrainingOptions options;
    options.aux_weight = model_.aux_weight;
    options.target = device_.target();
    options.update = update;
    options.momentum = options_.momentum;
    options.weight_decay = options_.weight_decay;
    options.rate_factor = [this](const std::string& name) {
      return model_.in_backbone(name) ? 1.0 : options_.head_rate_factor;
    };
    auto program = std::make_unique<Program>(device_, models::training_step(train_graph_, options), parameters_, seed_);
    program->input("image").set(inputs_.image);
    program->input("label").set(inputs_.label);
    set_counter(*program, 0);
    return program;
  }

  void set_counter(Program& program, int64_t step) const {
    if (program.has_input("counter")) program.input("counter").set(std::vector<int64_t>{options_.seed, step});
  }

  void differentiate() {
    // Train mode moves the running statistics; what --steps starts from must not depend on --grad.
    std::vector<std::pair<Tensor, std::vector<float>>> before;
    for (const Parameters::Entry& entry : parameters_.entries()) {
      if (entry.source.kind != Source::Kind::parameter) before.emplace_back(entry.tensor, entry.tensor.get<float>());
    }
    const auto program = training_step(false);
    run(*program, options_.trace);
    for (const auto& [name, value] : program->graph().outputs()) {
      results_.emplace_back(name, scalar(program->output(name)));
    }
    for (const auto& [of, value] : program->graph().gradients()) {
      Parameters::Entry gradient = parameters_.entry({Source::Kind::parameter, of});
      gradient.tensor = program->gradient(of);
      results_.emplace_back("grad." + of, parameters_.to_file(gradient));
    }
    for (auto& [tensor, values] : before) tensor.set(values);
  }

  void train() {
    const auto program = training_step(true);
    program->input("rate").set(std::vector<float>{static_cast<float>(options_.base_rate)});
    std::vector<float> losses;
    for (int64_t step = 0; step < options_.steps; ++step) {
      set_counter(*program, step);
      run(*program, options_.trace && step == 0);
      losses.push_back(program->output("loss").get<float>()[0]);
    }
    results_.emplace_back("losses", FileTensor::of({options_.steps}, std::span<const float>(losses)));
    file_ = models::to_file(parameters_, options_.steps, false);
  }

  const RunOptions& options_;
  uint64_t seed_;
  models::Model model_;
  Inputs inputs_;
  Device device_;
  Parameters parameters_;
  Graph train_graph_;
  Safetensors file_;
  std::vector<std::pair<std::string, FileTensor>> results_;  // under names that give way to those of the model
};

}  // namespace
}  // namespace psanet::apps

int main(int argc, char** argv) {
  using namespace psanet;
  apps::App app("psanet-run",
                "Runs a model on tensors from a safetensors file: `image` [N,3,H,W] float32 and optionally `label` "
                "[N,H,W] integer.\n"
                "Writes `logits` [N,classes,H',W'] (evaluation mode); with --grad (train mode) `loss`, `loss.main`, "
                "`loss.aux` and "
                "`grad.<parameter>`;\nwith --steps N SGD steps on that batch: `losses` [N] and the final parameters.");
  apps::RunOptions run;
  app.option("--model", run.model, "model file, or the name of one of ours");
  app.assignments("--set", run.settings, "values of the model's `let`s: k=v");
  app.option("--weights", run.weights, "safetensors file with the parameters (default: initial values of --seed)");
  app.option("--input", run.input, "safetensors file with image and label");
  app.option("--output", run.output, "safetensors file to write");
  for (const char* needed : {"--model", "--input", "--output"}) app.require(needed);
  app.flag("--grad", run.gradients, "losses and gradients in train mode");
  app.option("--steps", run.steps, "SGD steps on the batch");
  app.option("--rate", run.base_rate, "learning rate of --steps, constant");
  app.option("--momentum", run.momentum, "of --steps");
  app.option("--weight-decay", run.weight_decay, "of --steps");
  app.option("--head-rate-factor", run.head_rate_factor, "factor on the rate outside the backbone");
  app.option("--seed", run.seed, "of initial values and dropout");
  app.flag("--trace", run.trace, "prints the run node by node");
  app.add_device();
  return app.run(argc, argv, [&] { apps::TensorRun(run, app.device()).execute(); });
}
