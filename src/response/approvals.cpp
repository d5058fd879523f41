#include "response/approvals.h"

#include <algorithm>

#include "base/text.h"
#include "json/text.h"
#include "runtime/cluster.h"
#include "store/for_each_document.h"

namespace sortie::response {
namespace approval_desk {

constexpr std::int64_t kRetryMs = 5'000;
constexpr std::int64_t kDoubtMs = 200;
// The engine's own timeout comes first; this only notices that it did.
constexpr std::int64_t kDeadlineSlackMs = 5'000;

Actor system_actor() {
  Actor actor;
  actor.kind = Actor::Kind::kSystem;
  actor.name = "approvals";
  actor.channel = "system";
  return actor;
}

}  // namespace approval_desk

Approvals::Approvals(Loop& loop, store::Store& store, Audit& audit, People& people)
    : loop_(loop), store_(store), audit_(audit), people_(people) {}

Approvals::~Approvals() {
  for (auto& [id, open] : open_) loop_.cancel(open.timer);
}

void Approvals::configure(ApprovalConfig config) {
  config_ = std::move(config);
  people_.set_configured_groups(config_.groups);
}

Status Approvals::load() {
  return store::for_each_document(store_, "approval", [this](const store::Document& document) -> Status {
    SORTIE_TRY(Approval approval, parse_approval(document.value));
    by_time_.insert({approval.requested_at.ms, approval.id});
    known_[approval.id] = {approval.requested_at.ms, approval.status};
    if (approval.status == ApprovalStatus::kPending) take(std::move(approval), true);
    return {};
  });
}

void Approvals::start(runtime::Runtime& runtime) {
  runtime_ = &runtime;
  std::vector<std::string> ids;
  for (const auto& [id, open] : open_) ids.push_back(id);
  for (const std::string& id : ids) {
    follow(open_.find(id)->second);
    reconcile(id);
  }
  subscription_ = runtime.observe(guarded([this](const runtime::ExecutionChange& change) {
    if (change.status == store::ExecutionStatus::kRunning) return;
    const auto found = ids_by_execution_.find(change.execution_arn);
    if (found == ids_by_execution_.end()) return;
    const std::set<std::string> affected = found->second;
    for (const std::string& id : affected) close(open_.find(id)->second.approval.key);
  }));
}

// What another node ended is told here as well as it can be; this hears of it in any case.
void Approvals::follow(Open& open) {
  if (runtime_ == nullptr || runtime_->cluster() == nullptr) return;
  open.following = runtime_->when_ended(
      open.approval.execution_arn,
      guarded([this, key = open.approval.key](const runtime::ExecutionDescription&) { close(key); }));
}

void Approvals::when_certain(const std::string& id, std::function<void()> then) {
  runtime::Cluster* cluster = runtime_->cluster();
  if (cluster == nullptr) return then();
  Open* open = find_open(id);
  if (open == nullptr) return;
  open->busy = true;
  const bool in_doubt = cluster->is_being_answered(open->approval.key);
  const auto document =
      in_doubt ? Result<std::optional<std::string>>(std::nullopt) : store_.find_document("approval", id);
  if (in_doubt || !document) {
    loop_.call_at(loop_.now().plus_ms(approval_desk::kDoubtMs),
                  guarded([this, id, then = std::move(then)] { when_certain(id, then); }));
    return;
  }
  Result<Approval> now = *document ? parse_approval(**document) : Result<Approval>(open->approval);
  if (now && now->status != ApprovalStatus::kPending) return finish(*now);
  if (now) open->approval = *std::move(now);
  open->busy = false;
  then();
}

// After a restart: is the attempt behind this approval still waiting?
void Approvals::reconcile(const std::string& id) {
  const Open* open = find_open(id);
  if (open == nullptr || !open->durable) return;
  when_certain(id, [this, id] {
    judge(id);
    if (const Open* judged = find_open(id); judged != nullptr && !judged->busy) leave(id);
  });
}

void Approvals::judge(const std::string& id) {
  const Approval approval = find_open(id)->approval;
  const Result<runtime::ExecutionDescription> execution =
      runtime_->describe_execution(approval.execution_arn);
  const bool gone = !execution.ok() && execution.error().code == "ExecutionDoesNotExist";
  if (gone || (execution.ok() && execution->status != store::ExecutionStatus::kRunning)) {
    return close_as_gone(id, "The execution had ended");
  }
  const Result<std::vector<runtime::WaitingReason>> reasons = runtime_->explain(approval.execution_arn);
  const bool waits =
      !reasons.ok() || std::any_of(reasons->begin(), reasons->end(), [&approval](const auto& reason) {
        return reason.frame == approval.key.frame && reason.state_name == approval.state_name;
      });
  if (!waits) return close_as_gone(id, "The execution went on without it");
  arm(id, approval.expires_at);
}

Approvals::Open* Approvals::find_open(std::string_view id) {
  const auto found = open_.find(id);
  return found == open_.end() ? nullptr : &found->second;
}

const Approvals::Open* Approvals::find_open(std::string_view id) const {
  const auto found = open_.find(id);
  return found == open_.end() ? nullptr : &found->second;
}

void Approvals::take(Approval approval, bool durable) {
  ids_by_key_[approval.key] = approval.id;
  ids_by_execution_[approval.execution_arn].insert(approval.id);
  Open& open = open_[approval.id];
  open.approval = std::move(approval);
  open.durable = durable;
}

bool Approvals::wait_turn(Open& open, std::function<void()> next) {
  if (open.waiting.size() >= kWaitingDecisionsMax) return false;
  open.waiting.push_back(std::move(next));
  return true;
}

void Approvals::leave(const std::string& id) {
  Open* open = find_open(id);
  if (open == nullptr) return;
  open->busy = false;
  // Whoever is refused at once does not make it busy again; then the next in line goes.
  while (open != nullptr && !open->busy && !open->waiting.empty()) {
    const std::function<void()> next = std::move(open->waiting.front());
    open->waiting.pop_front();
    next();
    open = find_open(id);
  }
}

void Approvals::notify(const Approval& approval) {
  for (const auto& [number, callback] : std::map(observers_)) callback(approval);
}

void Approvals::drop(const Approval& approval) {
  const auto found = open_.find(approval.id);
  SORTIE_CHECK(found != open_.end());
  loop_.cancel(found->second.timer);
  const std::deque<std::function<void()>> waiting = std::move(found->second.waiting);
  ids_by_key_.erase(approval.key);
  const auto execution = ids_by_execution_.find(approval.execution_arn);
  execution->second.erase(approval.id);
  if (execution->second.empty()) ids_by_execution_.erase(execution);
  const std::shared_ptr<void> following = std::move(found->second.following);
  open_.erase(found);
  // They find it closed and say so.
  for (const std::function<void()>& next : waiting) loop_.post(guarded(next));
}

void Approvals::finish(const Approval& closed) {
  drop(closed);
  known_[closed.id].second = closed.status;
  notify(closed);
}

void Approvals::arm(const std::string& id, Timestamp due) {
  Open* open = find_open(id);
  if (open == nullptr || due == kNever) return;
  loop_.cancel(open->timer);
  if (due >= open->approval.deadline && due == open->approval.expires_at) {
    due = due.plus_ms(approval_desk::kDeadlineSlackMs);
  }
  open->timer = loop_.call_at(due, guarded([this, id, due] {
                                if (loop_.now() < due) return arm(id, due);  // The clock was set back.
                                expire(id);
                              }));
}

bool Approvals::takes_queue(std::string_view queue) const {
  return std::any_of(config_.queues.begin(), config_.queues.end(),
                     [queue](const ApprovalQueue& entry) { return queue_matches(entry.queue, queue); });
}

void Approvals::open(const runtime::TaskOrder& order, std::string_view queue, const json::Value& message,
                     std::function<void(Result<std::string>)> done) {
  const std::string id = approval_id(order.key);
  if (Open* existing = find_open(id)) {
    if (!existing->durable) return existing->openers.push_back(std::move(done));
    return loop_.post([done = std::move(done), id] { done(id); });
  }
  if (known_.count(id) != 0) return loop_.post([done = std::move(done), id] { done(id); });
  std::string policy_name = "default";
  for (const ApprovalQueue& entry : config_.queues) {
    if (!queue_matches(entry.queue, queue)) continue;
    policy_name = entry.policy;
    break;
  }
  const Policy* policy = config_.find_policy(policy_name);
  if (policy == nullptr) {
    // Never a laxer one in its place.
    const Error error{"PolicyDoesNotExist", "The approval policy \"" + policy_name + "\" does not exist"};
    return loop_.post([done = std::move(done), error] { done(error); });
  }
  Approval approval = make_approval(order, queue, message, *policy, loop_.now());
  store::Batch batch = batch_for(approval, entry_for(approval, "approval.request", "done"));
  std::vector<Approval> superseded;
  for (const std::string& other_id : ids_by_execution_[approval.execution_arn]) {
    const Open* other = find_open(other_id);
    const runtime::AttemptKey& key = other->approval.key;
    const bool older = key.frame == approval.key.frame && key.entry == approval.key.entry &&
                       key.attempt < approval.key.attempt;
    if (!older || other->busy || !other->durable) continue;
    Approval closed = other->approval;
    closed.status = ApprovalStatus::kSuperseded;
    closed.note = "attempt " + std::to_string(approval.key.attempt) + " asks anew, as " + id;
    batch.documents.push_back({"approval", closed.id, to_document(closed)});
    batch.log.push_back(audit_.line(entry_for(closed, "approval.supersede", "done")));
    superseded.push_back(std::move(closed));
  }
  take(approval, false);
  find_open(id)->busy = true;
  find_open(id)->openers.push_back(std::move(done));
  for (const Approval& old : superseded) find_open(old.id)->busy = true;
  store_.append(std::move(batch), guarded([this, approval, superseded](const Status& status) {
                  opened(approval, superseded, status);
                }));
}

void Approvals::opened(const Approval& approval, const std::vector<Approval>& superseded,
                       const Status& status) {
  Open& open = *find_open(approval.id);
  const auto openers = std::move(open.openers);
  if (status) {
    open.durable = true;
    follow(open);
    known_[approval.id] = {approval.requested_at.ms, ApprovalStatus::kPending};
    by_time_.insert({approval.requested_at.ms, approval.id});
    ++figures_.requested;
    arm(approval.id, approval.expires_at);
    for (const Approval& old : superseded) finish(old);
    notify(approval);
    leave(approval.id);
    for (const auto& opener : openers) opener(approval.id);
  } else {
    for (const Approval& old : superseded) leave(old.id);
    drop(approval);  // It never was; whoever asked asks again.
    for (const auto& opener : openers) opener(Error{"ServiceUnavailable", status.error().message});
  }
}

void Approvals::close(const runtime::AttemptKey& key) {
  const auto found = ids_by_key_.find(key);
  if (found == ids_by_key_.end()) return;
  close_as_gone(found->second, "The execution no longer waits for it");
}

void Approvals::close_as_gone(const std::string& id, std::string note) {
  const Approval& approval = find_open(id)->approval;
  const bool late = loop_.now() >= std::min(approval.deadline, approval.expires_at);
  if (late) return close_as(id, ApprovalStatus::kExpired, "Nobody decided in time");
  close_as(id, ApprovalStatus::kCancelled, std::move(note));
}

void Approvals::close_as(const std::string& id, ApprovalStatus status, std::string note) {
  Open* open = find_open(id);
  if (open == nullptr) return;
  if (open->busy) {
    // Not counted against the decisions that may wait: it has to happen.
    open->waiting.push_back([this, id, status, note] { close_as(id, status, note); });
    return;
  }
  Approval closed = open->approval;
  closed.status = status;
  closed.note = note;
  const bool expired = status == ApprovalStatus::kExpired;
  AuditEntry entry = entry_for(closed, expired ? "approval.expire" : "approval.cancel", "done");
  entry.reason = note;
  open->busy = true;
  store_.append(batch_for(closed, std::move(entry)),
                guarded([this, closed, status, note, expired](const Status& written) {
                  if (written) {
                    if (expired) ++figures_.expired;
                    return finish(closed);
                  }
                  loop_.call_at(
                      loop_.now().plus_ms(approval_desk::kRetryMs),
                      guarded([this, id = closed.id, status, note] { close_as(id, status, note); }));
                  leave(closed.id);
                }));
}

AuditEntry Approvals::entry_for(const Approval& approval, std::string action, std::string outcome) const {
  AuditEntry entry;
  entry.actor = action == "approval.request" ? approval.initiator : approval_desk::system_actor();
  entry.channel = "system";
  entry.action = std::move(action);
  entry.subject = approval.id;
  entry.outcome = std::move(outcome);
  entry.details = json::Value::object({{"execution_arn", approval.execution_arn},
                                       {"state", approval.state_name},
                                       {"title", approval.title},
                                       {"plan_hash", approval.plan_hash},
                                       {"policy", approval.policy.name}});
  return entry;
}

store::Batch Approvals::batch_for(const Approval& approval, AuditEntry entry) const {
  store::Batch batch = audit_.lease().batch();
  batch.documents.push_back({"approval", approval.id, to_document(approval)});
  batch.log.push_back(audit_.line(std::move(entry)));
  return batch;
}

Result<Approval> Approvals::find(std::string_view id) const {
  const Open* open = find_open(id);
  if (open != nullptr && open->durable) return open->approval;
  const Error missing{"ApprovalDoesNotExist",
                      "There is no approval \"" + to_valid_utf8(id.substr(0, 80)) + "\""};
  if (open != nullptr || known_.find(id) == known_.end()) return missing;
  SORTIE_TRY(const std::optional<std::string> document, store_.find_document("approval", id));
  if (!document) return missing;
  return parse_approval(*document);
}

Result<std::vector<Approval>> Approvals::list(const ApprovalQuery& query) const {
  std::vector<Approval> found;
  auto at = by_time_.rbegin();
  if (const auto cursor = known_.find(query.before_id); cursor != known_.end()) {
    at = std::make_reverse_iterator(by_time_.lower_bound({cursor->second.first, cursor->first}));
  }
  for (; at != by_time_.rend() && found.size() < query.limit; ++at) {
    if (query.status && known_.find(at->second)->second.second != *query.status) continue;
    SORTIE_TRY(Approval approval, find(at->second));
    if (!query.execution_arn.empty() && approval.execution_arn != query.execution_arn) continue;
    found.push_back(std::move(approval));
  }
  return found;
}

bool Approvals::guards(const runtime::AttemptKey& key) const {
  return ids_by_key_.count(key) != 0 || known_.count(approval_id(key)) != 0;
}

Error Approvals::refuse_token(const runtime::AttemptKey& key, const Actor& actor,
                              std::string_view operation) {
  ++figures_.refused;
  const std::string id = approval_id(key);
  AuditEntry entry;
  entry.actor = actor;
  entry.action = "token.use";
  entry.subject = id;
  entry.outcome = "refused";
  entry.reason = "The task token of an approval is worth nothing elsewhere";
  entry.details = json::Value::object({{"operation", operation}});
  audit_.record(std::move(entry));
  return {"AccessDeniedException",
          "This task token belongs to the approval " + id + ", which only people decide", "",
          "Use sortie approve " + id + " --reason TEXT"};
}

std::shared_ptr<void> Approvals::observe(std::function<void(const Approval&)> callback) {
  const int number = ++last_observer_;
  observers_[number] = std::move(callback);
  return std::shared_ptr<void>(nullptr, [this, number, alive = std::weak_ptr<int>(alive_)](void*) {
    if (!alive.expired()) observers_.erase(number);
  });
}

Approvals::Figures Approvals::figures() const {
  figures_.pending = 0;
  figures_.oldest_age_ms = 0;
  figures_.pending_by_policy.clear();
  for (const auto& [id, open] : open_) {
    if (!open.durable) continue;
    ++figures_.pending;
    ++figures_.pending_by_policy[open.approval.policy.name];
    const std::int64_t age = loop_.now().ms - open.approval.requested_at.ms;
    figures_.oldest_age_ms = std::max(figures_.oldest_age_ms, age);
  }
  return figures_;
}

}  // namespace sortie::response
