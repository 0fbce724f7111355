// What every program does the same way: options, errors, exit codes.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace psanet::apps {

/// Exit codes, printed by every --help.
enum ExitCode : int { kOk = 0, kInternal = 1, kUsage = 2, kData = 3, kWeights = 4, kDevice = 5 };

/// Parses the command line into `app` (options were added by the caller), runs `body`, and turns errors into one line
/// on standard error and an exit code.
int run_app(CLI::App& app, int argc, char** argv, const std::function<void()>& body);

/// --threads, shared by all programs.
struct DeviceOptions {
  int threads = 0;
  void add_to(CLI::App& app);
};

}  // namespace psanet::apps
