// The whole way through the engine, in one process: the real Runtime on the SQLite store, tasks answered at
// once by this program. Each row is held against the raw grouped append (raw_append.h) of the same number of
// bytes in the same run, by as many clients: what the disk and SQLite allow.
//
//   starts     executions of three Pass states; a client starts the next when the start is durable
//   through    transitions a second of ten Pass states; a client waits for the end of its execution
//   blocking   transitions a second of twenty Tasks, each of which is a commit, a dispatch and an answer;
//              as many executions at once as there are clients
//
// Bytes and the raw row are per start, or per transition. A ratio above 1 in `through` is run-to-block: ten
// transitions are one commit, while the raw writer has to append ten rows.
//
//   engine_bench [--seconds S] [--clients N,N,...] [--folder DIR]
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>

#include "base/hash.h"
#include "raw_append.h"
#include "runtime/runtime.h"
#include "store/sqlite/sqlite_store.h"

namespace {

using namespace sortie;
using SteadyClock = std::chrono::steady_clock;

constexpr const char* kPrefix = "arn:aws:states:us-east-1:123456789012:stateMachine:";

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "engine_bench: %s\n", what.c_str());
  std::exit(1);
}

double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

// Of all threads: what the machine's other users cannot disturb much.
double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

std::string chain(int states, const char* state_body) {
  std::string text = R"({"StartAt":"S1","States":{)";
  for (int i = 1; i <= states; ++i) {
    if (i > 1) text += ",";
    text += "\"S" + std::to_string(i) + "\":{" + state_body + ",";
    text += i == states ? "\"End\":true}" : "\"Next\":\"S" + std::to_string(i + 1) + "\"}";
  }
  return text + "}}";
}

// Forwards to the real store and counts the bytes that the runtime hands over.
class CountingStore final : public store::Store {
 public:
  explicit CountingStore(store::Store& below) : below_(below) {}
  std::uint64_t bytes = 0;

  void append(store::Batch batch, Done done) override {
    bytes += batch.bytes();
    below_.append(std::move(batch), std::move(done));
  }
  Result<store::Epoch> acquire(store::ShardNo shard) override { return below_.acquire(shard); }
  Result<std::optional<store::ExecutionRow>> find_execution(std::string_view arn) override {
    return below_.find_execution(arn);
  }
  Result<std::optional<store::ExecutionRow>> find_execution(store::ExecutionNo no) override {
    return below_.find_execution(no);
  }
  Result<std::vector<store::ExecutionRow>> list_executions(const store::ExecutionQuery& query) override {
    return below_.list_executions(query);
  }
  Result<store::StatusCounts> count_executions(std::string_view arn) override {
    return below_.count_executions(arn);
  }
  Result<store::ExecutionNo> last_execution_no() override { return below_.last_execution_no(); }
  Result<std::optional<store::FrameRow>> find_frame(store::FrameKey key) override {
    return below_.find_frame(key);
  }
  Result<std::vector<store::FrameRow>> list_frames(store::ExecutionNo no) override {
    return below_.list_frames(no);
  }
  Result<std::vector<store::FrameRow>> scan_frames(store::FrameKey after, std::size_t limit) override {
    return below_.scan_frames(after, limit);
  }
  Result<std::vector<store::HistoryChunk>> load_history(store::ExecutionNo no, std::int64_t first,
                                                        std::int64_t count) override {
    return below_.load_history(no, first, count);
  }
  Result<std::optional<store::PayloadRow>> find_payload(store::ExecutionNo no,
                                                        store::PayloadNo payload) override {
    return below_.find_payload(no, payload);
  }
  Result<std::optional<std::string>> find_document(std::string_view kind, std::string_view key) override {
    return below_.find_document(kind, key);
  }
  Result<std::vector<store::Document>> list_documents(std::string_view kind, std::string_view after,
                                                      std::size_t limit) override {
    return below_.list_documents(kind, after, limit);
  }
  Result<std::vector<store::LogLine>> search_log(const store::LogQuery& query) override {
    return below_.search_log(query);
  }
  Result<std::size_t> delete_ended_before(Timestamp time, std::size_t limit) override {
    return below_.delete_ended_before(time, limit);
  }
  Result<std::size_t> delete_log_before(std::string_view stream, Timestamp time, std::size_t limit) override {
    return below_.delete_log_before(stream, time, limit);
  }
  Result<std::vector<std::string>> check() override { return below_.check(); }
  Status backup(const std::string& file) override { return below_.backup(file); }
  store::StoreFigures figures() override { return below_.figures(); }

 private:
  store::Store& below_;
};

// A runtime on a fresh folder, whose tasks succeed with their own input as soon as they are dispatched.
class World final : public runtime::TaskDispatcher {
 public:
  explicit World(const std::string& folder) {
    store::SqliteOptions options;
    options.folder = folder;
    options.loop = &loop;
    auto opened = store::open_sqlite_store(std::move(options));
    if (!opened.ok()) fail(to_text(opened.error()));
    sqlite_ = std::move(opened).value();
    counting = std::make_unique<CountingStore>(*sqlite_);
    runtime = runtime::Runtime::make(loop, random_, *counting, *this, {});
    if (const Status status = runtime->recover(); !status) fail(to_text(status.error()));
    publish("starts", chain(3, R"("Type":"Pass")"));
    publish("through", chain(10, R"("Type":"Pass")"));
    publish("blocking",
            chain(20, R"("Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:F")"));
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() override {
    bool drained = false;
    runtime->drain([&] { drained = true; });
    loop.run_until([&] { return drained; });
  }

  void dispatch(runtime::TaskOrder order) override {
    loop.post([this, key = order.key, parameters = std::move(order.parameters)] {
      runtime->task_succeeded(key, parameters);
    });
  }
  void cancel(const runtime::AttemptKey&) override {}

  ManualLoop loop;
  std::unique_ptr<CountingStore> counting;
  std::unique_ptr<runtime::Runtime> runtime;

 private:
  void publish(const std::string& name, std::string definition) {
    runtime::StateMachineRecord record;
    record.arn = kPrefix + name;
    record.name = name;
    record.definition = std::move(definition);
    record.role_arn = "arn:aws:iam::123456789012:role/bench";
    record.revision_id = "1";
    bool kept = false;
    runtime->put_state_machine(std::move(record), {}, [&](const auto& answer) {
      if (!answer.ok()) fail(to_text(answer.error()));
      kept = true;
    });
    loop.run_until([&] { return kept; });
  }

  SeededRandom random_{7};
  std::unique_ptr<store::Store> sqlite_;
};

struct Cell {
  double per_second = 0;
  double commits_per_second = 0;
  double bytes_each = 0;
  double cpu_us_each = 0;
};

// `clients` blocking clients, each with one execution of `machine` at a time. A client of "starts" goes on
// when its start is durable, the others when their execution has ended.
class Clients {
 public:
  Clients(World& world, std::string machine, double seconds)
      : world_(world), machine_(std::move(machine)), seconds_(seconds) {}

  Cell run(std::size_t clients) {
    const bool starts = machine_ == "starts";
    const auto before = world_.runtime->figures();
    const std::uint64_t commits = world_.counting->figures().commits;
    const std::uint64_t bytes = world_.counting->bytes;
    const double cpu = cpu_seconds();
    for (std::size_t i = 0; i < clients; ++i) begin();
    world_.loop.run_until([&] {
      stopping_ = stopping_ || seconds_since(began_) >= seconds_;
      return stopping_ && in_flight_ == 0 && world_.runtime->figures().open_executions == 0;
    });
    const double elapsed = seconds_since(began_);
    const auto after = world_.runtime->figures();
    const auto count =
        static_cast<double>(starts ? after.started - before.started : after.transitions - before.transitions);
    return {count / elapsed, static_cast<double>(world_.counting->figures().commits - commits) / elapsed,
            static_cast<double>(world_.counting->bytes - bytes) / count, (cpu_seconds() - cpu) * 1e6 / count};
  }

 private:
  void begin() {
    ++in_flight_;
    runtime::StartRequest request;
    request.state_machine_arn = kPrefix + machine_;
    request.input_text =
        R"({"finding":{"id":"0123456789abcdef","severity":8,"instance":"i-0123456789abcdef0",)"
        R"("region":"us-east-1","account":"123456789012","tags":["critical","web"]}})";
    world_.runtime->start_execution(std::move(request), [this](Result<runtime::StartReply> reply) {
      if (!reply) fail(to_text(reply.error()));
      if (machine_ == "starts") return over();
      const std::uint64_t id = ++last_wait_;
      waits_[id] = world_.runtime->when_ended(reply->execution_arn,
                                              [this, id](const runtime::ExecutionDescription& ended) {
                                                if (ended.status != store::ExecutionStatus::kSucceeded)
                                                  fail(ended.cause.value_or("it failed"));
                                                world_.loop.post([this, id] {
                                                  waits_.erase(id);
                                                  over();
                                                });
                                              });
    });
  }
  void over() {
    --in_flight_;
    if (!stopping_) begin();
  }

  World& world_;
  const std::string machine_;
  const double seconds_;
  const SteadyClock::time_point began_ = SteadyClock::now();
  std::map<std::uint64_t, std::shared_ptr<void>> waits_;
  std::uint64_t last_wait_ = 0;
  std::size_t in_flight_ = 0;
  bool stopping_ = false;
};

struct Arguments {
  double seconds = 2.0;
  std::vector<std::size_t> clients = {1, 16, 64, 256};
  std::string folder;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (i + 1 >= argc) fail(name + " wants a value");
    if (name == "--seconds") {
      arguments.seconds = std::strtod(argv[i + 1], nullptr);
    } else if (name == "--folder") {
      arguments.folder = argv[i + 1];
    } else if (name == "--clients") {
      arguments.clients.clear();
      for (char* text = argv[i + 1]; *text != '\0'; text += *text == ',') {
        arguments.clients.push_back(std::strtoull(text, &text, 10));
        if (arguments.clients.back() == 0) fail("numbers are wanted, with commas between them");
      }
    } else {
      fail("unknown option " + name + "; known: --seconds, --clients, --folder");
    }
  }
  return arguments;
}

void run(const Arguments& arguments, const std::string& folder) {
  std::printf("%-9s %7s %10s %10s %8s %9s %12s %7s\n", "what", "clients", "each/s", "commits/s", "CPU us",
              "bytes", "raw rows/s", "ratio");
  int number = 0;
  for (const char* machine : {"starts", "through", "blocking"}) {
    World world(folder + "/" + machine);
    for (const std::size_t clients : arguments.clients) {
      const Cell cell = Clients(world, machine, arguments.seconds).run(clients);
      bench::RawAppender raw(folder + "/raw" + std::to_string(++number) + ".db",
                             static_cast<std::size_t>(cell.bytes_each));
      const double limit = raw.measure(clients, arguments.seconds / 2);
      std::printf("%-9s %7zu %10.0f %10.0f %8.1f %9.0f %12.0f %7.2f\n", machine, clients, cell.per_second,
                  cell.commits_per_second, cell.cpu_us_each, cell.bytes_each, limit, cell.per_second / limit);
      std::fflush(stdout);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  if (!arguments.folder.empty()) {
    std::filesystem::create_directories(arguments.folder);
    run(arguments, arguments.folder);
    return 0;
  }
  // Not in /tmp by name: that is memory on many machines, and memory is not what is measured.
  std::string pattern = (std::filesystem::current_path() / "engine-bench-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) fail("cannot make " + pattern);
  run(arguments, pattern);
  std::filesystem::remove_all(pattern);
  return 0;
}
