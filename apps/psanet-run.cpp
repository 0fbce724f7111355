// psanet-run: any model graph on tensors from a file; the door for comparisons with other frameworks.
#include "apps/app.h"
#include "apps/tensor_run.h"

int main(int argc, char** argv) {
  using namespace psanet;
  apps::App app("psanet-run",
                "Runs a model on tensors from a safetensors file: `image` [N,3,H,W] float32 and optionally `label` "
                "[N,H,W] integer.\n"
                "Writes `logits` [N,classes,H',W'] (evaluation mode); with --grad (train mode) `loss`, `loss.main`, "
                "`loss.aux` and "
                "`grad.<parameter>`;\nwith --steps N SGD steps on that batch: `losses` [N] and the final parameters.");
  apps::TensorRun run;
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
  return app.run(argc, argv, [&] {
    run.device = app.device();
    run.execute();
  });
}
