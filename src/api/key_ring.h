#pragma once
// Whose key an AWS request was signed with, and what that key may do.
//
// The api floor only asks; people, accounts and function workers answer through this interface (cli/ joins
// them). A key that nobody knows is refused: there is no anonymous access behind a signature check.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/actor.h"
#include "base/time.h"

namespace sortie::api {

struct SigningKey {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;      // "" for long-lived keys; then a request must not carry one.
  Timestamp expires_at = kNever;  // ExpiredTokenException from then on.
  std::string account;            // The account the key belongs to.
  Actor actor;
  // "states:StartExecution", "states:*", "*"; nothing at all means everything.
  std::optional<std::vector<std::string>> allowed_actions;

  bool may_call(std::string_view action) const;
};

class KeyRing {
 public:
  virtual ~KeyRing() = default;
  virtual std::optional<SigningKey> find(std::string_view access_key_id) const = 0;
  // A function may answer the task tokens that it was handed, whatever its list says.
  virtual bool was_handed(const SigningKey& key, std::string_view task_token) const {
    static_cast<void>(key);
    static_cast<void>(task_token);
    return false;
  }
};

// A fixed set of keys; for tests and for servers without people.
class FixedKeyRing final : public KeyRing {
 public:
  void add(SigningKey key) { keys_.push_back(std::move(key)); }
  std::optional<SigningKey> find(std::string_view access_key_id) const override;

 private:
  std::vector<SigningKey> keys_;
};

// The ARN by which AWS names a caller: GetCallerIdentity and AccessDenied texts show it.
std::string caller_arn(const SigningKey& key);

}  // namespace sortie::api
