// Runs our programs as a user would.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace psanet::tests {

struct ProgramResult {
  int exit_code = -1;
  std::string out, err;
};

/// A program that was started and is still running, or not any more.
class Running {
 public:
  Running(const std::string& program, const std::vector<std::string>& arguments);
  /// Kills it if it still runs.
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  void send(int signal) const;
  int process() const { return child_; }
  /// Has it written this to standard output or error?
  bool has_said(const std::string& text) const;
  /// Waits until it has; false if it ended before or `seconds` passed.
  bool wait_until_said(const std::string& text, double seconds = 60);
  /// Waits for the end. An end by a signal counts as exit code 128 + signal, as in a shell.
  ProgramResult wait();

 private:
  TemporaryFolder folder_;
  int child_ = -1, status_ = 0;
  bool ended_ = false;
};

/// Starts bin/<program>, or the program of an absolute path, with these arguments and waits for it.
ProgramResult run_program(const std::string& program, const std::vector<std::string>& arguments);

/// For scripts that are programs too. False, after a loud warning, where there is no python3.
bool python_is_there();

/// Fails the test, showing what the program said, unless it ends with 0.
ProgramResult run_well(const std::string& program, const std::vector<std::string>& arguments);

/// A tiny generated dataset (8 training, 3 validation scenes of 48 x 64), made once and shared by the tests of a
/// process.
const std::filesystem::path& tiny_scenes();

/// Arguments that make a recipe tiny: two iterations of batch 2 at crop 33.
std::vector<std::string> tiny_overrides();

std::string file_bytes(const std::filesystem::path& file);

}  // namespace psanet::tests
