#include "tests/emulation/mistakes/mistake.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <map>
#include <regex>
#include <set>

// The first report is enough.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() {
  return "halt_on_error=1";
}

namespace psanet::tests {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr int kColumn = 2;
#elif defined(__SANITIZE_THREAD__)
constexpr int kColumn = 3;
#else
constexpr int kColumn = 1;
#endif

/// The table of docs/cuda-emulation.md: rows of name, plain, ASan and UBSan, TSan.
std::map<std::string, std::vector<std::string>> read_table() {
  std::map<std::string, std::vector<std::string>> rows;
  std::ifstream in(PSANET_SOURCE_DIR "/docs/cuda-emulation.md");
  static const std::regex kRow(R"(^\| ([^|]+) \| ([a-z-]+) \| ([a-z-]+) \| ([a-z-]+) \|$)");
  for (std::string line; std::getline(in, line);) {
    std::smatch m;
    if (std::regex_match(line, m, kRow) && m[2] != "---") rows[m[1]] = {m[1], m[2], m[3], m[4]};
  }
  return rows;
}

/// What tests do with a kernel: compare with what is wanted, and with the bits of another schedule.
void observe(const Mistake& mistake, const std::function<std::vector<float>()>& kernel) {
  std::vector<float> first;
  for_each_schedule([&] {
    const std::vector<float> found = kernel();
    bool same = found.size() == mistake.wanted.size();
    for (size_t i = 0; same && i < found.size(); ++i) {
      same = std::fabs(found[i] - mistake.wanted[i]) <= 1e-5f * std::max(1.0f, std::fabs(mistake.wanted[i]));
    }
    if (!same) std::printf("WRONG VALUES\n");
    if (first.empty()) first = found;
    if (std::memcmp(first.data(), found.data(), found.size() * sizeof(float)) != 0) std::printf("OTHER BITS\n");
  });
}

/// Everything that a process of its own writes.
std::string output_of(const std::function<void()>& body) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  std::fflush(nullptr);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    alarm(120);                // seconds
    signal(SIGSEGV, SIG_DFL);  // Catch would report it in its own way
    body();
    std::printf("DONE\n");
    std::fflush(nullptr);
    std::_Exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) text += "ended by signal " + std::to_string(WTERMSIG(status));
  if (text.find("CUDA EMULATOR") != std::string::npos) CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 66));
  return text;
}

/// The first of these that the output holds.
std::string seen_in(const std::string& output) {
  const std::pair<const char*, const char*> signs[] = {{"CUDA EMULATOR: ", "emulator"},
                                                       {"SEGV on unknown address", "crash"},
                                                       {"ended by signal", "crash"},
                                                       {"ERROR: AddressSanitizer: ", "address"},
                                                       {"runtime error: ", "undefined"},
                                                       {"ThreadSanitizer: data race", "race"},
                                                       {"ThreadSanitizer: heap-use-after-free", "address"},
                                                       {"WRONG VALUES", "values"},
                                                       {"OTHER BITS", "bits"},
                                                       {"DONE", "-"}};
  for (const auto& [sign, name] : signs) {
    if (output.find(sign) != std::string::npos) return name;
  }
  return "?";
}

}  // namespace

void check(const Mistake& mistake) {
  const std::string name = Catch::getResultCapture().getCurrentTestName();
  const auto table = read_table();
  REQUIRE(table.count(name) == 1);
  const std::string wanted = table.at(name).at(kColumn);

  const std::string output = output_of([&] { observe(mistake, mistake.mistaken); });
  INFO(output);
  if (wanted != "luck") CHECK(seen_in(output) == wanted);
  if (wanted == "emulator") {
    REQUIRE_FALSE(mistake.report.empty());
    CHECK(output.find(mistake.report) != std::string::npos);
  }
  if (mistake.right) {
    const std::string twins = output_of([&] { observe(mistake, mistake.right); });
    INFO("the right twin:\n" << twins);
    CHECK(seen_in(twins) == "-");
  }
}

std::vector<float> counting(int64_t n) {
  std::vector<float> values;
  for (int64_t i = 0; i < n; ++i) values.push_back(static_cast<float>(i));
  return values;
}

std::vector<float> run(void (*kernel)(const float*, float*), const LaunchDims& dims, const std::vector<float>& x,
                       int64_t outputs) {
  const Array<float> input(x), output(outputs);
  kernels::cuda::launch(cuda(), kernel, dims, input.data(), output.data());
  return output.get();
}

// In a test program of its own every test is one mistake, but for this one.
TEST_CASE("the table names every mistake and nothing else") {
  std::set<std::string> rows, tests;
  for (const auto& [name, row] : read_table()) rows.insert(name);
  static const std::regex kTest(R"re(^TEST_CASE\("([^"]+)"\) \{$)re");
  for (const char* file : {"barriers", "blocks", "copies", "host", "matrices", "memory"}) {
    std::ifstream in(PSANET_SOURCE_DIR "/tests/emulation/mistakes/" + std::string(file) + ".cpp");
    for (std::string line; std::getline(in, line);) {
      std::smatch m;
      if (std::regex_match(line, m, kTest)) tests.insert(m[1]);
    }
  }
  CHECK(rows == tests);
  CHECK(rows.size() >= 18);
}

}  // namespace psanet::tests
