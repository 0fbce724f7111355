// What programs say of a GPU that they cannot use. Emulated programs with an emulated machine that lacks something.
#include <algorithm>
#include <cstdlib>

#include "tests/apps/programs.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

namespace fs = std::filesystem;

/// emulated/bin/psanet-info; empty, after a warning, where it was not built.
std::string emulated_info() {
  const fs::path program = fs::path(PSANET_BIN_DIR).parent_path() / "emulated" / "bin" / "psanet-info";
  if (fs::exists(program)) return program.string();
  WARN("SKIPPED: built without CUDA, so without its emulation");
  return {};
}

class Machine {
 public:
  Machine(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Machine() { ::unsetenv(name_); }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

 private:
  const char* name_;
};

void check_refused(const std::string& info, const std::string& why) {
  const ProgramResult said = run_program(info, {"--device", "cuda"});
  INFO(said.err);
  CHECK(said.exit_code == 5);
  CHECK(said.err.find(why) != std::string::npos);
  CHECK(std::count(said.err.begin(), said.err.end(), '\n') == 1);
}

TEST_CASE("gpu messages: no driver and one that is too old and no GPU") {
  const std::string info = emulated_info();
  if (info.empty()) return;
  {
    const Machine none("PSANET_EMULATED_DRIVER", "0");
    check_refused(info, "no NVIDIA driver is installed");
    CHECK(run_program(info, {"--device", "auto"}).err.empty());  // nobody expects a GPU here
  }
  {
    const Machine old("PSANET_EMULATED_DRIVER", "12020");
    check_refused(info, "the NVIDIA driver is too old: it knows CUDA 12.2, this program needs 13.0");
    const ProgramResult fallen_back = run_program(info, {"--device", "auto"});
    CHECK(fallen_back.exit_code == 0);
    CHECK(fallen_back.err ==
          "warning: no GPU is used, the processor does the work: the NVIDIA driver is too old: it knows CUDA 12.2, "
          "this program needs 13.0\n");
    CHECK(run_program(info, {"--device", "cpu"}).err.empty());
  }
  const Machine empty("PSANET_EMULATED_GPUS", "0");
  check_refused(info, "the NVIDIA driver knows no GPU");
}

TEST_CASE("gpu messages: a GPU that is too old and one for which there are no kernels and one that is too small") {
  const std::string info = emulated_info();
  if (info.empty()) return;
  {
    const Machine turing("PSANET_EMULATED_CAPABILITY", "75");
    check_refused(info, "compute capability 7.5) cannot be used: it is too old, 8.0 (Ampere) or later is needed");
  }
  {
    const Machine ampere("PSANET_EMULATED_CAPABILITY", "86");
    check_refused(info, "this program was built for other GPUs; build it with CMAKE_CUDA_ARCHITECTURES=86");
  }
  const Machine small("PSANET_EMULATED_SHARED_KIB", "48");
  const std::string bench = (fs::path(info).parent_path() / "psanet-bench").string();
  const ProgramResult said =
      run_program(bench, {"--device=cuda", "--benchmark_filter=^psa/collect_forward/batch:1/size:30"});
  INFO(said.out << said.err);
  CHECK((said.out + said.err).find("is too small: a kernel wants ") != std::string::npos);
}

TEST_CASE("gpu messages: a device that is not there") {
  const std::string info = emulated_info();
  if (info.empty()) return;
  const ProgramResult said = run_program(info, {"--device", "cuda:3"});
  CHECK(said.exit_code == 5);
  CHECK(said.err.find("there is no CUDA device 3; this machine has 1 (0 to 0)") != std::string::npos);
}

}  // namespace
}  // namespace psanet::tests
