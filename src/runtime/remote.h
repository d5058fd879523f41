#pragma once
// Remote is the leader's way to executions that other nodes own: it writes their rows and the notes in their
// shards' inboxes, and waits for what becomes of them.
//
// A start is true when its row is written: the reply does not wait for the other node. A stop, a redrive and
// what answers a task token or takes an activity's task are answered when the owner has decided; within
// kVerdictMs, else "ServiceUnavailable" (they happen all the same, if they still can).
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/inbox.h"
#include "runtime/live.h"
#include "runtime/runtime.h"
#include "runtime/shard_map.h"
#include "runtime/task_token.h"

namespace sortie::runtime {

// The order of an attempt that another node's execution waits for; nothing where nobody does, or where it has
// been handed over.
Result<std::optional<TaskOrder>> load_order(
    store::Store& store, const AttemptKey& key, const TaskTokens& tokens, const std::string& store_id,
    const std::function<Result<std::shared_ptr<const asl::StateMachine>>(const std::string&)>& machine_of);

class Remote {
 public:
  static constexpr std::int64_t kVerdictMs = 5'000;
  static constexpr std::size_t kVerdictsMax = 1'000;

  struct Wiring {
    Loop& loop;
    store::Store& store;
    const Options& options;  // Its epoch is the leader's.
    const ShardMap& map;
  };
  explicit Remote(Wiring wiring) : wiring_(std::move(wiring)) {}

  // `live` has its number. `with` is written in the same transaction.
  void start(LiveExecution& live, bool is_logged, store::Batch with,
             std::function<void(Result<StartReply>)> done);
  bool is_starting(const std::string& arn) const { return beginning_.contains(arn); }
  // When the start of this execution that is being written is over.
  void wait_for_start(const std::string& arn, std::function<void()> callback);
  bool is_full() const { return beginning_.size() >= wiring_.options.mailbox_max / 2; }

  void stop(const store::ExecutionRow& row, const std::string& error, const std::string& cause,
            store::LogLine audit, std::function<void(Result<Timestamp>)> done);
  void redrive(const store::ExecutionRow& row, Timestamp redriven_before, const std::string& token,
               store::LogLine audit, std::function<void(Result<Timestamp>)> done);
  // The result of what this node carried out for the owner; until it is written.
  void report(store::ExecutionNo no, const engine::Stimulus& result);
  // A stimulus from outside, as Shard::post takes it: applied, with what it brings, or refused by the owner.
  void deliver(store::ExecutionNo no, Mail mail);
  // What an earlier leader was refused and did not hear of.
  void forget_refusals();

  void look_around();                    // At all who wait for a verdict.
  void look_at(const std::string& arn);  // Something changed about this execution.

 private:
  struct Verdict {
    std::function<bool()> tell;         // Whether it is decided; then it was told.
    std::function<void(Error)> refuse;  // Tells that it is not, or could not be asked. Null: was told.
    bool stays = false;                 // Also when it was told: there is something to be cleared away.
    Timestamp deadline;
  };
  using ReadVerdict = std::function<std::optional<Timestamp>(const store::ExecutionRow&)>;

  store::Batch batch() const;
  store::Document note(store::ExecutionNo no, const json::Value& what);
  Verdict verdict_of(store::ExecutionNo no, ReadVerdict read, std::function<void(Result<Timestamp>)> done);
  void ask(const store::ExecutionRow& row, store::Document note, std::vector<store::LogLine> log,
           Verdict verdict);
  bool tell_answer(const std::string& note, Mail& mail);
  void write_result(store::ExecutionNo no, store::Document document);
  bool settle(Verdict& verdict);  // True: it is over.

  Wiring wiring_;
  std::uint64_t sequence_ = 0;
  std::unordered_map<std::string, std::vector<std::function<void()>>> beginning_;
  std::multimap<std::string, Verdict> verdicts_;  // By ARN.
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace sortie::runtime
