#pragma once
// Sessions of the console: who is behind a browser's cookie.
//
// A session is made by a login (one-time link or token), lives kSessionMs and survives a restart of the
// server. The cookie's value is random and shown once; the store keeps its SHA-256 (documents of kind
// "session"). A session ends early when its person logs out, is removed, or gets a new token: it remembers
// which token was in force.
//
// Everything runs on the loop's thread; callbacks run from the loop, after the change is durable. Errors:
// "PersonDoesNotExist", "LimitExceeded", "ServiceUnavailable".
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/actor.h"
#include "base/clock.h"
#include "base/result.h"
#include "response/people.h"

namespace sortie::response {

inline constexpr std::int64_t kSessionMs = 12LL * 60 * 60 * 1000;
inline constexpr std::size_t kSessionsMax = 10'000;

struct NewSession {
  std::string token;  // The cookie's value.
  std::string person;
  Timestamp expires_at;
};

struct OpenSession {
  Actor actor;  // Channel "console".
  Timestamp expires_at;
};

class Sessions {
 public:
  template <typename T>
  using Callback = std::function<void(Result<T>)>;

  Sessions(Loop& loop, Random& random, store::Store& store, Audit& audit, const People& people);

  Status load();  // After People::load().
  // `how` is told to the audit trail: "link" or "token".
  void open(const Actor& who, std::string how, Callback<NewSession> done);
  std::optional<OpenSession> find(std::string_view token) const;
  // Ends it; fine if there is none.
  void close(std::string_view token, Callback<Unit> done);

 private:
  struct Session {
    std::string person;
    std::string account;
    std::string mark;  // Of the person's token at login.
    Timestamp expires_at;
  };
  bool is_alive(const Session& session) const;
  std::string mark_of(std::string_view person) const;

  Loop& loop_;
  Random& random_;
  store::Store& store_;
  Audit& audit_;
  const People& people_;
  std::map<std::string, Session, std::less<>> sessions_;  // By the SHA-256 of the token.
};

}  // namespace sortie::response
