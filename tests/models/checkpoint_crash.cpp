// Power cuts and failing disks in the middle of a save: the old checkpoint or the new one is there, whole.
#include <set>

#include "engine/error.h"
#include "models/checkpoint_store.h"
#include "tests/models/made_up_checkpoint.h"
#include "tests/support/catch.h"
#include "tests/support/power_cut.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {
namespace {

namespace fs = std::filesystem;
using models::CheckpointStore;
using models::Retention;

/// Saves `iteration` into a store that holds `before`, with power cut after every operation: in every state of the
/// disk the newest whole checkpoint must be one of `before`'s last or the new one, the new one once save() is over, and
/// saving must work again. Returns the number of states that were tried.
int64_t cut_power_everywhere(const std::vector<int64_t>& before, int64_t iteration, const Retention& retention) {
  const TemporaryFolder folder;
  const fs::path root = folder / "disk", copy = folder / "copy";
  fs::create_directory(root);
  CheckpointStore store(root / "c", {100, ""});
  for (int64_t i : before) store.save(made_up_checkpoint(i));
  const DiskState disk = read_disk(root);
  RecordingFiles files;
  CheckpointStore(root / "c", retention, files).save(made_up_checkpoint(iteration));

  int64_t states = 0;
  bool seen_new = false;
  const int64_t old = before.empty() ? -1 : before.back();
  for (size_t count = 0; count <= files.operations.size(); ++count) {
    for (const DiskState& state : states_after_power_cut(disk, files.operations, count)) {
      ++states;
      INFO("power cut after " << count << " of " << files.operations.size() << " operations");
      write_disk(state, root, copy);
      CheckpointStore after(copy / "c", retention);
      const auto found = after.newest([](const std::string&) {});
      REQUIRE((found || old < 0));
      if (found) {
        REQUIRE((found->iteration == old || found->iteration == iteration));
        REQUIRE(same(*found, made_up_checkpoint(found->iteration)));
      }
      const bool is_new = found && found->iteration == iteration;
      seen_new = seen_new || is_new;
      if (count == files.operations.size()) REQUIRE(is_new);
      // No manifest that is in place is unreadable: the tensors were durable before it got its name.
      for (int64_t i : after.iterations()) REQUIRE_NOTHROW(models::read_checkpoint(after.manifest(i)));
      if (states % 5 == 0) {
        after.save(made_up_checkpoint(iteration + 1));
        REQUIRE(same(*after.newest([](const std::string& why) { FAIL(why); }), made_up_checkpoint(iteration + 1)));
      }
    }
  }
  CHECK(seen_new);
  return states;
}

TEST_CASE("checkpoint: power cut after any operation of a save leaves the old or the new one whole") {
  int64_t states = 0;
  states += cut_power_everywhere({}, 10, {2, ""});            // the first save makes the folder
  states += cut_power_everywhere({10}, 20, {2, ""});          // nothing goes
  states += cut_power_everywhere({10}, 20, {1, ""});          // the old one goes
  states += cut_power_everywhere({10, 20, 30}, 40, {2, ""});  // two go
  CHECK(states > 200);
}

TEST_CASE("checkpoint: power cut while metrics are added leaves the checkpoint whole with or without them") {
  const TemporaryFolder folder;
  const fs::path root = folder / "disk", copy = folder / "copy";
  fs::create_directory(root);
  CheckpointStore(root / "c", {}).save(made_up_checkpoint(10));
  const DiskState disk = read_disk(root);
  RecordingFiles files;
  CheckpointStore(root / "c", {}, files).add_metrics(10, {{"mIoU_val", 0.5}});
  models::Checkpoint scored = made_up_checkpoint(10);
  scored.metrics = {{"mIoU_val", 0.5}};
  for (size_t count = 0; count <= files.operations.size(); ++count) {
    for (const DiskState& state : states_after_power_cut(disk, files.operations, count)) {
      write_disk(state, root, copy);
      const auto found = CheckpointStore(copy / "c", {}).newest([](const std::string& why) { FAIL(why); });
      REQUIRE(found);
      REQUIRE((same(*found, scored) || (count < files.operations.size() && same(*found, made_up_checkpoint(10)))));
    }
  }
}

/// The test above can fail: a manifest that is written without syncing anything.
TEST_CASE("checkpoint: the simulated power cut finds a save that syncs nothing") {
  const TemporaryFolder folder;
  CheckpointStore store(folder / "c", {1, ""});
  store.save(made_up_checkpoint(10));
  const DiskState disk = read_disk(folder.path());
  RecordingFiles files;
  CheckpointStore(folder / "c", {1, ""}, files).save(made_up_checkpoint(20));
  std::vector<FileOperation> careless;
  for (const FileOperation& op : files.operations) {
    if (op.kind != FileOperation::Kind::sync && op.kind != FileOperation::Kind::sync_folder) careless.push_back(op);
  }
  const TemporaryFolder copy;
  std::set<int64_t> found;
  for (const DiskState& state : states_after_power_cut(disk, careless, careless.size())) {
    write_disk(state, folder.path(), copy / "disk");
    const auto newest = CheckpointStore(copy / "disk" / "c", {1, ""}).newest([](const std::string&) {});
    found.insert(newest ? newest->iteration : -1);
  }
  CHECK(found == std::set<int64_t>{-1, 10, 20});  // -1: both lost
}

TEST_CASE("checkpoint: a disk that is full or fails at any operation leaves the old one and the next save works") {
  int64_t tried = 0;
  for (const int reason : {ENOSPC, EIO, EACCES}) {
    for (const int64_t failures : {int64_t{1}, int64_t{1000}}) {  // one operation, or all from there on
      for (int64_t first = 0;; ++first) {
        const TemporaryFolder folder;
        const Retention retention{1, ""};
        CheckpointStore(folder / "c", retention).save(made_up_checkpoint(10));
        FailingFiles files(first, failures, reason);
        std::string said;
        try {
          CheckpointStore(folder / "c", retention, files).save(made_up_checkpoint(20));
        } catch (const FileError& e) {
          said = e.what();
        }
        INFO("operation " << first << ": " << said);
        if (files.operations() <= first) break;  // the save has no more operations
        ++tried;
        CHECK(said.find((folder / "c").string()) == 0);
        CHECK(said.find(std::generic_category().message(reason)) != std::string::npos);
        CHECK(said.find('\n') == std::string::npos);
        const CheckpointStore after(folder / "c", retention);
        const auto found = after.newest([](const std::string&) {});
        REQUIRE(found);
        CHECK((same(*found, made_up_checkpoint(10)) || same(*found, made_up_checkpoint(20))));
        for (int64_t i : after.iterations()) REQUIRE_NOTHROW(models::read_checkpoint(after.manifest(i)));
        CheckpointStore(folder / "c", retention).save(made_up_checkpoint(30));
        CHECK(same(*after.newest([](const std::string& why) { FAIL(why); }), made_up_checkpoint(30)));
        CHECK(std::distance(fs::directory_iterator(folder / "c"), fs::directory_iterator()) == 2);
      }
    }
  }
  CHECK(tried > 100);
}

}  // namespace
}  // namespace psanet::tests
