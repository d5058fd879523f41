// What only the SQLite store promises: its folder and file, damage, failing disks, and death at any instant.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/hash.h"
#include "store/testing/sqlite_folder.h"

namespace sortie::store {

namespace sqlite_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace store::testing;

mode_t mode_of(const std::string& path) {
  struct stat found {};
  return stat(path.c_str(), &found) == 0 ? found.st_mode & 07777 : 0;
}

TEST(SqliteStore, KeepsItsFolderAndFilesPrivate) {
  Opened at;
  auto store = at.open();
  ASSERT_TRUE(store.ok()) << to_text(store.error());
  ASSERT_TRUE((*store)->acquire(0).ok());
  EXPECT_EQ(mode_of(at.options.folder), 0700u);
  for (const char* suffix : {"", "-wal", "-shm"}) EXPECT_EQ(mode_of(at.file() + suffix), 0600u) << suffix;
}

// What a server that was killed leaves: a child between fork and exec, which shares the lock.
TEST(SqliteStore, ALockThatOnlyADyingChildOfADeadOwnerHoldsIsWaitedFor) {
  Opened at;
  ASSERT_TRUE(at.open().ok());
  std::array<int, 2> hold{};
  ASSERT_EQ(pipe(hold.data()), 0);
  const pid_t owner = fork();
  if (owner == 0) {
    const int lock = ::open((at.options.folder + "/lock").c_str(), O_RDWR | O_CLOEXEC);
    const std::string name = std::to_string(getpid());
    const bool is_held = lock >= 0 && flock(lock, LOCK_EX) == 0 && ftruncate(lock, 0) == 0 &&
                         pwrite(lock, name.data(), name.size(), 0) > 0;
    if (is_held && fork() == 0) {
      char told = 0;
      close(hold[1]);
      _exit(read(hold[0], &told, 1) < 0 ? 1 : 0);  // Until the test lets go.
    }
    _exit(is_held ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(owner, &status, 0), owner);
  ASSERT_EQ(status, 0);
  close(hold[0]);
  std::thread later([&hold] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    close(hold[1]);
  });
  const auto opened = at.open();
  later.join();
  EXPECT_TRUE(opened.ok()) << opened.error().message;
}

TEST(SqliteStore, ASecondOneOnTheSameFolderIsToldWhoHasIt) {
  Opened at;
  auto first = at.open();
  ASSERT_TRUE(first.ok());
  auto second = at.open();
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, "StoreInUse");
  EXPECT_THAT(second.error().message, HasSubstr("in use by process " + std::to_string(getpid())));
  first.value().reset();
  EXPECT_TRUE(at.open().ok());
}

TEST(SqliteStore, AFolderThatCannotBeMadeIsUnavailable) {
  Opened at;
  std::ofstream(at.folder.path() + "/file") << "x";
  at.options.folder = at.folder.path() + "/file/data";
  auto store = at.open();
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, "StoreUnavailable");
  EXPECT_THAT(store.error().message, HasSubstr(at.options.folder));
}

TEST(SqliteStore, RefusesAFileOfALaterVersion) {
  Opened at;
  at.open().value().reset();
  run_sql(at.file(), "PRAGMA user_version=99");
  auto store = at.open();
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, "StoreTooNew");
  EXPECT_THAT(store.error().message, HasSubstr("99"));
}

TEST(SqliteStore, MergesSmallRunsOfTermsAndDropsThoseOfWhatWasDeleted) {
  Opened at;
  at.options.overlay_bytes_max = 2;  // Each commit folds the one before it, and writes a run.
  auto store = at.open();
  const Epoch epoch = *(*store)->acquire(0);
  constexpr ExecutionNo kAll = 200;
  for (ExecutionNo no = 1; no <= kAll; ++no) {
    Batch batch = starting(epoch, no);
    batch.terms.push_back({no, "run-" + std::to_string(no), {static_cast<std::uint32_t>(5'000 + no), 1'000}});
    ASSERT_TRUE(at.commit(**store, std::move(batch)).ok());
  }
  EXPECT_LT(number_of(at.file(), "SELECT count(*) FROM term_run"), 30);
  EXPECT_EQ((*store)->find_by_terms({.terms = {{1'000}}, .limit = 1'000})->size(), kAll);
  for (const ExecutionNo no : {ExecutionNo{1}, kAll / 2, kAll}) {
    EXPECT_THAT(*(*store)->find_by_terms({.terms = {{static_cast<std::uint32_t>(5'000 + no)}}}),
                ElementsAre(no));
  }
  EXPECT_THAT(*(*store)->check(), IsEmpty());
  for (ExecutionNo no = 1; no <= kAll; ++no) {
    Batch batch;
    batch.epoch = epoch;
    batch.executions.push_back(execution(no, ExecutionStatus::kSucceeded));
    batch.ended.push_back(no);
    ASSERT_TRUE(at.commit(**store, std::move(batch)).ok());
  }
  while (*(*store)->delete_ended_before(kNever, 7) > 0) {
  }
  EXPECT_EQ(number_of(at.file(), "SELECT count(*) FROM execution"), 0);
  EXPECT_EQ(number_of(at.file(), "SELECT count(*) FROM term_run"), 0);
  EXPECT_THAT(*(*store)->find_by_terms({.terms = {{1'000}}}), IsEmpty());
  EXPECT_THAT(*(*store)->check(), IsEmpty());
}

// A connection keeps its snapshot from one read to the next; a log that could not begin anew would only grow.
TEST(SqliteStore, TheLogBeginsAnewAlthoughReadersKeepTheirSnapshots) {
  Opened at;
  at.options.checkpoint_bytes = 1024 * 1024;
  at.options.run_work = [&at](std::function<void()> work) { at.loop.post(std::move(work)); };
  auto store = at.open();
  const Epoch epoch = *(*store)->acquire(0);
  for (ExecutionNo no = 1; no <= 300; ++no) {
    Batch batch = starting(epoch, no);
    batch.frames[0].image.assign(40'000, 'x');
    ASSERT_TRUE(at.commit(**store, std::move(batch)).ok());
    ASSERT_TRUE((*store)->find_execution(ExecutionNo{1})->has_value());
    ASSERT_EQ((*store)->list_executions({.limit = 2})->front().no, no);
  }
  EXPECT_GT((*store)->figures().bytes_written, 12'000'000u);
  EXPECT_LT(std::filesystem::file_size(at.file() + "-wal"), 3'000'000u);
}

TEST(SqliteStore, WhatIsDeletedIsNotFoundByItsArnWhileItsHashIsOnlyNoted) {
  Opened at;
  auto store = at.open();
  const Epoch epoch = *(*store)->acquire(0);
  constexpr ExecutionNo kAll = 20;
  for (ExecutionNo no = 1; no <= kAll; ++no) {
    Batch batch = starting(epoch, no);
    batch.executions[0].status = ExecutionStatus::kSucceeded;
    batch.ended.push_back(no);
    ASSERT_TRUE(at.commit(**store, std::move(batch)).ok());
  }
  EXPECT_EQ(*(*store)->delete_ended_before(kNever, 12), 12u);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(number_of(at.file(), "SELECT count(*) FROM hash_gone"), 12);
    EXPECT_EQ(number_of(at.file(), "SELECT count(*) FROM execution_hash"), kAll);
    EXPECT_FALSE((*store)->find_execution(execution(3).arn)->has_value());
    EXPECT_TRUE((*store)->find_execution(execution(13).arn)->has_value());
    EXPECT_THAT(*(*store)->check(), IsEmpty());
    store.value().reset();
    store = at.open();
  }
  Batch again = starting(*(*store)->acquire(0), kAll + 1);
  again.executions[0].name = execution(3).name;
  again.executions[0].arn = execution(3).arn;
  ASSERT_TRUE(at.commit(**store, std::move(again)).ok());
  EXPECT_EQ(*(*store)->delete_ended_before(kNever, 100), 8u);
  EXPECT_EQ(number_of(at.file(), "SELECT count(*) FROM hash_gone"), 0);
  EXPECT_EQ((*(*store)->find_execution(execution(3).arn))->no, kAll + 1);
  EXPECT_THAT(*(*store)->check(), IsEmpty());
}

TEST(SqliteStore, RefusesTheDatabaseOfAnotherProgram) {
  Opened at;
  ASSERT_EQ(mkdir(at.options.folder.c_str(), 0700), 0);
  run_sql(at.file(), "CREATE TABLE theirs(a)");
  auto store = at.open();
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, "StoreCorrupt");
}

TEST(SqliteStore, RefusesAFileThatIsNoDatabaseAndNamesTheWayBack) {
  Opened at;
  ASSERT_EQ(mkdir(at.options.folder.c_str(), 0700), 0);
  std::ofstream(at.file()) << std::string(40'000, 'x');
  auto store = at.open();
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, "StoreCorrupt");
  EXPECT_EQ(store.error().place, at.file());
  EXPECT_THAT(store.error().hint, HasSubstr("sortie restore"));
}

TEST(SqliteStore, RefusesADamagedJournalRow) {
  Opened at;
  {
    auto store = at.open();
    Epoch epoch = *(*store)->acquire(0);
    for (ExecutionNo no = 1; no <= 3; ++no) ASSERT_TRUE(at.commit(**store, starting(epoch, no)).ok());
  }
  run_sql(at.file(),
          "UPDATE journal SET body = CAST(substr(body, 1, 20) || x'00' || substr(body, 22) AS BLOB) WHERE no "
          "= 2");
  auto store = at.open();
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, "StoreCorrupt");
  EXPECT_THAT(store.error().message, HasSubstr("journal row 2"));
}

TEST(SqliteStore, RefusesAJournalWithAGap) {
  Opened at;
  {
    auto store = at.open();
    Epoch epoch = *(*store)->acquire(0);
    for (ExecutionNo no = 1; no <= 3; ++no) ASSERT_TRUE(at.commit(**store, starting(epoch, no)).ok());
  }
  run_sql(at.file(), "DELETE FROM journal WHERE no = 2");
  auto store = at.open();
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, "StoreCorrupt");
}

TEST(SqliteStore, CheckFindsWhatWasChangedBehindItsBack) {
  for (const char* sql :
       {"DELETE FROM execution_hash", "UPDATE execution_count SET n = n + 1",
        "UPDATE execution SET status = 1 WHERE no = 1", "DELETE FROM execution WHERE no = 1",
        "UPDATE history SET body = x'00'", "INSERT INTO frame VALUES(1, 0, 0, x'00')",
        "INSERT INTO frame VALUES(77, 0, 0, x'00')", "DELETE FROM term_part",
        "UPDATE term_run SET entries = entries + 1"}) {
    Opened at;
    at.options.overlay_bytes_max = 2;
    {
      auto store = at.open();
      Epoch epoch = *(*store)->acquire(0);
      for (ExecutionNo no = 1; no <= 5; ++no) ASSERT_TRUE(at.commit(**store, starting(epoch, no)).ok());
      EXPECT_THAT(*(*store)->check(), IsEmpty());
    }
    run_sql(at.file(), sql);
    auto store = at.open();
    ASSERT_TRUE(store.ok()) << to_text(store.error());
    EXPECT_FALSE((*store)->check()->empty()) << sql;
  }
}

TEST(SqliteStore, DropsWhatIsInTheTablesFromTheJournal) {
  Opened at;
  at.options.overlay_bytes_max = 2;
  auto store = at.open();
  Epoch epoch = *(*store)->acquire(0);
  auto journal_rows = [&] {
    sqlite3* db = nullptr;
    sqlite3_stmt* count = nullptr;
    sqlite3_open(at.file().c_str(), &db);
    sqlite3_prepare_v2(db, "SELECT count(*) FROM journal", -1, &count, nullptr);
    sqlite3_step(count);
    int rows = sqlite3_column_int(count, 0);
    sqlite3_finalize(count);
    sqlite3_close(db);
    return rows;
  };
  for (ExecutionNo no = 1; no <= 40; ++no) ASSERT_TRUE(at.commit(**store, starting(epoch, no)).ok());
  for (ExecutionNo no = 1; no <= 40; ++no) {
    Batch batch;
    batch.epoch = epoch;
    batch.executions.push_back(execution(no, ExecutionStatus::kSucceeded));
    batch.history.push_back({no, 2, 1, "end"});
    batch.ended.push_back(no);
    ASSERT_TRUE(at.commit(**store, batch).ok());
  }
  for (ExecutionNo no = 100; no <= 103; ++no) ASSERT_TRUE(at.commit(**store, starting(epoch, no)).ok());
  EXPECT_LE(journal_rows(), 10);
  EXPECT_EQ((*store)->load_history(7, 1, 10)->size(), 2u);
  EXPECT_THAT(*(*store)->check(), IsEmpty());
}

TEST(SqliteStore, FoldsWhatIsLeftWhenNobodyAsksForAnything) {
  Opened at;
  at.options.idle_ms = 1;
  auto store = at.open();
  Epoch epoch = *(*store)->acquire(0);
  for (ExecutionNo no = 1; no <= 5; ++no) ASSERT_TRUE(at.commit(**store, starting(epoch, no)).ok());
  while ((*store)->figures().overlay_bytes > 0) std::this_thread::yield();
  EXPECT_EQ((*store)->find_frame({3, 0})->value().image, "top");
  EXPECT_THAT(*(*store)->check(), IsEmpty());
}

TEST(SqliteStore, ABatchBeyondTheLimitIsRefusedAndHarmsNobody) {
  Opened at;
  at.options.batch_bytes_max = 10'000;
  auto store = at.open();
  Epoch epoch = *(*store)->acquire(0);
  Batch large = starting(epoch, 1);
  large.executions[0].image.assign(20'000, 'x');
  EXPECT_EQ(at.commit(**store, large).error().code, "LimitExceeded");
  EXPECT_TRUE(at.commit(**store, starting(epoch, 2)).ok());
}

TEST(SqliteStore, WaitingForTheDiskIsBounded) {
  Opened at;
  at.options.queue_bytes_max = 1;
  auto store = at.open();
  Epoch epoch = *(*store)->acquire(0);
  EXPECT_EQ(at.commit(**store, starting(epoch, 1)).error().code, "StoreBusy");
}

TEST(SqliteStore, WhatComesBehindSomethingThatWasTooMuchFailsUntilThatIsKnown) {
  Opened at;
  at.options.queue_bytes_max = 10'000;
  auto store = at.open();
  const Epoch epoch = *(*store)->acquire(0);
  Batch large = starting(epoch, 1);
  large.executions[0].image.assign(20'000, 'x');
  std::vector<std::string> told;
  for (Batch& batch : std::vector<Batch>{large, starting(epoch, 2)}) {
    (*store)->append(batch,
                     [&told](const Status& status) { told.push_back(status ? "ok" : status.error().code); });
  }
  at.loop.run_until([&] { return told.size() == 2; });
  EXPECT_THAT(told, ElementsAre("StoreBusy", "StoreBusy"));
  EXPECT_TRUE(at.commit(**store, starting(epoch, 2)).ok());
}

// Appends a change that cannot be written and others behind it.
void expect_all_fail(Opened& at, Store& store, Epoch epoch, Batch impossible, const std::string& code) {
  std::vector<std::string> told;
  auto note = [&](const char* who) {
    return [&told, who](Status status) {
      told.push_back(who + std::string(" ") + (status ? "ok" : status.error().code));
    };
  };
  store.append(std::move(impossible), note("first"));
  // The writer has taken it; whether it has failed already or not, what comes before the loop is told fails,
  // too.
  while (store.figures().queued_batches > 0) std::this_thread::yield();
  store.append(starting(epoch, 901), note("second"));
  store.append(starting(epoch, 902), note("third"));
  at.loop.run_until([&] { return told.size() == 3; });
  EXPECT_EQ(told, (std::vector<std::string>{"first " + code, "second " + code, "third " + code}));
  for (ExecutionNo no : {900u, 901u, 902u}) EXPECT_FALSE(store.find_execution(no)->has_value());
}

TEST(SqliteStore, AFullDiskFailsAllThatIsQueuedAndThenItGoesOn) {
  Opened at;
  at.options.file_bytes_max = 2 * 1024 * 1024;
  at.options.overlay_bytes_max = 2;
  auto store = at.open();
  Epoch epoch = *(*store)->acquire(0);
  ASSERT_TRUE(at.commit(**store, starting(epoch, 1)).ok());
  for (int round = 0; round < 3; ++round) {
    Batch large = starting(epoch, 900);
    large.documents.push_back({"k", "large", std::string(3 * 1024 * 1024, 'x')});
    large.log.push_back({"event", {1}, "s", "t", "", "lost", 0});
    expect_all_fail(at, **store, epoch, std::move(large), "StoreFull");
    ASSERT_TRUE(at.commit(**store, starting(epoch, static_cast<ExecutionNo>(round) + 2)).ok());
  }
  EXPECT_THAT(*(*store)->search_log({.stream = "event"}), IsEmpty());
  EXPECT_THAT(*(*store)->check(), IsEmpty());
  store.value().reset();
  store = at.open();
  ASSERT_TRUE(store.ok());
  for (ExecutionNo no = 1; no <= 4; ++no) EXPECT_EQ((*store)->find_frame({no, 0})->value().image, "top");
  EXPECT_THAT(*(*store)->check(), IsEmpty());
}

TEST(SqliteStore, AnInputOutputErrorFailsAllThatIsQueuedAndThenItGoesOn) {
  Opened at;
  auto store = at.open();
  Epoch epoch = *(*store)->acquire(0);
  ASSERT_TRUE(at.commit(**store, starting(epoch, 1)).ok());
  // No file of this process may grow beyond 1 MiB: the write-ahead log cannot take the change.
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small{1024 * 1024, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  Batch large = starting(epoch, 900);
  large.executions[0].image.assign(3 * 1024 * 1024, 'x');
  expect_all_fail(at, **store, epoch, std::move(large), "StoreUnavailable");
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_TRUE(at.commit(**store, starting(epoch, 2)).ok());
  EXPECT_THAT(*(*store)->check(), IsEmpty());
  store.value().reset();
  store = at.open();
  ASSERT_TRUE(store.ok());
  EXPECT_TRUE((*store)->find_execution(ExecutionNo{2})->has_value());
  EXPECT_FALSE((*store)->find_execution(ExecutionNo{900})->has_value());
}

TEST(SqliteStore, AFolderIsCheckedWhileItsStoreIsOpenAndAfterwards) {
  Opened at;
  at.options.overlay_bytes_max = 2'000;
  auto store = at.open();
  Epoch epoch = *(*store)->acquire(0);
  for (ExecutionNo no = 1; no <= 9; ++no) ASSERT_TRUE(at.commit(**store, starting(epoch, no)).ok());
  EXPECT_THAT(*check_sqlite_folder(at.options.folder), IsEmpty());
  store.value().reset();
  EXPECT_THAT(*check_sqlite_folder(at.options.folder), IsEmpty());
  run_sql(at.file(), "UPDATE execution_count SET n = n + 1");
  EXPECT_FALSE(check_sqlite_folder(at.options.folder)->empty());
  EXPECT_EQ(check_sqlite_folder(at.folder.path()).error().code, "StoreUnavailable");
}

TEST(SqliteStore, ABackupIsRestoredAndWhatWasThereIsKept) {
  Opened at;
  std::string backup = at.folder.path() + "/backup.db";
  auto store = at.open();
  Epoch epoch = *(*store)->acquire(0);
  ASSERT_TRUE(at.commit(**store, starting(epoch, 1)).ok());
  ASSERT_TRUE((*store)->backup(backup).ok());
  EXPECT_EQ(mode_of(backup), 0600u);
  ASSERT_TRUE(at.commit(**store, starting(epoch, 2)).ok());
  Status refused = restore_sqlite_folder(backup, at.options.folder);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("in use by process"));
  store.value().reset();
  Status restored = restore_sqlite_folder(backup, at.options.folder);
  ASSERT_TRUE(restored.ok()) << to_text(restored.error());
  store = at.open();
  ASSERT_TRUE(store.ok()) << to_text(store.error());
  EXPECT_TRUE((*store)->find_execution(ExecutionNo{1})->has_value());
  EXPECT_FALSE((*store)->find_execution(ExecutionNo{2})->has_value());
  EXPECT_TRUE(std::filesystem::exists(at.file() + ".before-restore"));
  std::ofstream(backup, std::ios::trunc) << "no database";
  EXPECT_EQ(restore_sqlite_folder(backup, at.folder.path() + "/other").error().code, "StoreCorrupt");
}

TEST(SqliteStore, ABackupReplacesAnEarlierOneAndNothingElse) {
  Opened at;
  const std::string backup = at.folder.path() + "/backup.db", notes = at.folder.path() + "/notes.txt";
  auto store = at.open();
  Epoch epoch = *(*store)->acquire(0);
  ASSERT_TRUE(at.commit(**store, starting(epoch, 1)).ok());
  ASSERT_TRUE((*store)->backup(backup).ok());
  EXPECT_TRUE((*store)->backup(backup).ok());
  std::ofstream(notes) << "not a store";
  std::filesystem::create_symlink(at.file(), at.folder.path() + "/link.db");
  for (const std::string& file :
       {at.file(), notes, at.folder.path() + "/link.db", at.folder.path(), std::string("/dev/null")}) {
    const Status refused = (*store)->backup(file);
    ASSERT_FALSE(refused.ok()) << file;
    EXPECT_THAT(refused.error().message, HasSubstr("is not overwritten")) << file;
  }
  ASSERT_TRUE(at.commit(**store, starting(epoch, 2)).ok());
  store.value().reset();
  store = at.open();
  EXPECT_TRUE((*store)->find_execution(ExecutionNo{2})->has_value());
}

TEST(SqliteStore, ManyThreadsReadWhileOneWrites) {
  Opened at;
  at.options.overlay_bytes_max = 8'000;
  at.options.readers_max = 2;
  auto store = at.open();
  Epoch epoch = *(*store)->acquire(0);
  std::atomic<ExecutionNo> durable{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&, i] {
      SeededRandom random(static_cast<std::uint64_t>(i));
      while (durable < 300) {
        ExecutionNo known = durable;
        if (known == 0) continue;
        ExecutionNo no = 1 + random.next() % known;
        auto row = (*store)->find_execution(execution(no).arn);
        auto frames = (*store)->list_frames(no);
        auto history = (*store)->load_history(no, 1, 10);
        auto listed = (*store)->list_executions({.before = no + 1, .limit = 1});
        bool right = row.ok() && *row && frames.ok() && frames->size() == 1 && history.ok() &&
                     history->size() == 1 && listed.ok() && listed->size() == 1 && listed->front().no == no;
        if (!right) ++wrong;
      }
    });
  }
  for (ExecutionNo no = 1; no <= 300; ++no) {
    ASSERT_TRUE(at.commit(**store, starting(epoch, no)).ok());
    durable = no;
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace sqlite_test

}  // namespace sortie::store
