#pragma once
// connectors.slack of sortie.yaml: where approvals are posted, and how Slack is spoken to.
//
//   connectors:
//     slack:
//       channel: C0123456789            # where approvals are posted
//       token: env:SLACK_BOT_TOKEN      # chat:write
//       signing_secret: env:SLACK_SIGNING_SECRET
//       signing_secret_former: env:...  # still good, during a rotation
//       app: A0123456789                # posts of other apps and teams are refused
//       team: T0123456789
//       people: {U0123456789: alice}    # Slack user -> person; nobody else may answer
//       api_url: https://slack.com/api  # the default
//
// Slack posts answers to /slack/interactivity.
#include <memory>
#include <string>
#include <vector>

#include "cli/config.h"
#include "io/http_client.h"
#include "response/slack.h"

namespace sortie::cli {

struct SlackSettings {
  std::string api_url = "https://slack.com/api";
  std::string token;
  response::SlackConfig desk;
};

// Nothing where the section is absent. Mistakes are added to `problems`; then there is no connector.
std::optional<SlackSettings> read_slack_settings(const Config& config, std::vector<Error>& problems);

class SlackConnector {
 public:
  SlackConnector(io::EventLoop& loop, Random& random, store::Store& store, response::Audit& audit,
                 response::Approvals& approvals, SlackSettings settings);
  Status start(const std::string& console_url);
  response::SlackDesk& desk() { return desk_; }

 private:
  void call(const std::string& method, const json::Value& body, response::SlackDesk::Answer done);

  SlackSettings settings_;
  io::HttpClient client_;
  response::SlackDesk desk_;
};

}  // namespace sortie::cli
