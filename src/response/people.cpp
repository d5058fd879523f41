#include "response/people.h"

#include <algorithm>

#include "base/hash.h"
#include "base/text.h"
#include "json/members.h"
#include "json/text.h"
#include "store/for_each_document.h"

namespace sortie::response {
namespace people_documents {

json::Value key_to_json(const AccessKey& key) {
  return json::Value::object({{"id", key.id}, {"secret", key.secret}, {"account", key.account}});
}

AccessKey key_from_json(const json::Value& value) {
  return {json::text_member(value, "id"), json::text_member(value, "secret"),
          json::text_member(value, "account")};
}

store::Document document_of(const Person& person) {
  std::vector<json::Value> groups(person.groups.begin(), person.groups.end());
  std::vector<json::Value> keys;
  for (const AccessKey& key : person.keys) keys.push_back(key_to_json(key));
  const json::Value value = json::Value::object({{"name", person.name},
                                                 {"groups", json::Value::array(std::move(groups))},
                                                 {"token_sha256", person.token_sha256},
                                                 {"keys", json::Value::array(std::move(keys))},
                                                 {"created_at_ms", person.created_at.ms},
                                                 {"created_by", person.created_by}});
  return {"person", person.name, json::to_text(value)};
}

Result<Person> person_from(const store::Document& document) {
  SORTIE_TRY(const json::Value value, json::parse(document.value));
  Person person;
  person.name = json::text_member(value, "name");
  if (person.name != document.key) return Error{"StoreCorrupt", "Person " + document.key + " cannot be read"};
  for (const json::Value& group : value.get("groups").items()) {
    if (group.is_string()) person.groups.push_back(group.to_std_string());
  }
  person.token_sha256 = json::text_member(value, "token_sha256");
  for (const json::Value& key : value.get("keys").items()) person.keys.push_back(key_from_json(key));
  if (value.get("created_at_ms").is_integer()) person.created_at.ms = value.get("created_at_ms").as_integer();
  person.created_by = json::text_member(value, "created_by");
  return person;
}

bool is_name_character(char c, bool first) {
  const bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return alnum || (!first && (c == '.' || c == '_' || c == '-' || c == '@'));
}

Status check_name(std::string_view name, const char* what) {
  bool good = !name.empty() && name.size() <= 64;
  for (std::size_t i = 0; good && i < name.size(); ++i) good = is_name_character(name[i], i == 0);
  // A person called "unknown" would look like nobody; "system" like us.
  const std::string lower = to_lower_ascii(name);
  if (good && lower != "unknown" && lower != "system") return {};
  return Error{"InvalidName",
               std::string(what) + " \"" + to_valid_utf8(name.substr(0, 80)) + "\" cannot be used", "",
               "Use 1 to 64 letters, digits and . _ - @, beginning with a letter or digit"};
}

}  // namespace people_documents

json::Value to_json(const Person& person) {
  std::vector<json::Value> groups(person.groups.begin(), person.groups.end());
  std::vector<json::Value> keys;
  for (const AccessKey& key : person.keys) {
    keys.push_back(json::Value::object({{"id", key.id}, {"account", key.account}}));
  }
  return json::Value::object({{"name", person.name},
                              {"groups", json::Value::array(std::move(groups))},
                              {"access_keys", json::Value::array(std::move(keys))},
                              {"created_at", to_iso8601(person.created_at)},
                              {"created_by", person.created_by}});
}

People::People(Loop& loop, Random& random, store::Store& store, Audit& audit)
    : loop_(loop), random_(random), store_(store), audit_(audit) {}

Status People::load() {
  SORTIE_TRY_STATUS(
      store::for_each_document(store_, "person", [this](const store::Document& document) -> Status {
        SORTIE_TRY(Person person, people_documents::person_from(document));
        take(std::move(person));
        return {};
      }));
  SORTIE_TRY_STATUS(
      store::for_each_document(store_, "account_key", [this](const store::Document& document) -> Status {
        SORTIE_TRY(const json::Value value, json::parse(document.value));
        const AccessKey key = people_documents::key_from_json(value);
        account_keys_[document.key] = key;
        accounts_by_key_[key.id] = document.key;
        return {};
      }));
  return store::for_each_document(store_, "login_link", [this](const store::Document& document) -> Status {
    SORTIE_TRY(const json::Value value, json::parse(document.value));
    const json::Value& expires = value.get("expires_at_ms");
    links_[document.key] = {json::text_member(value, "person"),
                            {expires.is_integer() ? expires.as_integer() : 0}};
    return {};
  });
}

template <typename T>
void People::fail(const Callback<T>& done, Error error) {
  loop_.post([done, error = std::move(error)] { done(error); });
}

std::string People::make_secret_text(std::size_t bytes) {
  std::string raw;
  while (raw.size() < bytes) {
    std::uint64_t word = random_.next();
    for (int i = 0; i < 8; ++i, word >>= 8) raw.push_back(static_cast<char>(word & 0xff));
  }
  raw.resize(bytes);
  return base64url_encode(raw);
}

AccessKey People::make_key(std::string account) {
  // 20 characters and 40 characters, as AWS's, so that every SDK takes them.
  return {"SRTA" + random_alphanumeric(random_, 16), make_secret_text(30), std::move(account)};
}

void People::take(Person person) {
  forget(person.name);
  names_by_token_[person.token_sha256] = person.name;
  for (const AccessKey& key : person.keys) names_by_key_[key.id] = person.name;
  std::string name = person.name;
  people_[std::move(name)] = std::move(person);
}

void People::forget(const std::string& name) {
  const auto found = people_.find(name);
  if (found == people_.end()) return;
  names_by_token_.erase(found->second.token_sha256);
  for (const AccessKey& key : found->second.keys) names_by_key_.erase(key.id);
  people_.erase(found);
}

void People::write(store::Batch batch, AuditEntry entry, std::string busy_name,
                   std::function<void(Status)> done) {
  batch.log.push_back(audit_.line(std::move(entry)));
  if (!busy_name.empty()) busy_.insert(busy_name);
  store_.append(
      std::move(batch), [this, busy_name = std::move(busy_name), done = std::move(done)](Status status) {
        busy_.erase(busy_name);
        if (status) return done({});
        done(Error{"ServiceUnavailable", "The change could not be written: " + status.error().message});
      });
}

void People::replace(Person person, AuditEntry entry, std::function<void(Status)> done) {
  store::Batch batch = audit_.lease().batch();
  batch.documents.push_back(people_documents::document_of(person));
  std::string name = person.name;
  write(std::move(batch), std::move(entry), std::move(name),
        [this, person = std::move(person), done = std::move(done)](Status status) {
          if (status) take(person);
          done(std::move(status));
        });
}

void People::ensure_keys(std::vector<std::string> accounts, Callback<std::vector<AccessKey>> done) {
  accounts_ = std::move(accounts);
  store::Batch batch = audit_.lease().batch();
  std::vector<AccessKey> made;
  std::vector<Person> changed;
  for (const std::string& account : accounts_) {
    if (account_keys_.count(account) != 0) continue;
    made.push_back(make_key(account));
    const json::Value value = people_documents::key_to_json(made.back());
    batch.documents.push_back({"account_key", account, json::to_text(value)});
  }
  for (const auto& [name, person] : people_) {
    Person copy = person;
    for (const std::string& account : accounts_) {
      const bool has = std::any_of(copy.keys.begin(), copy.keys.end(),
                                   [&account](const AccessKey& key) { return key.account == account; });
      if (!has) copy.keys.push_back(make_key(account));
    }
    if (copy.keys.size() == person.keys.size()) continue;
    batch.documents.push_back(people_documents::document_of(copy));
    changed.push_back(std::move(copy));
  }
  if (batch.documents.empty()) return loop_.post([this, done] { done(account_keys()); });
  AuditEntry entry;
  entry.actor.kind = Actor::Kind::kSystem;
  entry.channel = "system";
  entry.action = "keys.create";
  entry.outcome = "done";
  entry.details = json::Value::object({{"account_keys", static_cast<std::int64_t>(made.size())},
                                       {"people", static_cast<std::int64_t>(changed.size())}});
  write(std::move(batch), std::move(entry), "",
        [this, made = std::move(made), changed = std::move(changed), done](Status status) {
          if (!status) return done(status.error());
          for (const AccessKey& key : made) {
            account_keys_[key.account] = key;
            accounts_by_key_[key.id] = key.account;
          }
          for (const Person& person : changed) take(person);
          done(account_keys());
        });
}

void People::set_configured_groups(std::map<std::string, std::vector<std::string>> groups) {
  configured_groups_.clear();
  for (auto& [group, names] : groups) {
    configured_groups_[group] = std::set<std::string, std::less<>>(names.begin(), names.end());
  }
}

Status People::check_change(const std::string& name) const {
  if (people_.count(name) == 0) return Error{"PersonDoesNotExist", "There is no person \"" + name + "\""};
  if (busy_.count(name) != 0) return Error{"Conflict", "\"" + name + "\" is being changed, try again"};
  return {};
}

void People::add(std::string name, std::vector<std::string> groups, const Actor& by,
                 Callback<NewPerson> done) {
  Status good = people_documents::check_name(name, "The name");
  for (const std::string& group : groups) {
    if (good) good = people_documents::check_name(group, "The group");
  }
  if (!good) return fail(done, good.error());
  // "Alice" beside "alice" would be two people to a policy and one to a reader.
  const auto same = [&name](std::string_view other) { return equals_ignore_case_ascii(other, name); };
  const bool taken =
      std::any_of(people_.begin(), people_.end(), [&same](const auto& entry) { return same(entry.first); }) ||
      std::any_of(busy_.begin(), busy_.end(), same);
  if (taken) return fail(done, {"PersonExists", "There is a person \"" + name + "\" already"});
  if (people_.size() >= kPeopleMax || groups.size() > kGroupsPerPersonMax) {
    return fail(done, {"LimitExceeded", "That are too many people or groups"});
  }
  NewPerson made;
  made.token = "sortie_" + make_secret_text(32);
  made.person.name = name;
  made.person.groups = std::move(groups);
  made.person.token_sha256 = sha256_hex(made.token);
  for (const std::string& account : accounts_) made.person.keys.push_back(make_key(account));
  made.person.created_at = loop_.now();
  made.person.created_by = to_text(by);
  AuditEntry entry;
  entry.actor = by;
  entry.action = "person.add";
  entry.subject = name;
  entry.outcome = "done";
  entry.details = json::Value::object({{"groups", join(made.person.groups, ",")}});
  replace(made.person, std::move(entry), [made, done](Status status) {
    if (!status) return done(status.error());
    done(made);
  });
}

void People::remove(std::string name, const Actor& by, Callback<Unit> done) {
  const Status good = check_change(name);
  if (!good) return fail(done, good.error());
  store::Batch batch = audit_.lease().batch();
  batch.documents_gone.emplace_back("person", name);
  for (const auto& [hash, link] : links_) {
    if (link.person == name) batch.documents_gone.emplace_back("login_link", hash);
  }
  AuditEntry entry;
  entry.actor = by;
  entry.action = "person.remove";
  entry.subject = name;
  entry.outcome = "done";
  write(std::move(batch), std::move(entry), name, [this, name, done](Status status) {
    if (!status) return done(status.error());
    forget(name);
    std::erase_if(links_, [&name](const auto& link) { return link.second.person == name; });
    done(Unit{});
  });
}

void People::set_groups(std::string name, std::vector<std::string> groups, const Actor& by,
                        Callback<Person> done) {
  Status good = check_change(name);
  for (const std::string& group : groups) {
    if (good) good = people_documents::check_name(group, "The group");
  }
  if (good && groups.size() > kGroupsPerPersonMax) good = Error{"LimitExceeded", "That are too many groups"};
  if (!good) return fail(done, good.error());
  Person person = *find(name);
  AuditEntry entry;
  entry.actor = by;
  entry.action = "person.groups";
  entry.subject = name;
  entry.outcome = "done";
  entry.details = json::Value::object({{"before", join(person.groups, ",")}, {"after", join(groups, ",")}});
  person.groups = std::move(groups);
  replace(person, std::move(entry), [person, done](Status status) {
    if (!status) return done(status.error());
    done(person);
  });
}

void People::renew_token(std::string name, const Actor& by, Callback<NewPerson> done) {
  const Status good = check_change(name);
  if (!good) return fail(done, good.error());
  NewPerson made{*find(name), "sortie_" + make_secret_text(32)};
  made.person.token_sha256 = sha256_hex(made.token);
  AuditEntry entry;
  entry.actor = by;
  entry.action = "person.token";
  entry.subject = name;
  entry.outcome = "done";
  replace(made.person, std::move(entry), [made, done](Status status) {
    if (!status) return done(status.error());
    done(made);
  });
}

const Person* People::find(std::string_view name) const {
  const auto found = people_.find(name);
  return found == people_.end() ? nullptr : &found->second;
}

std::vector<Person> People::list() const {
  std::vector<Person> all;
  for (const auto& [name, person] : people_) all.push_back(person);
  return all;
}

bool People::is_in_group(std::string_view name, std::string_view group) const {
  // A name in a configured group counts for a person who exists, not for a name alone.
  const Person* person = find(name);
  if (person == nullptr) return false;
  const auto configured = configured_groups_.find(group);
  if (configured != configured_groups_.end() && configured->second.count(name) != 0) return true;
  return std::find(person->groups.begin(), person->groups.end(), group) != person->groups.end();
}

std::optional<Actor> People::find_by_token(std::string_view token) const {
  if (token.empty() || token.size() > 256) return std::nullopt;
  // Looked up by digest: how long the search takes says nothing about the token itself.
  const std::string hash = sha256_hex(token);
  const auto found = names_by_token_.find(hash);
  if (found == names_by_token_.end() || !constant_time_equal(found->first, hash)) return std::nullopt;
  Actor actor;
  actor.kind = Actor::Kind::kPerson;
  actor.name = found->second;
  if (!accounts_.empty()) actor.account = accounts_.front();
  return actor;
}

std::optional<KeyHolder> People::find_key(std::string_view access_key_id) const {
  KeyHolder holder;
  holder.actor.channel = "api";
  const auto account = accounts_by_key_.find(access_key_id);
  if (account != accounts_by_key_.end()) {
    const AccessKey& key = account_keys_.find(account->second)->second;
    holder.secret = key.secret;
    holder.account = holder.actor.account = holder.actor.name = key.account;
    holder.actor.kind = Actor::Kind::kAccountKey;
    return holder;
  }
  const auto name = names_by_key_.find(access_key_id);
  if (name == names_by_key_.end()) return std::nullopt;
  for (const AccessKey& key : people_.find(name->second)->second.keys) {
    if (key.id != access_key_id) continue;
    holder.secret = key.secret;
    holder.account = holder.actor.account = key.account;
    holder.actor.kind = Actor::Kind::kPerson;
    holder.actor.name = name->second;
  }
  return holder;
}

std::vector<AccessKey> People::account_keys() const {
  std::vector<AccessKey> keys;
  for (const auto& [account, key] : account_keys_) keys.push_back(key);
  return keys;
}

std::vector<std::string> People::expired_links() const {
  std::vector<std::string> expired;
  for (const auto& [hash, link] : links_) {
    if (link.expires_at <= loop_.now()) expired.push_back(hash);
  }
  return expired;
}

void People::make_login_link(std::string name, const Actor& by, Callback<LoginLink> done) {
  if (find(name) == nullptr) {
    return fail(done, {"PersonDoesNotExist", "There is no person \"" + name + "\""});
  }
  const std::vector<std::string> expired = expired_links();
  if (links_.size() - expired.size() >= kLoginLinksMax) {
    return fail(done, {"LimitExceeded", "Too many login links are open; they end after ten minutes"});
  }
  LoginLink link{make_secret_text(32), loop_.now().plus_ms(kLoginLinkMs)};
  const std::string hash = sha256_hex(link.token);
  store::Batch batch = audit_.lease().batch();
  for (const std::string& old : expired) batch.documents_gone.emplace_back("login_link", old);
  const json::Value value = json::Value::object({{"person", name}, {"expires_at_ms", link.expires_at.ms}});
  batch.documents.push_back({"login_link", hash, json::to_text(value)});
  AuditEntry entry;
  entry.actor = by;
  entry.action = "person.login_link";
  entry.subject = name;
  entry.outcome = "done";
  write(std::move(batch), std::move(entry), "", [this, link, hash, name, expired, done](Status status) {
    if (!status) return done(status.error());
    for (const std::string& old : expired) links_.erase(old);
    links_[hash] = {name, link.expires_at};
    done(link);
  });
}

void People::use_login_link(std::string token, Callback<Actor> done) {
  const Error invalid{"LoginLinkInvalid", "This login link is used, expired or wrong", "",
                      "Make a new one with sortie login-link NAME"};
  const auto found = links_.find(token.size() > 256 ? std::string() : sha256_hex(token));
  if (found == links_.end() || found->second.expires_at <= loop_.now()) return fail(done, invalid);
  const std::string hash = found->first;
  const Link link = found->second;
  if (find(link.person) == nullptr) return fail(done, invalid);
  // It leaves the mirror before the batch is durable: a second use at the same moment finds nothing.
  links_.erase(found);
  Actor actor;
  actor.kind = Actor::Kind::kPerson;
  actor.name = link.person;
  actor.channel = "console";
  if (!accounts_.empty()) actor.account = accounts_.front();
  store::Batch batch = audit_.lease().batch();
  batch.documents_gone.emplace_back("login_link", hash);
  AuditEntry entry;
  entry.actor = actor;
  entry.action = "person.login";
  entry.subject = link.person;
  entry.outcome = "done";
  write(std::move(batch), std::move(entry), "", [this, hash, link, actor, done](Status status) {
    if (status) return done(actor);
    links_[hash] = link;
    done(status.error());
  });
}

}  // namespace sortie::response
