// psanet-report: one page that shows a training run.
#include <fmt/format.h>

#include "apps/app.h"
#include "apps/run_report.h"
#include "engine/atomic_file.h"

int main(int argc, char** argv) {
  using namespace psanet;
  apps::App app("psanet-report",
                "Makes one HTML page of a run folder: curves, scores class by class, sample predictions, the recipe. "
                "Works while the run is going on.");
  std::filesystem::path run, output;
  app.option("run", run, "folder of a training run");
  app.option("--output", output, "file to write (default: <run>/report.html)");
  app.require("run");
  return app.run(argc, argv, [&] {
    const std::string page = apps::run_report(run);
    if (output.empty()) output = run / "report.html";
    write_text_atomically(output, page);
    fmt::print("written to {} ({} KB)\n", output.string(), (page.size() + 999) / 1000);
  });
}
