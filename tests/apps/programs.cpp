#include "tests/apps/programs.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {

Running::Running(const std::string& program, const std::vector<std::string>& arguments) {
  const std::string out = folder_ / "out", err = folder_ / "err";
  const std::string path = std::filesystem::path(PSANET_BIN_DIR) / program;
  child_ = fork();
  if (child_ == 0) {
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
}

Running::~Running() {
  if (ended_) return;
  kill(child_, SIGKILL);
  waitpid(child_, &status_, 0);
}

void Running::send(int signal) const {
  kill(child_, signal);
}

bool Running::has_said(const std::string& text) const {
  return file_bytes(folder_ / "out").find(text) != std::string::npos ||
         file_bytes(folder_ / "err").find(text) != std::string::npos;
}

bool Running::wait_until_said(const std::string& text, double seconds) {
  for (double waited = 0; waited < seconds && !has_said(text); waited += 0.002) {
    if (!ended_ && waitpid(child_, &status_, WNOHANG) == child_) ended_ = true;
    if (ended_) break;
    usleep(2000);
  }
  return has_said(text);
}

ProgramResult Running::wait() {
  if (!ended_) waitpid(child_, &status_, 0);
  ended_ = true;
  return {WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_), file_bytes(folder_ / "out"),
          file_bytes(folder_ / "err")};
}

ProgramResult run_program(const std::string& program, const std::vector<std::string>& arguments) {
  return Running(program, arguments).wait();
}

bool python_is_there() {
  if (run_program("/usr/bin/env", {"python3", "-c", "pass"}).exit_code == 0) return true;
  WARN("SKIPPED: no python3");
  return false;
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
