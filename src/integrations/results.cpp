#include "integrations/results.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/hash.h"
#include "base/text.h"
#include "json/text.h"

namespace sortie::integrations {

std::string derived_uuid(std::string_view seed) {
  std::string hex = sha256_hex(seed).substr(0, 32);
  hex[12] = '4';
  hex[16] = "89ab"[hex[16] % 4];
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" +
         hex.substr(20);
}

std::string http_date(Timestamp time) {
  static constexpr std::array<const char*, 7> kDays = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
  static constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const CivilTime civil = to_civil(time);
  const std::int64_t day = time.ms / 86'400'000;
  char text[64];
  std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                kDays[static_cast<std::size_t>(((day % 7) + 7) % 7)], civil.day,
                kMonths[static_cast<std::size_t>(civil.month - 1)], civil.year, civil.hour, civil.minute,
                civil.second);
  return text;
}

void append_sdk_metadata(json::ObjectBuilder& result, const Headers& headers, int status,
                         std::string_view request_id) {
  json::ObjectBuilder all;
  json::ObjectBuilder first;
  for (const auto& [name, value] : headers) {
    all.append(name, json::Value::array({json::Value(value)}));
    first.append(name, value);
  }
  result.set("SdkHttpMetadata", json::Value::object({{"AllHttpHeaders", all.build()},
                                                     {"HttpHeaders", first.build()},
                                                     {"HttpStatusCode", status}}));
  result.set("SdkResponseMetadata", json::Value::object({{"RequestId", request_id}}));
}

std::string service_cause(std::string_view message, std::string_view service, int status,
                          std::string_view code, std::string_view request_id) {
  std::string text(message);
  text += " (Service: " + std::string(service) + "; Status Code: " + std::to_string(status);
  text +=
      "; Error Code: " + std::string(code) + "; Request ID: " + std::string(request_id) + "; Proxy: null)";
  return text;
}

std::string check_parameters(const json::Value& parameters, const std::vector<std::string_view>& required,
                             const std::vector<std::string_view>& optional) {
  std::vector<std::string> wrong;
  const auto is_in = [](const std::vector<std::string_view>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (const json::Member& member : parameters.members()) {
    const std::string_view name = member.key.as_string();
    if (is_in(required, name) || is_in(optional, name)) continue;
    wrong.push_back("The field \"" + std::string(name) + "\" is not supported by Step Functions");
  }
  for (const std::string_view name : required) {
    if (!parameters.get(name).is_null()) continue;
    wrong.push_back("The field \"" + std::string(name) + "\" is required but was missing");
  }
  if (wrong.empty()) return "";
  return "The Parameters '" + json::to_text(parameters) + "' could not be used to start the Task: [" +
         join(wrong, ", ") + "]";
}

std::string account_of(const runtime::TaskOrder& order) {
  const std::vector<std::string_view> parts = split(order.origin->execution_arn, ':');
  return parts.size() > 4 ? std::string(parts[4]) : std::string();
}

std::string acting_account_of(const runtime::TaskOrder& order) {
  // arn:aws:iam::ACCOUNT:role/NAME
  const json::Value& role = order.credentials.get("RoleArn");
  const std::vector<std::string_view> parts = split(role.is_string() ? role.as_string() : "", ':');
  return parts.size() >= 6 && parts[2] == "iam" && !parts[4].empty() ? std::string(parts[4])
                                                                     : account_of(order);
}

Actor acting_execution(const runtime::TaskOrder& order) {
  Actor actor;
  actor.kind = Actor::Kind::kExecution;
  actor.name = order.origin->execution_arn;
  actor.account = account_of(order);
  actor.channel = "execution";
  actor.on_behalf_of = order.origin->actor.person();
  const bool nameless = order.origin->actor.kind == Actor::Kind::kUnknown ||
                        order.origin->actor.kind == Actor::Kind::kAccountKey;
  if (actor.on_behalf_of.empty() && nameless) actor.on_behalf_of = "unknown";
  return actor;
}

}  // namespace sortie::integrations
