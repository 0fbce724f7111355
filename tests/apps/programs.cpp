#include "tests/apps/programs.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {

ProgramResult run_program(const std::string& program, const std::vector<std::string>& arguments) {
  const TemporaryFolder folder;
  const std::string out = folder / "out", err = folder / "err";
  const std::string path = std::string(PSANET_BIN_DIR) + "/" + program;
  const pid_t child = fork();
  if (child == 0) {
    std::vector<char*> argv = {const_cast<char*>(path.c_str())};
    for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    const int out_file = open(out.c_str(), O_WRONLY | O_CREAT, 0600),
              err_file = open(err.c_str(), O_WRONLY | O_CREAT, 0600);
    dup2(out_file, STDOUT_FILENO);
    dup2(err_file, STDERR_FILENO);
    execv(path.c_str(), argv.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), file_bytes(out), file_bytes(err)};
}

ProgramResult run_well(const std::string& program, const std::vector<std::string>& arguments) {
  ProgramResult result = run_program(program, arguments);
  INFO(program << " said: " << result.err);
  REQUIRE(result.exit_code == 0);
  return result;
}

const std::filesystem::path& tiny_scenes() {
  static const TemporaryFolder folder;
  static const std::filesystem::path scenes = [] {
    const std::filesystem::path path = folder / "scenes";
    run_well("psanet-scenes", {"--output", path, "--train", "8", "--val", "3", "--height", "48", "--width", "64"});
    return path;
  }();
  return scenes;
}

std::vector<std::string> tiny_overrides() {
  return {"--set",         "iterations=2",           "batch=2",           "let.crop_h=33",
          "let.crop_w=33", "evaluation.base_size=0", "evaluation.batch=1"};
}

std::string file_bytes(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace psanet::tests
