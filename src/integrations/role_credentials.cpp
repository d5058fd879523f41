#include "integrations/role_credentials.h"

#include "base/text.h"
#include "json/members.h"
#include "json/text.h"

namespace sortie::integrations {
namespace {

constexpr std::int64_t kRenewBeforeMs = 5 * 60'000;

bool is_own_action(std::string_view action) {
  return action.starts_with("states:") || action.starts_with("events:") || action.starts_with("lambda:");
}

}  // namespace

std::string session_policy(const std::vector<std::string>& actions) {
  std::vector<json::Value> allowed;
  for (const std::string& action : actions) {
    if (!is_own_action(action)) allowed.emplace_back(action);
  }
  if (actions.empty()) return "";
  if (allowed.empty()) allowed.emplace_back("sts:GetCallerIdentity");
  const json::Value statement = json::Value::object(
      {{"Effect", "Allow"}, {"Action", json::Value::array(std::move(allowed))}, {"Resource", "*"}});
  return json::to_text(
      json::Value::object({{"Version", "2012-10-17"}, {"Statement", json::Value::array({statement})}}));
}

void RoleCredentials::credentials_for(const functions::FunctionConfig& function,
                                      std::function<void(std::optional<functions::Credentials>)> done) {
  if (!options_.can_assume || function.role.empty()) return done(std::nullopt);
  const std::string kept_key = function.arn + "\n" + function.role + "\n" + join(function.actions, ",");
  const auto kept = kept_.find(kept_key);
  if (kept != kept_.end() && kept->second.expires_at.ms > clock_.now().ms + kRenewBeforeMs)
    return done(kept->second);
  SdkCall call;
  call.service = "sts";
  call.action = "assumeRole";
  call.region = options_.region;
  call.endpoint_url = options_.endpoint_url;
  call.timeout_ms = 15'000;
  json::ObjectBuilder parameters;
  parameters.append("RoleArn", function.role);
  parameters.append("RoleSessionName", std::string(truncate_utf8("sortie-" + function.name, 64)));
  parameters.append("DurationSeconds", options_.duration_s);
  const std::string policy = session_policy(function.actions);
  if (!policy.empty()) parameters.append("Policy", policy);
  call.parameters = parameters.build();
  pool_.call(std::move(call), [this, kept_key, done = std::move(done)](const SdkAnswer& answer) {
    const json::Value& given = answer.result.get("Credentials");
    if (!answer.ok() || !given.is_object()) return done(std::nullopt);
    functions::Credentials credentials;
    credentials.access_key_id = json::text_member(given, "AccessKeyId");
    credentials.secret_access_key = json::text_member(given, "SecretAccessKey");
    credentials.session_token = json::text_member(given, "SessionToken");
    credentials.expires_at = clock_.now().plus_ms(options_.duration_s * 1000);
    kept_.insert_or_assign(kept_key, credentials);
    done(credentials);
  });
}

}  // namespace sortie::integrations
