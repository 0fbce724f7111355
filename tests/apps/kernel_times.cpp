// scripts/gpu/kernel_times.py: what the kernels of a recorded step took, joined with the nodes that launched them.
#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/apps/programs.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

const std::string kScript = std::string(PSANET_SOURCE_DIR) + "/scripts/gpu/kernel_times.py";

/// Two programs: of three launches (a convolution of two kernels, a sum) and of one.
const char* const kLaunches =
    R"({"precision": "bf16", "launches": 3, "nodes": [)"
    R"({"node": "layer0.0", "op": "conv2d", "launches": 2, "flops": 4e9, "bytes": 1000},)"
    R"({"node": "sum", "op": "add", "launches": 1, "flops": 0, "bytes": 3000000}]})"
    "\n"
    R"({"precision": "bf16", "launches": 1, "nodes": [{"node": "x", "op": "psa", "launches": 1, "flops": 1, "bytes": 1}]})"
    "\n";
const char* const kCeilings =
    R"({"benchmarks": [{"name": "ceiling_copy", "GB/s": 3000}, {"name": "ceiling_matmul", "GFLOP/s": 4000000}]})";

struct Files {
  TemporaryFolder folder;
  std::string launches = folder / "launches.json", kernels = folder / "kernels.tsv", ceilings = folder / "c.json",
              output = folder / "table.json";

  Files() {
    std::ofstream(launches) << kLaunches;
    std::ofstream(ceilings) << kCeilings;
  }
  /// A line of the kernels' file: microseconds from the beginning of its launch, which is `launch` ms.
  static std::string line(int launch, int begin, int end, const std::string& name, int graph = 1) {
    const long long at = 1000000LL * launch;
    return "kernel\t" + std::to_string(at + 1000 * begin) + "\t" + std::to_string(at + 1000 * end) + "\t7\t" +
           std::to_string(launch) + "\t" + std::to_string(graph) + "\t0\t0\t" + name + "\n";
  }
  ProgramResult run() const {
    return run_program(kScript,
                       {"--launches", launches, "--kernels", kernels, "--ceilings", ceilings, "--output", output});
  }
};

TEST_CASE("kernel times: kernels are joined with nodes by their order, and medians are taken over launches") {
  if (!python_is_there()) return;
  const Files files;
  {
    std::ofstream out(files.kernels);
    out << Files::line(9, 0, 500, "launched by itself", 0);
    for (int launch : {1, 2, 3}) {  // not in the order of time, and one launch is slow
      const int slow = launch == 3 ? 10 : 1;
      out << Files::line(launch, 30 * slow, 32 * slow, "void psanet::kernels::cuda::map_kernel<float, 4>(int)");
      out << Files::line(launch, 0, 2 * slow, "void cutlass::first(Params)");
      out << Files::line(launch, 3 * slow, 7 * slow, "void cutlass::second(Params)");
    }
  }
  const ProgramResult said = files.run();
  INFO(said.out << said.err);
  REQUIRE(said.exit_code == 0);
  const auto table = nlohmann::json::parse(file_bytes(files.output));
  CHECK(table.at("runs") == 3);
  CHECK(table.at("launches") == 3);
  CHECK(table.at("whole_ms").get<double>() == Approx(0.032));
  CHECK(table.at("kernels_ms").get<double>() == Approx(0.008));
  const auto& convolution = table.at("nodes").at(0);  // loses most
  CHECK(convolution.at("node") == "layer0.0");
  CHECK(convolution.at("ms").get<double>() == Approx(0.006));
  CHECK(convolution.at("least_ms").get<double>() == Approx(0.001));
  CHECK(convolution.at("lost_ms").get<double>() == Approx(0.005));
  const auto& sum = table.at("nodes").at(1);
  CHECK(sum.at("share").get<double>() == Approx(0.5));
  CHECK(table.at("kernels").at(0).at("kernel") == "cutlass::second");
  CHECK(table.at("kernels").at(0).at("ours") == false);
  CHECK(table.at("kernels").at(2).at("kernel") == "map_kernel<float, 4>");
  CHECK(table.at("kernels").at(2).at("ours") == true);
  CHECK(said.out.find("| layer0.0 | conv2d | 0.006 | 17 % | 0.005 |") != std::string::npos);
}

TEST_CASE("kernel times: files that do not belong together and files that are none") {
  if (!python_is_there()) return;
  const Files files;
  std::ofstream(files.kernels) << Files::line(1, 0, 1, "a") << Files::line(1, 2, 3, "b");
  ProgramResult said = files.run();
  CHECK(said.exit_code == 1);
  CHECK(said.err.find("no launch of a graph has as many pieces as a program") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(files.output));

  std::ofstream(files.kernels) << "kernel\t1\t2\n";
  said = files.run();
  CHECK(said.exit_code == 2);
  CHECK(said.err.find("kernels.tsv: line 1: 3 columns, want 9") != std::string::npos);
  CHECK(std::count(said.err.begin(), said.err.end(), '\n') == 1);

  std::ofstream(files.ceilings) << "{}";
  std::ofstream(files.kernels) << Files::line(1, 0, 1, "a");
  CHECK(files.run().exit_code == 2);
}

}  // namespace
}  // namespace psanet::tests
