// psanet-train with a file system that kills the program or fails at a chosen operation. For tests only.
#include <fmt/format.h>

#include <csignal>
#include <functional>

#include "apps/app.h"
#include "apps/training.h"
#include "tests/support/file_faults.h"

namespace psanet::tests {
namespace {

/// Calls `before_operation(number)` before every operation.
class CountingFiles final : public WatchedFiles {
 public:
  explicit CountingFiles(std::function<void(int64_t)> before_operation)
      : before_operation_(std::move(before_operation)) {}

 private:
  void before(const FileOperation&) override { before_operation_(done_++); }

  std::function<void(int64_t)> before_operation_;
  int64_t done_ = 0;
};

}  // namespace
}  // namespace psanet::tests

int main(int argc, char** argv) {
  using namespace psanet;
  apps::App app("training_with_faults", "psanet-train with faults, for tests.");
  std::string recipe, resume;
  std::vector<std::string> overrides;
  int64_t kill_at = -1, fail_at = -1, fail_count = 1;
  apps::TrainingOptions options;
  app.option("recipe", recipe, "recipe file");
  app.option("--output", options.run_folder, "run folder");
  app.option("--resume", resume, "as psanet-train's");
  app.option("--set", overrides, "overrides");
  app.option("--kill-at", kill_at, "operation on files before which the program kills itself", -1);
  app.option("--fail-at", fail_at, "operation on files that fails because the disk is full", -1);
  app.option("--fail-count", fail_count, "so many operations fail");
  app.add_device("cpu");
  return app.run(argc, argv, [&] {
    tests::CountingFiles files([&](int64_t number) {
      if (number == kill_at) std::raise(SIGKILL);
      if (fail_at >= 0 && number >= fail_at && number - fail_at < fail_count) {
        throw std::system_error(ENOSPC, std::generic_category());
      }
    });
    options.files = &files;
    options.resume = apps::ResumeChoice::parse(resume);
    options.device = app.device();
    apps::train(apps::read_recipe(recipe, overrides), options);
  });
}
