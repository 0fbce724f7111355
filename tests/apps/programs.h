// Runs our programs as a user would.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace psanet::tests {

struct ProgramResult {
  int exit_code = -1;
  std::string out, err;
};

/// Starts bin/<program> with these arguments and waits for it.
ProgramResult run_program(const std::string& program, const std::vector<std::string>& arguments);

/// Fails the test, showing what the program said, unless it ends with 0.
ProgramResult run_well(const std::string& program, const std::vector<std::string>& arguments);

/// A tiny generated dataset (8 training, 3 validation scenes of 48 x 64), made once and shared by the tests of a
/// process.
const std::filesystem::path& tiny_scenes();

/// Arguments that make a recipe tiny: two iterations of batch 2 at crop 33.
std::vector<std::string> tiny_overrides();

std::string file_bytes(const std::filesystem::path& file);

}  // namespace psanet::tests
