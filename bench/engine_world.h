#pragma once
// The real Runtime on the SQLite store in one process, on a loop that the benchmark drives; its tasks succeed
// with their own input as soon as they are dispatched, except those that wait for their token.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/hash.h"
#include "raw_append.h"
#include "runtime/runtime.h"
#include "store/forwarding.h"
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

inline double thread_cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
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

// Counts what the runtime hands over to the real store.
class CountingStore final : public store::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  std::uint64_t bytes = 0;
  std::uint64_t rows = 0;  // Images, history chunks, payloads, documents and log lines.

  void append(store::Batch batch, Done done) override {
    bytes += batch.bytes();
    rows += batch.executions.size() + batch.frames.size() + batch.payloads.size() + batch.history.size() +
            batch.documents.size() + batch.log.size();
    ForwardingStore::append(std::move(batch), std::move(done));
  }
};

// A runtime on a folder, fresh or used before, whose tasks succeed with their own input as soon as they are
// dispatched.
template <typename LoopT>
class WorldOf final : public runtime::TaskDispatcher {
 public:
  // A process that goes on with a folder needs another seed: names of executions are made of it.
  explicit WorldOf(const std::string& folder, std::uint64_t seed = 7, const runtime::Options& more = {})
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
    publish("waiting", chain(1, R"("Type":"Wait","TimestampPath":"$.at")"));
    publish("endless", R"({"StartAt":"S","States":{"S":{"Type":"Task","Next":"S","Resource":)"
                       R"("arn:aws:lambda:us-east-1:123456789012:function:F"}}})");
  }
  WorldOf(const WorldOf&) = delete;
  WorldOf& operator=(const WorldOf&) = delete;
  ~WorldOf() override {
    answers_ = false;  // Else there would always be one more commit under way.
    bool drained = false;
    runtime->drain([&] { drained = true; });
    loop.run_until([&] { return drained; });
  }

  void dispatch(runtime::TaskOrder order) override {
    if (on_dispatch) on_dispatch();
    if (!answers_) return;
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

  LoopT loop;
  std::function<void(const std::string& token)> on_token;
  std::function<void()> on_dispatch;
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
  bool answers_ = true;
};

// On virtual time, for what does not wait.
using World = WorldOf<ManualLoop>;

inline double quantile(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::size_t>(part * static_cast<double>(values.size()));
  std::sort(values.begin(), values.end());
  return values[std::min(at, values.size() - 1)];
}

}  // namespace sortie::bench
