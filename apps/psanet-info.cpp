// psanet-info: what a model costs, and what this build is.
#include <fmt/format.h>

#include "apps/app.h"
#include "apps/model_report.h"
#include "engine/error.h"
#include "models/document.h"

int main(int argc, char** argv) {
  using namespace psanet;
  apps::App app(
      "psanet-info",
      "Reports parameters, operations and memory of a model, part by part; without a model, what this build is.");
  std::string model;
  std::vector<std::string> settings;
  int64_t batch = 1;
  bool document = false;
  app.option("model", model, "model file, or the name of one of ours");
  app.assignments("--set", settings, "values of the model's `let`s: k=v");
  app.option("--batch", batch, "images at once", 1);
  app.flag("--document", document, "prints the reference of the model language (docs/model-json.md is made of it)");
  app.add_device("cpu");
  return app.run(argc, argv, [&] {
    if (document) {
      fmt::print("{}", models::document_language());
      return;
    }
    if (model.empty() && !settings.empty()) {
      throw ConfigError("--set " + settings.front() + ": of no model; want psanet-info MODEL --set key=value");
    }
    fmt::print("{}", model.empty() ? apps::build_report(app.device())
                                   : apps::model_report(model, settings, batch, app.device()));
  });
}
