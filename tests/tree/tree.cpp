// The shape of the source tree: who may include whom, and what every file looks like. It reads the files, not git.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

namespace fs = std::filesystem;

struct SourceFile {
  std::string name;    // "engine/graph.cpp"
  std::string folder;  // "engine"
  std::vector<std::string> lines;
};

const std::vector<std::string> kFolders = {"kernels", "engine", "layers", "models", "data", "apps", "bench", "tests"};

std::vector<SourceFile> read_tree() {
  std::vector<SourceFile> files;
  const fs::path root(PSANET_SOURCE_DIR);
  for (const std::string& folder : kFolders) {
    if (!fs::is_directory(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".h" && extension != ".cpp" && extension != ".cu" && extension != ".cuh") continue;
      SourceFile file{fs::relative(entry.path(), root).generic_string(), folder, {}};
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) file.lines.push_back(line);
      files.push_back(std::move(file));
    }
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return files;
}

struct Include {
  std::string path;
  bool quoted = false;
};

std::vector<Include> includes(const SourceFile& file) {
  static const std::regex kInclude(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"].*)");
  std::vector<Include> found;
  for (const std::string& line : file.lines) {
    std::smatch match;
    if (std::regex_match(line, match, kInclude)) found.push_back({match[2], match[1] == "\""});
  }
  return found;
}

/// What a folder may include besides itself.
const std::map<std::string, std::set<std::string>> kAllowed = {
    {"kernels", {}},
    {"engine", {"kernels"}},
    {"layers", {"kernels", "engine"}},
    {"models", {"kernels", "engine", "layers"}},
    {"data", {}},
    {"apps", {"kernels", "engine", "layers", "models", "data"}},
    {"bench", {"kernels", "engine", "layers", "models", "data", "apps", "tests"}},
    {"tests", {"kernels", "engine", "layers", "models", "data", "apps"}},
};

TEST_CASE("tree: it is found, with every folder that has sources") {
  const auto files = read_tree();
  CHECK(files.size() > 100);
  for (const char* folder : {"kernels", "engine", "layers", "models", "data", "tests"}) {
    CHECK(std::any_of(files.begin(), files.end(), [&](const SourceFile& f) { return f.folder == folder; }));
  }
}

TEST_CASE(
    "tree: includes point only from apps to models to layers to engine to kernels, data stands alone but for JSON") {
  for (const SourceFile& file : read_tree()) {
    for (const Include& include : includes(file)) {
      const std::string folder = include.path.substr(0, include.path.find('/'));
      if (folder == file.folder || !kAllowed.count(folder)) continue;
      // Where psanet's own files are is one question with one answer; there is one reader of JSON, one way to write a
      // file and one hash. Of the rest of the engine, data knows nothing.
      const std::set<std::string> known_to_data = {"engine/file_system.h", "engine/home.h", "engine/random.h"};
      if (file.folder == "data" && known_to_data.count(include.path)) continue;
      if (file.folder == "data" && include.path.starts_with("engine/json/")) continue;
      INFO(file.name << " includes " << include.path);
      CHECK(kAllowed.at(file.folder).count(folder) == 1);
    }
  }
}

TEST_CASE("tree: distribution and passes are included by those above them and not by the rest of their folder") {
  const std::map<std::string, std::set<std::string>> users = {
      {"engine/distributed", {"engine/distributed", "apps", "bench", "tests"}},
      {"layers/passes", {"layers/passes", "models", "apps", "bench", "tests"}}};
  const auto room = [](const std::string& file) { return file.substr(0, file.rfind('/')); };
  std::set<std::string> seen;
  for (const SourceFile& file : read_tree()) {
    for (const Include& include : includes(file)) {
      const auto of = users.find(room(include.path));
      if (of == users.end()) continue;
      INFO(file.name << " includes " << include.path);
      CHECK(of->second.count(users.count(room(file.name)) ? room(file.name) : file.folder) == 1);
      seen.insert(of->first);
    }
  }
  CHECK(seen.size() == users.size());
}

TEST_CASE("tree: our own headers are included in quotes and from the root") {
  const fs::path root(PSANET_SOURCE_DIR);
  for (const SourceFile& file : read_tree()) {
    for (const Include& include : includes(file)) {
      INFO(file.name << " includes " << include.path);
      const bool ours = fs::exists(root / include.path);
      CHECK(include.quoted == ours);
    }
  }
}

TEST_CASE("tree: oneDNN is named by the CPU kernels that use it and by nobody else") {
  const std::set<std::string> may = {"kernels/cpu/onednn.h", "kernels/cpu/onednn.cpp"};
  for (const SourceFile& file : read_tree()) {
    const bool user = file.name == "kernels/cpu/conv2d.cpp" || file.name == "kernels/cpu/matmul.cpp" ||
                      file.name == "kernels/cpu/context.cpp" || file.name.find("kernels/cpu/onednn") == 0;
    for (const Include& include : includes(file)) {
      INFO(file.name << " includes " << include.path);
      if (include.path.find("dnnl") != std::string::npos) CHECK((may.count(file.name) == 1 || user));
      if (include.path == "kernels/cpu/onednn.h") CHECK(user);
    }
  }
}

TEST_CASE("tree: CUDA and its libraries are named where they are used and nowhere else") {
  const auto begins = [](const std::string& text, const std::string& with) { return text.rfind(with, 0) == 0; };
  for (const SourceFile& file : read_tree()) {
    for (const Include& include : includes(file)) {
      if (include.quoted) continue;
      INFO(file.name << " includes " << include.path);
      if (begins(include.path, "cudnn")) CHECK(begins(file.name, "kernels/cuda/vendor/convolution"));
      if (begins(include.path, "cublas")) CHECK(begins(file.name, "kernels/cuda/vendor/gemm"));
      if (begins(include.path, "nccl")) CHECK(begins(file.name, "kernels/cuda/vendor/nccl"));
      if (begins(include.path, "cuda")) {
        CHECK((file.name == "kernels/cuda/portable.h" || begins(file.name, "kernels/cuda/vendor/")));
      }
    }
  }
}

TEST_CASE("tree: kernel files are such that the emulation runs them and every run gives the same bits") {
  // A sum of floats by atomics has other bits every time. Sums of integers have not; they stand here.
  const std::pair<std::string, std::string> integer_sums[] = {
      {"kernels/cuda/confusion_counts.cu", "atomicAdd(table + entry, "},
      {"kernels/cuda/confusion_counts.cu", "atomicAdd(counts + entry, "},
      {"kernels/cuda/confusion_counts.cu", "atomicAdd(counts + i, "}};
  // Launches, shared memory, other instructions: launch(), PSANET_SHARED, device.h. What is for one compiler alone
  // belongs into device.h, too.
  const char* words[] = {"<<<", "__shared__", "asm(", "asm volatile", "PSANET_CUDA_EMULATED"};
  for (const SourceFile& file : read_tree()) {
    if (file.folder != "kernels" || file.name.substr(file.name.size() - 3) != ".cu") continue;
    for (const std::string& line : file.lines) {
      const std::string code = line.substr(0, line.find("//"));
      INFO(file.name << ": " << line);
      for (const char* word : words) {
        if (code.find(word) != std::string::npos) CHECK(false);
      }
      if (code.find("atomicAdd") == std::string::npos) continue;
      CHECK(std::any_of(std::begin(integer_sums), std::end(integer_sums), [&](const auto& sum) {
        return sum.first == file.name && code.find(sum.second) != std::string::npos;
      }));
    }
  }
}

TEST_CASE("tree: above kernels nothing looks into a backend's folder, and only the device knows the contexts") {
  for (const SourceFile& file : read_tree()) {
    if (file.folder == "kernels" || file.folder == "tests" || file.folder == "bench") continue;
    for (const Include& include : includes(file)) {
      INFO(file.name << " includes " << include.path);
      CHECK(include.path.rfind("kernels/cpu/", 0) != 0);
      CHECK(include.path.rfind("kernels/cuda/", 0) != 0);
    }
    for (const std::string& line : file.lines) {
      if (line.find("CpuContext") == std::string::npos && line.find("CudaContext") == std::string::npos) continue;
      INFO(file.name << ": " << line);
      CHECK((file.name == "engine/device.h" || file.name == "engine/device.cpp"));
    }
  }
}

TEST_CASE("tree: the whole JSON library stays out of headers, but for those of structs that hold JSON") {
  const std::set<std::string> hold = {"apps/recipe.h", "apps/run_checkpoints.h", "models/checkpoint.h",
                                      "models/model_source.h"};
  for (const SourceFile& file : read_tree()) {
    if (file.name.substr(file.name.size() - 2) != ".h" || hold.count(file.name)) continue;
    for (const Include& include : includes(file)) {
      INFO(file.name);
      CHECK(include.path != "nlohmann/json.hpp");
    }
  }
}

TEST_CASE("tree: a header says what it is for and is included once, a source begins with that or its own header") {
  for (const SourceFile& file : read_tree()) {
    INFO(file.name);
    REQUIRE_FALSE(file.lines.empty());
    const std::string& first = file.lines[0];
    const std::string stem = file.name.substr(0, file.name.rfind('.'));
    if (file.name.substr(stem.size()) == ".h") {
      CHECK(first.rfind("// ", 0) == 0);
      CHECK(std::count(file.lines.begin(), file.lines.end(), "#pragma once") == 1);
    } else {
      const bool described = first.rfind("// ", 0) == 0;
      const bool own_header = first.rfind("#include \"", 0) == 0;  // or its part's: several sources share one
      CHECK((described || own_header));
    }
  }
}

TEST_CASE("tree: no file is longer than 600 lines, no line than 120 columns, and none ends in blanks") {
  const auto columns = [](const std::string& line) {  // of UTF-8 text
    return std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; });
  };
  for (const SourceFile& file : read_tree()) {
    INFO(file.name);
    CHECK(file.lines.size() <= 600);
    for (size_t i = 0; i < file.lines.size(); ++i) {
      const std::string& line = file.lines[i];
      INFO("line " << i + 1 << ": " << line);
      // Tests hold JSON texts, which no formatter breaks.
      if (file.folder != "tests" && columns(line) > 120) CHECK(false);
      if (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r')) CHECK(false);
    }
  }
}

TEST_CASE("tree: names of tests are such that ctest can call them one by one") {
  // CMake would cut a name at a semicolon, and Catch would take brackets for tags and a leading minus for an option,
  // then run nothing and be content.
  static const std::regex kName(R"re(^TEST_CASE\("([^"]*)".*)re");
  std::map<std::string, std::set<std::string>> names;  // of each program
  for (const SourceFile& file : read_tree()) {
    for (const std::string& line : file.lines) {
      std::smatch match;
      if (file.folder != "tests" || !std::regex_match(line, match, kName)) continue;
      const std::string name = match[1], program = file.name.substr(0, file.name.find('/', 6));
      INFO(file.name << ": " << name);
      CHECK_FALSE((name.empty() || name[0] == '-'));
      CHECK(name.find_first_of(";[]\\*~") == std::string::npos);
      CHECK(names[program].insert(name).second);
    }
  }
  CHECK(names["tests/tree"].size() >= 10);
}

TEST_CASE("tree: nothing is left to do, nothing is drawer for everything, nothing ends the program") {
  // Written in pieces, or this file would find itself.
  const std::vector<std::string> words = {std::string("TO") + "DO", std::string("FIX") + "ME",
                                          std::string("not ") + "implemented"};
  static const std::regex kEnds(R"((^|[^_\w.:>])(std::|::)?(abort|exit|_exit|_Exit|quick_exit|assert)\s*\()");
  // But for these: a collective that hangs holds every thread that might return from main, and a process that was
  // forked may do nothing else.
  const std::set<std::string> may_end = {"kernels/cuda/nccl_abort.cpp", "apps/launcher.cpp"};
  for (const SourceFile& file : read_tree()) {
    CHECK(file.name.find(std::string("uti") + "ls") == std::string::npos);
    for (const std::string& line : file.lines) {
      INFO(file.name << ": " << line);
      for (const std::string& word : words) {
        if (line.find(word) != std::string::npos) CHECK(false);
      }
      const size_t comment = line.find("//");
      const std::string code = line.substr(0, comment);
      if (file.folder != "tests" && may_end.count(file.name) == 0 && std::regex_search(code, kEnds)) CHECK(false);
    }
  }
}

}  // namespace
}  // namespace psanet::tests
