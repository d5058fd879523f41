#include "events/delivery_queue.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/canary.h"
#include "base/text.h"
#include "json/members.h"
#include "json/text.h"

namespace sortie::events {

namespace delivery_detail {

constexpr std::size_t kErrorBytesMax = 1024;
constexpr std::int64_t kStoreRetryMs = 1'000;  // After a write or read of the store that failed.

json::Value actor_json(const Actor& actor) {
  return json::Value::object({{"actor", to_text(actor)},
                              {"account", actor.account},
                              {"channel", actor.channel},
                              {"onBehalfOf", actor.on_behalf_of}});
}

std::int64_t number_member(const json::Value& object, std::string_view member) {
  const json::Value* value = object.find(member);
  return value != nullptr && value->is_integer() ? value->as_integer() : 0;
}

Actor parse_actor_json(const json::Value& value) {
  Actor actor = parse_actor(json::text_member(value, "actor"));
  actor.account = json::text_member(value, "account");
  actor.channel = json::text_member(value, "channel");
  actor.on_behalf_of = json::text_member(value, "onBehalfOf");
  return actor;
}

std::string short_error(const Error& error) {
  return std::string(truncate_utf8(error.code + ": " + error.message, kErrorBytesMax));
}

}  // namespace delivery_detail

using namespace delivery_detail;

bool is_final_failure(std::string_view code) {
  static constexpr std::array<std::string_view, 20> kFinal = {"ResourceNotFound",
                                                              "StateMachineDoesNotExist",
                                                              "InvalidArn",
                                                              "InvalidName",
                                                              "InvalidExecutionInput",
                                                              "Validation",
                                                              "InvalidParameterValue",
                                                              "InvalidParameter",
                                                              "InvalidRequestContent",
                                                              "RequestTooLarge",
                                                              "AccessDenied",
                                                              "AuthorizationError",
                                                              "NotFound",
                                                              "QueueDoesNotExist",
                                                              "NonExistentQueue",
                                                              "InvalidMessageContents",
                                                              "UnsupportedTarget",
                                                              "InvalidTarget",
                                                              "ValidationError",
                                                              "TargetNotSupported"};
  // The same error comes as "QueueDoesNotExist", "Sqs.QueueDoesNotExistException" and the like.
  std::string_view name = code.substr(code.rfind('.') == std::string_view::npos ? 0 : code.rfind('.') + 1);
  constexpr std::string_view kSuffix = "Exception";
  if (name.ends_with(kSuffix)) name.remove_suffix(kSuffix.size());
  return std::find(kFinal.begin(), kFinal.end(), name) != kFinal.end();
}

json::Value to_json(const DeliveryRow& row) {
  const Delivery& d = row.delivery;
  json::ObjectBuilder out;
  out.append("id", d.id).append("eventId", d.event_id).append("ruleArn", d.rule_arn);
  out.append("ruleKey", d.rule_key).append("ruleName", d.rule_name).append("targetId", d.target_id);
  out.append("kind", static_cast<int>(d.kind)).append("arn", d.arn).append("roleArn", d.role_arn);
  out.append("payload", d.payload).append("parameters", d.parameters);
  out.append("attemptsMax", d.retry.attempts_max).append("ageMaxMs", d.retry.age_max_ms);
  out.append("deadLetterArn", d.dead_letter_arn).append("actor", actor_json(d.actor));
  out.append("traceHeader", d.trace_header).append("acceptedMs", d.accepted_at.ms).append("hops", d.hops);
  out.append("attempts", row.attempts).append("dueMs", row.due.ms).append("lastError", row.last_error);
  out.append("deadLetter", row.dead_letter);
  return out.build();
}

Result<DeliveryRow> parse_delivery_row(std::string_view text) {
  const auto parsed = json::parse(text);
  if (!parsed || !parsed->is_object() || json::text_member(*parsed, "id").empty()) {
    return Error{"StoreCorrupt", "A stored delivery cannot be read"};
  }
  const json::Value& value = *parsed;
  DeliveryRow row;
  Delivery& d = row.delivery;
  d.id = json::text_member(value, "id");
  d.event_id = json::text_member(value, "eventId");
  d.rule_arn = json::text_member(value, "ruleArn");
  d.rule_key = json::text_member(value, "ruleKey");
  d.rule_name = json::text_member(value, "ruleName");
  d.target_id = json::text_member(value, "targetId");
  d.arn = json::text_member(value, "arn");
  d.kind = target_kind_of(d.arn);
  d.role_arn = json::text_member(value, "roleArn");
  d.payload = json::text_member(value, "payload");
  d.parameters = value.get("parameters");
  d.retry.attempts_max = static_cast<int>(number_member(value, "attemptsMax"));
  d.retry.age_max_ms = number_member(value, "ageMaxMs");
  d.dead_letter_arn = json::text_member(value, "deadLetterArn");
  d.actor = parse_actor_json(value.get("actor"));
  d.trace_header = json::text_member(value, "traceHeader");
  d.accepted_at.ms = number_member(value, "acceptedMs");
  d.hops = static_cast<int>(number_member(value, "hops"));
  row.attempts = static_cast<int>(number_member(value, "attempts"));
  row.due.ms = number_member(value, "dueMs");
  row.last_error = json::text_member(value, "lastError");
  row.dead_letter = value.get("deadLetter") == json::Value(true);
  return row;
}

DeliveryQueue::DeliveryQueue(Loop& loop, Random& random, store::Store& store, TargetInvoker& invoker,
                             DeliveryOptions options)
    : loop_(loop),
      random_(random),
      store_(store),
      invoker_(invoker),
      options_(options),
      alive_(std::make_shared<bool>(true)) {}

DeliveryQueue::~DeliveryQueue() {
  *alive_ = false;
  loop_.cancel(timer_);
}

Status DeliveryQueue::recover(Lease lease, Forward forward) {
  lease_ = lease;
  forward_ = std::move(forward);
  std::string after;
  while (true) {
    SORTIE_TRY(const auto page, store_.list_documents(kDeliveryKind, after, 500));
    for (const store::Document& document : page) {
      SORTIE_TRY(const DeliveryRow row, parse_delivery_row(document.value));
      // What was in flight when the process died is due at once; a retry keeps its pause.
      if (!SORTIE_CANARY_IS("delivery-not-recovered")) waiting_.emplace(row.due, row.delivery.id);
      after = document.key;
    }
    if (page.size() < 500) break;
  }
  arm();
  return {};
}

store::Document DeliveryQueue::document(const Delivery& delivery) {
  DeliveryRow row;
  row.delivery = delivery;
  row.due = delivery.accepted_at;
  return store::Document{std::string(kDeliveryKind), delivery.id, json::to_text(to_json(row))};
}

void DeliveryQueue::enqueue(const std::string& delivery_id) {
  ready_.push_back(delivery_id);
  pump();
}

void DeliveryQueue::stop() {
  stopped_ = true;
  loop_.cancel(timer_);
  timer_ = 0;
}

void DeliveryQueue::arm() {
  if (stopped_ || waiting_.empty()) return;
  const Timestamp due = waiting_.begin()->first;
  if (timer_ != 0 && timer_due_ <= due) return;
  loop_.cancel(timer_);
  timer_due_ = due;
  timer_ = loop_.call_at(due, [this, alive = alive_] {
    if (!*alive) return;
    timer_ = 0;
    timer_due_ = kNever;
    const Timestamp now = loop_.now();
    while (!waiting_.empty() && waiting_.begin()->first <= now) {
      ready_.push_back(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
    }
    pump();
    arm();
  });
}

void DeliveryQueue::pump() {
  if (pumping_) return;  // An attempt that ends at once settles inside the loop below.
  pumping_ = true;
  while (!stopped_ && !ready_.empty() && in_flight_.size() < options_.in_flight_max) {
    const std::string id = std::move(ready_.front());
    ready_.pop_front();
    if (in_flight_.emplace(id, ++last_attempt_).second) attempt(id);
  }
  pumping_ = false;
}

void DeliveryQueue::attempt(const std::string& id) {
  const auto found = store_.find_document(kDeliveryKind, id);
  if (!found) return settle(id, loop_.now().plus_ms(kStoreRetryMs));
  if (!*found) return settle(id, std::nullopt);  // Made already.
  auto parsed = parse_delivery_row(**found);
  if (!parsed) return settle(id, loop_.now().plus_ms(options_.retry_ms_max));
  DeliveryRow row = std::move(parsed).value();
  const Delivery& d = row.delivery;
  const std::uint64_t no = in_flight_[id];
  if (d.kind == TargetKind::kEventBus && !row.dead_letter) {
    store::Batch batch = lease_.batch();
    batch.documents_gone.emplace_back(std::string(kDeliveryKind), id);
    batch.log.push_back(outcome(row, "delivered", d.arn));
    const bool ours =
        forward_ && forward_(d, std::move(batch), [this, alive = alive_, row, no](Status status) {
          if (!*alive) return;
          if (status) return settle(row.delivery.id, std::nullopt);
          finish(row, no, status.error());
        });
    if (ours) return;
  }
  TargetOrder order;
  order.kind = row.dead_letter ? TargetKind::kQueue : d.kind;
  order.arn = row.dead_letter ? d.dead_letter_arn : d.arn;
  order.payload = d.payload;
  order.delivery_id = d.id;
  order.role_arn = d.role_arn;
  order.parameters = row.dead_letter ? json::Value() : d.parameters;
  if (row.dead_letter) {
    order.attributes = json::Value::object(
        {{"RULE_ARN", d.rule_arn}, {"TARGET_ARN", d.arn}, {"ERROR_MESSAGE", row.last_error}});
  }
  order.trace_header = d.trace_header;
  order.actor = d.actor;
  // Whichever comes first counts, the answer or the end of the time for one.
  const Loop::TimerId watch =
      loop_.call_at(loop_.now().plus_ms(options_.attempt_ms_max), [this, alive = alive_, row, no] {
        if (*alive) finish(row, no, Error{"DeliveryTimedOut", "The target did not answer in time."});
      });
  invoker_.deliver(std::move(order), [this, alive = alive_, row, no, watch](Result<TargetReply> reply) {
    if (!*alive) return;
    loop_.cancel(watch);
    finish(row, no, std::move(reply));
  });
}

void DeliveryQueue::finish(DeliveryRow row, std::uint64_t attempt_no, Result<TargetReply> reply) {
  const std::string id = row.delivery.id;
  const auto current = in_flight_.find(id);
  if (current == in_flight_.end() || current->second != attempt_no) return;  // Too late, or answered twice.
  current->second = 0;
  if (!reply && reply.error().code == "ExecutionAlreadyExists") reply = TargetReply{};
  if (reply) {
    if (!row.dead_letter) last_lag_ms_ = loop_.now().ms - row.delivery.accepted_at.ms;
    store::Batch batch = lease_.batch();
    batch.documents_gone.emplace_back(std::string(kDeliveryKind), id);
    batch.log.push_back(outcome(row, row.dead_letter ? "dead-lettered" : "delivered", reply->result));
    return commit(id, std::move(batch), [this, id] { settle(id, std::nullopt); });
  }
  const Error& error = reply.error();
  ++row.attempts;
  row.last_error = short_error(error);
  if (is_final_failure(error.code)) return give_up(std::move(row), error, "NonRetryable");
  if (row.attempts > row.delivery.retry.attempts_max) {
    return give_up(std::move(row), error, "MaximumRetryAttempts");
  }
  const Timestamp due = loop_.now().plus_ms(pause_ms(row.attempts));
  if (due.ms - row.delivery.accepted_at.ms > row.delivery.retry.age_max_ms) {
    return give_up(std::move(row), error, "MaximumEventAgeInSeconds");
  }
  retry(std::move(row), due);
}

void DeliveryQueue::give_up(DeliveryRow row, const Error& error, std::string_view condition) {
  const std::string id = row.delivery.id;
  const std::string told = std::string(condition) + ": " + short_error(error);
  store::Batch batch = lease_.batch();
  if (row.dead_letter || row.delivery.dead_letter_arn.empty()) {
    batch.documents_gone.emplace_back(std::string(kDeliveryKind), id);
    batch.log.push_back(outcome(row, row.dead_letter ? "lost" : "failed", told));
    return commit(id, std::move(batch), [this, id] { settle(id, std::nullopt); });
  }
  // From here on the row stands for the message to the dead-letter queue, with a day of its own.
  batch.log.push_back(outcome(row, "failed", told));
  row.dead_letter = true;
  row.attempts = 0;
  row.due = loop_.now();
  row.delivery.accepted_at = row.due;
  row.delivery.retry = RetryPolicy{};
  batch.documents.push_back(store::Document{std::string(kDeliveryKind), id, json::to_text(to_json(row))});
  commit(id, std::move(batch), [this, id, due = row.due] { settle(id, due); });
}

void DeliveryQueue::retry(DeliveryRow row, Timestamp due) {
  const std::string id = row.delivery.id;
  row.due = due;
  store::Batch batch = lease_.batch();
  batch.documents.push_back(store::Document{std::string(kDeliveryKind), id, json::to_text(to_json(row))});
  commit(id, std::move(batch), [this, id, due] { settle(id, due); });
}

void DeliveryQueue::commit(const std::string& id, store::Batch batch, std::function<void()> then) {
  store_.append(std::move(batch), [this, alive = alive_, id, then = std::move(then)](Status status) {
    if (!*alive) return;
    // What could not be recorded is made again: the row is still there, under the same id.
    if (!status) return settle(id, loop_.now().plus_ms(kStoreRetryMs));
    then();
  });
}

void DeliveryQueue::settle(const std::string& id, std::optional<Timestamp> due) {
  in_flight_.erase(id);
  if (due) waiting_.emplace(*due, id);
  arm();
  pump();
}

store::LogLine DeliveryQueue::outcome(const DeliveryRow& row, std::string_view type,
                                      std::string_view text) const {
  const Delivery& d = row.delivery;
  json::ObjectBuilder body;
  body.append("deliveryId", d.id).append("eventId", d.event_id).append("ruleArn", d.rule_arn);
  body.append("targetId", d.target_id).append("arn", d.arn).append("outcome", type);
  body.append(type == "delivered" || type == "dead-lettered" ? "result" : "error", text);
  body.append("attempts", row.attempts + 1);
  store::LogLine line;
  line.stream = std::string(kDeliveryStream);
  line.time = loop_.now();
  line.source = d.rule_key;
  line.type = std::string(type);
  line.subject = d.event_id;
  line.body = json::to_text(body.build());
  return line;
}

std::int64_t DeliveryQueue::pause_ms(int attempts) {
  const int doublings = std::min(attempts - 1, 30);
  const std::int64_t pause = std::min(options_.retry_ms_max, options_.retry_ms_first << doublings);
  return pause / 2 + static_cast<std::int64_t>(random_.next() % static_cast<std::uint64_t>(pause / 2 + 1));
}

}  // namespace sortie::events
