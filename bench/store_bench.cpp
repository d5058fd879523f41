// What the stores are worth: durable transitions a second with N blocking clients (each has one transition in
// flight), for executions picked at random among the open ones. Four layouts in one run:
//
//   raw      one row a transition with the same bytes, appended: the limit
//   rows     one image row an execution, replaced in place, and one history row with a unique index
//   journal  our SQLite store: the frame image and the history of the transition in a Batch
//   postgres our PostgreSQL store with the same batches, on a server of its own on this machine (unix socket,
//            fsync on), where PostgreSQL is installed; its bytes are its write-ahead log, CPU is ours only
//
// The first three use SQLite with 4 KiB pages, WAL and full fsync; all have one writer thread, and groups
// that form by themselves. `ratio` is against raw, `x rows` against rows. Bytes a transition are what reached
// the block layer (write_bytes of /proc/self/io), checkpoints included as far as they happened. The disk is
// shared: compare within one run.
//
//   store_bench [--seconds S] [--open N,N,...] [--clients N,N,...] [--folder DIR]
#include <sqlite3.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "store/postgres/connection.h"
#include "store/postgres/postgres_store.h"
#include "store/sqlite/sqlite_store.h"
#include "store/testing/manual_loop.h"
#include "store/testing/postgres_cluster.h"

namespace {

using namespace sortie;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kImageBytes = 300;
constexpr std::size_t kHistoryBytes = 640;
constexpr std::int32_t kEvents = 3;

double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

std::uint64_t disk_bytes_written() {
  std::ifstream io("/proc/self/io");
  std::string word;
  std::uint64_t value = 0;
  while (io >> word) {
    if (word == "write_bytes:") io >> value;
  }
  return value;
}

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "store_bench: %s\n", what.c_str());
  std::exit(1);
}

// Of all threads: what the machine's other users cannot disturb much.
double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

struct Cell {
  double per_second = 0;
  double cpu_us_each = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double bytes_each = 0;
};

// One way to make a transition of execution `no` durable; `done` runs on the driver's loop.
class Layout {
 public:
  virtual ~Layout() = default;
  virtual void fill(
      std::uint64_t open) = 0;  // That many open executions are there before anything is measured.
  virtual void transition(std::uint64_t no, std::function<void()> done) = 0;
  virtual ManualLoop& loop() = 0;
  virtual std::uint64_t bytes_written() { return disk_bytes_written(); }
};

// The writer that the plain layouts share: a thread that commits whatever has queued up.
class GroupedSqlite : public Layout {
 public:
  explicit GroupedSqlite(const std::string& file) {
    std::filesystem::remove(file);
    if (sqlite3_open(file.c_str(), &db_) != SQLITE_OK) fail("cannot open " + file);
    run("PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "PRAGMA wal_autocheckpoint=4000; PRAGMA cache_size=-65536");
  }
  ~GroupedSqlite() override {
    if (thread_.joinable()) {
      {
        std::lock_guard lock(mutex_);
        stop_ = true;
      }
      wake_.notify_one();
      thread_.join();
    }
    for (sqlite3_stmt* statement : statements_) sqlite3_finalize(statement);
    sqlite3_close(db_);
  }

  ManualLoop& loop() override { return loop_; }
  void transition(std::uint64_t no, std::function<void()> done) override {
    {
      std::lock_guard lock(mutex_);
      queue_.emplace_back(no, std::move(done));
    }
    wake_.notify_one();
  }

 protected:
  virtual void write(std::uint64_t no) = 0;  // Inside the group's transaction.

  void run(const char* sql) {
    if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail(sqlite3_errmsg(db_));
  }
  sqlite3_stmt* prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db_, sql, -1, &statement, nullptr) != SQLITE_OK) fail(sqlite3_errmsg(db_));
    statements_.push_back(statement);
    return statement;
  }
  void step(sqlite3_stmt* statement) {
    if (sqlite3_step(statement) != SQLITE_DONE) fail(sqlite3_errmsg(db_));
    sqlite3_reset(statement);
  }
  static void bind(sqlite3_stmt* statement, int index, const std::string& bytes) {
    sqlite3_bind_blob(statement, index, bytes.data(), static_cast<int>(bytes.size()), SQLITE_STATIC);
  }
  void start() {
    thread_ = std::thread([this] { work(); });
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return stop_ || !queue_.empty(); });
      if (stop_) return;
      std::deque<std::pair<std::uint64_t, std::function<void()>>> group;
      group.swap(queue_);
      lock.unlock();
      run("BEGIN IMMEDIATE");
      for (const auto& [no, done] : group) write(no);
      run("COMMIT");
      loop_.post([group = std::move(group)] {
        for (const auto& [no, done] : group) done();
      });
      lock.lock();
    }
  }

  sqlite3* db_ = nullptr;
  std::vector<sqlite3_stmt*> statements_;
  ManualLoop loop_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::pair<std::uint64_t, std::function<void()>>> queue_;
  bool stop_ = false;
  std::thread thread_;
};

class RawLayout final : public GroupedSqlite {
 public:
  explicit RawLayout(const std::string& folder) : GroupedSqlite(folder + "/raw.db") {
    run("CREATE TABLE line(no INTEGER PRIMARY KEY, body BLOB) STRICT");
    insert_ = prepare("INSERT INTO line(body) VALUES(?)");
    start();
  }
  void fill(std::uint64_t) override {}

 private:
  void write(std::uint64_t) override {
    bind(insert_, 1, body_);
    step(insert_);
  }
  sqlite3_stmt* insert_ = nullptr;
  const std::string body_ = std::string(kImageBytes + kHistoryBytes + 24, 'r');
};

class RowsLayout final : public GroupedSqlite {
 public:
  explicit RowsLayout(const std::string& folder) : GroupedSqlite(folder + "/rows.db") {
    run("CREATE TABLE execution(no INTEGER PRIMARY KEY, image BLOB) STRICT;"
        "CREATE TABLE history(seq INTEGER PRIMARY KEY, execution INTEGER, event INTEGER, body BLOB) STRICT;"
        "CREATE UNIQUE INDEX history_key ON history(execution, event)");
    image_insert_ =
        prepare("INSERT INTO execution VALUES(?, ?) ON CONFLICT(no) DO UPDATE SET image=excluded.image");
    history_insert_ = prepare("INSERT INTO history(execution, event, body) VALUES(?, ?, ?)");
  }
  void fill(std::uint64_t open) override {
    next_event_.assign(open + 1, 1);
    run("BEGIN");
    for (std::uint64_t no = 1; no <= open; ++no) write(no);
    run("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
    start();
  }

 private:
  void write(std::uint64_t no) override {
    sqlite3_bind_int64(image_insert_, 1, static_cast<sqlite3_int64>(no));
    bind(image_insert_, 2, image_);
    step(image_insert_);
    sqlite3_bind_int64(history_insert_, 1, static_cast<sqlite3_int64>(no));
    sqlite3_bind_int64(history_insert_, 2, static_cast<sqlite3_int64>(next_event_[no]));
    bind(history_insert_, 3, history_);
    step(history_insert_);
    next_event_[no] += kEvents;
  }
  sqlite3_stmt* image_insert_ = nullptr;
  sqlite3_stmt* history_insert_ = nullptr;
  std::vector<std::int64_t> next_event_;
  const std::string image_ = std::string(kImageBytes, 'i');
  const std::string history_ = std::string(kHistoryBytes, 'h');
};

class StoreLayout : public Layout {
 public:
  ManualLoop& loop() override { return loop_; }

  void fill(std::uint64_t open) override {
    next_event_.assign(open + 1, 1);
    std::uint64_t told = 0;
    for (std::uint64_t no = 1; no <= open;) {
      std::uint64_t before = no;
      for (; no <= open && no < before + 500; ++no) {
        store::Batch batch = batch_of(no);
        store::ExecutionRow row;
        row.no = no;
        row.name = random_hex(random_, 16);
        row.state_machine_arn = "arn:aws:states:us-east-1:123456789012:stateMachine:Contain";
        row.arn = "arn:aws:states:us-east-1:123456789012:execution:Contain:" + row.name;
        batch.executions.push_back(std::move(row));
        store_->append(std::move(batch), [&](Status status) { note(status, &told); });
      }
      loop_.run_until([&] { return told == no - 1; });
    }
  }

  void transition(std::uint64_t no, std::function<void()> done) override {
    store_->append(batch_of(no), [done = std::move(done)](Status status) {
      if (!status) fail(to_text(status.error()));
      done();
    });
  }

 protected:
  void take(Result<std::unique_ptr<store::Store>> opened) {
    if (!opened.ok()) fail(to_text(opened.error()));
    store_ = std::move(opened).value();
    epoch_ = *store_->acquire(0);
  }
  void close() { store_.reset(); }

 private:
  static void note(const Status& status, std::uint64_t* told) {
    if (!status) fail(to_text(status.error()));
    ++*told;
  }
  store::Batch batch_of(std::uint64_t no) {
    store::Batch batch;
    batch.epoch = epoch_;
    batch.frames.push_back({{no, 0}, kNever, std::string(kImageBytes, 'i')});
    batch.history.push_back({no, next_event_[no], kEvents, std::string(kHistoryBytes, 'h')});
    next_event_[no] += kEvents;
    return batch;
  }

  ManualLoop loop_;
  SeededRandom random_{7};
  std::unique_ptr<store::Store> store_;
  store::Epoch epoch_ = 0;
  std::vector<std::int64_t> next_event_;
};

class JournalLayout final : public StoreLayout {
 public:
  explicit JournalLayout(const std::string& folder) {
    store::SqliteOptions options;
    options.folder = folder + "/journal";
    std::filesystem::remove_all(options.folder);
    options.loop = &loop();
    take(store::open_sqlite_store(options));
  }
};

class PostgresLayout final : public StoreLayout {
 public:
  explicit PostgresLayout(const std::string& folder) : cluster_(folder, true) {
    if (!is_there()) return;
    store::PostgresOptions options;
    options.url = cluster_.url();
    options.loop = &loop();
    take(store::open_postgres_store(options));
    store::postgres::ConnectionOptions own;
    own.url = cluster_.url();
    own.schema = options.schema;
    auto opened = store::postgres::Connection::open(own);
    if (!opened.ok()) fail(to_text(opened.error()));
    connection_ = std::move(opened).value();
  }
  ~PostgresLayout() override { close(); }
  bool is_there() const { return cluster_.missing().empty(); }
  std::uint64_t bytes_written() override {
    auto answer = connection_->query("SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint");
    return answer.ok() ? static_cast<std::uint64_t>(answer->integer(0, 0)) : 0;
  }

 private:
  store::testing::PostgresCluster cluster_;
  std::unique_ptr<store::postgres::Connection> connection_;
};

// `clients` blocking clients for `seconds`: each begins its next transition when the last one is durable.
Cell measure(Layout& layout, std::uint64_t open, std::size_t clients, double seconds) {
  SeededRandom random(clients);
  std::vector<double> latencies;
  std::size_t in_flight = 0;
  bool stopping = false;
  auto start = SteadyClock::now();
  std::uint64_t bytes_before = layout.bytes_written();
  double cpu_before = cpu_seconds();
  std::function<void()> begin = [&] {
    auto began = SteadyClock::now();
    ++in_flight;
    layout.transition(1 + random.next() % open, [&, began] {
      --in_flight;
      latencies.push_back(seconds_since(began) * 1000);
      if (!stopping) begin();
    });
  };
  for (std::size_t i = 0; i < clients; ++i) begin();
  layout.loop().run_until([&] {
    stopping = stopping || seconds_since(start) >= seconds;
    return stopping && in_flight == 0;
  });
  double elapsed = seconds_since(start);
  Cell cell;
  cell.per_second = static_cast<double>(latencies.size()) / elapsed;
  cell.cpu_us_each = (cpu_seconds() - cpu_before) * 1e6 / static_cast<double>(latencies.size());
  cell.bytes_each =
      static_cast<double>(layout.bytes_written() - bytes_before) / static_cast<double>(latencies.size());
  std::sort(latencies.begin(), latencies.end());
  cell.p50_ms = latencies[latencies.size() / 2];
  cell.p99_ms = latencies[latencies.size() * 99 / 100];
  return cell;
}

struct Arguments {
  double seconds = 1.0;
  std::vector<std::uint64_t> open = {2'000, 100'000};
  std::vector<std::uint64_t> clients = {16, 64, 256};
  std::string folder;
};

std::vector<std::uint64_t> numbers_of(const char* text) {
  std::vector<std::uint64_t> numbers;
  while (*text != '\0') {
    char* end = nullptr;
    numbers.push_back(std::strtoull(text, &end, 10));
    if (end == text || numbers.back() == 0) fail("numbers are wanted, with commas between them");
    text = *end == ',' ? end + 1 : end;
  }
  return numbers;
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; i += 2) {
    std::string name = argv[i];
    if (i + 1 >= argc) fail(name + " wants a value");
    if (name == "--seconds") {
      arguments.seconds = std::strtod(argv[i + 1], nullptr);
    } else if (name == "--open") {
      arguments.open = numbers_of(argv[i + 1]);
    } else if (name == "--clients") {
      arguments.clients = numbers_of(argv[i + 1]);
    } else if (name == "--folder") {
      arguments.folder = argv[i + 1];
    } else {
      fail("unknown option " + name + "; known: --seconds, --open, --clients, --folder");
    }
  }
  return arguments;
}

void print(std::uint64_t open, std::uint64_t clients, const char* layout, const Cell& cell, const Cell& raw,
           const Cell& rows) {
  std::printf("%9llu %7llu  %-8s %11.0f %7.2f %7.2f %8.1f %9.0f %8.2f %8.2f\n",
              static_cast<unsigned long long>(open), static_cast<unsigned long long>(clients), layout,
              cell.per_second, cell.per_second / raw.per_second, cell.per_second / rows.per_second,
              cell.cpu_us_each, cell.bytes_each, cell.p50_ms, cell.p99_ms);
  std::fflush(stdout);
}

void run(const Arguments& arguments, const std::string& folder) {
  std::printf("%9s %7s  %-8s %11s %7s %7s %8s %9s %8s %8s\n", "open", "clients", "layout", "transit./s",
              "ratio", "x rows", "CPU us", "bytes/tr.", "p50 ms", "p99 ms");
  for (std::uint64_t open : arguments.open) {
    RawLayout raw(folder);
    RowsLayout rows(folder);
    rows.fill(open);
    JournalLayout journal(folder);
    journal.fill(open);
    PostgresLayout postgres(folder);
    if (postgres.is_there()) postgres.fill(open);
    for (std::uint64_t clients : arguments.clients) {
      Cell raw_cell = measure(raw, open, clients, arguments.seconds);
      Cell rows_cell = measure(rows, open, clients, arguments.seconds);
      Cell journal_cell = measure(journal, open, clients, arguments.seconds);
      print(open, clients, "raw", raw_cell, raw_cell, rows_cell);
      print(open, clients, "rows", rows_cell, raw_cell, rows_cell);
      print(open, clients, "journal", journal_cell, raw_cell, rows_cell);
      if (!postgres.is_there()) continue;
      Cell postgres_cell = measure(postgres, open, clients, arguments.seconds);
      print(open, clients, "postgres", postgres_cell, raw_cell, rows_cell);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments = parse(argc, argv);
  if (!arguments.folder.empty()) {
    std::filesystem::create_directories(arguments.folder);
    run(arguments, arguments.folder);
    return 0;
  }
  // Not in /tmp by name: that is memory on many machines, and memory is not what is measured.
  std::string pattern = (std::filesystem::current_path() / "store-bench-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) fail("cannot make " + pattern);
  // PostgreSQL's user has to find its own folder in it.
  std::filesystem::permissions(pattern, std::filesystem::perms(0711));
  run(arguments, pattern);
  std::filesystem::remove_all(pattern);
  return 0;
}
