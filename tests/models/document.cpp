// docs/model-json.md: its reference part is what the code says, its example works.
#include "models/document.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "models/model_file.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

using namespace psanet;

namespace {

const char* const kMarker = "<!-- From here on written from the code: PSANET_UPDATE_DOCS=1 test_models \"docs*\" -->\n";

std::filesystem::path page() {
  return std::filesystem::path(PSANET_SOURCE_DIR) / "docs" / "model-json.md";
}

std::string text_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("docs/model-json.md is up to date") {
  const std::string text = text_of(page());
  const size_t marker = text.find(kMarker);
  REQUIRE(marker != std::string::npos);
  const std::string by_hand = text.substr(0, marker + std::string(kMarker).size());
  const std::string wanted = by_hand + "\n" + models::document_language();
  if (std::getenv("PSANET_UPDATE_DOCS")) std::ofstream(page()) << wanted;
  INFO("run PSANET_UPDATE_DOCS=1 test_models \"docs*\" and commit docs/model-json.md");
  CHECK(text_of(page()) == wanted);
}

TEST_CASE("the example of docs/model-json.md is a model") {
  const std::string text = text_of(page());
  const std::string fence = "```json\n";
  const size_t begin = text.find(fence);
  REQUIRE(begin != std::string::npos);
  const size_t end = text.find("```", begin + fence.size());
  const psanet::tests::TemporaryFolder folder;
  std::ofstream(folder / "example.json") << text.substr(begin + fence.size(), end - begin - fence.size());
  const Graph graph = models::read_model((folder / "example.json").string()).build({layers::Mode::train, 2});
  CHECK(graph.type(graph.output("logits")) == f32({2, 233, 313, 11}));
}
