// What Slack is shown, within its limits, and the check of what it sends.
#include <algorithm>
#include <charconv>

#include "base/hash.h"
#include "base/text.h"
#include "json/text.h"
#include "response/slack.h"

namespace sortie::response {
namespace slack_blocks {

// Slack's limits: 50 blocks, 3,000 characters a section, 150 a header.
constexpr std::size_t kChangesMax = 30;
constexpr std::size_t kSectionBytesMax = 2'900;
constexpr std::size_t kHeaderBytesMax = 140;
constexpr std::size_t kSignatureBytes = 67;  // "v0=" and 64 hex digits.

json::Value text_object(const char* type, std::string text) {
  return json::Value::object({{"type", type}, {"text", std::move(text)}});
}

json::Value section(std::string mrkdwn) {
  return json::Value::object({{"type", "section"}, {"text", text_object("mrkdwn", std::move(mrkdwn))}});
}

json::Value context(std::string mrkdwn) {
  return json::Value::object(
      {{"type", "context"}, {"elements", json::Value::array({text_object("mrkdwn", std::move(mrkdwn))})}});
}

json::Value header(std::string_view text) {
  std::string plain = slack_escape(text, kHeaderBytesMax);
  if (plain.empty()) plain = "Approval";
  return json::Value::object({{"type", "header"}, {"text", text_object("plain_text", std::move(plain))}});
}

// Attacker's text stays inside its code block: no backticks.
std::string code(std::string_view text, std::size_t bytes_max) {
  return slack_escape(replace_all(text, "`", "'"), bytes_max);
}

std::string short_text(const json::Value& value) {
  if (value.is_string()) return value.to_std_string();
  if (value.is_array() && value.size() > 0) {
    std::vector<std::string> parts;
    for (const json::Value& item : value.items()) {
      parts.push_back(item.is_string() ? item.to_std_string() : json::to_text(item));
    }
    return join(parts, ", ");
  }
  return value.is_null() ? "none" : json::to_text(value);
}

std::string change_text(const json::Value& change) {
  return "*" + slack_escape(replace_all(short_text(change.get("resource")), "*", ""), 200) + "* " +
         slack_escape(replace_all(short_text(change.get("what")), "*", ""), 300) + "\n```- " +
         code(short_text(change.get("before")), 1'000) + "\n+ " +
         code(short_text(change.get("after")), 1'000) + "```";
}

// The plan as sections; what does not fit is counted.
void add_plan(const Approval& approval, std::vector<json::Value>& blocks) {
  std::size_t left = kChangesMax, more = 0;
  for (const json::Value& item : approval.plan.items()) {
    const json::Value& action = item.is_object() ? item.get("action") : item;
    std::string text = "*" + slack_escape(replace_all(short_text(action), "*", ""), 300) + "*";
    const json::Value& reversible = item.get("reversible");
    if (reversible.is_bool()) text += reversible.as_bool() ? "  can be undone" : "  *cannot be undone*";
    if (left == 0) {
      ++more;
      continue;
    }
    --left;
    blocks.push_back(section(std::move(text)));
    for (const json::Value& change : item.get("changes").items()) {
      if (left == 0) {
        ++more;
        continue;
      }
      --left;
      blocks.push_back(section(change_text(change)));
    }
  }
  if (more > 0) blocks.push_back(context("+" + std::to_string(more) + " more, see the full plan"));
}

std::string who_text(const Policy& policy) {
  return std::to_string(policy.quorum) + " of " +
         (policy.from.empty() ? "anybody" : slack_escape(join(policy.from, ", "), 300)) +
         (policy.exclude_initiator ? ", not who started it" : "");
}

json::Value button(const char* action, const char* label, const char* style, const std::string& value) {
  return json::Value::object({{"type", "button"},
                              {"action_id", action},
                              {"style", style},
                              {"value", value},
                              {"text", text_object("plain_text", label)}});
}

void add_buttons(const Approval& approval, const SlackConfig& config, const SlackButtons& buttons,
                 std::vector<json::Value>& blocks) {
  std::vector<json::Value> elements{button("approve", "Review & approve", "primary", buttons.approve),
                                    button("reject", "Reject", "danger", buttons.reject)};
  if (!config.console_url.empty()) {
    elements.push_back(json::Value::object({{"type", "button"},
                                            {"action_id", "open"},
                                            {"url", config.console_url + "/a/" + approval.id},
                                            {"text", text_object("plain_text", "Full plan")}}));
  }
  blocks.push_back(json::Value::object({{"type", "actions"},
                                        {"block_id", "approval:" + approval.id},
                                        {"elements", json::Value::array(std::move(elements))}}));
}

std::string outcome_text(const Approval& approval) {
  std::string text = "*" + std::string(status_name(approval.status)) + "*";
  if (approval.decision && !approval.decision->by.empty()) {
    text += " by *" + slack_escape(approval.decision->by, 300) + "* in " +
            slack_escape(approval.decision->channel, 40) + " at " + to_iso8601(approval.decision->at);
    text += "\n```" + code(approval.decision->reason, 1'500) + "```";
  } else if (!approval.note.empty()) {
    text += ": " + slack_escape(approval.note, 500);
  }
  return text;
}

void add_votes(const Approval& approval, std::vector<json::Value>& blocks) {
  for (std::size_t i = 0; i < std::min<std::size_t>(approval.votes.size(), 5); ++i) {
    const Vote& vote = approval.votes[i];
    blocks.push_back(context(std::string(vote.approve ? "approve" : "reject") + " by " +
                             slack_escape(vote.person, 100) + ": " + code(vote.reason, 500)));
  }
}

}  // namespace slack_blocks

std::string slack_escape(std::string_view text, std::size_t bytes_max) {
  std::string out;
  const std::string valid = to_valid_utf8(text);
  for (std::size_t i = 0; i < valid.size();) {
    const auto lead = static_cast<unsigned char>(valid[i]);
    const std::size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    std::string_view one(valid.data() + i, std::min(size, valid.size() - i));
    i += one.size();
    if (one == "&") one = "&amp;";
    if (one == "<") one = "&lt;";
    if (one == ">") one = "&gt;";
    if (lead < 0x20 && lead != '\n') one = " ";
    // Direction overrides and isolates: U+202A..U+202E, U+2066..U+2069, and the zero-width ones
    // U+200B..U+200F.
    const bool hidden = one.size() == 3 && one[0] == '\xE2' &&
                        ((one[1] == '\x80' && ((one[2] >= '\xAA' && one[2] <= '\xAE') ||
                                               (one[2] >= '\x8B' && one[2] <= '\x8F'))) ||
                         (one[1] == '\x81' && one[2] >= '\xA6' && one[2] <= '\xA9'));
    if (hidden) continue;
    if (out.size() + one.size() + 3 > bytes_max) return out + "…";
    out += one;
  }
  return out;
}

json::Value slack_message(const Approval& approval, const SlackConfig& config, const SlackButtons& buttons) {
  using namespace slack_blocks;  // NOLINT(google-build-using-namespace)
  const bool open = approval.status == ApprovalStatus::kPending;
  const std::string title = approval.title.empty() ? approval.state_name : approval.title;
  std::vector<json::Value> blocks{header(title)};
  if (!open) blocks.push_back(section(outcome_text(approval)));
  if (!approval.description.empty()) {
    blocks.push_back(json::Value::object(
        {{"type", "section"},
         {"text", text_object("plain_text", slack_escape(approval.description, kSectionBytesMax))}}));
  }
  add_plan(approval, blocks);
  add_votes(approval, blocks);
  const std::string seconds = std::to_string(approval.expires_at.ms / 1000);
  blocks.push_back(context("plan " + approval.plan_hash.substr(0, 12) + "  |  " + who_text(approval.policy) +
                           "  |  expires <!date^" + seconds + "^{date_short_pretty} {time}|" +
                           to_iso8601(approval.expires_at) + ">"));
  if (open) add_buttons(approval, config, buttons, blocks);
  return json::Value::object(
      {{"text",
        slack_escape((open ? "Approval wanted: " : std::string(status_name(approval.status)) + ": ") + title,
                     500)},
       {"blocks", json::Value::array(std::move(blocks))}});
}

json::Value slack_dialog(const Approval& approval, bool approve, const std::string& button) {
  using namespace slack_blocks;  // NOLINT(google-build-using-namespace)
  std::vector<json::Value> blocks{header(approval.title.empty() ? approval.state_name : approval.title)};
  add_plan(approval, blocks);
  blocks.push_back(context("plan " + approval.plan_hash.substr(0, 12) + "  |  " + who_text(approval.policy)));
  blocks.push_back(
      json::Value::object({{"type", "input"},
                           {"block_id", "reason"},
                           {"label", text_object("plain_text", "Reason (goes into the audit trail)")},
                           {"element", json::Value::object({{"type", "plain_text_input"},
                                                            {"action_id", "reason"},
                                                            {"multiline", true},
                                                            {"min_length", 3},
                                                            {"max_length", 2000}})}}));
  return json::Value::object(
      {{"type", "modal"},
       {"callback_id", "decide"},
       {"private_metadata", button},
       {"title", text_object("plain_text", approve ? "Approve this plan" : "Reject this plan")},
       {"submit", text_object("plain_text", approve ? "Approve" : "Reject")},
       {"close", text_object("plain_text", "Back")},
       {"blocks", json::Value::array(std::move(blocks))}});
}

Status SlackSignature::check(const std::vector<std::string>& secrets, std::string_view timestamp,
                             std::string_view signature, std::string_view body, Timestamp now) {
  const auto refuse = [](const char* why) { return Status(Error{"Unauthorized", why, "", ""}); };
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(timestamp.data(), timestamp.data() + timestamp.size(), seconds);
  if (timestamp.empty() || timestamp.size() > 12 || error != std::errc() ||
      end != timestamp.data() + timestamp.size()) {
    return refuse("the request has no time of Slack's");
  }
  const std::int64_t skew = now.ms - seconds * 1000;
  if (skew > kSlackSkewMs || skew < -kSlackSkewMs) return refuse("the request is too old or too early");
  const bool shaped = signature.size() == slack_blocks::kSignatureBytes && signature.starts_with("v0=") &&
                      signature.find_first_not_of("0123456789abcdef", 3) == std::string_view::npos;
  if (!shaped) return refuse("the request has no signature of Slack's");
  const std::string base = "v0:" + std::string(timestamp) + ":" + std::string(body);
  bool good = false;
  for (const std::string& secret : secrets) {
    const bool fits =
        !secret.empty() && constant_time_equal("v0=" + to_hex(hmac_sha256(secret, base)), signature);
    good = good || fits;
  }
  if (!good) return refuse("the signature is not Slack's");
  if (seen_.size() >= kSlackSeenMax) return refuse("too many requests at once");
  const std::int64_t until = seconds * 1000 + kSlackSkewMs;
  if (!seen_.emplace(std::string(signature), until).second) return refuse("the request was seen before");
  return {};
}

std::vector<std::string> SlackSignature::forget_before(Timestamp now) {
  std::vector<std::string> gone;
  for (const auto& [signature, until] : seen_) {
    if (until < now.ms) gone.push_back(signature);
  }
  for (const std::string& signature : gone) seen_.erase(signature);
  return gone;
}

}  // namespace sortie::response
