#include "api/key_ring.h"

namespace sortie::api {

bool SigningKey::may_call(std::string_view action) const {
  if (!allowed_actions) return true;
  const std::size_t colon = action.find(':');
  for (const std::string& allowed : *allowed_actions) {
    if (allowed == "*" || allowed == action) return true;
    const bool whole_service = allowed.size() > 2 && allowed.ends_with(":*");
    if (whole_service && colon != std::string_view::npos &&
        allowed.substr(0, allowed.size() - 2) == action.substr(0, colon)) {
      return true;
    }
  }
  return false;
}

std::optional<SigningKey> FixedKeyRing::find(std::string_view access_key_id) const {
  for (const SigningKey& key : keys_) {
    if (key.access_key_id == access_key_id) return key;
  }
  return std::nullopt;
}

std::string caller_arn(const SigningKey& key) {
  const std::string& name = key.actor.name;
  switch (key.actor.kind) {
    case Actor::Kind::kPerson:
      return "arn:aws:iam::" + key.account + ":user/" + name;
    case Actor::Kind::kFunction:
      return "arn:aws:sts::" + key.account + ":assumed-role/" + name + "/" + name;
    default:
      return "arn:aws:iam::" + key.account + ":root";
  }
}

}  // namespace sortie::api
