#pragma once
// Credentials for function workers: the function's role, assumed through STS with a session policy that
// allows what its function.yaml lists and nothing else. Where there are no credentials to assume it with, or
// STS refuses, the worker gets none (and then a key that Sortie mints), so a handler never acts with the
// server's own rights.
#include <map>
#include <string>

#include "functions/function_service.h"
#include "integrations/sdk_worker.h"

namespace sortie::integrations {

struct RoleCredentialOptions {
  std::string region = "us-east-1";
  std::string endpoint_url;
  bool can_assume = false;  // The server itself has credentials, or the account is a stand-in.
  std::int64_t duration_s = 3600;
};

class RoleCredentials final : public functions::CredentialSource {
 public:
  RoleCredentials(Clock& clock, SdkPool& pool, RoleCredentialOptions options)
      : clock_(clock), pool_(pool), options_(std::move(options)) {}
  void credentials_for(const functions::FunctionConfig& function,
                       std::function<void(std::optional<functions::Credentials>)> done) override;

 private:
  Clock& clock_;
  SdkPool& pool_;
  RoleCredentialOptions options_;
  std::map<std::string, functions::Credentials> kept_;  // By function ARN, role and actions.
};

// The session policy for a list of actions; "" where the list is empty (then the role alone decides). Actions
// on Sortie's own APIs (states, events, lambda) are checked by Sortie and are not AWS's business.
std::string session_policy(const std::vector<std::string>& actions);

}  // namespace sortie::integrations
