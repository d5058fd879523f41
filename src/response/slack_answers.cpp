// Approvals in Slack, the way back: signed posts, who pressed what, and what they decided.
#include <utility>

#include "base/text.h"
#include "json/members.h"
#include "json/text.h"
#include "response/slack.h"

namespace sortie::response {
namespace slack_posts {

constexpr std::size_t kPayloadBytesMax = 512 * 1024;
constexpr std::size_t kUserBytesMax = 64;

// The `payload` of a form: percent-decoded, '+' is a blank.
std::optional<std::string> form_payload(std::string_view body) {
  for (const std::string_view pair : split(body, '&')) {
    if (!pair.starts_with("payload=")) continue;
    Result<std::string> decoded = percent_decode(replace_all(pair.substr(8), "+", "%20"));
    if (decoded && is_valid_utf8(*decoded)) return *std::move(decoded);
  }
  return std::nullopt;
}

}  // namespace slack_posts

std::optional<Actor> SlackDesk::person_of(const json::Value& payload) const {
  const auto linked = config_.people.find(json::text_member(payload.get("user"), "id"));
  if (linked == config_.people.end()) return std::nullopt;
  return Actor{Actor::Kind::kPerson, linked->second, "", "slack", ""};
}

void SlackDesk::whisper(const json::Value& payload, std::string text) {
  call_("chat.postEphemeral",
        json::Value::object({{"channel", json::text_member(payload.get("channel"), "id")},
                             {"user", json::text_member(payload.get("user"), "id")},
                             {"text", slack_escape(text, 1'000)}}),
        [](const Result<json::Value>&) {});
}

void SlackDesk::note(const json::Value& payload, AuditEntry entry, std::function<void()> then) {
  entry.actor = person_of(payload).value_or(Actor{});
  entry.actor.channel = "slack";
  entry.channel = "slack";
  const std::string user = json::text_member(payload.get("user"), "id");
  entry.details = json::Value::object(
      {{"slack_user", std::string(truncate_utf8(to_valid_utf8(user), slack_posts::kUserBytesMax))}});
  audit_.record(std::move(entry), guarded([then = std::move(then)](const Status&) { then(); }));
}

void SlackDesk::refuse(const json::Value& payload, const std::string& subject, const std::string& reason,
                       std::function<void()> then) {
  AuditEntry entry;
  entry.action = "approval.decide";
  entry.subject = subject;
  entry.outcome = "refused";
  entry.reason = reason;
  note(payload, std::move(entry), std::move(then));
}

void SlackDesk::interact(std::string_view timestamp, std::string_view signature, std::string_view body,
                         Done done) {
  for (std::string& old : signature_.forget_before(loop_.now())) stale_posts_.push_back(std::move(old));
  if (Status status = signature_.check(config_.signing_secrets, timestamp, signature, body, loop_.now());
      !status) {
    return done(status.error());
  }
  const std::string name(signature);
  const json::Value post = json::Value::object({{"until_ms", signature_.until(name).ms}});
  store::Batch batch = audit_.lease().batch();
  batch.documents.push_back({"slack_post", name, json::to_text(post)});
  for (std::string& old : std::exchange(stale_posts_, {})) {
    batch.documents_gone.emplace_back("slack_post", std::move(old));
  }
  store_.append(std::move(batch), guarded([this, body = std::string(body), done](const Status& written) {
                  if (written) return take_post(body, done);
                  done(Error{"ServiceUnavailable", "the post could not be written", "", "press it again"});
                }));
}

void SlackDesk::take_post(const std::string& body, const Done& done) {
  const std::optional<std::string> text = slack_posts::form_payload(body);
  if (!text || text->size() > slack_posts::kPayloadBytesMax) {
    return done(Error{"InvalidParameter", "the post holds no payload", "", ""});
  }
  const Result<json::Value> payload = json::parse(*text);
  if (!payload || !payload->is_object())
    return done(Error{"InvalidParameter", "the payload is no JSON object", "", ""});
  // A view belongs to an app, a click to the app's message; the team is always named.
  std::string app = json::text_member(*payload, "api_app_id");
  if (app.empty()) app = json::text_member(payload->get("view"), "app_id");
  if (app != config_.app_id || json::text_member(payload->get("team"), "id") != config_.team_id) {
    return refuse(*payload, "", "the post is of another app or team", [done] {
      done(Error{"ForbiddenSlackApp", "this is another app's or team's post", "", ""});
    });
  }
  const std::string type = json::text_member(*payload, "type");
  if (type == "view_submission") return submitted(*payload, done);
  if (type == "block_actions") return clicked(*payload, done);
  done(std::string());
}

void SlackDesk::clicked(const json::Value& payload, const Done& done) {
  const auto acknowledge = [done] { done(std::string()); };
  const auto tell = [this, payload, acknowledge](std::string text) {
    whisper(payload, std::move(text));
    acknowledge();
  };
  const json::Value& action = payload.get("actions").size() > 0 ? payload.get("actions")[0] : json::Value();
  if (json::text_member(action, "action_id") == "open") return acknowledge();
  const std::string value = json::text_member(action, "value");
  const auto button = by_button_.find(value);
  if (button == by_button_.end()) return tell("This button is not known here any more.");
  const auto& [id, approve] = button->second;
  const Result<Approval> approval = approvals_.find(id);
  if (!approval) return tell("This approval does not exist any more.");
  const std::optional<Actor> person = person_of(payload);
  if (!person) {
    whisper(
        payload,
        "Your Slack user is not linked to a person of Sortie, so you cannot decide here. It still waits.");
    return refuse(payload, id, "NotLinked: this Slack user is linked to nobody", acknowledge);
  }
  if (const std::optional<Error> objection = approvals_.objection_to(*approval, *person)) {
    if (objection->code == "AlreadyDecided") return tell(objection->message);
    whisper(payload, objection->message);
    return refuse(payload, id, objection->code + ": " + objection->message, acknowledge);
  }
  call_("views.open",
        json::Value::object({{"trigger_id", json::text_member(payload, "trigger_id")},
                             {"view", slack_dialog(*approval, approve, value)}}),
        guarded([this, payload](const Result<json::Value>& opened) {
          if (opened) return;
          whisper(payload,
                  "Slack could not open the dialog; press the button again, or decide in the console.");
        }));
  AuditEntry entry;
  entry.action = "approval.review";
  entry.subject = id;
  entry.outcome = "done";
  note(payload, std::move(entry), acknowledge);
}

void SlackDesk::submitted(const json::Value& payload, const Done& done) {
  const json::Value& view = payload.get("view");
  const auto say = [done](const std::string& message) {
    done(json::to_text(json::Value::object(
        {{"response_action", "errors"}, {"errors", json::Value::object({{"reason", message}})}})));
  };
  const auto button = by_button_.find(json::text_member(view, "private_metadata"));
  if (button == by_button_.end()) return say("This approval is not known here any more.");
  const auto& [id, approve] = button->second;
  const std::optional<Actor> person = person_of(payload);
  if (!person) {
    return refuse(payload, id, "NotLinked: this Slack user is linked to nobody",
                  [say] { say("Your Slack user is not linked to a person of Sortie."); });
  }
  const Result<Approval> approval = approvals_.find(id);
  if (!approval) return say("This approval does not exist any more.");
  DecideRequest request;
  request.id = id;
  request.actor = *person;
  request.approve = approve;
  request.reason = json::text_member(view.get("state").get("values").get("reason").get("reason"), "value");
  request.plan_hash = approval->plan_hash;
  request.channel = "slack";
  approvals_.decide(std::move(request), [done, say](const Result<Approval>& decided) {
    if (!decided) return say(decided.error().message);
    done(std::string(R"({"response_action":"clear"})"));
  });
}

}  // namespace sortie::response
