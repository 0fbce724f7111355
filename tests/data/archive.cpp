// Archives: what goes in comes out, the same bytes every time, and damage is one line.
#include "data/archive.h"

#include <map>

#include "data/error.h"
#include "data/file_bytes.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

namespace psanet::data {
namespace {

using Files = std::map<std::string, std::vector<std::uint8_t>>;

Files some_files() {
  Files files = {{"a.png", {1, 2, 3}}, {"deep/er/b.png", {}}};
  for (int i = 0; i < 200000; ++i) files["long.bin"].push_back(std::uint8_t(i * 7 % 251));
  return files;
}

void write(const std::filesystem::path& path, ArchiveFormat format, const Files& files) {
  ArchiveWriter writer(path, format);
  for (const auto& [name, bytes] : files) writer.add(name, bytes);
  writer.close();
  writer.commit();
}

Files read(const std::filesystem::path& path) {
  Files files;
  for_each_archived(path, [&](const std::string& name, std::span<const std::uint8_t> bytes) {
    CHECK(files.emplace(name, std::vector<std::uint8_t>(bytes.begin(), bytes.end())).second);
  });
  return files;
}

TEST_CASE("archives hold what was added and have the same bytes every time") {
  const tests::TemporaryFolder folder;
  for (ArchiveFormat format : {ArchiveFormat::zip, ArchiveFormat::tar_gz}) {
    const std::filesystem::path a = folder / "a", b = folder / "b";
    write(a, format, some_files());
    write(b, format, some_files());
    CHECK(read(a) == some_files());
    CHECK(read_file_bytes(a) == read_file_bytes(b));
  }
}

TEST_CASE("an archive that is not committed leaves nothing, one that is replaces the old") {
  const tests::TemporaryFolder folder;
  const std::filesystem::path path = folder / "x.zip";
  {
    ArchiveWriter writer(path, ArchiveFormat::zip);
    writer.add("a", std::vector<std::uint8_t>{1});
    CHECK(std::filesystem::exists(writer.temporary()));
  }
  CHECK(std::filesystem::is_empty(path.parent_path()));
  write(path, ArchiveFormat::zip, {{"old", {1}}});
  write(path, ArchiveFormat::zip, {{"new", {2}}});
  CHECK(read(path) == Files{{"new", {2}}});
  CHECK_THROWS_AS(ArchiveWriter(folder / "no" / "such" / "x.zip", ArchiveFormat::zip), DataError);
}

TEST_CASE("archives that are damaged or none are data errors") {
  const tests::TemporaryFolder folder;
  const std::filesystem::path path = folder / "x.tar.gz";
  const auto ignore = [](const std::string&, std::span<const std::uint8_t>) {};
  write(path, ArchiveFormat::tar_gz, some_files());
  std::vector<std::uint8_t> bytes = read_file_bytes(path);
  bytes.resize(bytes.size() / 2);
  write_file_bytes(path, bytes);
  CHECK_THROWS_AS(for_each_archived(path, ignore), DataError);
  write_file_text(path, "this is text");
  CHECK_THROWS_AS(for_each_archived(path, ignore), DataError);
  CHECK_THROWS_AS(for_each_archived(folder / "nowhere.zip", ignore), DataError);
  write(path, ArchiveFormat::zip, some_files());
  CHECK_THROWS_AS(for_each_archived(path, ignore, 1000), DataError);  // more than it may have
}

}  // namespace
}  // namespace psanet::data
