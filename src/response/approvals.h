#pragma once
// Approvals keeps every question that a playbook asked people, and decides each of them once.
//
// One compare-and-set decides: the changed approval, its audit line and the task's result are one transaction
// (`runtime.send_task_success(.., with = batch)`), so a crash leaves either all of it or nothing. Within the
// process the operations on one approval queue up behind each other; across processes the runtime refuses the
// second answer to a token. Whoever comes second is told who decided and when.
//
// A decision needs a person (known, present in People), a reason, and the policy's consent: one of `from`,
// not the initiator where the policy excludes it. An initiator nobody knows is never "somebody else": Actor
// kinds kUnknown and kAccountKey without a person behind them, and on_behalf_of == kUnknownPerson. Rules,
// hooks, schedules and functions that nobody stands behind are known: no person started it. Every refusal is
// in the audit trail before it is answered.
//
// Error codes of decide(): "ApprovalDoesNotExist", "PersonRequired", "ReasonRequired", "NotEligible",
// "InitiatorExcluded", "InitiatorUnknown", "PlanChanged", "PlanHashRequired", "AlreadyVoted",
// "AlreadyDecided" (also for expired and cancelled ones), "ThrottlingException", "ServiceUnavailable"
// (nothing happened; try again).
//
// Start: load() before the runtime recovers (its repeated dispatches then find what exists), start() after.
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "integrations/approval_desk.h"
#include "response/approval.h"
#include "response/audit.h"
#include "response/people.h"
#include "response/policy.h"
#include "runtime/runtime.h"
#include "store/store.h"

namespace sortie::response {

// on_behalf_of of an execution that somebody started of whom we know no name.
inline constexpr std::string_view kUnknownPerson = "unknown";

inline constexpr std::size_t kReasonCodePointsMin = 3;
inline constexpr std::size_t kReasonCodePointsMax = 2000;
inline constexpr std::size_t kWaitingDecisionsMax = 100;  // Behind one approval.
inline constexpr std::size_t kVotesMax = 1000;

struct DecideRequest {
  std::string id;
  Actor actor;
  bool approve = false;
  std::string reason;
  std::optional<std::string> plan_hash;
  std::string channel;  // "cli", "api", "console", "slack"
};

struct ApprovalQuery {
  std::optional<ApprovalStatus> status;  // Absent: all.
  std::string execution_arn;             // Empty: all.
  std::size_t limit = 100;
  std::string before_id;  // Page cursor: only those listed after this one.
};

class Approvals final : public integrations::ApprovalDesk {
 public:
  template <typename T>
  using Callback = std::function<void(Result<T>)>;

  Approvals(Loop& loop, store::Store& store, Audit& audit, People& people);
  ~Approvals() override;

  // Policies and queues; may be set again while running. Open approvals keep their snapshots.
  void configure(ApprovalConfig config);
  Status load();
  // Finds approvals that nobody waits for any more, arms the timers, follows the executions.
  void start(runtime::Runtime& runtime);

  bool takes_queue(std::string_view queue) const override;
  void open(const runtime::TaskOrder& order, std::string_view queue, const json::Value& message,
            std::function<void(Result<std::string>)> done) override;
  void close(const runtime::AttemptKey& key) override;

  // Answers the approval as it stands afterwards: still PENDING where the quorum needs more votes.
  void decide(DecideRequest request, Callback<Approval> done);

  Result<Approval> find(std::string_view id) const;
  Result<std::vector<Approval>> list(const ApprovalQuery& query) const;  // Newest first.

  // Why this caller may not decide it now: closed, no person, not of the policy, has voted. Nothing: may.
  std::optional<Error> objection_to(const Approval& approval, const Actor& actor) const;
  std::size_t waiting_of(std::string_view execution_arn) const;  // Open approvals of one execution.
  std::size_t waiting_executions() const { return ids_by_execution_.size(); }
  std::vector<std::string> executions_waiting() const;  // Their ARNs.

  // Whether a task token belongs to an approval, open or closed: SendTask* by anybody is then refused.
  bool guards(const runtime::AttemptKey& key) const;
  // Records that somebody tried, and answers what to tell them ("AccessDeniedException").
  Error refuse_token(const runtime::AttemptKey& key, const Actor& actor, std::string_view operation);

  // Called after an approval was made or changed, for live views. The handle ends the subscription.
  std::shared_ptr<void> observe(std::function<void(const Approval&)> callback);

  struct Figures {
    std::size_t pending = 0;
    std::map<std::string, std::size_t> pending_by_policy;
    std::int64_t oldest_age_ms = 0;
    std::uint64_t requested = 0, approved = 0, rejected = 0, expired = 0, refused = 0;
  };
  Figures figures() const;

 private:
  // An approval that is not closed. `busy` while a change of it is being written; others wait their turn.
  struct Open {
    Approval approval;
    bool durable = false;
    bool busy = false;
    Loop::TimerId timer = 0;
    std::deque<std::function<void()>> waiting;
    std::vector<std::function<void(Result<std::string>)>> openers;
    std::shared_ptr<void> following;  // The end of an execution that may be another node's.
  };
  using Outcome = std::function<void(Status)>;

  Open* find_open(std::string_view id);
  const Open* find_open(std::string_view id) const;
  void take(Approval approval, bool durable);
  // Runs `next` once the approval is free; false if too many wait already.
  bool wait_turn(Open& open, std::function<void()> next);
  void leave(const std::string& id);
  void drop(const Approval& approval);  // Out of memory.
  void finish(const Approval& closed);  // It is closed, durably.
  void opened(const Approval& approval, const std::vector<Approval>& superseded, const Status& status);
  void notify(const Approval& approval);
  void arm(const std::string& id, Timestamp due);

  std::optional<Error> check(const Approval& approval, const DecideRequest& request) const;
  std::optional<Error> check_plan(const Approval& approval, const DecideRequest& request) const;
  std::optional<Error> check_person(const Approval& approval, const Actor& actor) const;
  std::optional<Error> check_initiator(const Approval& approval, std::string_view person) const;
  void refuse(const DecideRequest& request, const Approval* approval, Error error, Callback<Approval> done);
  void count_vote(Open& open, const DecideRequest& request, Callback<Approval> done);
  void settle(Approval decided, AuditEntry entry, Callback<Approval> done);
  void expire(const std::string& id);
  void answer_expired(Approval expired, AuditEntry entry, Outcome done);
  // Closes what nobody waits for with a batch of its own, again and again until the store takes it.
  void close_as(const std::string& id, ApprovalStatus status, std::string note);
  // Nobody waits for it: EXPIRED after its time, CANCELLED before.
  void close_as_gone(const std::string& id, std::string note);
  void settled(const std::string& id, Approval closed, const Status& status, const Callback<Approval>& done);
  void reconcile(const std::string& id);
  void judge(const std::string& id);
  void follow(Open& open);
  // With several nodes an answer may wait for the execution's owner, and decides when that takes it, whoever
  // leads by then. Until then nothing else happens to the approval; `then` where it is still open.
  void when_certain(const std::string& id, std::function<void()> then);
  AuditEntry entry_for(const Approval& approval, std::string action, std::string outcome) const;
  store::Batch batch_for(const Approval& approval, AuditEntry entry) const;
  // Callbacks that come back after this object is gone do nothing.
  template <typename F>
  auto guarded(F callback) {
    return [alive = std::weak_ptr<int>(alive_), callback = std::move(callback)](auto&&... arguments) {
      if (!alive.expired()) callback(std::forward<decltype(arguments)>(arguments)...);
    };
  }

  Loop& loop_;
  store::Store& store_;
  Audit& audit_;
  People& people_;
  runtime::Runtime* runtime_ = nullptr;
  ApprovalConfig config_;
  std::map<std::string, Open, std::less<>> open_;
  std::map<runtime::AttemptKey, std::string> ids_by_key_;                              // Open ones.
  std::map<std::string, std::set<std::string>, std::less<>> ids_by_execution_;         // Open ones.
  std::set<std::pair<std::int64_t, std::string>> by_time_;                             // All, for listings.
  std::map<std::string, std::pair<std::int64_t, ApprovalStatus>, std::less<>> known_;  // All.
  std::map<int, std::function<void(const Approval&)>> observers_;
  int last_observer_ = 0;
  std::shared_ptr<void> subscription_;
  mutable Figures figures_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace sortie::response
