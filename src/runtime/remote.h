#pragma once
// Remote is the leader's way to executions that other nodes own: it writes their rows and the notes in their
// shards' inboxes, and waits for what becomes of them.
//
// A start is true when its row is written: the reply does not wait for the other node. A stop and a redrive
// are answered when the owner has decided; within kVerdictMs, else "ServiceUnavailable" (they happen all the
// same).
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/inbox.h"
#include "runtime/live.h"
#include "runtime/runtime.h"

namespace sortie::runtime {

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
  void start(LiveExecution& live, store::Batch with, std::function<void(Result<StartReply>)> done);
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

  void look_around();                    // At all who wait for a verdict.
  void look_at(const std::string& arn);  // Something changed about this execution.

 private:
  struct Verdict {
    store::ExecutionNo no = 0;
    Timestamp deadline;
    std::function<std::optional<Timestamp>(const store::ExecutionRow&)> read;
    std::function<void(Result<Timestamp>)> done;
  };

  store::Batch batch() const;
  store::Document note(store::ExecutionNo no, const json::Value& what);
  void ask(const store::ExecutionRow& row, const json::Value& what, store::LogLine audit, Verdict verdict);
  void write_result(store::ExecutionNo no, store::Document document);
  bool settle(Verdict& verdict);  // True: it is over.

  Wiring wiring_;
  std::uint64_t sequence_ = 0;
  std::unordered_map<std::string, std::vector<std::function<void()>>> beginning_;
  std::multimap<std::string, Verdict> verdicts_;  // By ARN.
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace sortie::runtime
