// What ptxas says of our CUDA kernels: registers, shared memory, and that no value of theirs lives in local memory (it
// is as slow as the GPU's main memory). cmake/ptxas_report.sh leaves the reports beside the object files.
#include <cxxabi.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

namespace fs = std::filesystem;

struct Exception {
  std::string kernel;  // how its name begins in the table
  std::string architecture;
  int stack_bytes = 0, spill_bytes = 0;
  std::string reason;
};
const std::vector<Exception> kExceptions = {
    {"aggregate_kernel<float, 1, 4, true, false>", "sm_80", 8, 12,
     "the float path is for exactness; three words in a loop of thousands of multiplications"},
};

struct Kernel {
  std::string file, name, architecture;  // "columns.cu", "partial_sums_kernel<float, 4>", "sm_90"
  int registers = -1, shared_bytes = 0;
  int stack_bytes = -1, spill_bytes = -1;  // spill: stored and loaded
};

/// Without the return type, the namespaces that all kernels share, and the parameters.
std::string readable(const std::string& symbol) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> demangled(abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status),
                                                         std::free);
  if (status != 0) return symbol;
  static const std::regex kNoise(R"(^void |psanet::kernels::|cuda::|_GLOBAL__N__\w+::|\(anonymous namespace\)::)");
  std::string name = std::regex_replace(std::string(demangled.get()), kNoise, "");
  int depth = 0;  // of template arguments, which may hold parentheses: (int)4
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '<') ++depth;
    if (name[i] == '>') --depth;
    if (name[i] == '(' && depth == 0) name.resize(i);
  }
  return name;
}

std::vector<Kernel> read_report(const fs::path& path, const std::string& file) {
  static const std::regex kEntry(R"re(Compiling entry function '(\w+)' for '(\w+)')re"),
      kLocal(R"((\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads)"),
      kUsed(R"(Used (\d+) registers)"), kShared(R"((\d+) bytes smem)");
  std::vector<Kernel> kernels;
  std::ifstream in(path);
  std::smatch m;
  for (std::string line; std::getline(in, line);) {
    if (std::regex_search(line, m, kEntry)) {
      kernels.push_back({file, readable(m[1]), m[2]});
    } else if (!kernels.empty() && std::regex_search(line, m, kLocal)) {
      // A function that was not inlined has a stack frame of its own; it counts for the kernel above it.
      Kernel& k = kernels.back();
      k.stack_bytes = std::max(k.stack_bytes, 0) + std::stoi(m[1]);
      k.spill_bytes = std::max(k.spill_bytes, 0) + std::stoi(m[2]) + std::stoi(m[3]);
    } else if (!kernels.empty() && std::regex_search(line, m, kUsed)) {
      kernels.back().registers = std::stoi(m[1]);
      if (std::regex_search(line, m, kShared)) kernels.back().shared_bytes = std::stoi(m[1]);
    }
  }
  return kernels;
}

/// A file may also do nothing but launch the kernels of others, or compile those of a header.
bool has_kernels(const fs::path& file) {
  std::ifstream in(file);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return text.find("__global__") != std::string::npos;
}

std::vector<std::string> kernel_files() {
  std::vector<std::string> files;
  const fs::path root(PSANET_SOURCE_DIR "/kernels/cuda");
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.path().extension() == ".cu") files.push_back(fs::relative(entry.path(), root).generic_string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<Kernel> read_all() {
  std::vector<Kernel> all;
  for (const std::string& file : kernel_files()) {
    const fs::path report = fs::path(PSANET_CUDA_OBJECTS "/cuda") / (file + ".o.ptxas.txt");
    INFO(report.string());
    REQUIRE(fs::exists(report));
    const std::vector<Kernel> kernels = read_report(report, file);
    if (has_kernels(fs::path(PSANET_SOURCE_DIR "/kernels/cuda") / file)) CHECK_FALSE(kernels.empty());
    all.insert(all.end(), kernels.begin(), kernels.end());
  }
  std::sort(all.begin(), all.end(), [](const Kernel& a, const Kernel& b) {
    return std::tie(a.file, a.name, a.architecture) < std::tie(b.file, b.name, b.architecture);
  });
  return all;
}

TEST_CASE("no kernel spills registers or has a stack frame") {
  std::set<std::string> used;
  fmt::print("{:<20} {:<6} {:>9} {:>12} {:>11} {:>11}  {}\n", "file", "for", "registers", "shared bytes", "stack bytes",
             "spill bytes", "kernel");
  for (const Kernel& k : read_all()) {
    fmt::print("{:<20} {:<6} {:>9} {:>12} {:>11} {:>11}  {}\n", k.file, k.architecture, k.registers, k.shared_bytes,
               k.stack_bytes, k.spill_bytes, k.name);
    int stack_bytes = 0, spill_bytes = 0;
    for (const Exception& e : kExceptions) {
      if (k.name.rfind(e.kernel, 0) != 0 || k.architecture != e.architecture) continue;
      used.insert(e.kernel + e.architecture);
      stack_bytes = e.stack_bytes;
      spill_bytes = e.spill_bytes;
    }
    INFO(k.file << ": " << k.name << " for " << k.architecture);
    CHECK(k.registers > 0);
    CHECK((k.stack_bytes >= 0 && k.stack_bytes <= stack_bytes));
    CHECK((k.spill_bytes >= 0 && k.spill_bytes <= spill_bytes));
  }
  std::fflush(stdout);
  const std::string compiled = PSANET_CUDA_ARCHITECTURES;
  for (const Exception& e : kExceptions) {  // one that names no kernel any more goes
    INFO(e.kernel);
    CHECK((used.count(e.kernel + e.architecture) == 1 || compiled.find(e.architecture.substr(3)) == std::string::npos));
  }
}

TEST_CASE("every kernel is compiled for every architecture") {
  std::set<std::string> wanted;
  static const std::regex kNumber(R"((\d+\w*)(-real)?)");
  const std::string list = PSANET_CUDA_ARCHITECTURES;
  for (std::sregex_iterator it(list.begin(), list.end(), kNumber), end; it != end; ++it) {
    wanted.insert("sm_" + (*it)[1].str());
  }
  REQUIRE_FALSE(wanted.empty());
  std::map<std::string, std::set<std::string>> found;
  for (const Kernel& k : read_all()) found[k.file + " " + k.name].insert(k.architecture);
  CHECK(found.size() >= 10);
  for (const char* of_header : {"own_gemm.cu gemm_kernel<", "own_convolution.cu gemm_kernel<"}) {
    const auto at = found.lower_bound(of_header);
    CHECK((at != found.end() && at->first.rfind(of_header, 0) == 0));
  }
  for (const auto& [kernel, architectures] : found) {
    INFO(kernel);
    CHECK(architectures == wanted);
  }
}

}  // namespace
}  // namespace psanet::tests
