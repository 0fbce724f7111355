// Training, step by step: a tiny network from stored weights (golden sgd*.safetensors), and three steps of a whole
// PSANet-50 (golden trajectory_psanet50_65_tight.safetensors).
#include <map>
#include <nlohmann/json.hpp>

#include "layers/passes/passes.h"
#include "models/training_step.h"
#include "models/weights_file.h"
#include "tests/models/golden_network.h"
#include "tests/support/build.h"
#include "tests/support/catch.h"
#include "tests/support/golden.h"
#include "tests/support/test_device.h"

namespace psanet::tests {
namespace {

using layers::Building;
using nlohmann::json;

/// layer0, layer1: convolution, batch norm, ReLU; cls: the same and a biased 1x1 convolution (the file's "net").
Graph tiny_network(const GoldenFile& file) {
  const auto number = [&](const char* key) { return file.metadata(key).get<int64_t>(); };
  Graph g;
  const auto add = [&](const std::string& path, const std::string& word, const json& attributes, Value in) {
    return add_word(Building{g, layers::Mode::train, path}, word, attributes, {in});
  };
  const auto unit = [&](const std::string& path, int64_t kernel, Value in) {
    Value v =
        add(path + ".0", "conv2d", {{"out_channels", number("mid")}, {"kernel", kernel}, {"padding", kernel / 2}}, in);
    v = add(path + ".1", "batch_norm", json::object(), v);
    return add(path + ".2", "relu", json::object(), v);
  };
  Value v = g.input("image", f32({number("batch"), number("h"), number("w"), 3}));
  v = unit("layer0", 3, v);
  v = unit("layer1", 1, v);
  v = unit("cls", 3, v);
  g.output("logits", add("cls.3", "conv2d", {{"out_channels", number("classes")}, {"bias", true}}, v));
  return g;
}

models::TrainingOptions options_of(const GoldenFile& file) {
  models::TrainingOptions options;
  options.momentum = file.metadata("momentum").get<double>();
  options.weight_decay = file.metadata("weight_decay").get<double>();
  options.rate_factor = [](const std::string& name) {
    return name.rfind("layer", 0) == 0 ? 1.0 : 10.0;  // the heads learn ten times as fast
  };
  return options;
}

void check_close(const HostTensor& found, const HostTensor& wanted, const std::string& what) {
  INFO(what);
  CHECK(difference(found, wanted, {2e-6, 1e-5}) == "");
}

HostTensor file_order(const Tensor& tensor) {
  return channels_first(read_values(tensor));
}

void check_steps(const std::string& name) {
  const auto dir = golden_dir();
  if (!dir) return;
  const GoldenFile file(*dir / name);
  const Graph forward = tiny_network(file);
  models::TrainingOptions options = options_of(file);
  Device device = test_device();
  Parameters parameters(device), elsewhere(device);
  Program train(device, models::training_step(forward, options), parameters);
  options.update = false;
  Program gradients(device, models::training_step(forward, options), elsewhere);
  models::load_weights(parameters, file.below("param0."), name, true);

  const std::vector<double> losses = file.tensor("loss").values, rates = file.tensor("lr").values;
  const auto steps = file.metadata("steps").get<int64_t>();
  for (int64_t s = 0; s < steps; ++s) {
    const std::string number = std::to_string(s + 1), step = "step" + number + ".";
    INFO(step);
    HostTensor label = file.tensor("target" + number);
    label.type.dtype = DType::u8;

    // The gradients of this very step, from a copy of the parameters.
    for (const Parameters::Entry& entry : elsewhere.entries())
      write_values(entry.tensor, read_values(parameters.tensor(entry.name)));
    for (Program* program : {&train, &gradients}) {
      write_values(program->input("image"), file.channels_last("x" + number));
      write_values(program->input("label"), label);
    }
    gradients.run();
    const double rate =
        models::poly_rate(file.metadata("base_lr").get<double>(), s, file.metadata("max_iter").get<int64_t>(),
                          file.metadata("power").get<double>());
    CHECK(rate == Approx(rates[static_cast<size_t>(3 * s)]).epsilon(1e-12));
    CHECK(10 * rate == Approx(rates[static_cast<size_t>(3 * s + 2)]).epsilon(1e-12));
    train.input("rate").set(std::vector<float>{static_cast<float>(rate)});
    train.run();

    CHECK(read_values(train.output("loss")).at(0) == Approx(losses[static_cast<size_t>(s)]).epsilon(0).margin(2e-6));
    int compared = 0;
    for (const auto& [full, stored] : file.below(step).tensors) {
      const size_t dot = full.find('.');
      const std::string kind = full.substr(0, dot), parameter = full.substr(dot + 1);
      if (parameter.find("num_batches") != std::string::npos) continue;
      const HostTensor wanted = file.tensor(step + full);
      if (kind == "grad") check_close(file_order(gradients.gradient(parameter)), wanted, full);
      if (kind == "param" || kind == "buffer") check_close(file_order(parameters.tensor(parameter)), wanted, full);
      if (kind == "momentum")
        check_close(file_order(parameters.tensor({Source::Kind::momentum, parameter})), wanted, full);
      ++compared;
    }
    CHECK(compared == 3 * 11 + 6);
  }
}

TEST_CASE("golden: SGD with momentum, weight decay and the tenfold head rate, step by step", "[golden]") {
  check_steps("sgd.safetensors");
}

TEST_CASE("golden: SGD with a weight decay that cannot be missed", "[golden]") {
  check_steps("sgd_wd.safetensors");
}

TEST_CASE("golden: three SGD steps of PSANet-50", "[golden]") {
  const auto dir = golden_dir();
  if (!dir) return;
  GoldenNetwork net(*dir, "trajectory_psanet50_65_tight");
  const auto names = net.file.metadata("names").get<std::vector<std::string>>();
  const HostTensor losses = net.file.tensor("loss"), rates = net.file.tensor("lr");
  const HostTensor gradient_norms = net.file.tensor("grad_norms"), momentum_norms = net.file.tensor("momentum_norms"),
                   parameter_norms = net.file.tensor("param_norms");

  models::TrainingOptions options;
  options.aux_weight = net.model.aux_weight;
  options.momentum = net.file.metadata("momentum").get<double>();
  options.weight_decay = net.file.metadata("weight_decay").get<double>();
  options.rate_factor = [&](const std::string& name) { return net.model.in_backbone(name) ? 1.0 : 10.0; };
  auto train = net.program(models::training_step(net.model.build({layers::Mode::train, net.batch}), options));
  // Made, and run, before the steps: the new weights must come into what was computed once.
  auto evaluate = net.program(layers::optimize_for_evaluation(net.model.build({layers::Mode::eval, net.batch})));
  write_values(evaluate->input("image"), net.image("input.step1"));
  evaluate->run();
  net.reset();

  for (int64_t s = 0; s < losses[0]; ++s) {
    INFO("step " << s + 1);
    std::map<std::string, std::vector<double>> momentum_before, parameter_before;
    for (const std::string& name : names) {
      momentum_before[name] = read_values(net.parameters.tensor({Source::Kind::momentum, name})).values;
      parameter_before[name] = read_values(net.parameters.tensor(name)).values;
    }
    write_values(train->input("image"), net.image("input.step" + std::to_string(s + 1)));
    write_values(train->input("label"), net.labels("target.step" + std::to_string(s + 1)));
    const double rate = models::poly_rate(net.file.metadata("base_lr").get<double>(), s,
                                          net.file.metadata("max_iter").get<int64_t>(), 0.9);
    CHECK(rate == Approx(rates.at(s * rates[1])).epsilon(1e-12));
    train->input("rate").set(std::vector<float>{static_cast<float>(rate)});
    train->run();

    CHECK(read_values(train->output("loss.main")).at(0) == Approx(losses.at(3 * s)).epsilon(0).margin(2e-5));
    CHECK(read_values(train->output("loss.aux")).at(0) == Approx(losses.at(3 * s + 1)).epsilon(0).margin(2e-5));
    CHECK(read_values(train->output("loss")).at(0) == Approx(losses.at(3 * s + 2)).epsilon(0).margin(2e-5));
    for (size_t i = 0; i < names.size(); ++i) {
      INFO(names[i]);
      const auto at = s * static_cast<int64_t>(names.size()) + static_cast<int64_t>(i);
      const std::vector<double> momentum =
          read_values(net.parameters.tensor({Source::Kind::momentum, names[i]})).values;
      CHECK(norm(read_values(net.parameters.tensor(names[i])).values) == Approx(parameter_norms.at(at)).epsilon(1e-5));
      CHECK(norm(momentum) == Approx(momentum_norms.at(at)).epsilon(0).margin(1e-3 * momentum_norms.at(at) + 1e-6));
      // v = momentum * v_before + g + decay * w_before
      std::vector<double> gradient = momentum;
      for (size_t k = 0; k < gradient.size(); ++k) {
        gradient[k] -=
            options.momentum * momentum_before[names[i]][k] + options.weight_decay * parameter_before[names[i]][k];
      }
      CHECK(norm(gradient) == Approx(gradient_norms.at(at)).epsilon(0).margin(1e-3 * gradient_norms.at(at) + 1e-6));
    }
  }
  for (const auto& [name, stored] : net.file.below("after.param.").tensors) {
    INFO(name);
    CHECK(difference(net.file_order(name, net.parameters.tensor(name)), net.file.tensor("after.param." + name),
                     {1e-5, 0}) == "");
  }
  for (const auto& [name, stored] : net.file.below("after.buffer.").tensors) {
    if (name.find("num_batches") != std::string::npos) continue;
    INFO(name);
    const HostTensor wanted = net.file.tensor("after.buffer." + name);
    CHECK(difference(read_values(net.parameters.tensor(name)), wanted, {1e-4 * largest(wanted.values), 0}) == "");
  }
  evaluate->run();
  CHECK(difference(read_values(evaluate->output("logits")), net.file.channels_last("eval.logits_after"), {1e-3, 0}) ==
        "");
}

}  // namespace
}  // namespace psanet::tests
