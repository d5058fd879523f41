#include "cli/status_events.h"

#include "api/states_api.h"
#include "base/text.h"
#include "json/members.h"
#include "json/text.h"

namespace sortie::cli {
namespace status_events {

constexpr std::string_view kSource = "aws.states";
constexpr std::string_view kDetailType = "Step Functions Execution Status Change";
constexpr const char* kKind = "status_event";
constexpr std::size_t kDataBytesMax = 200 * 1024;  // Input and output together; an event may have 256 KiB.
constexpr std::size_t kPageSize = 100;
constexpr std::int64_t kAgainMs = 5'000;

// What an execution was at the moment of the change; what never changes of it is read when it is told.
struct Moment {
  std::string execution_arn;
  store::ExecutionStatus status = store::ExecutionStatus::kRunning;
  std::int64_t redrive_count = 0;
  Timestamp redriven_at, stopped_at;
  std::optional<std::string> error, cause;

  bool has_ended() const { return status != store::ExecutionStatus::kRunning; }
  // Of the note, and what the bus knows repetitions by.
  std::string key() const {
    return execution_arn + (has_ended() ? " ended " : " began ") + std::to_string(redrive_count);
  }
};

json::Value or_null(const std::string& text) { return text.empty() ? json::Value() : json::Value(text); }
json::Value or_null(const std::optional<std::string>& text) {
  return text ? json::Value(*text) : json::Value();
}

std::string note_text(const Moment& moment) {
  json::ObjectBuilder out;
  out.append("execution", moment.execution_arn).append("status", static_cast<std::int64_t>(moment.status));
  out.append("redrives", moment.redrive_count).append("redriven_at", moment.redriven_at.ms);
  out.append("stopped_at", moment.stopped_at.ms);
  out.append("error", or_null(moment.error)).append("cause", or_null(moment.cause));
  return json::to_text(out.build());
}

std::optional<Moment> read_note(const std::string& text) {
  const Result<json::Value> note = json::parse(text);
  if (!note || !note->get("execution").is_string()) return std::nullopt;
  const auto number = [&note](std::string_view name) {
    return note->get(name).is_integer() ? note->get(name).as_integer() : 0;
  };
  const auto words = [&note](std::string_view name) {
    const json::Value& value = note->get(name);
    return value.is_string() ? std::optional<std::string>(value.to_std_string()) : std::nullopt;
  };
  Moment moment;
  moment.execution_arn = json::text_member(*note, "execution");
  moment.status = static_cast<store::ExecutionStatus>(number("status"));
  moment.redrive_count = number("redrives");
  moment.redriven_at = {number("redriven_at")};
  moment.stopped_at = {number("stopped_at")};
  moment.error = words("error");
  moment.cause = words("cause");
  return moment;
}

// Why it could not be redriven at that moment; nothing where it could, as the redrive that came after shows.
std::optional<std::string> obstacle_of(const Moment& moment, const runtime::ExecutionDescription& now) {
  if (!moment.has_ended()) return "Execution is RUNNING and cannot be redriven";
  return now.redrive_count > moment.redrive_count ? std::nullopt : now.redrive_obstacle;
}

json::Value detail_of(const Moment& moment, const runtime::ExecutionDescription& execution) {
  // Only the last end of an execution has an output: one that succeeded is never redriven.
  const bool succeeded = moment.status == store::ExecutionStatus::kSucceeded;
  const std::optional<std::string> output = succeeded ? execution.output_text : std::nullopt;
  const bool included = execution.input_text.size() + (output ? output->size() : 0) <= kDataBytesMax;
  const json::Value details = json::Value::object({{"included", included}});
  json::ObjectBuilder out;
  out.append("executionArn", execution.arn).append("stateMachineArn", execution.state_machine_arn);
  out.append("stateMachineVersionArn", or_null(execution.version_arn));
  out.append("stateMachineAliasArn", or_null(execution.alias_arn));
  out.append("name", execution.name).append("status", api::status_name(moment.status));
  out.append("startDate", execution.started_at.ms);
  out.append("stopDate", moment.has_ended() ? json::Value(moment.stopped_at.ms) : json::Value());
  out.append("input", included ? json::Value(execution.input_text) : json::Value());
  out.append("inputDetails", details);
  out.append("output", included ? or_null(output) : json::Value());
  out.append("outputDetails", output ? details : json::Value());
  out.append("error", or_null(moment.error)).append("cause", or_null(moment.cause));
  out.append("redriveCount", moment.redrive_count);
  out.append("redriveDate", moment.redrive_count > 0 ? json::Value(moment.redriven_at.ms) : json::Value());
  const std::optional<std::string> obstacle = obstacle_of(moment, execution);
  out.append("redriveStatus", obstacle ? "NOT_REDRIVABLE" : "REDRIVABLE");
  out.append("redriveStatusReason", or_null(obstacle));
  return out.build();
}

// arn:aws:states:REGION:ACCOUNT:execution:MACHINE:NAME; children have MACHINE/LABEL. "" where nobody is told.
std::string_view account_of(std::string_view execution_arn) {
  const std::vector<std::string_view> parts = split(execution_arn, ':');
  const bool is_told =
      parts.size() >= 8 && parts[5] == "execution" && parts[6].find('/') == std::string_view::npos;
  return is_told ? parts[4] : std::string_view();
}

}  // namespace status_events

struct StatusEvents::Telling {
  status_events::Moment moment;
  bool has_note = false;
};

StatusEvents::StatusEvents(Loop& loop, store::Store& store, runtime::Runtime& runtime, events::EventBus& bus)
    : loop_(loop), store_(store), runtime_(runtime), bus_(bus) {
  subscription_ = runtime.observe([this](const runtime::ExecutionChange& change) { take(change); });
}

StatusEvents::~StatusEvents() {
  if (timer_ != 0) loop_.cancel(timer_);
}

bool StatusEvents::is_told(std::string_view execution_arn, const Actor& actor) const {
  const std::string_view account = status_events::account_of(execution_arn);
  if (account.empty() || !bus_.listens_to(account, status_events::kSource)) return false;
  if (actor.kind != Actor::Kind::kRule) return true;
  const auto rule =
      bus_.find_rule(std::string(account) + "/" + std::string(events::kDefaultBus) + "/" + actor.name);
  return rule == nullptr || !events::EventBus::names_source(rule->rule, status_events::kSource);
}

void StatusEvents::note(const runtime::StatusChange& change, store::Batch& batch) const {
  if (!is_told(change.execution_arn, change.actor)) return;
  status_events::Moment moment{change.execution_arn,
                               store::ExecutionStatus::kRunning,
                               change.redrive_count,
                               change.redriven_at,
                               {},
                               {},
                               {}};
  const auto add = [&batch](const status_events::Moment& each) {
    batch.documents.push_back({status_events::kKind, each.key(), status_events::note_text(each)});
  };
  if (change.began) add(moment);
  if (!change.ended) return;
  moment.status = change.status;
  moment.stopped_at = change.stopped_at;
  moment.error = change.error;
  moment.cause = change.cause;
  add(moment);
}

void StatusEvents::take(const runtime::ExecutionChange& change) {
  const bool has_ended = change.status != store::ExecutionStatus::kRunning;
  if (!change.began && !has_ended) return;
  const std::string_view account = status_events::account_of(change.execution_arn);
  if (account.empty() || !bus_.listens_to(account, status_events::kSource)) return;
  const Result<runtime::ExecutionDescription> execution = runtime_.describe_execution(change.execution_arn);
  if (!execution) return sweep_later();
  if (!is_told(execution->arn, execution->actor)) return;
  Telling telling{{execution->arn,
                   store::ExecutionStatus::kRunning,
                   execution->redrive_count,
                   execution->redriven_at,
                   {},
                   {},
                   {}},
                  !change.elsewhere};
  if (change.began) put(telling, [](bool) {});
  if (!has_ended) return;
  telling.moment.status = change.status;
  telling.moment.stopped_at = execution->stopped_at;
  telling.moment.error = execution->error;
  telling.moment.cause = execution->cause;
  put(std::move(telling), [](bool) {});
}

// `done` with whether there is nothing left to tell.
void StatusEvents::put(Telling telling, std::function<void(bool)> done) {
  const status_events::Moment& moment = telling.moment;
  const std::string key = moment.key();
  const Result<runtime::ExecutionDescription> execution = runtime_.describe_execution(moment.execution_arn);
  if (!execution) {
    // Retention has deleted it, or the store cannot be read at this moment.
    const bool is_gone = execution.error().code == "ExecutionDoesNotExist";
    is_gone ? forget(key) : sweep_later();
    return done(is_gone);
  }
  events::PutEntry entry;
  entry.source = status_events::kSource;
  entry.detail_type = status_events::kDetailType;
  entry.detail = json::to_text(status_events::detail_of(moment, *execution));
  entry.resources = {execution->arn};
  entry.time = moment.has_ended()         ? moment.stopped_at
               : moment.redrive_count > 0 ? moment.redriven_at
                                          : execution->started_at;
  // Whoever is behind the execution is behind what the event starts, also for those who approve.
  const Actor& who = execution->actor;
  Actor actor{Actor::Kind::kSystem, "states", std::string(status_events::account_of(execution->arn)),
              "execution", who.person()};
  const bool nameless = who.kind == Actor::Kind::kUnknown || who.kind == Actor::Kind::kAccountKey;
  if (actor.on_behalf_of.empty() && nameless) actor.on_behalf_of = "unknown";
  on_their_way_.insert(key);
  // Of several nodes more than one may tell of the same end.
  bus_.put_events(
      {std::move(entry)}, actor,
      [this, key, has_note = telling.has_note, done = std::move(done),
       alive = std::weak_ptr<int>(alive_)](const Result<std::vector<events::PutResult>>& results) {
        if (alive.expired()) return;
        on_their_way_.erase(key);
        const bool is_in = results && !results->empty() && !results->front().event_id.empty();
        if (!is_in) {
          sweep_later();
        } else if (has_note) {
          forget(key);
        }
        done(is_in);
      },
      events::SourceDedup{"states", key});
}

void StatusEvents::forget(const std::string& key) {
  if (!write_) return;
  store::Batch batch;
  batch.documents_gone.emplace_back(status_events::kKind, key);
  write_(std::move(batch));
}

void StatusEvents::recover(std::function<void(store::Batch)> write) {
  write_ = std::move(write);
  loop_.post([this, alive = std::weak_ptr<int>(alive_)] {
    if (!alive.expired()) sweep("");
  });
}

void StatusEvents::sweep_later() {
  if (timer_ != 0) return;
  timer_ = loop_.call_at(loop_.now().plus_ms(status_events::kAgainMs), [this] {
    timer_ = 0;
    sweep("");
  });
}

// The notes that nobody is telling at this moment, a page at a time; a bus that takes no more is left alone.
void StatusEvents::sweep(const std::string& after) {
  const auto page = store_.list_documents(status_events::kKind, after, status_events::kPageSize);
  if (!page.ok()) return sweep_later();
  // Goes on when the last of a page has been told.
  auto all_in = std::make_shared<bool>(page->size() == status_events::kPageSize);
  const std::shared_ptr<void> next(nullptr, [this, all_in, last = page->empty() ? "" : page->back().key,
                                             alive = std::weak_ptr<int>(alive_)](void*) {
    if (alive.expired() || !*all_in) return;
    loop_.post([this, last, alive] {
      if (!alive.expired()) sweep(last);
    });
  });
  for (const store::Document& document : *page) {
    if (on_their_way_.count(document.key) != 0) continue;
    std::optional<status_events::Moment> moment = status_events::read_note(document.value);
    const bool is_heard =
        moment && bus_.listens_to(status_events::account_of(moment->execution_arn), status_events::kSource);
    if (!is_heard) {
      forget(document.key);
      continue;
    }
    put({*std::move(moment), true}, [next, all_in](bool is_in) { *all_in = *all_in && is_in; });
  }
}

}  // namespace sortie::cli
