#include "base/hash.h"
#include "base/text.h"
#include "json/text.h"
#include "response/slack.h"

namespace sortie::response {
namespace slack_records {

constexpr std::string_view kKind = "slack_message";
constexpr std::size_t kPageSize = 500;
constexpr std::size_t kPayloadBytesMax = 512 * 1024;

std::string text(const json::Value& object, std::string_view name) {
  const json::Value& value = object.get(name);
  return value.is_string() ? value.to_std_string() : std::string();
}

// The `payload` of a form: percent-decoded, '+' is a blank.
std::optional<std::string> form_payload(std::string_view body) {
  for (const std::string_view pair : split(body, '&')) {
    if (!pair.starts_with("payload=")) continue;
    Result<std::string> decoded = percent_decode(replace_all(pair.substr(8), "+", "%20"));
    if (decoded && is_valid_utf8(*decoded)) return *std::move(decoded);
  }
  return std::nullopt;
}

// What a posted copy shows; a new text means that it has to be updated.
std::string shown_of(const Approval& approval) {
  return std::string(status_name(approval.status)) + " " + std::to_string(approval.votes.size());
}

}  // namespace slack_records

SlackDesk::SlackDesk(Loop& loop, Random& random, store::Store& store, Audit& audit, Approvals& approvals,
                     Call call)
    : loop_(loop),
      random_(random),
      store_(store),
      audit_(audit),
      approvals_(approvals),
      call_(std::move(call)) {}

SlackDesk::~SlackDesk() = default;

Status SlackDesk::start() {
  std::string after;
  while (true) {
    SORTIE_TRY(const std::vector<store::Document> page,
               store_.list_documents(slack_records::kKind, after, slack_records::kPageSize));
    for (const store::Document& document : page) {
      SORTIE_TRY(const json::Value value, json::parse(document.value));
      Message message;
      message.buttons = {slack_records::text(value, "approve"), slack_records::text(value, "reject")};
      message.channel = slack_records::text(value, "channel");
      message.ts = slack_records::text(value, "ts");
      message.shown = slack_records::text(value, "shown");
      by_button_[message.buttons.approve] = {document.key, true};
      by_button_[message.buttons.reject] = {document.key, false};
      messages_[document.key] = std::move(message);
      after = document.key;
    }
    if (page.size() < slack_records::kPageSize) break;
  }
  observer_ = approvals_.observe([this](const Approval& approval) { follow(approval); });
  ApprovalQuery open;
  open.status = ApprovalStatus::kPending;
  open.limit = 1000;
  SORTIE_TRY(const std::vector<Approval> pending, approvals_.list(open));
  for (const Approval& approval : pending) follow(approval);
  std::vector<std::string> known;
  for (const auto& [id, message] : messages_) known.push_back(id);
  for (const std::string& id : known) keep(id);
  return {};
}

void SlackDesk::follow(const Approval& approval) {
  if (messages_.find(approval.id) == messages_.end()) {
    if (approval.status != ApprovalStatus::kPending) return;
    Message message;
    message.buttons = {random_hex(random_, 16), random_hex(random_, 16)};
    by_button_[message.buttons.approve] = {approval.id, true};
    by_button_[message.buttons.reject] = {approval.id, false};
    messages_[approval.id] = std::move(message);
  }
  keep(approval.id);
}

void SlackDesk::save(const std::string& id, const Message& message, std::function<void(Status)> done) {
  store::Batch batch = audit_.lease().batch();
  const json::Value value = json::Value::object({{"approve", message.buttons.approve},
                                                 {"reject", message.buttons.reject},
                                                 {"channel", message.channel},
                                                 {"ts", message.ts},
                                                 {"shown", message.shown}});
  batch.documents.push_back({std::string(slack_records::kKind), id, json::to_text(value)});
  store_.append(std::move(batch),
                [alive = std::weak_ptr<int>(alive_), done = std::move(done)](const Status& status) {
                  if (!alive.expired()) done(status);
                });
}

// Makes Slack show what is true: posts what is not posted, updates what says something else.
void SlackDesk::keep(const std::string& id) {
  const auto found = messages_.find(id);
  if (found == messages_.end() || found->second.busy) return;
  const Result<Approval> approval = approvals_.find(id);
  if (!approval) return;
  const std::string shown = slack_records::shown_of(*approval);
  if (found->second.shown == shown) return;
  const bool posted = !found->second.ts.empty();
  // What ended before it was ever posted needs no message.
  if (!posted && approval->status != ApprovalStatus::kPending) return;
  found->second.busy = true;
  const json::Value content = slack_message(*approval, config_, found->second.buttons);
  json::ObjectBuilder body(content);
  body.append("channel", posted ? found->second.channel : config_.channel);
  if (posted) body.append("ts", found->second.ts);
  const auto send = [this, id, shown, posted, body = body.build()](const Status& written) {
    if (!written) return retry(id);
    call_(posted ? "chat.update" : "chat.postMessage", body,
          [this, alive = std::weak_ptr<int>(alive_), id, shown](const Result<json::Value>& done) {
            if (alive.expired()) return;
            if (!done) return retry(id);
            Message& message = messages_.find(id)->second;
            if (message.ts.empty()) {
              message.channel = slack_records::text(*done, "channel");
              message.ts = slack_records::text(*done, "ts");
            }
            message.shown = shown;
            message.tries = 0;
            save(id, message, [this, id](const Status&) {
              messages_.find(id)->second.busy = false;
              keep(id);
            });
          });
  };
  // The buttons are known here before anybody can press them.
  if (!posted) return save(id, found->second, send);
  send(Status());
}

void SlackDesk::retry(const std::string& id) {
  Message& message = messages_.find(id)->second;
  if (++message.tries > kSlackTriesMax) {
    message.busy = false;
    message.tries = 0;
    AuditEntry entry;
    entry.actor = {Actor::Kind::kSystem, "slack", "", "slack", ""};
    entry.channel = "slack";
    entry.action = "approval.notify";
    entry.subject = id;
    entry.outcome = "failed";
    entry.reason = "Slack could not be told";
    return audit_.record(std::move(entry));
  }
  const std::int64_t pause = std::min<std::int64_t>(60'000, 500LL << message.tries);
  loop_.call_at(loop_.now().plus_ms(pause), [this, alive = std::weak_ptr<int>(alive_), id] {
    if (alive.expired()) return;
    messages_.find(id)->second.busy = false;
    keep(id);
  });
}

std::optional<Actor> SlackDesk::person_of(const json::Value& payload) const {
  const auto linked = config_.people.find(slack_records::text(payload.get("user"), "id"));
  if (linked == config_.people.end()) return std::nullopt;
  return Actor{Actor::Kind::kPerson, linked->second, "", "slack", ""};
}

void SlackDesk::whisper(const json::Value& payload, std::string text) {
  call_("chat.postEphemeral",
        json::Value::object({{"channel", slack_records::text(payload.get("channel"), "id")},
                             {"user", slack_records::text(payload.get("user"), "id")},
                             {"text", slack_escape(text, 1'000)}}),
        [](const Result<json::Value>&) {});
}

void SlackDesk::refuse(const json::Value& payload, const std::string& subject, const std::string& reason) {
  AuditEntry entry;
  const std::optional<Actor> person = person_of(payload);
  entry.actor = person.value_or(Actor{});
  entry.actor.channel = "slack";
  entry.channel = "slack";
  entry.action = "approval.decide";
  entry.subject = subject;
  entry.outcome = "refused";
  entry.reason = reason;
  entry.details = json::Value::object(
      {{"slack_user", truncate_utf8(to_valid_utf8(slack_records::text(payload.get("user"), "id")), 64)}});
  audit_.record(std::move(entry));
}

void SlackDesk::interact(std::string_view timestamp, std::string_view signature, std::string_view body,
                         std::function<void(Result<std::string>)> done) {
  if (Status status = signature_.check(config_.signing_secrets, timestamp, signature, body, loop_.now());
      !status) {
    return done(status.error());
  }
  const std::optional<std::string> text = slack_records::form_payload(body);
  if (!text || text->size() > slack_records::kPayloadBytesMax) {
    return done(Error{"InvalidParameter", "the post holds no payload", "", ""});
  }
  const Result<json::Value> payload = json::parse(*text);
  if (!payload || !payload->is_object())
    return done(Error{"InvalidParameter", "the payload is no JSON object", "", ""});
  // A view belongs to an app, a click to the app's message; the team is always named.
  std::string app = slack_records::text(*payload, "api_app_id");
  if (app.empty()) app = slack_records::text(payload->get("view"), "app_id");
  if (app != config_.app_id || slack_records::text(payload->get("team"), "id") != config_.team_id) {
    refuse(*payload, "", "the post is of another app or team");
    return done(Error{"ForbiddenSlackApp", "this is another app's or team's post", "", ""});
  }
  const std::string type = slack_records::text(*payload, "type");
  if (type == "view_submission") return submitted(*payload, done);
  if (type == "block_actions") clicked(*payload);
  done(std::string());
}

void SlackDesk::clicked(const json::Value& payload) {
  const json::Value& action = payload.get("actions").size() > 0 ? payload.get("actions")[0] : json::Value();
  if (slack_records::text(action, "action_id") == "open") return;
  const std::string value = slack_records::text(action, "value");
  const auto button = by_button_.find(value);
  if (button == by_button_.end()) return whisper(payload, "This button is not known here any more.");
  const auto& [id, approve] = button->second;
  const Result<Approval> approval = approvals_.find(id);
  if (!approval) return whisper(payload, "This approval does not exist any more.");
  const std::optional<Actor> person = person_of(payload);
  if (!person) {
    refuse(payload, id, "NotLinked: this Slack user is linked to nobody");
    return whisper(
        payload,
        "Your Slack user is not linked to a person of Sortie, so you cannot decide here. It still waits.");
  }
  if (const std::optional<Error> objection = approvals_.objection_to(*approval, *person)) {
    if (objection->code != "AlreadyDecided") refuse(payload, id, objection->code + ": " + objection->message);
    return whisper(payload, objection->message);
  }
  call_("views.open",
        json::Value::object({{"trigger_id", slack_records::text(payload, "trigger_id")},
                             {"view", slack_dialog(*approval, approve, value)}}),
        [this, alive = std::weak_ptr<int>(alive_), payload](const Result<json::Value>& opened) {
          if (alive.expired() || opened) return;
          whisper(payload,
                  "Slack could not open the dialog; press the button again, or decide in the console.");
        });
}

void SlackDesk::submitted(const json::Value& payload, const std::function<void(Result<std::string>)>& done) {
  const json::Value& view = payload.get("view");
  const auto say = [done](const std::string& message) {
    done(json::to_text(json::Value::object(
        {{"response_action", "errors"}, {"errors", json::Value::object({{"reason", message}})}})));
  };
  const auto button = by_button_.find(slack_records::text(view, "private_metadata"));
  if (button == by_button_.end()) return say("This approval is not known here any more.");
  const auto& [id, approve] = button->second;
  const std::optional<Actor> person = person_of(payload);
  if (!person) {
    refuse(payload, id, "NotLinked: this Slack user is linked to nobody");
    return say("Your Slack user is not linked to a person of Sortie.");
  }
  const Result<Approval> approval = approvals_.find(id);
  if (!approval) return say("This approval does not exist any more.");
  DecideRequest request;
  request.id = id;
  request.actor = *person;
  request.approve = approve;
  request.reason = slack_records::text(view.get("state").get("values").get("reason").get("reason"), "value");
  request.plan_hash = approval->plan_hash;
  request.channel = "slack";
  approvals_.decide(std::move(request), [done, say](const Result<Approval>& decided) {
    if (!decided) return say(decided.error().message);
    done(std::string(R"({"response_action":"clear"})"));
  });
}

}  // namespace sortie::response
