#pragma once
// The real Runtime on the SQLite store in one process, on a loop that the benchmark drives; its tasks succeed
// with their own input as soon as they are dispatched, except those that wait for their token.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/hash.h"
#include "raw_append.h"
#include "runtime/runtime.h"
#include "store/sqlite/sqlite_store.h"

namespace sortie::bench {

using SteadyClock = std::chrono::steady_clock;

inline constexpr const char* kPrefix = "arn:aws:states:us-east-1:123456789012:stateMachine:";

[[noreturn]] inline void fail(const std::string& what) {
  std::fprintf(stderr, "bench: %s\n", what.c_str());
  std::exit(1);
}

inline double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

// Of all threads: what the machine's other users cannot disturb much.
inline double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// Runs in the folder that was given, else in one of its own under the current folder. Not in /tmp by name:
// that is memory on many machines, and memory is not what is measured.
inline int in_folder(const std::string& given, const char* name,
                     const std::function<void(const std::string& folder)>& run) {
  if (!given.empty()) {
    std::filesystem::create_directories(given);
    run(given);
    return 0;
  }
  std::string pattern = (std::filesystem::current_path() / (std::string(name) + "-XXXXXX")).string();
  if (mkdtemp(pattern.data()) == nullptr) fail("cannot make " + pattern);
  run(pattern);
  std::filesystem::remove_all(pattern);
  return 0;
}

inline std::string chain(int states, const char* state_body) {
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

// A runtime on a folder, fresh or used before, whose tasks succeed with their own input as soon as they are
// dispatched.
class World final : public runtime::TaskDispatcher {
 public:
  // A process that goes on with a folder needs another seed: names of executions are made of it.
  explicit World(const std::string& folder, std::uint64_t seed = 7, const runtime::Options& more = {})
      : random_(seed) {
    store::SqliteOptions options;
    options.folder = folder;
    options.loop = &loop;
    auto opened = store::open_sqlite_store(std::move(options));
    if (!opened.ok()) fail(to_text(opened.error()));
    sqlite_ = std::move(opened).value();
    counting = std::make_unique<CountingStore>(*sqlite_);
    runtime = runtime::Runtime::make(loop, random_, *counting, *this, more);
    if (const Status status = runtime->recover(); !status) fail(to_text(status.error()));
    publish("starts", chain(3, R"("Type":"Pass")"));
    publish("through", chain(10, R"("Type":"Pass")"));
    publish("blocking",
            chain(20, R"("Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:F")"));
    publish(
        "parked",
        chain(1, R"("Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken",)"
                 R"("TimeoutSeconds":86400,"Parameters":{"QueueUrl":"q","MessageBody.$":"$$.Task.Token"})"));
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() override {
    bool drained = false;
    runtime->drain([&] { drained = true; });
    loop.run_until([&] { return drained; });
  }

  void dispatch(runtime::TaskOrder order) override {
    if (!order.task_token.empty()) {
      if (on_token) on_token(order.task_token);
      loop.post([this, key = order.key] { runtime->task_submitted(key, json::Value::object({})); });
      return;
    }
    loop.post([this, key = order.key, parameters = std::move(order.parameters)] {
      runtime->task_succeeded(key, parameters);
    });
  }
  void cancel(const runtime::AttemptKey&) override {}

  ManualLoop loop;
  std::function<void(const std::string& token)> on_token;
  std::unique_ptr<CountingStore> counting;
  std::unique_ptr<runtime::Runtime> runtime;

  void publish(const std::string& name, std::string definition, const std::string& type = "STANDARD") {
    runtime::StateMachineRecord record;
    record.arn = kPrefix + name;
    record.name = name;
    record.type = type;
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

 private:
  SeededRandom random_;
  std::unique_ptr<store::Store> sqlite_;
};

}  // namespace sortie::bench
