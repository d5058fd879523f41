#include "cli/slack_connector.h"

#include "base/text.h"
#include "json/members.h"
#include "json/text.h"

namespace sortie::cli {
namespace slack_settings {

constexpr int kCallTimeoutMs = 10'000;
constexpr std::size_t kAnswerBytesMax = 1024 * 1024;

// Methods that read take a form, those that write JSON.
std::string form_of(const json::Value& body) {
  std::string out;
  for (const json::Member& member : body.members()) {
    if (!out.empty()) out += '&';
    out +=
        member.key.to_std_string() + "=" + percent_encode(json::shown_member(body, member.key.as_string()));
  }
  return out;
}

class Reader {
 public:
  Reader(const Config& config, std::vector<Error>& problems)
      : config_(config),
        section_(config.document.value.get("connectors").get("slack")),
        problems_(problems) {}

  std::string text(const char* key, bool required) {
    const json::Value& value = section_.get(key);
    if (value.is_string() && !value.as_string().empty()) return value.to_std_string();
    if (!value.is_null() || required)
      complain(key, std::string("connectors.slack.") + key + " has to be text");
    return "";
  }
  std::string secret(const char* key, bool required) {
    const std::string reference = text(key, required);
    if (reference.empty()) return "";
    const Result<std::string> value = resolve_secret(reference, config_.folder);
    if (value) return *value;
    complain(key, value.error().message);
    return "";
  }
  std::map<std::string, std::string, std::less<>> people() {
    std::map<std::string, std::string, std::less<>> out;
    const json::Value& value = section_.get("people");
    for (const json::Member& member : value.members()) {
      if (!member.value.is_string()) complain("people", "connectors.slack.people maps Slack users to names");
      out[member.key.to_std_string()] = member.value.is_string() ? member.value.to_std_string() : "";
    }
    return out;
  }
  void check_keys() {
    static const std::vector<std::string> kKnown = {
        "channel", "token", "signing_secret", "signing_secret_former", "app", "team", "people", "api_url"};
    for (const json::Member& member : section_.members()) {
      const std::string key = member.key.to_std_string();
      if (std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end())
        complain(key, "unknown key '" + key + "'");
    }
    for (const json::Member& member : config_.document.value.get("connectors").members()) {
      if (member.key.as_string() == "slack") continue;
      complain("", "there is no connector '" + member.key.to_std_string() +
                       "'; the library's functions speak to " + "other services");
    }
  }

 private:
  void complain(const std::string& key, std::string message) {
    std::string place = config_.file;
    const auto found = config_.document.places.find("/connectors/slack" + (key.empty() ? "" : "/" + key));
    if (found != config_.document.places.end()) {
      place += ":" + std::to_string(found->second.line) + ":" + std::to_string(found->second.column);
    }
    problems_.push_back(
        {"InvalidConfiguration", std::move(message), std::move(place), "see docs/configuration.md"});
  }

  const Config& config_;
  const json::Value& section_;
  std::vector<Error>& problems_;
};

}  // namespace slack_settings

std::optional<SlackSettings> read_slack_settings(const Config& config, std::vector<Error>& problems) {
  const json::Value& connectors = config.document.value.get("connectors");
  if (connectors.is_null()) return std::nullopt;
  const std::size_t before = problems.size();
  slack_settings::Reader reader(config, problems);
  reader.check_keys();
  if (!connectors.get("slack").is_object()) return std::nullopt;
  SlackSettings out;
  out.desk.channel = reader.text("channel", true);
  out.desk.app_id = reader.text("app", true);
  out.desk.team_id = reader.text("team", true);
  out.desk.people = reader.people();
  out.token = reader.secret("token", true);
  out.desk.signing_secrets.push_back(reader.secret("signing_secret", true));
  if (std::string former = reader.secret("signing_secret_former", false); !former.empty()) {
    out.desk.signing_secrets.push_back(std::move(former));
  }
  if (std::string url = reader.text("api_url", false); !url.empty()) out.api_url = std::move(url);
  if (problems.size() > before) return std::nullopt;
  return out;
}

SlackConnector::SlackConnector(io::EventLoop& loop, Random& random, store::Store& store,
                               response::Audit& audit, response::Approvals& approvals, SlackSettings settings)
    : settings_(std::move(settings)),
      client_(loop),
      desk_(loop, random, store, audit, approvals,
            [this](const std::string& method, const json::Value& body, response::SlackDesk::Answer done) {
              call(method, body, std::move(done));
            }) {}

Status SlackConnector::start(const std::string& console_url) {
  settings_.desk.console_url = console_url;
  desk_.configure(settings_.desk);
  return desk_.start();
}

void SlackConnector::call(const std::string& method, const json::Value& body,
                          response::SlackDesk::Answer done) {
  io::HttpClientRequest request;
  request.method = "POST";
  request.url = settings_.api_url + "/" + method;
  request.headers.set("Authorization", "Bearer " + settings_.token);
  const bool reads = method == "conversations.history";
  request.headers.set("Content-Type",
                      reads ? "application/x-www-form-urlencoded" : "application/json; charset=utf-8");
  request.body = reads ? slack_settings::form_of(body) : json::to_text(body);
  request.timeout_ms = slack_settings::kCallTimeoutMs;
  request.response_bytes_max = slack_settings::kAnswerBytesMax;
  client_.fetch(std::move(request), [method, done](const Result<io::HttpResponse>& response) {
    if (!response) return done(Error{"Unreachable", method + ": " + response.error().message, "", ""});
    const Result<json::Value> answer = json::parse(response->body);
    const bool is_answer = response->status == 200 && answer.ok() && answer->get("ok").is_bool();
    if (is_answer && answer->get("ok").as_bool()) return done(*answer);
    const std::string why = answer.ok() ? json::text_member(*answer, "error") : "";
    if (response->status == 429 || why == "ratelimited") {
      return done(Error{"Throttled", method + ": Slack asks to be called less often", "", ""});
    }
    if (!is_answer) {
      const std::string status = std::to_string(response->status);
      return done(Error{"Unreachable", method + ": no answer of Slack's, HTTP " + status, "", ""});
    }
    done(Error{"SlackError", method + ": " + (why.empty() ? "refused" : why), "", ""});
  });
}

}  // namespace sortie::cli
