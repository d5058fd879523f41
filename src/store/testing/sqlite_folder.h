#pragma once
// A folder of the SQLite store in a test, and its file behind the store's back.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "store/testing/store_harness.h"

namespace sortie::store::testing {

inline void run_sql(const std::string& file, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
  sqlite3_close(db);
}

inline std::int64_t number_of(const std::string& file, const std::string& sql) {
  sqlite3* db = nullptr;
  std::int64_t number = -1;
  EXPECT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
  const auto read = [](void* out, int, char** columns, char**) {
    *static_cast<std::int64_t*>(out) = std::strtoll(columns[0], nullptr, 10);
    return 0;
  };
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), read, &number, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
  sqlite3_close(db);
  return number;
}

struct Opened {
  TemporaryFolder folder;
  ManualLoop loop;
  SqliteOptions options;

  Opened() {
    options.folder = folder.path() + "/data";
    options.loop = &loop;
    options.idle_ms = 0;
  }
  std::string file() const { return options.folder + "/sortie.db"; }
  Result<std::unique_ptr<Store>> open() { return open_sqlite_store(options); }
  Status commit(Store& store, Batch batch) {
    std::optional<Status> answer;
    store.append(std::move(batch), [&](Status status) { answer = std::move(status); });
    loop.run_until([&] { return answer.has_value(); });
    return *answer;
  }
};

inline Batch starting(Epoch epoch, ExecutionNo no) {
  Batch batch;
  batch.epoch = epoch;
  batch.executions.push_back(execution(no));
  batch.frames.push_back(frame(no, 0, "top"));
  batch.history.push_back({no, 1, 1, "h1"});
  batch.terms.push_back({no, "", {1}});
  return batch;
}

}  // namespace sortie::store::testing
