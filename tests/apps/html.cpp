#include "apps/html.h"

#include <vector>

#include "tests/support/catch.h"

namespace psanet::apps {
namespace {

TEST_CASE("html: text cannot become markup") {
  CHECK(html_text("a<b & \"c\" 'd' > e") == "a&lt;b &amp; &quot;c&quot; &#39;d&#39; &gt; e");
  CHECK(html_page("<x>", "", "").find("<title>&lt;x&gt;</title>") != std::string::npos);
}

TEST_CASE("html: base64 as RFC 4648 has it") {
  const auto encode = [](std::string_view text) { return base64(std::vector<uint8_t>(text.begin(), text.end())); };
  CHECK(encode("") == "");
  CHECK(encode("f") == "Zg==");
  CHECK(encode("fo") == "Zm8=");
  CHECK(encode("foo") == "Zm9v");
  CHECK(encode("foobar") == "Zm9vYmFy");
  CHECK(base64(std::vector<uint8_t>{0xFB, 0xFF, 0xBF}) == "+/+/");
  CHECK(data_url("image/png", std::vector<uint8_t>{'f'}) == "data:image/png;base64,Zg==");
}

TEST_CASE("html: a string in a script cannot end it") {
  CHECK(json_in_html("{\"name\":\"</script><b>\"}") == "{\"name\":\"\\u003c/script>\\u003cb>\"}");
}

}  // namespace
}  // namespace psanet::apps
