#pragma once
// Stand-ins for the shell, for tests of the floors above it: a loop with a hand-moved clock, a store that
// keeps documents and log lines and commits when the loop turns (or when told to, or never), and a Runtime
// that knows tokens, reports and child executions but runs no engine.
//
// What the process had in memory dies with the objects under test; what a crash leaves is exactly what
// FakeStore committed. Included by *_test.cpp only.
#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/text.h"
#include "json/text.h"
#include "runtime/runtime.h"
#include "store/store.h"

namespace sortie::fakes {

class ManualLoop final : public Loop {
 public:
  Timestamp now() override { return now_; }
  void post(Callback callback) override { posted_.push_back(std::move(callback)); }
  TimerId call_at(Timestamp due, Callback callback) override {
    timers_[{due.ms, ++last_timer_}] = std::move(callback);
    return last_timer_;
  }
  void cancel(TimerId timer) override {
    std::erase_if(timers_, [timer](const auto& entry) { return entry.first.second == timer; });
  }

  // Runs everything that is posted, and what that posts.
  void run() {
    while (!posted_.empty()) {
      Callback callback = std::move(posted_.front());
      posted_.pop_front();
      callback();
    }
  }
  // Moves the clock, firing timers in order on the way.
  void advance_ms(std::int64_t ms) {
    const std::int64_t end = now_.ms + ms;
    run();
    while (!timers_.empty() && timers_.begin()->first.first <= end) {
      auto entry = timers_.extract(timers_.begin());
      now_.ms = std::max(now_.ms, entry.key().first);
      entry.mapped()();
      run();
    }
    now_.ms = end;
  }
  std::size_t timer_count() const { return timers_.size(); }
  // The process died: nothing that was planned happens.
  void forget_everything() {
    posted_.clear();
    timers_.clear();
  }

 private:
  Timestamp now_{1'795'392'000'000};  // 2026-11-23T00:00:00Z
  std::deque<Callback> posted_;
  std::map<std::pair<std::int64_t, TimerId>, Callback> timers_;
  TimerId last_timer_ = 0;
};

class FakeStore final : public store::Store {
 public:
  explicit FakeStore(ManualLoop& loop) : loop_(loop) {}

  bool fail = false;            // Every batch fails from now on.
  bool hold = false;            // Batches stay queued until commit_all().
  bool lose_callbacks = false;  // Batches become durable, but nobody hears of it: the process died then.
  std::size_t commits = 0;
  std::map<std::pair<std::string, std::string>, std::string> documents;
  std::vector<store::LogLine> log;

  Result<store::Epoch> acquire(store::ShardNo) override { return store::Epoch{1}; }
  void append(store::Batch batch, Done done) override {
    queue_.push_back({std::move(batch), std::move(done)});
    if (!hold) loop_.post([this] { commit_one(); });
  }
  void commit_all() {
    while (!queue_.empty()) commit_one();
  }
  std::size_t queued() const { return queue_.size(); }
  void forget_queue() { queue_.clear(); }

  Result<std::optional<std::string>> find_document(std::string_view kind, std::string_view key) override {
    const auto found = documents.find({std::string(kind), std::string(key)});
    if (found == documents.end()) return std::optional<std::string>{};
    return std::optional<std::string>(found->second);
  }
  Result<std::vector<store::Document>> list_documents(std::string_view kind, std::string_view after_key,
                                                      std::size_t limit) override {
    std::vector<store::Document> found;
    for (const auto& [name, value] : documents) {
      if (name.first != kind || name.second <= after_key || found.size() >= limit) continue;
      found.push_back({name.first, name.second, value});
    }
    return found;
  }
  Result<std::vector<store::LogLine>> search_log(const store::LogQuery& query) override {
    std::vector<store::LogLine> found;
    for (const store::LogLine& line : log) {
      if (line.stream != query.stream || line.sequence <= query.after_sequence) continue;
      if (line.sequence >= query.before_sequence || line.time < query.from || line.time >= query.before)
        continue;
      if (!query.type.empty() && line.type != query.type) continue;
      if (!query.source.empty() && line.source != query.source) continue;
      if (!query.subject.empty() && line.subject != query.subject) continue;
      if (line.body.find(query.text) == std::string::npos) continue;
      found.push_back(line);
    }
    if (query.newest_first) std::reverse(found.begin(), found.end());
    if (found.size() > query.limit) found.resize(query.limit);
    return found;
  }

  Result<std::optional<store::ExecutionRow>> find_execution(std::string_view) override { return none(); }
  Result<std::optional<store::ExecutionRow>> find_execution(store::ExecutionNo) override { return none(); }
  Result<std::vector<store::ExecutionRow>> list_executions(const store::ExecutionQuery&) override {
    return std::vector<store::ExecutionRow>{};
  }
  Result<store::StatusCounts> count_executions(std::string_view) override { return store::StatusCounts{}; }
  Result<std::map<std::string, std::uint64_t>> count_running() override {
    return std::map<std::string, std::uint64_t>{};
  }
  Result<store::ExecutionNo> last_execution_no() override { return store::ExecutionNo{0}; }
  Result<std::optional<store::FrameRow>> find_frame(store::FrameKey) override {
    return std::optional<store::FrameRow>{};
  }
  Result<std::vector<store::FrameRow>> list_frames(store::ExecutionNo) override {
    return std::vector<store::FrameRow>{};
  }
  Result<std::vector<store::FrameRow>> scan_frames(store::FrameKey, std::size_t) override {
    return std::vector<store::FrameRow>{};
  }
  Result<std::vector<store::HistoryChunk>> load_history(store::ExecutionNo, std::int64_t,
                                                        std::int64_t) override {
    return std::vector<store::HistoryChunk>{};
  }
  Result<std::optional<store::PayloadRow>> find_payload(store::ExecutionNo, store::PayloadNo) override {
    return std::optional<store::PayloadRow>{};
  }
  Result<std::size_t> delete_ended_before(Timestamp, std::size_t) override { return std::size_t{0}; }
  Result<std::size_t> delete_log_before(std::string_view, Timestamp, std::size_t) override {
    return std::size_t{0};
  }
  Result<std::vector<std::string>> check() override { return std::vector<std::string>{}; }
  Status backup(const std::string&) override { return {}; }
  store::StoreFigures figures() override { return {}; }

 private:
  static std::optional<store::ExecutionRow> none() { return std::nullopt; }
  void commit_one() {
    if (queue_.empty()) return;
    auto [batch, done] = std::move(queue_.front());
    queue_.pop_front();
    if (fail) {
      loop_.post([done = done] { done(Error{"StoreUnavailable", "The disk is gone"}); });
      return;
    }
    ++commits;
    for (store::Document& row : batch.documents) documents[{row.kind, row.key}] = row.value;
    for (const auto& name : batch.documents_gone) documents.erase(name);
    for (store::LogLine& line : batch.log) {
      line.sequence = ++last_sequence_;
      log.push_back(std::move(line));
    }
    if (!lose_callbacks) loop_.post([done = done] { done({}); });
  }

  ManualLoop& loop_;
  std::deque<std::pair<store::Batch, Done>> queue_;
  std::uint64_t last_sequence_ = 0;
};

// One answer that the Runtime was given for an attempt, by token or by report.
struct Answer {
  std::string kind;  // "submitted", "succeeded", "failed", "token-success", "token-failure", "heartbeat"
  runtime::AttemptKey key;
  json::Value output;
  std::string error, cause;
};

class FakeRuntime final : public runtime::Runtime {
 public:
  FakeRuntime(ManualLoop& loop, FakeStore& store) : loop_(loop), store_(store) {}

  std::map<std::string, runtime::AttemptKey, std::less<>> waiting_tokens;  // Attempts that wait for a token.
  std::map<std::string, runtime::AttemptKey, std::less<>> tokens;          // All it ever gave out.
  std::vector<Answer> answers;
  std::vector<runtime::StartRequest> starts;
  std::vector<std::string> stops;
  std::map<std::string, runtime::ExecutionDescription, std::less<>> executions;  // By ARN.
  std::optional<Error> start_error;
  std::optional<Error> token_error;

  void wait_for(const std::string& token, runtime::AttemptKey key) {
    waiting_tokens[token] = tokens[token] = key;
  }
  std::vector<Answer> answers_of(std::string_view kind) const {
    std::vector<Answer> found;
    std::copy_if(answers.begin(), answers.end(), std::back_inserter(found),
                 [kind](const Answer& answer) { return answer.kind == kind; });
    return found;
  }
  void end_execution(const std::string& arn, store::ExecutionStatus status) {
    executions[arn].arn = arn;
    executions[arn].status = status;
    executions[arn].stopped_at = loop_.now();
    for (auto& [id, callback] : observers_) callback({arn, status, 9});
    auto waiters = std::move(waiters_[arn]);
    for (auto& [id, done] : waiters) {
      loop_.post([done = done, description = executions[arn]] { done(description); });
    }
  }

  Status recover() override { return {}; }
  void drain(std::function<void()> done) override { loop_.post(std::move(done)); }
  void put_state_machine(runtime::StateMachineRecord record, const Actor&,
                         Callback<runtime::StateMachineRecord> done) override {
    loop_.post([record, done] { done(record); });
  }
  void delete_state_machine(std::string_view, const Actor&, Callback<Unit> done) override {
    loop_.post([done] { done(Unit{}); });
  }
  std::optional<runtime::StateMachineRecord> find_state_machine(std::string_view) override { return {}; }
  std::vector<runtime::StateMachineRecord> list_state_machines() override { return {}; }
  std::vector<std::string> state_machine_arns() override { return {}; }
  std::vector<runtime::StateMachineRecord> list_versions(std::string_view) override { return {}; }
  void publish_version(runtime::StateMachineRecord, runtime::StateMachineRecord version, const Actor&,
                       Callback<runtime::StateMachineRecord> done) override {
    loop_.post([version, done] { done(version); });
  }
  void put_alias(runtime::AliasRecord, const Actor&, Callback<Unit> done) override {
    loop_.post([done] { done(Unit{}); });
  }
  void delete_alias(std::string_view, const Actor&, Callback<Unit> done) override {
    loop_.post([done] { done(Unit{}); });
  }
  std::optional<runtime::AliasRecord> find_alias(std::string_view) override { return {}; }
  std::vector<runtime::AliasRecord> list_aliases(std::string_view) override { return {}; }

  void start_execution(runtime::StartRequest request, Callback<runtime::StartReply> done) override {
    starts.push_back(request);
    if (start_error) return loop_.post([done, error = *start_error] { done(error); });
    std::string arn = replace_all(request.state_machine_arn, ":stateMachine:", ":execution:");
    arn += ":" + (request.name.empty() ? "made-up" : request.name);
    const auto found = executions.find(arn);
    if (found != executions.end()) {
      const bool open = found->second.status == store::ExecutionStatus::kRunning;
      if (!open || found->second.input_text != request.input_text) {
        return loop_.post([done, arn] {
          done(Error{"ExecutionAlreadyExists", "Execution Already Exists: '" + arn + "'"});
        });
      }
      return loop_.post([done, arn, at = found->second.started_at] {
        done(runtime::StartReply{arn, at, true});
      });
    }
    runtime::ExecutionDescription made;
    made.arn = arn;
    made.name = request.name;
    made.state_machine_arn = request.state_machine_arn;
    made.input_text = request.input_text;
    made.started_at = loop_.now();
    made.actor = request.actor;
    executions[arn] = made;
    store_.append(std::move(request.with), [done, arn, at = loop_.now()](Status status) {
      if (!status) return done(Error{"ServiceUnavailable", status.error().message});
      done(runtime::StartReply{arn, at, false});
    });
  }
  void start_sync_execution(runtime::StartRequest, Callback<runtime::ExecutionDescription> done) override {
    loop_.post([done] { done(Error{"ServiceUnavailable", "not in this fake", "", ""}); });
  }
  void redrive_execution(std::string_view, std::string, const Actor&, Callback<Timestamp> done) override {
    loop_.post([done] { done(Error{"ExecutionNotRedrivable", "not in this fake", "", ""}); });
  }
  void stop_execution(std::string_view arn, std::string, std::string, const Actor&,
                      Callback<Timestamp> done) override {
    stops.emplace_back(arn);
    loop_.post([done, at = loop_.now()] { done(at); });
  }
  Result<std::vector<runtime::ExecutionSummary>> list_executions(const store::ExecutionQuery&) override {
    return std::vector<runtime::ExecutionSummary>();
  }
  Result<runtime::ExecutionDescription> describe_execution(std::string_view arn) override {
    const auto found = executions.find(arn);
    if (found != executions.end()) return found->second;
    return Error{"ExecutionDoesNotExist", "Execution Does Not Exist: '" + std::string(arn) + "'"};
  }
  Result<runtime::HistoryPage> history(std::string_view, std::int64_t, std::size_t, bool) override {
    return runtime::HistoryPage{};
  }
  std::vector<runtime::WaitingReason> reasons;
  Result<std::vector<runtime::WaitingReason>> explain(std::string_view) override { return reasons; }
  std::shared_ptr<void> when_ended(std::string_view arn,
                                   std::function<void(runtime::ExecutionDescription)> done) override {
    const auto found = executions.find(arn);
    if (found != executions.end() && found->second.status != store::ExecutionStatus::kRunning) {
      loop_.post([done, description = found->second] { done(description); });
      return std::make_shared<int>(0);
    }
    const int id = ++last_handle_;
    waiters_[std::string(arn)][id] = std::move(done);
    return handle([this, id, arn = std::string(arn)] { waiters_[arn].erase(id); });
  }

  Result<runtime::MapRunDescription> describe_map_run(std::string_view arn) override {
    return Error{"ResourceNotFound", "Resource not found: '" + std::string(arn) + "'", "", ""};
  }
  Result<std::vector<runtime::MapRunDescription>> list_map_runs(std::string_view, store::ExecutionNo,
                                                                std::size_t) override {
    return std::vector<runtime::MapRunDescription>();
  }
  void update_map_run(std::string_view, runtime::MapRunChange, Callback<Unit>) override {}

  void task_submitted(const runtime::AttemptKey& key, json::Value output) override {
    answers.push_back({"submitted", key, std::move(output), {}, {}});
  }
  void task_succeeded(const runtime::AttemptKey& key, json::Value output) override {
    answers.push_back({"succeeded", key, std::move(output), {}, {}});
  }
  void task_failed(const runtime::AttemptKey& key, std::string error, std::string cause) override {
    answers.push_back({"failed", key, {}, std::move(error), std::move(cause)});
  }
  void send_task_success(std::string_view token, std::string_view output_text, const Actor&,
                         store::Batch with, Callback<Unit> done) override {
    finish(token, {"token-success", {}, json::parse(output_text).value(), {}, {}}, std::move(with),
           std::move(done));
  }
  void send_task_failure(std::string_view token, std::string error, std::string cause, const Actor&,
                         store::Batch with, Callback<Unit> done) override {
    finish(token, {"token-failure", {}, {}, std::move(error), std::move(cause)}, std::move(with),
           std::move(done));
  }
  void send_task_heartbeat(std::string_view, Callback<Unit> done) override {
    loop_.post([done] { done(Unit{}); });
  }
  Result<runtime::AttemptKey> read_token(std::string_view token) override {
    const auto found = tokens.find(token);
    if (found == tokens.end()) return Error{"InvalidToken", "Invalid Token: 'Invalid token'"};
    return found->second;
  }
  std::shared_ptr<void> poll_activity(std::string_view, std::string, std::int64_t,
                                      std::function<void(runtime::ActivityTask)>) override {
    return {};
  }
  std::shared_ptr<void> observe(std::function<void(const runtime::ExecutionChange&)> callback) override {
    const int id = ++last_handle_;
    observers_[id] = std::move(callback);
    return handle([this, id] { observers_.erase(id); });
  }
  Figures figures() override { return {}; }
  Result<std::vector<std::string>> check() override { return std::vector<std::string>{}; }

 private:
  static std::shared_ptr<void> handle(std::function<void()> undo) {
    return std::shared_ptr<void>(nullptr, [undo = std::move(undo)](void*) { undo(); });
  }
  // The answer, and what travels with it, are one transaction; a token is good once.
  void finish(std::string_view token, Answer answer, store::Batch with, Callback<Unit> done) {
    if (token_error) return loop_.post([done, error = *token_error] { done(error); });
    const auto found = waiting_tokens.find(token);
    if (found == waiting_tokens.end()) {
      const bool known = tokens.find(token) != tokens.end();
      const Error error{known ? "TaskTimedOut" : "InvalidToken",
                        "Task Timed Out: 'Provided task does not exist anymore'"};
      return loop_.post([done, error] { done(error); });
    }
    answer.key = found->second;
    waiting_tokens.erase(found);
    store_.append(std::move(with), [this, token = std::string(token), answer, done](Status status) {
      if (!status) {
        waiting_tokens[token] = answer.key;
        return done(Error{"ServiceUnavailable", status.error().message});
      }
      answers.push_back(answer);
      done(Unit{});
    });
  }

  ManualLoop& loop_;
  FakeStore& store_;
  std::map<int, std::function<void(const runtime::ExecutionChange&)>> observers_;
  std::map<std::string, std::map<int, std::function<void(runtime::ExecutionDescription)>>> waiters_;
  int last_handle_ = 0;
};

}  // namespace sortie::fakes
