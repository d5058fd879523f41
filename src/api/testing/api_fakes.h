#pragma once
// What the tests of the api floor stand on: a Runtime that keeps state machines, executions and histories in
// maps, a store with execution rows, and a Responder that keeps what it was given.
// Included by *_test.cpp only.
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/key_ring.h"
#include "integrations/testing/fakes.h"
#include "io/http_server.h"
#include "store/forwarding.h"

namespace sortie::api::testing {

inline constexpr char kAccount[] = "123456789012";
inline constexpr char kPassDefinition[] = R"({"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}})";
inline constexpr char kRole[] = "arn:aws:iam::123456789012:role/sortie";

class FakeResponder final : public io::Responder {
 public:
  std::optional<io::HttpResponse> response;
  std::string stream;
  bool ended = false;
  bool reads = true;  // Where not, every write fails: the peer is too slow.
  int answers = 0;

  void send(io::HttpResponse given) override {
    ++answers;
    response = std::move(given);
    ended = true;
  }
  void begin_stream(io::HttpResponse head) override {
    ++answers;
    stream += head.body;
    response = std::move(head);
  }
  bool write(std::string_view chunk) override {
    if (!reads) return false;
    stream += chunk;
    return true;
  }
  void end_stream() override { ended = true; }
  bool is_open() const override { return !ended; }
  void on_close(std::function<void()> callback) override { closers_.push_back(std::move(callback)); }
  void close() {
    ended = true;
    for (const auto& closer : closers_) closer();
    closers_.clear();
  }

 private:
  std::vector<std::function<void()>> closers_;
};

// FakeStore with executions to list; everything else goes through.
class RowStore final : public store::ForwardingStore {
 public:
  explicit RowStore(fakes::ManualLoop& loop) : ForwardingStore(inner), inner(loop) {}

  fakes::FakeStore inner;
  std::vector<store::ExecutionRow> rows;  // Oldest first.
  std::optional<Error> list_error;

  Result<std::vector<store::ExecutionRow>> list_executions(const store::ExecutionQuery& query) override {
    if (list_error) return *list_error;
    std::vector<store::ExecutionRow> found;
    for (auto row = rows.rbegin(); row != rows.rend() && found.size() < query.limit; ++row) {
      if (row->no >= query.before) continue;
      if (!query.state_machine_arn.empty() && row->state_machine_arn != query.state_machine_arn) continue;
      if (query.status && row->status != *query.status) continue;
      if (!row->name.starts_with(query.name_prefix)) continue;
      if (row->started_at < query.started_from || row->started_at >= query.started_before) continue;
      found.push_back(*row);
    }
    return found;
  }

  Result<std::map<std::string, std::uint64_t>> count_running() override {
    std::map<std::string, std::uint64_t> running;
    for (const store::ExecutionRow& row : rows) {
      if (row.status == store::ExecutionStatus::kRunning) ++running[row.state_machine_arn];
    }
    return running;
  }
  Result<store::ExecutionNo> last_execution_no() override { return rows.empty() ? 0 : rows.back().no; }
};

class MapRuntime final : public runtime::Runtime {
 public:
  explicit MapRuntime(fakes::ManualLoop& loop) : loop_(loop) {}

  std::map<std::string, runtime::StateMachineRecord, std::less<>> machines;
  std::map<std::string, runtime::AliasRecord, std::less<>> aliases;
  std::map<std::string, runtime::ExecutionDescription, std::less<>> executions;
  std::vector<engine::HistoryEvent> events;
  std::vector<runtime::StartRequest> starts;
  std::vector<std::string> calls;  // "stop ARN ERROR CAUSE", "success TOKEN OUTPUT", ...
  std::vector<runtime::WaitingReason> reasons;
  std::optional<runtime::ExecutionDescription> sync_end;  // How a synchronous execution ends.
  std::optional<Error> fail;                              // What every change answers.
  store::Store* rows = nullptr;                           // What list_executions() lists.
  store::Store* store = nullptr;                          // Where what travels with an answer is written.
  std::set<std::string, std::less<>> tokens;
  std::function<void(runtime::ActivityTask)> poll;  // The activity poll under way.
  int polls_taken_back = 0;
  std::function<void(const runtime::ExecutionChange&)> observer;
  std::function<void(runtime::ExecutionDescription)> waiter;

  Status recover() override { return {}; }
  void drain(std::function<void()> done) override { loop_.post(std::move(done)); }
  void put_state_machine(runtime::StateMachineRecord record, const Actor&,
                         Callback<runtime::StateMachineRecord> done) override {
    loop_.post([this, record, done] {
      if (fail) return done(*fail);
      machines[record.arn] = record;
      done(record);
    });
  }
  void publish_version(runtime::StateMachineRecord machine, runtime::StateMachineRecord version, const Actor&,
                       Callback<runtime::StateMachineRecord> done) override {
    loop_.post([this, machine, version, done] {
      if (fail) return done(*fail);
      machines[machine.arn] = machine;
      machines[version.arn] = version;
      done(version);
    });
  }
  std::vector<runtime::StateMachineRecord> list_versions(std::string_view arn) override {
    std::vector<runtime::StateMachineRecord> found;
    for (const auto& [key, record] : machines) {
      if (key.starts_with(std::string(arn) + ":")) found.push_back(record);
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
      return a.arn.size() != b.arn.size() ? a.arn.size() > b.arn.size() : a.arn > b.arn;
    });
    return found;
  }
  void put_alias(runtime::AliasRecord alias, const Actor&, Callback<Unit> done) override {
    loop_.post([this, alias, done] {
      aliases[alias.arn] = alias;
      done(Unit{});
    });
  }
  void delete_alias(std::string_view arn, const Actor&, Callback<Unit> done) override {
    loop_.post([this, arn = std::string(arn), done] {
      aliases.erase(arn);
      done(Unit{});
    });
  }
  std::optional<runtime::AliasRecord> find_alias(std::string_view arn) override {
    const auto found = aliases.find(arn);
    return found == aliases.end() ? std::nullopt : std::optional(found->second);
  }
  std::vector<runtime::AliasRecord> list_aliases(std::string_view arn) override {
    std::vector<runtime::AliasRecord> found;
    for (const auto& [key, alias] : aliases) {
      if (key.starts_with(std::string(arn) + ":")) found.push_back(alias);
    }
    return found;
  }
  void delete_state_machine(std::string_view arn, const Actor&, Callback<Unit> done) override {
    loop_.post([this, arn = std::string(arn), done] {
      machines.erase(arn);
      done(Unit{});
    });
  }
  std::optional<runtime::StateMachineRecord> find_state_machine(std::string_view arn) override {
    const auto found = machines.find(arn);
    if (found == machines.end()) return std::nullopt;
    return found->second;
  }
  std::vector<std::string> state_machine_arns() override {
    std::vector<std::string> all;
    for (const auto& [arn, record] : machines) all.push_back(arn);
    return all;
  }
  std::vector<runtime::StateMachineRecord> list_state_machines() override {
    std::vector<runtime::StateMachineRecord> all;
    for (const auto& [arn, record] : machines) {
      if (runtime::split_qualified_arn(arn).qualifier.empty()) all.push_back(record);
    }
    return all;
  }
  void start_execution(runtime::StartRequest request, Callback<runtime::StartReply> done) override {
    starts.push_back(request);
    loop_.post([this, request, done] {
      if (fail) return done(*fail);
      const std::string name = request.name.empty() ? "made-up" : request.name;
      done(runtime::StartReply{
          replace_all(request.state_machine_arn, ":stateMachine:", ":execution:") + ":" + name, loop_.now(),
          false});
    });
  }
  void start_sync_execution(runtime::StartRequest request,
                            Callback<runtime::ExecutionDescription> done) override {
    starts.push_back(request);
    loop_.post([this, request, done] {
      if (sync_end) return done(*sync_end);
      done(Error{"ServiceUnavailable", "no end was prepared", "", ""});
    });
  }
  void redrive_execution(std::string_view arn, std::string token, const Actor&,
                         Callback<Timestamp> done) override {
    calls.push_back("redrive " + std::string(arn) + " " + token);
    loop_.post([this, arn = std::string(arn), done] {
      const auto found = executions.find(arn);
      if (found == executions.end()) return done(Error{"ExecutionDoesNotExist", "", "", ""});
      if (found->second.redrive_obstacle) {
        return done(Error{"ExecutionNotRedrivable", *found->second.redrive_obstacle, "", ""});
      }
      done(loop_.now());
    });
  }
  void stop_execution(std::string_view arn, std::string error, std::string cause, const Actor&,
                      Callback<Timestamp> done) override {
    calls.push_back("stop " + std::string(arn) + " " + error + " " + cause);
    loop_.post([this, arn = std::string(arn), done] {
      if (executions.contains(arn)) return done(loop_.now());
      done(Error{"ExecutionDoesNotExist", "no such execution"});
    });
  }
  Result<std::vector<runtime::ExecutionSummary>> list_executions(
      const store::ExecutionQuery& query) override {
    SORTIE_TRY(const std::vector<store::ExecutionRow> found, rows->list_executions(query));
    std::vector<runtime::ExecutionSummary> out;
    for (const store::ExecutionRow& row : found) {
      runtime::ExecutionSummary summary{row, "", ""};
      if (const auto known = executions.find(row.arn); known != executions.end()) {
        summary.version_arn = known->second.version_arn;
        summary.alias_arn = known->second.alias_arn;
        summary.redrive_count = known->second.redrive_count;
      }
      out.push_back(std::move(summary));
    }
    return out;
  }
  Result<runtime::ExecutionDescription> describe_execution(std::string_view arn) override {
    const auto found = executions.find(arn);
    if (found != executions.end()) return found->second;
    return Error{"ExecutionDoesNotExist", "no such execution"};
  }
  Result<runtime::HistoryPage> history(std::string_view arn, std::int64_t from, std::size_t limit,
                                       bool reverse) override {
    if (!executions.contains(arn)) return Error{"ExecutionDoesNotExist", "no such execution"};
    runtime::HistoryPage page;
    const auto last = static_cast<std::int64_t>(events.size());
    std::int64_t id = reverse && from == 0 ? last : from;
    for (; id >= 1 && id <= last && page.events.size() < limit; id += reverse ? -1 : 1) {
      page.events.push_back(events[static_cast<std::size_t>(id - 1)]);
    }
    if (id >= 1 && id <= last) page.next_event_id = id;
    return page;
  }
  Result<std::vector<runtime::WaitingReason>> explain(std::string_view) override { return reasons; }
  std::shared_ptr<void> when_ended(std::string_view,
                                   std::function<void(runtime::ExecutionDescription)> done) override {
    waiter = std::move(done);
    return std::shared_ptr<void>(nullptr, [this](void*) { waiter = nullptr; });
  }
  Result<runtime::MapRunDescription> describe_map_run(std::string_view arn) override {
    return Error{"ResourceNotFound", "Resource not found: '" + std::string(arn) + "'", "", ""};
  }
  Result<std::vector<runtime::MapRunDescription>> list_map_runs(std::string_view, store::ExecutionNo,
                                                                std::size_t) override {
    return std::vector<runtime::MapRunDescription>();
  }
  void update_map_run(std::string_view, runtime::MapRunChange, Callback<Unit>) override {}

  void task_submitted(const runtime::AttemptKey&, json::Value) override {}
  void task_succeeded(const runtime::AttemptKey&, json::Value) override {}
  void task_failed(const runtime::AttemptKey&, std::string, std::string) override {}
  void send_task_success(std::string_view token, std::string_view output, const Actor&, store::Batch with,
                         Callback<Unit> done) override {
    if (store != nullptr) store->append(std::move(with), [](const Status&) {});
    answer_token("success " + std::string(token) + " " + std::string(output), token, std::move(done));
  }
  void send_task_failure(std::string_view token, std::string error, std::string cause, const Actor&,
                         store::Batch, Callback<Unit> done) override {
    answer_token("failure " + std::string(token) + " " + error + " " + cause, token, std::move(done));
  }
  void send_task_heartbeat(std::string_view token, Callback<Unit> done) override {
    answer_token("heartbeat " + std::string(token), token, std::move(done));
  }
  Result<runtime::AttemptKey> read_token(std::string_view) override { return runtime::AttemptKey{}; }
  std::shared_ptr<void> poll_activity(std::string_view arn, std::string worker, std::int64_t wait_ms,
                                      std::function<void(runtime::ActivityTask)> done) override {
    calls.push_back("poll " + std::string(arn) + " " + worker + " " + std::to_string(wait_ms));
    poll = std::move(done);
    return std::shared_ptr<void>(nullptr, [this](void*) {
      ++polls_taken_back;
      poll = nullptr;
    });
  }
  std::shared_ptr<void> observe(std::function<void(const runtime::ExecutionChange&)> callback) override {
    observer = std::move(callback);
    return std::make_shared<int>(0);
  }
  Figures figures() override { return {.open_executions = 3, .started = 7}; }
  Result<std::vector<std::string>> check() override { return std::vector<std::string>{}; }

 private:
  void answer_token(std::string call, std::string_view token, Callback<Unit> done) {
    calls.push_back(std::move(call));
    loop_.post([known = tokens.contains(token), bad = token.starts_with("bad"), done] {
      if (known) return done(Unit{});
      done(Error{bad ? "InvalidToken" : "TaskTimedOut", "whatever the runtime says"});
    });
  }

  fakes::ManualLoop& loop_;
};

inline SigningKey account_key(const std::string& account = kAccount) {
  SigningKey key;
  key.access_key_id = "AKIDACCOUNT" + account.substr(0, 4);
  key.secret_access_key = "secret-of-" + account;
  key.account = account;
  key.actor = {Actor::Kind::kAccountKey, account, account, "", ""};
  return key;
}

inline SigningKey function_key(std::vector<std::string> actions) {
  SigningKey key;
  key.access_key_id = "ASIAFUNCTION";
  key.secret_access_key = "function-secret";
  key.session_token = "function-session";
  key.account = kAccount;
  key.actor = {Actor::Kind::kFunction, "Notify", kAccount, "", ""};
  key.allowed_actions = std::move(actions);
  return key;
}

inline json::Value parse_json(std::string_view text) { return json::parse(text).value(); }

}  // namespace sortie::api::testing
