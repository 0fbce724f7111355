// psanet-bench: Google Benchmark's options, and --device, --precision, --launches and --tiny of our own. Benchmarks are
// registered once the device is known.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <memory>
#include <string>

#include "bench/benchmarks.h"
#include "bench/op_bench.h"

namespace psanet::bench {
namespace {
std::unique_ptr<Device> chosen;
std::string launches;
bool all_tiny = false;
}  // namespace
Device& device() {
  return *chosen;
}
const std::string& launches_file() {
  return launches;
}
bool tiny() {
  return all_tiny;
}
}  // namespace psanet::bench

int main(int argc, char** argv) {
  using namespace psanet;
  std::string device = "cpu", precision = "fp32";
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.rfind("--device=", 0) == 0) {
      device = argument.substr(9);
    } else if (argument.rfind("--precision=", 0) == 0) {
      precision = argument.substr(12);
    } else if (argument.rfind("--launches=", 0) == 0) {
      bench::launches = argument.substr(11);
    } else if (argument == "--tiny") {
      bench::all_tiny = true;
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  try {
    bench::chosen.reset(new Device(Device::named(device, precision_named(precision))));
    benchmark::AddCustomContext("device", bench::device().describe());
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    bench::register_ceilings();
    bench::register_psa();
    bench::register_dense_crf();
    bench::register_layers();
    bench::register_models();
    benchmark::RunSpecifiedBenchmarks();
    bench::chosen.reset();
  } catch (const std::exception& e) {
    fmt::print(stderr, "psanet-bench: error: {}\n", e.what());
    return 1;
  }
  return 0;
}
