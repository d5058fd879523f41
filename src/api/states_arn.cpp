#include "api/states_arn.h"

#include <algorithm>
#include <cctype>

#include "base/text.h"

namespace sortie::api {
namespace {

Error invalid_arn(const std::string& why) { return {"InvalidArn", "Invalid Arn: '" + why + "'", "", ""}; }

bool is_account(std::string_view text) {
  return text.size() == 12 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string arn_of(std::string_view region, std::string_view account, std::string_view kind,
                   std::string_view name) {
  std::string out = "arn:aws:states:";
  out.append(region).append(":").append(account).append(":").append(kind).append(":").append(name);
  return out;
}

}  // namespace

Result<StatesArn> parse_states_arn(std::string_view text, std::initializer_list<std::string_view> kinds) {
  if (!text.starts_with("arn:")) return invalid_arn("Invalid ARN prefix: " + std::string(text));
  const std::vector<std::string_view> parts = split(text, ':');
  const bool shape = parts.size() >= 7 && parts[1].starts_with("aws") && parts[2] == "states" &&
                     !parts[3].empty() && is_account(parts[4]) && !parts[6].empty();
  if (!shape) return invalid_arn("Invalid ARN: " + std::string(text));
  if (std::find(kinds.begin(), kinds.end(), parts[5]) == kinds.end()) {
    return invalid_arn("Resource type not valid in this context: " + std::string(parts[5]));
  }
  StatesArn out{std::string(parts[1]), std::string(parts[3]), std::string(parts[4]),
                std::string(parts[5]), std::string(parts[6]), ""};
  for (std::size_t i = 7; i < parts.size(); ++i) out.more += (i > 7 ? ":" : "") + std::string(parts[i]);
  const bool needs_more = out.kind == "execution" || out.kind == "express";
  if (needs_more && out.more.empty()) return invalid_arn("Invalid ARN: " + std::string(text));
  return out;
}

Status check_states_name(std::string_view name) {
  static constexpr std::string_view kForbidden = " <>{}[]?*\"#%\\^|~`$&,;:/";
  bool ok = !name.empty() && count_code_points(name) <= 80;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto byte = static_cast<unsigned char>(name[i]);
    const bool is_c1 = byte == 0xC2 && i + 1 < name.size() && static_cast<unsigned char>(name[i + 1]) < 0xA0;
    if (byte < 0x20 || byte == 0x7F || is_c1 || kForbidden.find(name[i]) != std::string_view::npos)
      ok = false;
  }
  if (name.find("\xEF\xBF\xBE") != std::string_view::npos ||
      name.find("\xEF\xBF\xBF") != std::string_view::npos) {
    ok = false;  // U+FFFE and U+FFFF
  }
  if (ok) return {};
  return Error{"InvalidName", "Invalid Name: '" + std::string(name) + "'", "", ""};
}

Status check_role_arn(std::string_view arn) {
  const std::vector<std::string_view> parts = split(arn, ':');
  const bool ok = parts.size() == 6 && parts[0] == "arn" && parts[1].starts_with("aws") &&
                  parts[2] == "iam" && parts[3].empty() && is_account(parts[4]) &&
                  parts[5].starts_with("role/") && parts[5].size() > 5;
  if (ok) return {};
  return Error{"InvalidArn", "Invalid Role Arn: '" + std::string(arn) + "'", "", ""};
}

std::string state_machine_arn(std::string_view region, std::string_view account, std::string_view name) {
  return arn_of(region, account, "stateMachine", name);
}

std::string activity_arn(std::string_view region, std::string_view account, std::string_view name) {
  return arn_of(region, account, "activity", name);
}

std::string machine_arn_of(const StatesArn& execution) {
  return arn_of(execution.region, execution.account, "stateMachine", execution.name);
}

}  // namespace sortie::api
