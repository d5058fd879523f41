#pragma once
// Approvals in Slack: every open approval is posted with its planned changes and buttons, answers come back
// through signed posts, and each posted copy is updated with how it ended.
//
// Who may do what. Slack only carries the question: a click counts for the person that the configuration
// links to the Slack user, and the approval's own policy decides. A user who is not linked, or may not
// decide, is told so privately, and the attempt is in the audit trail. A decision needs a reason, so a button
// opens a dialog that repeats the plan and asks for one; its submission is decided (durably) before it is
// answered, by the same compare-and-set as anywhere else, bound to the hash of the plan that was posted.
//
// What proves a post is Slack's signature over the raw bytes (SlackSignature); app and team are pinned on
// top. Buttons carry random ids that mean (approval, choice) here and nothing elsewhere.
//
// Durability: which message belongs to which approval is a document of kind "slack_message", written before
// the message is sent and again when Slack has answered with its place. chat.postMessage knows no
// repetition, so every message carries the approval's id as its metadata; when nobody knows whether one was
// posted (the process died in between, or the answer was lost) the channel's history is asked first, and the
// message that is found there is taken up. Only where Slack refuses to say (the app lacks channels:history)
// it is posted again, with the same buttons, and the audit trail tells so.
//
// A signed post is journalled (document "slack_post", by its signature) before anything else happens, so that
// one that is played again finds itself there, after a restart, too. What it leads to is durable before it is
// answered: a decision, a refusal, or who opened the dialog.
//
// Calls that fail by 429, 5xx or the network are repeated with growing pauses, for about a day; what Slack
// itself refuses, kSlackRefusalsMax times. A restart begins anew.
//
// This floor has no network: `call` posts a Web API method and answers Slack's JSON, or an error:
// "SlackError" where it says ok: false, "Throttled" where it took nothing for now, "Unreachable" where nobody
// knows what it did.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "json/value.h"
#include "response/approvals.h"

namespace sortie::response {

inline constexpr std::int64_t kSlackSkewMs = 300'000;      // How old or early a signed post may be.
inline constexpr int kSlackRefusalsMax = 8;                // Tries at what Slack says no to.
inline constexpr int kSlackTriesMax = 300;                 // Tries otherwise: a day, by the longest pause.
inline constexpr std::int64_t kSlackPauseMsMax = 300'000;  // Between two of them.
inline constexpr int kSlackHistoryPagesMax = 20;           // Of 200 messages, in the search for a lost one.
inline constexpr std::size_t kSlackSeenMax = 10'000;       // Signatures remembered against replays.

struct SlackConfig {
  std::string channel;  // "C0123..."
  std::string app_id, team_id;
  std::vector<std::string> signing_secrets;  // The present one, and the former during a rotation.
  std::map<std::string, std::string, std::less<>> people;  // Slack user id -> person.
  std::string console_url;                                 // For the link to the whole plan.
};

// Checks X-Slack-Signature over the raw body. Errors "Unauthorized": missing, malformed, too old or early,
// forged, or seen before.
class SlackSignature {
 public:
  Status check(const std::vector<std::string>& secrets, std::string_view timestamp,
               std::string_view signature, std::string_view body, Timestamp now);
  // Seen by an earlier process.
  void remember(const std::string& signature, Timestamp until) { seen_[signature] = until.ms; }
  // Until when a signature that was seen could be played again.
  Timestamp until(const std::string& signature) const { return {seen_.at(signature)}; }
  // Forgets, and answers, what is too old to be played again.
  std::vector<std::string> forget_before(Timestamp now);

 private:
  std::map<std::string, std::int64_t> seen_;  // Signature -> when it is too old to matter.
};

// `& < >` escaped, control and direction characters gone, cut so that the escaped text has at most
// `bytes_max`.
std::string slack_escape(std::string_view text, std::size_t bytes_max);

struct SlackButtons {
  std::string approve, reject;  // Random ids.
};
// The message of an approval: with buttons while it is open, with the outcome once it is closed.
json::Value slack_message(const Approval& approval, const SlackConfig& config, const SlackButtons& buttons);
// The dialog behind a button.
json::Value slack_dialog(const Approval& approval, bool approve, const std::string& button);

class SlackDesk {
 public:
  using Answer = std::function<void(Result<json::Value>)>;
  using Call = std::function<void(std::string method, json::Value body, Answer done)>;

  SlackDesk(Loop& loop, Random& random, store::Store& store, Audit& audit, Approvals& approvals, Call call);
  ~SlackDesk();

  void configure(SlackConfig config) { config_ = std::move(config); }
  // Reads what was posted, posts what was not, updates what ended meanwhile; follows the approvals from then
  // on.
  Status start();

  // A signed post of Slack's: headers and the raw body. Answers the body of the 200 ("" for none), or an
  // error.
  using Done = std::function<void(Result<std::string>)>;
  void interact(std::string_view timestamp, std::string_view signature, std::string_view body, Done done);

 private:
  struct Message {
    SlackButtons buttons;
    std::string channel, ts;    // `ts` is empty until Slack has answered.
    std::string shown;          // What the posted copy says: status and number of votes.
    bool may_be_there = false;  // Sent, and nobody knows what became of it.
    bool busy = false;
    int tries = 0;
  };

  Status load_messages();
  Status load_posts();
  void follow(const Approval& approval);
  void keep(const std::string& id);
  void send(const std::string& id, const Approval& approval);
  void sent(const std::string& id, const std::string& shown, const Result<json::Value>& answer);
  // Looks for a message that may have been posted, a page of the channel's history after the other.
  void look_for(const std::string& id, const std::string& cursor, int pages);
  void looked(const std::string& id, int pages, const Result<json::Value>& answer);
  void settle(const std::string& id);  // What is known of the message is written, then it is kept true.
  void save(const std::string& id, const Message& message, std::function<void(Status)> done);
  void retry(const std::string& id, const Error& error);
  void take_post(const std::string& body, const Done& done);
  void clicked(const json::Value& payload, const Done& done);
  void submitted(const json::Value& payload, const Done& done);
  std::optional<Actor> person_of(const json::Value& payload) const;
  void whisper(const json::Value& payload, std::string text);
  void refuse(const json::Value& payload, const std::string& subject, const std::string& reason,
              std::function<void()> then);
  void note(const json::Value& payload, AuditEntry entry, std::function<void()> then);
  void note_failure(const std::string& id, std::string reason);
  // Callbacks that come back after this object is gone do nothing.
  template <typename F>
  auto guarded(F callback) {
    return [alive = std::weak_ptr<int>(alive_), callback = std::move(callback)](auto&&... arguments) {
      if (!alive.expired()) callback(std::forward<decltype(arguments)>(arguments)...);
    };
  }

  Loop& loop_;
  Random& random_;
  store::Store& store_;
  Audit& audit_;
  Approvals& approvals_;
  Call call_;
  SlackConfig config_;
  SlackSignature signature_;
  std::vector<std::string> stale_posts_;                  // Their documents go with the next post's.
  std::map<std::string, Message, std::less<>> messages_;  // By approval.
  std::map<std::string, std::pair<std::string, bool>, std::less<>> by_button_;  // Id -> approval, approve.
  std::shared_ptr<void> observer_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace sortie::response
