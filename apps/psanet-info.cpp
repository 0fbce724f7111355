// psanet-info: what a model costs, and what this build is.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/app.h"
#include "apps/model_report.h"

int main(int argc, char** argv) {
  using namespace psanet;
  CLI::App app(
      "Reports parameters, operations and memory of a model, part by part; without a model, what this build is.",
      "psanet-info");
  std::string model;
  std::vector<std::string> settings;
  int64_t batch = 1;
  apps::DeviceOptions device;
  app.add_option("model", model, "model file, or the name of one of ours");
  app.add_option("--set", settings, "values of the model's `let`s: k=v")->take_all();
  app.add_option("--batch", batch, "images at once")->check(CLI::PositiveNumber)->capture_default_str();
  device.add_to(app);
  return apps::run_app(app, argc, argv, [&] {
    if (model.empty()) {
      fmt::print("{}", apps::build_report(device.threads));
      return;
    }
    nlohmann::json lets = nlohmann::json::object();
    for (const std::string& setting : settings) models::add_setting(lets, setting);
    fmt::print("{}", apps::model_report(models::read_model(model, lets), batch, device.threads));
  });
}
