// TensorBoard's event files: bytes beside those of TensorBoard's own writer (2.21), and whole files read back.
#include "apps/event_file.h"

#include <cstring>

#include "engine/crc32c.h"
#include "tests/apps/programs.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

namespace psanet::apps {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    for (const int digit : {c >> 4 & 15, c & 15}) text += "0123456789abcdef"[digit];
  }
  return text;
}

uint64_t little_endian(std::string_view bytes) {
  uint64_t number = 0;
  for (size_t i = bytes.size(); i-- > 0;) number = number << 8 | static_cast<unsigned char>(bytes[i]);
  return number;
}

/// The payloads of a file's records; fails the test where a length or a checksum is wrong.
std::vector<std::string> records_of(const std::filesystem::path& path) {
  const std::string bytes = psanet::tests::file_bytes(path);
  std::vector<std::string> records;
  for (size_t at = 0; at < bytes.size();) {
    REQUIRE(bytes.size() - at >= 16);
    const uint64_t length = little_endian(std::string_view(bytes).substr(at, 8));
    REQUIRE(length <= bytes.size() - at - 16);
    records.push_back(bytes.substr(at + 12, length));
    CHECK(bytes.substr(at, length + 16) == event_record(records.back()));
    at += length + 16;
  }
  return records;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("event file: messages and records have the bytes of TensorBoard's own writer") {
  const WireMessage value = WireMessage().bytes(1, "loss_train").float32(2, 0.25f);
  const WireMessage event =
      WireMessage().float64(1, 1700000000.5).varint(2, 300).message(5, WireMessage().message(1, value));
  CHECK(hex(event.data()) == "0900002040fc54d94110ac022a130a110a0a6c6f73735f747261696e150000803e");
  CHECK(hex(event_record("psanet")) == "06000000000000007369d5377073616e6574f6cf7427");
}

TEST_CASE("event file: scalars and pictures and texts in order") {
  const psanet::tests::TemporaryFolder folder;
  std::filesystem::path path;
  const std::vector<uint8_t> png = {0x89, 'P', 'N', 'G'};
  {
    EventFile file(folder.path(), 0);
    path = file.path();
    file.scalar("mIoU_val", 100, 0.5);
    file.image("prediction/street", 200, 30, 300, png);
    file.text("recipe", 0, std::string(200, 'x'));
  }
  CHECK(path.filename().string().rfind("events.out.tfevents.", 0) == 0);
  const std::vector<std::string> records = records_of(path);
  REQUIRE(records.size() == 4);
  CHECK(contains(records[0], "brain.Event:2"));
  CHECK(contains(records[1], WireMessage().bytes(1, "mIoU_val").float32(2, 0.5f).data()));
  CHECK(contains(records[2], WireMessage().varint(1, 30).varint(2, 300).varint(3, 3).bytes(4, "\x89PNG").data()));
  CHECK(contains(records[3], WireMessage().bytes(8, std::string(200, 'x')).data()));
}

TEST_CASE("event file: a run that goes on says from where and writes a file of its own") {
  const psanet::tests::TemporaryFolder folder;
  const EventFile first(folder.path(), 0), second(folder.path(), 70);
  CHECK(first.path() != second.path());
  CHECK(records_of(first.path()).size() == 1);
  const std::vector<std::string> records = records_of(second.path());
  REQUIRE(records.size() == 2);
  // step 70, then the session log with status START: what TensorBoard takes as "forget steps from here on"
  CHECK(contains(records[1], WireMessage().varint(2, 70).message(7, WireMessage().varint(1, 1)).data()));
}

TEST_CASE("event file: a folder that is not there is one line") {
  const psanet::tests::TemporaryFolder folder;
  CHECK_THROWS_WITH(EventFile(folder / "missing", 0), Catch::Matchers::Contains("cannot be created: No such file"));
}

}  // namespace
}  // namespace psanet::apps
