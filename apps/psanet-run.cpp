// psanet-run: any model graph on tensors from a file; the door for comparisons with other frameworks.
#include <fmt/format.h>

#include "apps/app.h"
#include "apps/tensor_run.h"

int main(int argc, char** argv) {
  using namespace psanet;
  CLI::App app(
      "Runs a model on tensors from a safetensors file: `image` [N,3,H,W] float32 and optionally `label` [N,H,W] "
      "integer.\n"
      "Writes `logits` [N,classes,H',W'] (evaluation mode); with --grad (train mode) `loss`, `loss.main`, `loss.aux` "
      "and "
      "`grad.<parameter>`;\nwith --steps N SGD steps on that batch: `losses` [N] and the final parameters.",
      "psanet-run");
  apps::TensorRun run;
  apps::DeviceOptions device;
  app.add_option("--model", run.model, "model file, or the name of one of ours")->required();
  app.add_option("--set", run.settings, "values of the model's `let`s: k=v")->take_all();
  app.add_option("--weights", run.weights, "safetensors file with the parameters (default: initial values of --seed)");
  app.add_option("--input", run.input, "safetensors file with image and label")->required();
  app.add_option("--output", run.output, "safetensors file to write")->required();
  app.add_flag("--grad", run.gradients, "losses and gradients in train mode");
  app.add_option("--steps", run.steps, "SGD steps on the batch")->check(CLI::NonNegativeNumber);
  app.add_option("--rate", run.base_rate, "base learning rate of --steps, constant")->capture_default_str();
  app.add_option("--momentum", run.momentum, "of --steps")->capture_default_str();
  app.add_option("--weight-decay", run.weight_decay, "of --steps")->capture_default_str();
  app.add_option("--head-rate-factor", run.head_rate_factor, "factor on the rate outside the backbone")
      ->capture_default_str();
  app.add_option("--seed", run.seed, "of initial values and dropout")->capture_default_str();
  app.add_flag("--trace", run.trace, "prints the run node by node");
  device.add_to(app);
  return apps::run_app(app, argc, argv, [&] {
    run.threads = device.threads;
    run.execute();
  });
}
