#include "events/queue_source.h"

#include <algorithm>

#include "base/text.h"
#include "json/members.h"
#include "json/text.h"

namespace sortie::events {

namespace queue_detail {
namespace {

constexpr std::int64_t kRetryMs = 1'000, kRetryMsMax = 60'000;
constexpr std::int64_t kQuickMs = 500;  // An empty answer sooner than this was no long poll.

Error misconfigured(std::string message, std::string pointer, std::string hint = "") {
  return {"InvalidConfiguration", std::move(message), std::move(pointer), std::move(hint)};
}

Result<std::string> text_of(const json::Value& entry, std::string_view key, const std::string& pointer,
                            std::string fallback) {
  const json::Value& value = entry.get(key);
  if (value.is_null()) return fallback;
  if (value.is_string() && !value.as_string().empty()) return value.to_std_string();
  return misconfigured(std::string(key) + " has to be text", pointer + "/" + std::string(key));
}

Result<QueueSource> parse_source(const std::string& name, const json::Value& entry) {
  const std::string pointer = "/" + name;
  const bool valid =
      !name.empty() && name.size() <= 64 &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
          std::string::npos;
  if (!valid) return misconfigured("a source's name has 1 to 64 letters, digits, '-' or '_'", pointer);
  if (!entry.is_object()) return misconfigured("a source has keys", pointer, "at least `queue: NAME`");
  static const std::vector<std::string> kKnown = {"queue", "events",      "aws_sources", "source",
                                                  "bus",   "detail_type", "polls",       "deduplicate"};
  for (const json::Member& member : entry.members()) {
    const std::string key = member.key.to_std_string();
    if (std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end())
      return misconfigured("unknown key '" + key + "'", pointer + "/" + key,
                           "known keys here: " + join(kKnown, ", "));
  }
  QueueSource out;
  out.name = name;
  SORTIE_TRY(out.queue, text_of(entry, "queue", pointer, ""));
  if (out.queue.empty()) return misconfigured("queue is missing", pointer, "queue: NAME, URL or ARN");
  SORTIE_TRY(out.source, text_of(entry, "source", pointer, "sortie.queues." + name));
  SORTIE_TRY(out.detail_type, text_of(entry, "detail_type", pointer, out.detail_type));
  SORTIE_TRY(out.bus, text_of(entry, "bus", pointer, ""));
  const json::Value& events = entry.get("events");
  if (!events.is_null() && !events.is_bool())
    return misconfigured("events has to be true or false", pointer + "/events");
  out.holds_events = events.is_bool() && events.as_bool();
  for (const json::Value& allowed : entry.get("aws_sources").items()) {
    if (!allowed.is_string() || !allowed.as_string().starts_with("aws."))
      return misconfigured("aws_sources lists sources like aws.guardduty, or aws.*",
                           pointer + "/aws_sources");
    out.aws_sources.push_back(allowed.to_std_string());
  }
  if (out.source.starts_with("aws.")) {
    return misconfigured("source must not begin with aws.", pointer + "/source",
                         "with `events: true` and aws_sources, events bring such a source along");
  }
  const json::Value& polls = entry.get("polls");
  if (!polls.is_null()) {
    if (!polls.is_integer() || polls.as_integer() < 1 || polls.as_integer() > kQueuePollsMax)
      return misconfigured("polls has to be a whole number", pointer + "/polls", "from 1 to 8");
    out.polls = static_cast<int>(polls.as_integer());
  }
  if (const json::Value& window = entry.get("deduplicate"); !window.is_null()) {
    const auto ms = parse_window_ms(json::text_member(entry, "deduplicate"));
    if (!ms)
      return misconfigured("deduplicate is no duration", pointer + "/deduplicate", "write it like 24h");
    out.dedup_window_ms = *ms;
  }
  return out;
}

// {"Type": "Notification", "Message": TEXT}: what an SNS subscription puts around an event.
json::Value unwrap_notification(const json::Value& body) {
  if (json::text_member(body, "Type") != "Notification" || !body.get("Message").is_string()) return body;
  const auto inner = json::parse(body.get("Message").as_string());
  return inner ? *inner : body;
}

}  // namespace
}  // namespace queue_detail

namespace qd = queue_detail;

Result<std::vector<QueueSource>> parse_queue_sources(const json::Value& section) {
  std::vector<QueueSource> out;
  if (section.is_null()) return out;
  if (!section.is_object())
    return qd::misconfigured("sources has to hold keys", "",
                             "write it like `sources: {findings: {queue: NAME}}`");
  int polls = 0;
  for (const json::Member& member : section.members()) {
    SORTIE_TRY(QueueSource source, qd::parse_source(member.key.to_std_string(), member.value));
    polls += source.polls;
    out.push_back(std::move(source));
  }
  if (polls > kQueuePollsMax)
    return qd::misconfigured("all sources together have " + std::to_string(polls) + " polls", "",
                             "at most " + std::to_string(kQueuePollsMax));
  return out;
}

std::vector<TrustedSource> trusted_sources(const QueueSource& source) {
  std::vector<TrustedSource> out;
  for (const std::string& allowed : source.aws_sources) out.push_back({"hook:queue/" + source.name, allowed});
  return out;
}

Result<PutEntry> parse_message(const QueueSource& source, const QueueMessage& message) {
  const auto parsed = json::parse(message.body);
  PutEntry entry;
  entry.bus = source.bus;
  if (!source.holds_events) {
    const bool is_object = parsed && parsed->is_object();
    entry.source = source.source;
    entry.detail_type = source.detail_type;
    entry.detail = is_object ? message.body
                             : json::to_text(json::Value::object(
                                   {{"body", parsed ? *parsed : json::Value(to_valid_utf8(message.body))}}));
    return entry;
  }
  const json::Value event = parsed ? qd::unwrap_notification(*parsed) : json::Value();
  entry.source = json::text_member(event, "source");
  entry.detail_type = json::text_member(event, "detail-type");
  if (entry.source.empty() || entry.detail_type.empty() || !event.get("detail").is_object()) {
    return Error{"InvalidMessage", "the body is no event: source, detail-type and detail are wanted", "",
                 "leave `events: true` away to take any body as the detail"};
  }
  entry.detail = json::to_text(event.get("detail"));
  for (const json::Value& resource : event.get("resources").items()) {
    if (resource.is_string()) entry.resources.push_back(resource.to_std_string());
  }
  if (const auto time = parse_rfc3339(json::text_member(event, "time")); time) entry.time = *time;
  return entry;
}

struct QueueIntake::Line {
  QueueSource source;
  Standing standing;
  int failures = 0;  // In a row.
  bool active = true;
  std::vector<Loop::TimerId> timers;
};

struct QueueIntake::Taken {
  std::shared_ptr<Line> line;
  std::size_t open = 0;
  std::vector<std::string> receipts;  // Of what is durable.
  std::optional<Error> failure;       // Of the store, not of a message.
};

QueueIntake::QueueIntake(Loop& loop, EventBus& bus, QueueDoor& door, Options options)
    : loop_(loop), bus_(bus), door_(door), options_(std::move(options)) {}

QueueIntake::~QueueIntake() {
  stop();
  *alive_ = false;
}

void QueueIntake::configure(const std::vector<QueueSource>& sources) {
  std::map<std::string, std::shared_ptr<Line>> before = std::exchange(lines_, {});
  std::vector<std::shared_ptr<Line>> fresh;
  for (const QueueSource& source : sources) {
    const auto known = before.find(source.name);
    if (known != before.end() && known->second->source == source) {
      lines_.insert(before.extract(known));
      continue;
    }
    auto line = std::make_shared<Line>();
    line->source = source;
    line->standing.name = source.name;
    line->standing.queue = source.queue;
    lines_[source.name] = line;
    fresh.push_back(std::move(line));
  }
  for (const auto& [name, line] : before) {
    line->active = false;
    for (const Loop::TimerId timer : line->timers) loop_.cancel(timer);
  }
  for (const auto& line : fresh) {
    for (int i = 0; i < line->source.polls; ++i) poll(line);
  }
}

void QueueIntake::stop() { configure({}); }

std::vector<QueueIntake::Standing> QueueIntake::standings() const {
  std::vector<Standing> out;
  for (const auto& [name, line] : lines_) out.push_back(line->standing);
  return out;
}

void QueueIntake::poll_after(const std::shared_ptr<Line>& line, std::int64_t delay_ms) {
  if (!line->active) return;
  auto timer = std::make_shared<Loop::TimerId>(0);
  *timer = loop_.call_at(loop_.now().plus_ms(delay_ms), [this, line, timer] {
    std::erase(line->timers, *timer);
    poll(line);
  });
  line->timers.push_back(*timer);
}

void QueueIntake::poll(const std::shared_ptr<Line>& line) {
  if (!line->active) return;
  const Timestamp began = loop_.now();
  door_.receive(line->source.queue,
                [this, alive = alive_, line, began](Result<std::vector<QueueMessage>> messages) {
                  if (!*alive || !line->active) return;
                  if (!messages) return fail(line, messages.error());
                  Standing& standing = line->standing;
                  if (!std::exchange(standing.is_reachable, true)) {
                    standing.trouble.clear();
                    if (options_.on_recovery) options_.on_recovery(line->source.name);
                  }
                  line->failures = 0;
                  standing.received += messages->size();
                  if (!messages->empty()) return take(line, std::move(*messages));
                  poll_after(line, loop_.now().ms - began.ms < qd::kQuickMs ? qd::kRetryMs : 0);
                });
}

// The queue or the store failed; both are asked again, ever more slowly.
void QueueIntake::fail(const std::shared_ptr<Line>& line, const Error& error) {
  ++line->standing.failures;
  line->standing.trouble = error.code + ": " + error.message;
  if (std::exchange(line->standing.is_reachable, false) && options_.on_trouble)
    options_.on_trouble(line->source.name, error);
  poll_after(line, std::min(qd::kRetryMs << std::min(line->failures++, 10), qd::kRetryMsMax));
}

void QueueIntake::take(const std::shared_ptr<Line>& line, std::vector<QueueMessage> messages) {
  auto taken = std::make_shared<Taken>();
  taken->line = line;
  taken->open = messages.size();
  for (const QueueMessage& message : messages) accept(taken, message);
}

void QueueIntake::accept(const std::shared_ptr<Taken>& taken, const QueueMessage& message) {
  Line& line = *taken->line;
  const auto refuse = [this, taken](const QueueMessage& refused, const Error& error) {
    Line& owner = *taken->line;
    ++owner.standing.refused;
    Error told = error;
    told.message = "message " + refused.id + " is refused, and stays in the queue (received " +
                   std::to_string(refused.receive_count) + " times): " + error.message;
    owner.standing.trouble = told.message;
    if (options_.on_trouble) options_.on_trouble(owner.source.name, told);
  };
  auto entry = parse_message(line.source, message);
  if (!entry) {
    refuse(message, entry.error());
    return loop_.post([this, alive = alive_, taken] {
      if (*alive) settle(taken);
    });
  }
  Actor actor;
  actor.kind = Actor::Kind::kHook;
  actor.name = "queue/" + line.source.name;
  actor.account = options_.account;
  actor.channel = "queue";
  bus_.put_events(
      {std::move(*entry)}, actor,
      [this, alive = alive_, taken, message, refuse](Result<std::vector<PutResult>> results) {
        if (!*alive) return;
        Standing& standing = taken->line->standing;
        if (!results) {
          taken->failure = results.error();
        } else if (const PutResult& result = results->front(); result.event_id.empty()) {
          const Error error{result.error_code, result.error_message, "", ""};
          if (error.code == "ThrottlingException") {
            taken->failure = error;
          } else {
            refuse(message, error);
          }
        } else {
          ++(result.duplicate_of.empty() ? standing.accepted : standing.duplicates);
          taken->receipts.push_back(message.receipt);
        }
        settle(taken);
      },
      SourceDedup{"queue/" + line.source.name, message.id, line.source.dedup_window_ms});
}

// One message is dealt with. After the last one, what is durable is deleted, and the next poll may come.
void QueueIntake::settle(const std::shared_ptr<Taken>& taken) {
  if (--taken->open > 0) return;
  const auto go_on = [this, taken] {
    if (taken->failure) return fail(taken->line, *taken->failure);
    poll(taken->line);
  };
  if (taken->receipts.empty()) return go_on();
  door_.remove(taken->line->source.queue, taken->receipts, [alive = alive_, taken, go_on](Status removed) {
    if (!*alive) return;
    // What was not deleted comes again and is a duplicate then.
    if (removed) {
      taken->line->standing.removed += taken->receipts.size();
    } else if (!taken->failure) {
      taken->failure = removed.error();
    }
    go_on();
  });
}

}  // namespace sortie::events
