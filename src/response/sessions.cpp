#include "response/sessions.h"

#include "base/hash.h"
#include "json/members.h"
#include "json/text.h"
#include "store/for_each_document.h"

namespace sortie::response {
namespace session_documents {

constexpr std::string_view kKind = "session";
constexpr std::size_t kTokenBytesMax = 256;

}  // namespace session_documents

Sessions::Sessions(Loop& loop, Random& random, store::Store& store, Audit& audit, const People& people)
    : loop_(loop), random_(random), store_(store), audit_(audit), people_(people) {}

std::string Sessions::mark_of(std::string_view person) const {
  const Person* found = people_.find(person);
  return found == nullptr ? std::string() : found->token_sha256.substr(0, 16);
}

bool Sessions::is_alive(const Session& session) const {
  return session.expires_at > loop_.now() && people_.find(session.person) != nullptr &&
         mark_of(session.person) == session.mark;
}

Status Sessions::load() {
  return store::for_each_document(store_, session_documents::kKind,
                                  [this](const store::Document& document) -> Status {
                                    SORTIE_TRY(const json::Value value, json::parse(document.value));
                                    const json::Value& ends = value.get("expires_at_ms");
                                    sessions_[document.key] = {json::text_member(value, "person"),
                                                               json::text_member(value, "account"),
                                                               json::text_member(value, "mark"),
                                                               {ends.is_integer() ? ends.as_integer() : 0}};
                                    return {};
                                  });
}

void Sessions::open(const Actor& who, std::string how, Callback<NewSession> done) {
  const auto fail = [&](Error error) { loop_.post([done, error = std::move(error)] { done(error); }); };
  if (!who.is_person() || people_.find(who.name) == nullptr) {
    return fail(
        {"PersonDoesNotExist", "the console is for people", "", "make one with sortie user add NAME"});
  }
  store::Batch batch = audit_.lease().batch();
  std::vector<std::string> dead;
  for (const auto& [hash, session] : sessions_) {
    if (!is_alive(session)) dead.push_back(hash);
  }
  if (sessions_.size() - dead.size() >= kSessionsMax) {
    return fail({"LimitExceeded", "too many sessions are open", "", "log out somewhere else"});
  }
  for (const std::string& hash : dead) batch.documents_gone.emplace_back(session_documents::kKind, hash);
  NewSession made{random_hex(random_, 32), who.name, loop_.now().plus_ms(kSessionMs)};
  const std::string hash = sha256_hex(made.token);
  Session session{who.name, who.account, mark_of(who.name), made.expires_at};
  const json::Value value = json::Value::object({{"person", session.person},
                                                 {"account", session.account},
                                                 {"mark", session.mark},
                                                 {"expires_at_ms", session.expires_at.ms}});
  batch.documents.push_back({std::string(session_documents::kKind), hash, json::to_text(value)});
  AuditEntry entry;
  entry.actor = who;
  entry.channel = "console";
  entry.action = "session.open";
  entry.subject = who.name;
  entry.outcome = "done";
  entry.details = json::Value::object({{"with", how}});
  batch.log.push_back(audit_.line(std::move(entry)));
  store_.append(std::move(batch), [this, dead, hash, session, made, done](const Status& status) {
    if (!status) return done(Error{"ServiceUnavailable", "the session could not be stored", "", "try again"});
    for (const std::string& old : dead) sessions_.erase(old);
    sessions_[hash] = session;
    done(made);
  });
}

std::optional<OpenSession> Sessions::find(std::string_view token) const {
  if (token.empty() || token.size() > session_documents::kTokenBytesMax) return std::nullopt;
  // Looked up by digest: how long the search takes says nothing about the token itself.
  const auto found = sessions_.find(sha256_hex(token));
  if (found == sessions_.end() || !is_alive(found->second)) return std::nullopt;
  OpenSession out;
  out.actor = {Actor::Kind::kPerson, found->second.person, found->second.account, "console", ""};
  out.expires_at = found->second.expires_at;
  return out;
}

void Sessions::close(std::string_view token, Callback<Unit> done) {
  const std::string hash =
      token.size() > session_documents::kTokenBytesMax ? std::string() : sha256_hex(token);
  const auto found = sessions_.find(hash);
  if (found == sessions_.end()) return loop_.post([done] { done(Unit{}); });
  // It is worth nothing from this moment, whether or not the disk works.
  const Session session = found->second;
  sessions_.erase(found);
  store::Batch batch = audit_.lease().batch();
  batch.documents_gone.emplace_back(session_documents::kKind, hash);
  AuditEntry entry;
  entry.actor = {Actor::Kind::kPerson, session.person, session.account, "console", ""};
  entry.channel = "console";
  entry.action = "session.close";
  entry.subject = session.person;
  entry.outcome = "done";
  batch.log.push_back(audit_.line(std::move(entry)));
  store_.append(std::move(batch), [this, hash, session, done](const Status& status) {
    if (status) return done(Unit{});
    sessions_[hash] = session;
    done(Error{"ServiceUnavailable", "the session could not be ended", "", "try again"});
  });
}

}  // namespace sortie::response
