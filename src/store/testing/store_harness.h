#pragma once
// What contract tests drive a store through: the same steps whatever is behind them. A Kind names a store and
// how eagerly it moves things between its parts; `reopen` is a clean end and a new start on the same durable
// state.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "store/memory/memory_store.h"
#include "store/postgres/postgres_store.h"
#include "store/sqlite/sqlite_store.h"
#include "store/testing/manual_loop.h"
#include "store/testing/postgres_cluster.h"

namespace sortie::store::testing {

enum class Kind {
  kMemory,
  kSqlite,        // As it ships: small tests stay in the overlay.
  kSqliteFolded,  // Every commit pushes the one before it into the tables.
  kSqliteMixed,   // Something in between.
  kPostgres,
};

inline const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::kMemory:
      return "Memory";
    case Kind::kSqlite:
      return "Sqlite";
    case Kind::kSqliteFolded:
      return "SqliteFolded";
    case Kind::kSqliteMixed:
      return "SqliteMixed";
    case Kind::kPostgres:
      return "Postgres";
  }
  return "";
}

// Why stores of this kind cannot be had here; empty: they can.
inline std::string missing_for(Kind kind) {
  return kind == Kind::kPostgres ? shared_cluster().missing() : "";
}

// A private folder that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sortie-store-XXXXXX").string();
    path_ = mkdtemp(pattern.data()) != nullptr ? pattern : "";
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class StoreHarness {
 public:
  explicit StoreHarness(Kind kind) : kind_(kind) {
    if (missing_for(kind).empty()) open();
  }
  ~StoreHarness() { store_.reset(); }

  Kind kind() const { return kind_; }
  Store& store() { return *store_; }
  ManualLoop& loop() { return loop_; }
  const std::string& folder() const { return folder_.path(); }
  Epoch epoch() const { return epoch_; }

  void reopen() {
    if (kind_ == Kind::kMemory) {
      image_ = static_cast<MemoryStore&>(*store_).crash();
    }
    store_.reset();
    loop_.run_until_idle();
    open();
  }

  SqliteOptions sqlite_options() {
    SqliteOptions options;
    options.folder = folder_.path() + "/data";
    options.loop = &loop_;
    options.idle_ms = 0;  // Nothing happens because time passes: each kind does the same in every run.
    if (kind_ == Kind::kSqliteFolded) options.overlay_bytes_max = 2;
    if (kind_ == Kind::kSqliteMixed) options.overlay_bytes_max = 20'000;
    return options;
  }

  PostgresOptions postgres_options() {
    PostgresOptions options;
    options.url = shared_cluster().url();
    options.schema = schema_;
    options.loop = &loop_;
    return options;
  }

  // Appends under the current epoch and waits until the store has answered.
  Status commit(Batch batch) {
    batch.epoch = epoch_;
    return commit_as_is(std::move(batch));
  }

  Status commit_as_is(Batch batch) {
    std::optional<Status> answer;
    store_->append(std::move(batch), [&](Status status) { answer = std::move(status); });
    loop_.run_until([&] { return answer.has_value(); });
    return *answer;
  }

 private:
  void open() {
    if (kind_ == Kind::kMemory) {
      store_ = std::make_unique<MemoryStore>(loop_, std::move(image_));
    } else if (kind_ == Kind::kPostgres) {
      auto opened = open_postgres_store(postgres_options());
      ASSERT_TRUE(opened.ok()) << to_text(opened.error());
      store_ = std::move(opened).value();
    } else {
      auto opened = open_sqlite_store(sqlite_options());
      ASSERT_TRUE(opened.ok()) << to_text(opened.error());
      store_ = std::move(opened).value();
    }
    auto epoch = store_->acquire(0);
    ASSERT_TRUE(epoch.ok()) << to_text(epoch.error());
    epoch_ = *epoch;
  }

  static std::string new_schema() {
    static int last = 0;
    return "test_" + std::to_string(++last);
  }

  Kind kind_;
  const std::string schema_ = new_schema();
  TemporaryFolder folder_;
  ManualLoop loop_;
  MemoryImage image_;
  std::unique_ptr<Store> store_;
  Epoch epoch_ = 0;
};

inline const char kMachine[] = "arn:aws:states:us-east-1:123456789012:stateMachine:Contain";

inline ExecutionRow execution(ExecutionNo no, ExecutionStatus status = ExecutionStatus::kRunning,
                              std::string machine = kMachine) {
  ExecutionRow row;
  row.no = no;
  row.name = "run-" + std::to_string(no);
  std::string machine_name = machine.substr(machine.rfind(':') + 1);
  row.arn = "arn:aws:states:us-east-1:123456789012:execution:" + machine_name + ":" + row.name;
  row.state_machine_arn = std::move(machine);
  row.status = status;
  row.started_at = {1'000 + static_cast<std::int64_t>(no)};
  row.stopped_at = {status == ExecutionStatus::kRunning ? 0 : 5'000 + static_cast<std::int64_t>(no)};
  row.image = "image of " + row.name;
  return row;
}

inline FrameRow frame(ExecutionNo no, FrameNo number, std::string image, Timestamp wake_at = kNever) {
  return {{no, number}, wake_at, std::move(image)};
}

inline std::vector<std::pair<std::int64_t, std::string>> bodies(const std::vector<HistoryChunk>& chunks) {
  std::vector<std::pair<std::int64_t, std::string>> result;
  for (const HistoryChunk& chunk : chunks) result.emplace_back(chunk.first_event_id, chunk.body);
  return result;
}

}  // namespace sortie::store::testing
