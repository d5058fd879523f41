#pragma once
// People who may use the console, decide and administer; their groups, tokens, login links and SDK keys; and
// the key of each configured account.
//
// Of a person's token only the SHA-256 is kept: it is shown once, when it is made. SDK secrets have to be
// kept as they are, because SigV4 can only be verified with the secret itself; what protects them is the mode
// of the data folder. Nothing here is ever written into the audit trail or a listing.
//
// Every change is one durable batch (documents and its audit line) before its reply. The documents are
// mirrored in memory, because tokens and keys are looked up on every request. Kinds of documents: "person",
// "login_link", "account_key". Everything runs on the loop's thread; callbacks run from the loop.
//
// Errors: "InvalidName", "PersonExists", "PersonDoesNotExist", "LoginLinkInvalid", "Conflict" (the same
// person is being changed this moment), "ServiceUnavailable" (the store could not write; nothing changed).
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/actor.h"
#include "base/clock.h"
#include "base/result.h"
#include "json/value.h"
#include "response/audit.h"
#include "store/store.h"

namespace sortie::response {

inline constexpr std::int64_t kLoginLinkMs = 10 * 60 * 1000;
inline constexpr std::size_t kPeopleMax = 10'000;
inline constexpr std::size_t kGroupsPerPersonMax = 100;
inline constexpr std::size_t kLoginLinksMax = 1'000;

struct AccessKey {
  std::string id;
  std::string secret;
  std::string account;
};

struct Person {
  std::string name;
  std::vector<std::string> groups;
  std::string token_sha256;     // Hex.
  std::vector<AccessKey> keys;  // One per account.
  Timestamp created_at;
  std::string created_by;
};

// For listings: name, groups, access key ids. No secrets.
json::Value to_json(const Person& person);

// Who holds an access key, for the verification of SigV4.
struct KeyHolder {
  std::string secret;
  Actor actor;
  std::string account;
};

struct NewPerson {
  Person person;
  std::string token;  // Shown once.
};

struct LoginLink {
  std::string token;  // Goes into the link's fragment or form, once.
  Timestamp expires_at;
};

class People {
 public:
  template <typename T>
  using Callback = std::function<void(Result<T>)>;

  People(Loop& loop, Random& random, store::Store& store, Audit& audit);

  // Reads every person, link and key. To be called once, before anything else.
  Status load();
  // Makes what is missing: a key for each account, and one for each person in each account. Answers the
  // accounts' keys; the caller writes them to <data>/credentials.json, mode 0600.
  void ensure_keys(std::vector<std::string> accounts, Callback<std::vector<AccessKey>> done);
  // Groups of sortie.yaml; they add to those that people were given by `user add --group`.
  void set_configured_groups(std::map<std::string, std::vector<std::string>> groups);

  void add(std::string name, std::vector<std::string> groups, const Actor& by, Callback<NewPerson> done);
  void remove(std::string name, const Actor& by, Callback<Unit> done);
  void set_groups(std::string name, std::vector<std::string> groups, const Actor& by, Callback<Person> done);
  // A new token; the old one is worth nothing from then on.
  void renew_token(std::string name, const Actor& by, Callback<NewPerson> done);

  const Person* find(std::string_view name) const;
  std::vector<Person> list() const;  // By name.
  bool is_in_group(std::string_view name, std::string_view group) const;

  std::optional<Actor> find_by_token(std::string_view token) const;
  std::optional<KeyHolder> find_key(std::string_view access_key_id) const;
  std::vector<AccessKey> account_keys() const;  // By account.

  void make_login_link(std::string name, const Actor& by, Callback<LoginLink> done);
  // Good once, within ten minutes; answers who it is.
  void use_login_link(std::string token, Callback<Actor> done);

 private:
  struct Link {
    std::string person;
    Timestamp expires_at;
  };
  using Change = std::function<void()>;

  // Writes the batch with its audit line; then `apply` changes the mirror and `done` hears of it.
  void write(store::Batch batch, AuditEntry entry, std::string busy_name, std::function<void(Status)> done);
  void replace(Person person, AuditEntry entry, std::function<void(Status)> done);
  void take(Person person);
  void forget(const std::string& name);
  Status check_change(const std::string& name) const;
  AccessKey make_key(std::string account);
  std::string make_secret_text(std::size_t bytes);
  std::vector<std::string> expired_links() const;
  template <typename T>
  void fail(const Callback<T>& done, Error error);

  Loop& loop_;
  Random& random_;
  store::Store& store_;
  Audit& audit_;
  std::vector<std::string> accounts_;
  std::map<std::string, Person, std::less<>> people_;
  std::map<std::string, std::string, std::less<>> names_by_token_;   // SHA-256 of the token -> name.
  std::map<std::string, std::string, std::less<>> names_by_key_;     // Access key id -> name.
  std::map<std::string, AccessKey, std::less<>> account_keys_;       // Account -> key.
  std::map<std::string, std::string, std::less<>> accounts_by_key_;  // Access key id -> account.
  std::map<std::string, Link, std::less<>> links_;                   // SHA-256 of the link's token.
  std::map<std::string, std::set<std::string, std::less<>>, std::less<>> configured_groups_;
  std::set<std::string, std::less<>> busy_;  // Names whose change is being written.
};

}  // namespace sortie::response
