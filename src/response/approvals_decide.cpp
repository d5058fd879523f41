// Approvals: how a decision is checked, counted and made true; and what expiry does.
#include <algorithm>

#include "base/canary.h"
#include "base/text.h"
#include "json/text.h"
#include "response/approvals.h"

namespace sortie::response {
namespace deciding {

constexpr std::int64_t kRetryMs = 5'000;

bool nobody_waits(const Error& error) {
  return error.code == "TaskTimedOut" || error.code == "TaskDoesNotExist" || error.code == "InvalidToken";
}

std::string names_of(const std::vector<Vote>& votes, bool approve) {
  std::vector<std::string> names;
  for (const Vote& vote : votes) {
    if (vote.approve != approve) continue;
    if (std::find(names.begin(), names.end(), vote.person) == names.end()) names.push_back(vote.person);
  }
  return join(names, ", ");
}

int count(const std::vector<Vote>& votes, bool approve) {
  return static_cast<int>(std::count_if(votes.begin(), votes.end(),
                                        [approve](const Vote& vote) { return vote.approve == approve; }));
}

// What the votes amount to; nothing while more are needed.
std::optional<bool> verdict(const Policy& policy, const std::vector<Vote>& votes) {
  const int rejections = count(votes, false);
  if (rejections > 0 && (policy.veto || rejections >= policy.quorum)) return false;
  if (count(votes, true) >= policy.quorum) return true;
  return std::nullopt;
}

}  // namespace deciding

std::optional<Error> Approvals::check_initiator(const Approval& approval, std::string_view person) const {
  if (!approval.policy.exclude_initiator) return std::nullopt;
  const std::string initiator = approval.initiator.person();
  const Actor::Kind kind = approval.initiator.kind;
  const bool nameless = kind == Actor::Kind::kUnknown || kind == Actor::Kind::kAccountKey;
  if (initiator == kUnknownPerson || (initiator.empty() && nameless)) {
    if (approval.policy.allow_unknown_initiator) return std::nullopt;
    return Error{"InitiatorUnknown",
                 "Nobody knows who started this execution, and the policy \"" + approval.policy.name +
                     "\" wants somebody else to decide",
                 "", "Start it with a person's key, or allow it with allow_unknown_initiator: true"};
  }
  if (!equals_ignore_case_ascii(initiator, person)) return std::nullopt;
  return Error{"InitiatorExcluded", "You started this execution, and the policy \"" + approval.policy.name +
                                        "\" wants somebody else to decide"};
}

std::optional<Error> Approvals::check_person(const Approval& approval, const Actor& actor) const {
  const Policy& policy = approval.policy;
  const bool eligible = policy.from.empty() ||
                        std::any_of(policy.from.begin(), policy.from.end(), [&](const std::string& entry) {
                          if (entry.rfind("group:", 0) == 0)
                            return people_.is_in_group(actor.name, entry.substr(6));
                          return entry == "person:" + actor.name;
                        });
  if (!eligible) {
    return Error{"NotEligible", "The policy \"" + policy.name + "\" lets " + join(policy.from, ", ") +
                                    " decide, and " + actor.name + " is none of them"};
  }
  if (std::optional<Error> error = check_initiator(approval, actor.name)) return error;
  for (const Vote& vote : approval.votes) {
    if (!policy.distinct || !equals_ignore_case_ascii(vote.person, actor.name)) continue;
    return Error{"AlreadyVoted", "You voted at " + to_iso8601(vote.at) + " (" +
                                     (vote.approve ? "approve" : "reject") + "); one person, one vote"};
  }
  return std::nullopt;
}

std::optional<Error> Approvals::objection_to(const Approval& approval, const Actor& actor) const {
  if (approval.status != ApprovalStatus::kPending) return Error{"AlreadyDecided", ending_text(approval)};
  if (!actor.is_person() || people_.find(actor.name) == nullptr) {
    return Error{"PersonRequired", "A decision needs a person"};
  }
  return check_person(approval, actor);
}

std::size_t Approvals::waiting_of(std::string_view execution_arn) const {
  const auto found = ids_by_execution_.find(execution_arn);
  return found == ids_by_execution_.end() ? 0 : found->second.size();
}

std::vector<std::string> Approvals::executions_waiting() const {
  std::vector<std::string> arns;
  for (const auto& [arn, ids] : ids_by_execution_) arns.push_back(arn);
  return arns;
}

std::optional<Error> Approvals::check_plan(const Approval& approval, const DecideRequest& request) const {
  if (request.plan_hash && !equals_ignore_case_ascii(*request.plan_hash, approval.plan_hash)) {
    return Error{"PlanChanged",
                 "What is to be approved is not what was reviewed: its hash is " + approval.plan_hash, "",
                 "Look at it again with sortie approvals show " + approval.id};
  }
  if (!request.plan_hash && approval.policy.require_plan_hash) {
    return Error{"PlanHashRequired",
                 "The policy \"" + approval.policy.name + "\" wants the hash of the plan that was reviewed",
                 "", "Pass it with --plan-hash; sortie approvals show " + approval.id + " prints it"};
  }
  return std::nullopt;
}

std::optional<Error> Approvals::check(const Approval& approval, const DecideRequest& request) const {
  if (!request.actor.is_person() || people_.find(request.actor.name) == nullptr) {
    return Error{"PersonRequired", "A decision needs a person, and this came from " + to_text(request.actor),
                 "", "Log in, or use the token that sortie user add printed"};
  }
  if (approval.status != ApprovalStatus::kPending) {
    return Error{"AlreadyDecided", ending_text(approval)};
  }
  const std::size_t length = count_code_points(trim(request.reason));
  if (!is_valid_utf8(request.reason) || length < kReasonCodePointsMin || length > kReasonCodePointsMax) {
    return Error{"ReasonRequired", "A decision needs a reason of 3 to 2000 characters", "",
                 "Say in a few words why"};
  }
  if (std::optional<Error> error = check_person(approval, request.actor)) return error;
  if (approval.votes.size() >= kVotesMax) return Error{"LimitExceeded", "That are too many votes"};
  return check_plan(approval, request);
}

void Approvals::refuse(const DecideRequest& request, const Approval* approval, Error error,
                       Callback<Approval> done) {
  ++figures_.refused;
  AuditEntry entry;
  if (approval != nullptr) entry = entry_for(*approval, "approval.decide", "refused");
  entry.actor = request.actor;
  entry.channel = request.channel;
  entry.action = "approval.decide";
  entry.outcome = "refused";
  entry.subject = request.id;
  entry.reason = error.code + ": " + error.message;
  json::ObjectBuilder details(entry.details);
  details.set("vote", request.approve ? "approve" : "reject");
  details.set("reason_given", truncate_utf8(to_valid_utf8(request.reason), 2000));
  entry.details = details.build();
  audit_.record(std::move(entry),
                [error = std::move(error), done = std::move(done)](const Status&) { done(error); });
}

void Approvals::decide(DecideRequest request, Callback<Approval> done) {
  Open* open = find_open(request.id);
  if (open != nullptr && open->busy) {
    if (wait_turn(*open, [this, request, done] { decide(request, done); })) return;
    const Error error{"ThrottlingException", "Too many decisions on this approval at once, try again"};
    return loop_.post([done, error] { done(error); });
  }
  const Result<Approval> approval = find(request.id);
  if (!approval) {
    if (approval.error().code != "ApprovalDoesNotExist") {
      return loop_.post([done, error = approval.error()] { done(error); });
    }
    return refuse(request, nullptr, approval.error(), std::move(done));
  }
  if (std::optional<Error> error = check(*approval, request)) {
    return refuse(request, &*approval, std::move(*error), std::move(done));
  }
  if (open == nullptr || runtime_ == nullptr) {
    return loop_.post([done] { done(Error{"ServiceUnavailable", "The server is still starting"}); });
  }
  count_vote(*open, request, std::move(done));
}

void Approvals::count_vote(Open& open, const DecideRequest& request, Callback<Approval> done) {
  Approval voted = open.approval;
  const std::string reason(trim(request.reason));
  voted.votes.push_back({request.actor.name, request.approve, reason, loop_.now(), request.channel});
  // Who was removed meanwhile stays on record, and counts no more.
  std::vector<Vote> votes = voted.votes;
  std::erase_if(votes, [this](const Vote& vote) { return people_.find(vote.person) == nullptr; });
  const std::optional<bool> verdict = deciding::verdict(voted.policy, votes);
  AuditEntry entry = entry_for(voted, verdict ? "approval.decide" : "approval.vote", "done");
  entry.actor = request.actor;
  entry.channel = request.channel;
  entry.reason = reason;
  json::ObjectBuilder details(entry.details);
  details.set("vote", request.approve ? "approve" : "reject")
      .set("approvals",
           std::to_string(deciding::count(votes, true)) + " of " + std::to_string(voted.policy.quorum));
  if (verdict) details.set("decision", *verdict ? "approved" : "rejected");
  entry.details = details.build();
  open.busy = true;
  if (verdict) {
    voted.status = *verdict ? ApprovalStatus::kApproved : ApprovalStatus::kRejected;
    voted.decision = Decision{*verdict ? "approved" : "rejected", deciding::names_of(votes, *verdict), reason,
                              loop_.now(), request.channel};
    return settle(std::move(voted), std::move(entry), std::move(done));
  }
  store::Batch batch = batch_for(voted, std::move(entry));
  store_.append(
      std::move(batch), guarded([this, voted, done](const Status& status) {
        if (status) {
          find_open(voted.id)->approval = voted;
          notify(voted);
          done(voted);
        } else {
          done(Error{"ServiceUnavailable", "The vote could not be written: " + status.error().message});
        }
        leave(voted.id);
      }));
}

void Approvals::settle(Approval decided, AuditEntry entry, Callback<Approval> done) {
  const std::string output = json::to_text(task_output(decided, *decided.decision));
  const Actor actor = entry.actor;
  const std::string token = decided.task_token;
  store::Batch batch = batch_for(decided, std::move(entry));
  if (SORTIE_CANARY_IS("decision-in-two-batches"))
    store_.append(std::exchange(batch, {}), [](const Status&) {});
  runtime_->send_task_success(token, output, actor, std::move(batch),
                              guarded([this, decided, done](const Result<Unit>& result) {
                                const Status status = result.ok() ? Status{} : Status{result.error()};
                                settled(decided.id, decided, status, done);
                              }));
}

void Approvals::settled(const std::string& id, Approval closed, const Status& status,
                        const Callback<Approval>& done) {
  if (status) {
    ++(closed.status == ApprovalStatus::kApproved   ? figures_.approved
       : closed.status == ApprovalStatus::kRejected ? figures_.rejected
                                                    : figures_.expired);
    finish(closed);
    return done(closed);
  }
  if (!deciding::nobody_waits(status.error())) {
    const runtime::Cluster* cluster = runtime_->cluster();
    const std::string told = cluster == nullptr ? "Nothing was decided: " : "Nothing may be decided yet: ";
    done(Error{"ServiceUnavailable", told + status.error().message, "", "Try again in a moment"});
    return when_certain(id, [this, id] { leave(id); });
  }
  const bool late = loop_.now() >= std::min(closed.deadline, closed.expires_at);
  const std::string note = late ? "Nobody decided in time" : "The execution no longer waits for it";
  find_open(id)->busy = false;
  close_as_gone(id, note);
  done(Error{"AlreadyDecided", note});
}

void Approvals::expire(const std::string& id) {
  Open* open = find_open(id);
  if (open == nullptr || runtime_ == nullptr) return;
  if (open->busy) {
    open->waiting.push_back([this, id] { expire(id); });
    return;
  }
  Approval expired = open->approval;
  expired.status = ApprovalStatus::kExpired;
  expired.note = "Nobody decided in time";
  AuditEntry entry = entry_for(expired, "approval.expire", "done");
  entry.reason = expired.note;
  open->busy = true;
  answer_expired(std::move(expired), std::move(entry), guarded([this, id](const Status& status) {
                   if (status) return;
                   arm(id, loop_.now().plus_ms(deciding::kRetryMs));
                 }));
}

void Approvals::answer_expired(Approval expired, AuditEntry entry, Outcome done) {
  const bool rejects = expired.policy.on_expire == Policy::OnExpire::kReject;
  if (rejects) expired.decision = Decision{"expired", "", expired.note, loop_.now(), "system"};
  store::Batch batch = batch_for(expired, entry);
  auto answered = guarded([this, expired, done](const Result<Unit>& result) {
    const Status status = result.ok() ? Status{} : Status{result.error()};
    settled(expired.id, expired, status, [done](const Result<Approval>& outcome) {
      done(outcome.ok() || outcome.error().code == "AlreadyDecided" ? Status{} : Status{outcome.error()});
    });
  });
  if (rejects) {
    const std::string output = json::to_text(task_output(expired, *expired.decision));
    return runtime_->send_task_success(expired.task_token, output, entry.actor, std::move(batch), answered);
  }
  const std::string cause =
      "Nobody decided on approval " + expired.id + " until " + to_iso8601(expired.expires_at);
  runtime_->send_task_failure(expired.task_token, "States.Timeout", cause, entry.actor, std::move(batch),
                              answered);
}

}  // namespace sortie::response
