// What every program does the same way: options, errors, exit codes.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/device.h"
#include "kernels/nccl.h"

namespace psanet::apps {

/// Exit codes, printed by every --help.
enum ExitCode : int {
  kOk = 0,
  kInternal = 1,
  kUsage = 2,
  kData = 3,
  kWeights = 4,
  kDevice = 5,
  kFiles = 6,
  kDiverged = 7,
  kStuck = kernels::kNccl_stuck_exit_code,  // a watchdog ends the process: docs/nccl.md
  kStopped = 75
};

/// Where a program computes, and in what.
struct DeviceChoice {
  std::string device = "auto", precision;  // an empty precision: the recipe's, or else fp32
  int64_t threads = 0;
  /// ConfigError or DeviceError if there is no such device.
  Device open() const;
};

/// A program's command line. (CLI11 behind a door: its header is the slowest of all to compile.)
class App {
 public:
  /// `body`: of a sub-command, which command() makes.
  App(const std::string& name, const std::string& about, std::function<void()> body = {});
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  /// `name` as "--data-root", or without dashes for a positional argument. The variable's value is the default.
  void option(const std::string& name, std::string& value, const std::string& help);
  void option(const std::string& name, std::filesystem::path& value, const std::string& help);
  /// The value may be left out, which means `alone`.
  void option(const std::string& name, std::string& value, const std::string& alone, const std::string& help);
  void option(const std::string& name, int64_t& value, const std::string& help, int64_t at_least = 0);
  void option(const std::string& name, double& value, const std::string& help);
  /// May be given several times, with one or several values.
  void option(const std::string& name, std::vector<std::string>& values, const std::string& help);
  /// Takes every key=value that follows it, and what follows those is not its own: a positional argument can.
  void assignments(const std::string& name, std::vector<std::string>& values, const std::string& help);
  /// May be given several times, with one value each: a positional argument can follow.
  void repeated_option(const std::string& name, std::vector<std::string>& values, const std::string& help);
  /// Separated by commas.
  void option(const std::string& name, std::vector<double>& values, const std::string& help);
  void flag(const std::string& name, bool& value, const std::string& help);
  /// The option of that name must be given.
  void require(const std::string& name);

  /// --device, --precision and --threads, which every program that computes has.
  void add_device(const std::string& default_device = "auto");
  const DeviceChoice& device() const { return device_; }

  /// A sub-command ("psanet-data check") with options of its own. A program that has some must be given one of them.
  App& command(const std::string& name, const std::string& about, std::function<void()> body);

  /// Parses the command line, runs `body` (of the sub-command, where there are some), and turns errors into one line on
  /// standard error and an exit code.
  int run(int argc, char** argv, const std::function<void()>& body = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  DeviceChoice device_;
};

}  // namespace psanet::apps
