// Models, recipes and dataset descriptions are found without the source tree (engine/home.h).
#include <cstdlib>
#include <fstream>

#include "tests/apps/programs.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {
namespace {

namespace fs = std::filesystem;

/// A folder that is laid out as home() wants it, whose one model, one recipe and one dataset nobody else has.
void make_home(const fs::path& folder) {
  const fs::path source(PSANET_SOURCE_DIR);
  fs::create_directories(folder / "apps" / "recipes");
  fs::create_directories(folder / "models");
  fs::copy(source / "models" / "blocks", folder / "models" / "blocks");
  std::ofstream(folder / "models" / "only_here.json")
      << R"({"use": ["blocks/resnet18_small.json", "blocks/heads.json"], "let": {"classes": 2, "crop_h": 33, "crop_w": 33},
             "graph": [{"inline": "$backbone"}, {"inline": "heads", "from": {"middle": "{$middle}"}}],
             "outputs": {"logits": "logits", "aux": "aux_logits"}})";
  fs::create_directories(folder / "data");
  fs::copy(source / "data" / "scenes", folder / "data" / "scenes");
  std::ofstream(folder / "apps" / "recipes" / "recipe_here.json")
      << R"({"about": "x", "model": "only_here", "dataset": "data_here", "iterations": 1})";
}

class Home {
 public:
  explicit Home(const fs::path& folder) { ::setenv("PSANET_HOME", folder.c_str(), 1); }
  ~Home() { ::unsetenv("PSANET_HOME"); }
  Home(const Home&) = delete;
  Home& operator=(const Home&) = delete;
};

/// What a home with those files shows, and the source tree does not.
void check_found(const std::string& info, const std::string& train) {
  CHECK(run_program(info, {"only_here"}).exit_code == 0);
  CHECK(run_program(info, {"psanet50"}).exit_code == 2);
  const ProgramResult said = run_program(train, {"recipe_here", "--data-root", ".", "--output", "/nowhere"});
  CHECK(said.exit_code == 3);  // the recipe was read; its dataset is not among those of this home
  CHECK(said.err.find("unknown dataset \"data_here\"") != std::string::npos);
}

TEST_CASE("home: PSANET_HOME says where models and recipes and datasets are") {
  const TemporaryFolder folder;
  make_home(folder.path());
  const Home home(folder.path());
  check_found("psanet-info", "psanet-train");
}

TEST_CASE("home: share/psanet beside the program's folder comes before the source tree") {
  const TemporaryFolder folder;
  make_home(folder / "share/psanet");
  fs::create_directories(folder / "bin");
  for (const char* program : {"psanet-info", "psanet-train"}) {
    fs::copy(fs::path(PSANET_BIN_DIR) / program, folder / "bin" / program);
  }
  check_found((folder / "bin/psanet-info").string(), (folder / "bin/psanet-train").string());
}

TEST_CASE("home: a PSANET_HOME without models is one line and exit code 2") {
  const TemporaryFolder folder;
  const Home home(folder.path());
  const ProgramResult said = run_program("psanet-info", {"psanet50"});
  CHECK(said.exit_code == 2);
  CHECK(said.err.find("PSANET_HOME=" + folder.path().string() + ": there is no folder models in it") !=
        std::string::npos);
  CHECK(std::count(said.err.begin(), said.err.end(), '\n') == 1);
}

}  // namespace
}  // namespace psanet::tests
