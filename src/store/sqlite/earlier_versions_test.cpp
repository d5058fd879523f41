// Files that an earlier version of sortie wrote.
#include <gmock/gmock.h>

#include "store/testing/sqlite_folder.h"

namespace sortie::store {

namespace earlier_versions_test {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace store::testing;

// Writes four executions and makes of the file what the first version wrote.
void write_first_version(Opened& at) {
  at.options.overlay_bytes_max = 2;  // Each commit folds the one before it.
  {
    auto store = at.open();
    Epoch epoch = *(*store)->acquire(0);
    for (ExecutionNo no = 1; no <= 4; ++no) {
      Batch batch = starting(epoch, no);
      if (no == 2) batch.executions[0].image.assign(3'000, 'x');
      batch.frames[0].wake_at = {static_cast<std::int64_t>(10 * no)};
      ASSERT_TRUE(at.commit(**store, std::move(batch)).ok());
    }
  }
  run_sql(at.file(),
          "INSERT INTO frame SELECT no, 0, top_wake_at, top_image FROM execution WHERE top_image IS NOT NULL;"
          "ALTER TABLE execution DROP COLUMN top_wake_at; ALTER TABLE execution DROP COLUMN top_image;"
          "CREATE TABLE segment(first_group INTEGER PRIMARY KEY, live_bytes INTEGER NOT NULL);"
          "CREATE TABLE history_part(execution, group_no, start, first_event_id, refs BLOB);"
          "CREATE TABLE payload_ref(execution, payload, group_no, start, length);"
          // What executions 1 and 2 wrote is still in the journal: event 1 of each, and a payload.
          "DELETE FROM history WHERE execution <= 2;"
          "INSERT OR REPLACE INTO journal VALUES(1, CAST('..h1..h2..large' AS BLOB));"
          "INSERT INTO history_part VALUES(1, 1, 2, 1, x'0102020202'), (2, 1, 6, 1, x'0106020202');"
          "INSERT INTO payload_ref VALUES(2, 9, 1, 10, 5); INSERT INTO segment VALUES(1, 9);"
          "DROP TABLE hash_gone; DROP TABLE term_run; DROP TABLE term_part;"
          "PRAGMA user_version=1");
}

void expect_all_there(Store& store) {
  const std::vector<FrameRow> frames = *store.scan_frames({0, 0}, 10);
  ASSERT_EQ(frames.size(), 4u);
  for (ExecutionNo no = 1; no <= 4; ++no) {
    EXPECT_EQ(frames[no - 1].key, (FrameKey{no, 0}));
    EXPECT_EQ(frames[no - 1].wake_at.ms, static_cast<std::int64_t>(10 * no));
    EXPECT_EQ(frames[no - 1].image, "top");
    const std::vector<HistoryChunk> history = *store.load_history(no, 1, 10);
    ASSERT_EQ(history.size(), 1u);
    EXPECT_EQ(history[0].body, no == 2 ? "h2" : "h1");
  }
  EXPECT_EQ(store.find_payload(2, 9)->value().body, "large");
}

TEST(EarlierVersions, AFileIsBroughtUpToDateAndKeepsWhatItHas) {
  Opened at;
  write_first_version(at);
  auto store = at.open();
  ASSERT_TRUE(store.ok()) << to_text(store.error());
  expect_all_there(**store);
  EXPECT_THAT(*(*store)->find_by_terms({.name = "run-1"}), IsEmpty()) << "it was never said";
  Batch batch;
  batch.epoch = *(*store)->acquire(0);
  batch.terms.push_back({1, "run-1", {5}});
  ASSERT_TRUE(at.commit(**store, std::move(batch)).ok());
  EXPECT_THAT(*(*store)->find_by_terms({.terms = {{5}}, .name = "run-1"}), ElementsAre(1));
  EXPECT_THAT(*(*store)->check(), IsEmpty());
}

TEST(EarlierVersions, ABackupIsRestored) {
  Opened at;
  write_first_version(at);
  const std::string backup = at.folder.path() + "/backup.db";
  std::filesystem::copy_file(at.file(), backup);
  at.options.folder = at.folder.path() + "/other";
  const Status restored = restore_sqlite_folder(backup, at.options.folder);
  ASSERT_TRUE(restored.ok()) << to_text(restored.error());
  EXPECT_EQ(number_of(backup, "PRAGMA user_version"), 1) << "the backup itself stays as it is";
  auto store = at.open();
  ASSERT_TRUE(store.ok()) << to_text(store.error());
  expect_all_there(**store);
}

TEST(EarlierVersions, ADamagedBackupIsRefusedAndNothingIsLeftOfIt) {
  Opened at;
  write_first_version(at);
  run_sql(at.file(), "DELETE FROM execution_hash");
  const std::string folder = at.folder.path() + "/other";
  const Status refused = restore_sqlite_folder(at.file(), folder);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "StoreCorrupt");
  EXPECT_EQ(refused.error().place, at.file());
  EXPECT_FALSE(std::filesystem::exists(folder + "/sortie.db"));
  EXPECT_FALSE(std::filesystem::exists(folder + "/sortie.db.part"));
}

}  // namespace earlier_versions_test

}  // namespace sortie::store
