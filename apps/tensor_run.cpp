#include "apps/tensor_run.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/trace.h"
#include "data/error.h"
#include "engine/error.h"
#include "engine/program.h"
#include "layers/passes/passes.h"
#include "models/model_file.h"
#include "models/training_step.h"
#include "models/weights_file.h"

namespace psanet::apps {

namespace {

constexpr uint8_t kIgnore = 255;

/// [N,C,H,W] -> [N,H,W,C]
std::vector<float> to_nhwc(const std::vector<float>& x, int64_t n, int64_t c, int64_t h, int64_t w) {
  std::vector<float> y(x.size());
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < c; ++k) {
      for (int64_t p = 0; p < h * w; ++p)
        y[static_cast<size_t>((i * h * w + p) * c + k)] = x[static_cast<size_t>((i * c + k) * h * w + p)];
    }
  }
  return y;
}

/// A tensor [N,H,W,C] of a program as a file tensor [N,C,H,W]
FileTensor from_nhwc(const Tensor& tensor) {
  const Type& t = tensor.type();
  const std::vector<float> x = tensor.get<float>();
  std::vector<float> y(x.size());
  const int64_t places = t[1] * t[2], c = t[3];
  for (int64_t i = 0; i < t[0]; ++i) {
    for (int64_t p = 0; p < places; ++p) {
      for (int64_t k = 0; k < c; ++k)
        y[static_cast<size_t>((i * c + k) * places + p)] = x[static_cast<size_t>((i * places + p) * c + k)];
    }
  }
  return FileTensor::of({t[0], c, t[1], t[2]}, std::span<const float>(y));
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
  inputs.image = to_nhwc(image.values<float>(), s[0], s[1], s[2], s[3]);
  if (!file.contains("label")) return inputs;
  const FileTensor& label = file.at("label");
  const bool integer = label.dtype[0] == 'I' || label.dtype[0] == 'U';
  if (!integer || label.shape.size() != 3 || label.shape[0] != s[0]) {
    throw data::DataError(fmt::format("{}: label is {} {}, want integers [{},H,W]", path.string(), label.dtype,
                                      to_string(label.shape), s[0]));
  }
  inputs.label_shape = label.shape;
  for (int64_t value : label.values<int64_t>()) {
    if (value != kIgnore && (value < 0 || value >= model.classes)) {
      throw data::DataError(fmt::format("{}: label has the value {}, want 0..{} or {} (ignored)", path.string(), value,
                                        model.classes - 1, kIgnore));
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

}  // namespace

void TensorRun::execute() const {
  nlohmann::json lets = nlohmann::json::object();
  for (const std::string& setting : settings) models::add_setting(lets, setting);
  const models::Model described = models::read_model(model, lets);
  const Inputs inputs = read_inputs(input, described);
  const bool training = gradients || steps > 0;

  Device on = device.open();
  Parameters parameters(on);
  const Graph train_graph = training ? described.build({layers::Mode::train, inputs.batch}) : Graph();
  if (training) parameters.add(train_graph, static_cast<uint64_t>(seed));
  Program evaluation(on,
                     layers::optimize_for_evaluation(described.build({layers::Mode::eval, inputs.batch}), on.target()),
                     parameters, static_cast<uint64_t>(seed));
  if (!weights.empty()) {
    const models::LoadReport report =
        models::load_weights(parameters, read_safetensors(weights), weights.string(), false);
    if (!report.missing.empty()) {
      throw WeightsError(fmt::format("{}: {} tensors of the model are missing in it, the first is {}", weights.string(),
                                     report.missing.size(), report.missing[0]));
    }
    fmt::print("{}: {}\n", weights.string(), models::describe(report));
  }

  Safetensors file;
  std::vector<std::pair<std::string, FileTensor>> results;  // under names that give way to those of the model
  evaluation.input("image").set(inputs.image);
  run(evaluation, trace);
  results.emplace_back("logits", from_nhwc(evaluation.output("logits")));

  if (training) {
    const Type logits = train_graph.type(train_graph.output("logits"));
    const std::vector<int64_t> wanted = {logits[0], logits[1], logits[2]};
    if (inputs.label.empty())
      throw data::DataError(
          fmt::format("{}: --grad and --steps need a tensor \"label\" {}", input.string(), to_string(wanted)));
    if (inputs.label_shape != wanted) {
      throw data::DataError(
          fmt::format("{}: label is {}, want {}", input.string(), to_string(inputs.label_shape), to_string(wanted)));
    }
    models::TrainingOptions options;
    options.aux_weight = described.aux_weight;
    options.target = on.target();
    options.momentum = momentum;
    options.weight_decay = weight_decay;
    options.rate_factor = [&](const std::string& name) { return described.in_backbone(name) ? 1.0 : head_rate_factor; };
    const auto prepare = [&](bool update) {
      options.update = update;
      auto program = std::make_unique<Program>(on, models::training_step(train_graph, options), parameters,
                                               static_cast<uint64_t>(seed));
      program->input("image").set(inputs.image);
      program->input("label").set(inputs.label);
      if (program->has_input("counter")) program->input("counter").set(std::vector<int64_t>{seed, 0});
      return program;
    };
    if (gradients) {
      // Train mode moves the running statistics; what --steps starts from must not depend on --grad.
      std::vector<std::pair<Tensor, std::vector<float>>> before;
      for (const Parameters::Entry& entry : parameters.entries()) {
        if (entry.source.kind != Source::Kind::parameter) before.emplace_back(entry.tensor, entry.tensor.get<float>());
      }
      const auto program = prepare(false);
      run(*program, trace);
      for (const auto& [name, value] : program->graph().outputs())
        results.emplace_back(name, scalar(program->output(name)));
      for (const auto& [of, value] : program->graph().gradients()) {
        Parameters::Entry gradient = parameters.entry({Source::Kind::parameter, of});
        gradient.tensor = program->gradient(of);
        results.emplace_back("grad." + of, parameters.to_file(gradient));
      }
      for (auto& [tensor, values] : before) tensor.set(values);
    }
    if (steps > 0) {
      const auto program = prepare(true);
      program->input("rate").set(std::vector<float>{static_cast<float>(base_rate)});
      std::vector<float> losses;
      for (int64_t s = 0; s < steps; ++s) {
        if (program->has_input("counter")) program->input("counter").set(std::vector<int64_t>{seed, s});
        run(*program, trace && s == 0);
        losses.push_back(program->output("loss").get<float>()[0]);
      }
      results.emplace_back("losses", FileTensor::of({steps}, std::span<const float>(losses)));
      file = models::to_file(parameters, steps, false);
    }
  }
  for (auto& [name, tensor] : results) {
    while (file.contains(name)) name += "'";
    file.tensors.emplace(name, std::move(tensor));
  }
  write_safetensors(output, file);
  fmt::print("{}: {} tensors written\n", output.string(), file.tensors.size());
}

}  // namespace psanet::apps
