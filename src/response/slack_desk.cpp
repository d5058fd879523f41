// Approvals in Slack, the way out: posting, finding what was posted, and keeping every copy true.
#include "base/hash.h"
#include "base/text.h"
#include "json/members.h"
#include "json/text.h"
#include "response/slack.h"
#include "store/for_each_document.h"

namespace sortie::response {
namespace slack_records {

constexpr std::string_view kMessageKind = "slack_message";
constexpr std::string_view kPostKind = "slack_post";
constexpr std::size_t kHistoryPageSize = 200;
constexpr std::int64_t kHistorySkewS = 300;  // Slack's clock and ours.
constexpr std::string_view kEventType = "sortie_approval";

// What a posted copy shows; a new text means that it has to be updated.
std::string shown_of(const Approval& approval) {
  return std::string(status_name(approval.status)) + " " + std::to_string(approval.votes.size());
}

// By which a message is known again.
json::Value metadata_of(const std::string& approval) {
  return json::Value::object(
      {{"event_type", kEventType}, {"event_payload", json::Value::object({{"approval", approval}})}});
}

// Another app could post the same metadata; a message of its would never let itself be updated.
bool is_ours(const json::Value& message, const std::string& approval, const std::string& app_id) {
  const json::Value& metadata = message.get("metadata");
  return json::text_member(metadata, "event_type") == kEventType &&
         json::text_member(metadata.get("event_payload"), "approval") == approval &&
         json::text_member(message, "app_id") == app_id;
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

Status SlackDesk::load_messages() {
  return store::for_each_document(
      store_, slack_records::kMessageKind, [this](const store::Document& document) -> Status {
        SORTIE_TRY(const json::Value value, json::parse(document.value));
        Message message;
        message.buttons = {json::text_member(value, "approve"), json::text_member(value, "reject")};
        message.channel = json::text_member(value, "channel");
        message.ts = json::text_member(value, "ts");
        message.shown = json::text_member(value, "shown");
        message.may_be_there = message.ts.empty() && message.shown.empty();
        by_button_[message.buttons.approve] = {document.key, true};
        by_button_[message.buttons.reject] = {document.key, false};
        messages_[document.key] = std::move(message);
        return {};
      });
}

Status SlackDesk::load_posts() {
  return store::for_each_document(
      store_, slack_records::kPostKind, [this](const store::Document& document) -> Status {
        SORTIE_TRY(const json::Value value, json::parse(document.value));
        const json::Value& until = value.get("until_ms");
        signature_.remember(document.key, {until.is_integer() ? until.as_integer() : 0});
        return {};
      });
}

Status SlackDesk::start() {
  SORTIE_TRY_STATUS(load_messages());
  SORTIE_TRY_STATUS(load_posts());
  observer_ = approvals_.observe([this](const Approval& approval) { follow(approval); });
  ApprovalQuery open;
  open.status = ApprovalStatus::kPending;
  open.limit = SIZE_MAX;
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
  batch.documents.push_back({std::string(slack_records::kMessageKind), id, json::to_text(value)});
  store_.append(std::move(batch), guarded([done = std::move(done)](const Status& status) { done(status); }));
}

// Makes Slack show what is true: posts what is not posted, updates what says something else.
void SlackDesk::keep(const std::string& id) {
  const auto found = messages_.find(id);
  if (found == messages_.end() || found->second.busy) return;
  Message& message = found->second;
  const Result<Approval> approval = approvals_.find(id);
  if (!approval || message.shown == slack_records::shown_of(*approval)) return;
  // What ended before it was ever posted needs no message.
  const bool posted = !message.ts.empty();
  if (!posted && !message.may_be_there && approval->status != ApprovalStatus::kPending) return;
  message.busy = true;
  if (!posted && message.may_be_there) return look_for(id, "", 0);
  if (posted) return send(id, *approval);
  // The buttons are known here before anybody can press them.
  message.channel = config_.channel;
  save(id, message, [this, id, approval = *approval](const Status& written) {
    if (!written) return retry(id, written.error());
    messages_.find(id)->second.may_be_there = true;
    send(id, approval);
  });
}

void SlackDesk::send(const std::string& id, const Approval& approval) {
  const Message& message = messages_.find(id)->second;
  json::ObjectBuilder body(slack_message(approval, config_, message.buttons));
  body.append("channel", message.channel).append("metadata", slack_records::metadata_of(id));
  if (!message.ts.empty()) body.append("ts", message.ts);
  call_(message.ts.empty() ? "chat.postMessage" : "chat.update", body.build(),
        guarded([this, id, shown = slack_records::shown_of(approval)](const Result<json::Value>& answer) {
          sent(id, shown, answer);
        }));
}

void SlackDesk::sent(const std::string& id, const std::string& shown, const Result<json::Value>& answer) {
  Message& message = messages_.find(id)->second;
  if (!answer) {
    if (answer.error().code != "Unreachable") message.may_be_there = false;
    return retry(id, answer.error());
  }
  if (message.ts.empty()) {
    message.channel = json::text_member(*answer, "channel");
    message.ts = json::text_member(*answer, "ts");
  }
  message.may_be_there = false;
  message.shown = shown;
  message.tries = 0;
  settle(id);
}

void SlackDesk::settle(const std::string& id) {
  save(id, messages_.find(id)->second, [this, id](const Status&) {
    messages_.find(id)->second.busy = false;
    keep(id);
  });
}

void SlackDesk::look_for(const std::string& id, const std::string& cursor, int pages) {
  const Message& message = messages_.find(id)->second;
  const Result<Approval> approval = approvals_.find(id);
  const std::int64_t asked_s = approval ? approval->requested_at.ms / 1000 : 0;
  json::ObjectBuilder body;
  body.append("channel", message.channel.empty() ? config_.channel : message.channel)
      .append("include_all_metadata", true)
      .append("oldest", std::to_string(asked_s - slack_records::kHistorySkewS))
      .append("limit", static_cast<std::int64_t>(slack_records::kHistoryPageSize));
  if (!cursor.empty()) body.append("cursor", cursor);
  call_("conversations.history", body.build(),
        guarded([this, id, pages](const Result<json::Value>& answer) { looked(id, pages + 1, answer); }));
}

void SlackDesk::looked(const std::string& id, int pages, const Result<json::Value>& answer) {
  Message& message = messages_.find(id)->second;
  if (!answer && answer.error().code != "SlackError") return retry(id, answer.error());
  if (answer) {
    for (const json::Value& posted : answer->get("messages").items()) {
      if (!slack_records::is_ours(posted, id, config_.app_id)) continue;
      message.ts = json::text_member(posted, "ts");
      message.may_be_there = false;
      return settle(id);
    }
    const std::string next = json::text_member(answer->get("response_metadata"), "next_cursor");
    if (!next.empty() && pages < kSlackHistoryPagesMax) return look_for(id, next, pages);
  } else {
    note_failure(id, "Slack does not say whether this was posted already (" + answer.error().message +
                         "): there may be two messages");
  }
  message.may_be_there = false;
  const Result<Approval> approval = approvals_.find(id);
  if (approval && approval->status != ApprovalStatus::kPending) {
    message.shown = slack_records::shown_of(*approval);  // It is nowhere, and nobody needs it any more.
  }
  if (!message.shown.empty()) return settle(id);
  message.busy = false;
  keep(id);
}

void SlackDesk::note_failure(const std::string& id, std::string reason) {
  AuditEntry entry;
  entry.actor = {Actor::Kind::kSystem, "slack", "", "slack", ""};
  entry.channel = "slack";
  entry.action = "approval.notify";
  entry.subject = id;
  entry.outcome = "failed";
  entry.reason = std::move(reason);
  audit_.record(std::move(entry));
}

void SlackDesk::retry(const std::string& id, const Error& error) {
  Message& message = messages_.find(id)->second;
  ++message.tries;
  if (message.tries == kSlackRefusalsMax) note_failure(id, "Slack could not be told: " + error.message);
  if (message.tries >= (error.code == "SlackError" ? kSlackRefusalsMax : kSlackTriesMax)) {
    message.busy = false;
    message.tries = 0;
    return;
  }
  const std::int64_t pause = std::min<std::int64_t>(kSlackPauseMsMax, 500LL << std::min(message.tries, 16));
  loop_.call_at(loop_.now().plus_ms(pause), guarded([this, id] {
                  messages_.find(id)->second.busy = false;
                  keep(id);
                }));
}

}  // namespace sortie::response
