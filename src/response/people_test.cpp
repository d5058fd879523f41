#include "response/people.h"

#include <gtest/gtest.h>

#include "integrations/testing/fakes.h"

namespace sortie::response {
namespace {

class PeopleTest : public testing::Test {
 protected:
  PeopleTest() : store(loop), random(3) { boot(); }

  void boot() {
    audit = std::make_unique<Audit>(loop, store, Lease{0, 1});
    people = std::make_unique<People>(loop, random, store, *audit);
    ASSERT_TRUE(people->load().ok());
    people->ensure_keys({"123456789012", "210987654321"}, [this](const Result<std::vector<AccessKey>>& keys) {
      ASSERT_TRUE(keys.ok());
      account_keys = *keys;
    });
    loop.run();
  }
  // The token of a new person, or the error's code.
  std::string add(const std::string& name, std::vector<std::string> groups = {}) {
    std::string answer;
    people->add(name, std::move(groups), Actor{}, [&answer](const Result<NewPerson>& made) {
      answer = made.ok() ? made->token : made.error().code;
    });
    loop.run();
    return answer;
  }
  std::string login_link(const std::string& name) {
    std::string answer;
    people->make_login_link(name, Actor{}, [&answer](const Result<LoginLink>& link) {
      answer = link.ok() ? link->token : link.error().code;
    });
    loop.run();
    return answer;
  }
  std::string use(const std::string& token) {
    std::string answer;
    people->use_login_link(token, [&answer](const Result<Actor>& actor) {
      answer = actor.ok() ? to_text(*actor) : actor.error().code;
    });
    loop.run();
    return answer;
  }

  fakes::ManualLoop loop;
  fakes::FakeStore store;
  SeededRandom random;
  std::unique_ptr<Audit> audit;
  std::unique_ptr<People> people;
  std::vector<AccessKey> account_keys;
};

TEST_F(PeopleTest, ATokenIsKnownByItsDigestAloneAndSurvivesARestart) {
  const std::string token = add("alice", {"ir-leads"});
  for (const auto& [name, value] : store.documents) EXPECT_EQ(value.find(token), std::string::npos);
  for (const store::LogLine& line : store.log) EXPECT_EQ(line.body.find(token), std::string::npos);
  boot();
  ASSERT_TRUE(people->find_by_token(token));
  EXPECT_EQ(to_text(*people->find_by_token(token)), "person:alice");
  EXPECT_FALSE(people->find_by_token(token + "x"));
  EXPECT_FALSE(people->find_by_token(""));
  EXPECT_TRUE(people->is_in_group("alice", "ir-leads"));
}

TEST_F(PeopleTest, EachPersonAndEachAccountHasAKeyInEachAccount) {
  ASSERT_EQ(account_keys.size(), 2u);
  EXPECT_EQ(account_keys[0].id.size(), 20u);
  EXPECT_EQ(account_keys[0].secret.size(), 40u);
  const std::optional<KeyHolder> account = people->find_key(account_keys[1].id);
  ASSERT_TRUE(account);
  EXPECT_EQ(account->actor.kind, Actor::Kind::kAccountKey);
  EXPECT_EQ(account->account, "210987654321");
  EXPECT_EQ(account->secret, account_keys[1].secret);
  add("alice");
  ASSERT_EQ(people->find("alice")->keys.size(), 2u);
  const std::optional<KeyHolder> person = people->find_key(people->find("alice")->keys[1].id);
  ASSERT_TRUE(person);
  EXPECT_EQ(person->actor.person(), "alice");
  EXPECT_EQ(person->account, "210987654321");
  EXPECT_FALSE(people->find_key("AKIANOBODY"));
}

TEST_F(PeopleTest, KeysStayTheSameAcrossRestarts) {
  const std::string before = account_keys[0].secret;
  boot();
  EXPECT_EQ(account_keys[0].secret, before);
}

TEST_F(PeopleTest, ARemovedPersonIsNobodyAtOnce) {
  const std::string token = add("alice");
  const std::string link = login_link("alice");
  const std::string key = people->find("alice")->keys[0].id;
  people->remove("alice", Actor{}, [](const Result<Unit>& gone) { EXPECT_TRUE(gone.ok()); });
  loop.run();
  EXPECT_FALSE(people->find_by_token(token));
  EXPECT_FALSE(people->find_key(key));
  EXPECT_EQ(use(link), "LoginLinkInvalid");
  boot();
  EXPECT_EQ(people->find("alice"), nullptr);
}

TEST_F(PeopleTest, ANewTokenEndsTheOldOne) {
  const std::string old = add("alice");
  std::string fresh;
  people->renew_token("alice", Actor{}, [&fresh](const Result<NewPerson>& made) { fresh = made->token; });
  loop.run();
  EXPECT_FALSE(people->find_by_token(old));
  EXPECT_TRUE(people->find_by_token(fresh));
}

TEST_F(PeopleTest, NamesThatCouldBeMistakenAreRefused) {
  add("alice");
  EXPECT_EQ(add("Alice"), "PersonExists");
  for (const char* name : {"", "a b", "unknown", "System", "-x", "a\xffz", "x/../y"}) {
    EXPECT_EQ(add(name), "InvalidName") << name;
  }
  EXPECT_EQ(add(std::string(65, 'a')), "InvalidName");
}

TEST_F(PeopleTest, ALoginLinkWorksOnceAndForTenMinutes) {
  add("alice");
  const std::string link = login_link("alice");
  EXPECT_EQ(use(link), "person:alice");
  EXPECT_EQ(use(link), "LoginLinkInvalid");
  const std::string late = login_link("alice");
  loop.advance_ms(kLoginLinkMs);
  EXPECT_EQ(use(late), "LoginLinkInvalid");
  const std::string kept = login_link("alice");
  boot();
  EXPECT_EQ(use(kept), "person:alice") << "a link survives a restart within its time";
  boot();
  EXPECT_EQ(use(kept), "LoginLinkInvalid") << "and stays used";
  EXPECT_EQ(login_link("bob"), "PersonDoesNotExist");
}

TEST_F(PeopleTest, OfTwoUsesOfALinkAtOnceOneWins) {
  add("alice");
  const std::string link = login_link("alice");
  int won = 0;
  for (int i = 0; i < 2; ++i) {
    people->use_login_link(link, [&won](const Result<Actor>& actor) { won += actor.ok() ? 1 : 0; });
  }
  loop.run();
  EXPECT_EQ(won, 1);
}

TEST_F(PeopleTest, WhatCouldNotBeWrittenDidNotHappen) {
  store.fail = true;
  EXPECT_EQ(add("alice"), "ServiceUnavailable");
  store.fail = false;
  EXPECT_EQ(people->find("alice"), nullptr);
  EXPECT_NE(add("alice"), "PersonExists");
}

TEST_F(PeopleTest, EveryChangeIsInTheAuditTrail) {
  add("alice");
  people->set_groups("alice", {"ir-leads"}, Actor{}, [](const auto&) {});
  loop.run();
  login_link("alice");
  std::string lines;
  const std::uint64_t last = audit->export_lines(0, 100, lines).value();
  EXPECT_EQ(last, store.log.back().sequence);
  for (const char* action : {"keys.create", "person.add", "person.groups", "person.login_link"}) {
    EXPECT_NE(lines.find("\"action\":\"" + std::string(action) + "\""), std::string::npos) << lines;
  }
  std::string rest;
  EXPECT_EQ(audit->export_lines(last, 100, rest).value(), last);
  EXPECT_TRUE(rest.empty());
}

TEST_F(PeopleTest, ListingsHoldNoSecrets) {
  add("alice");
  const std::string shown = json::to_text(to_json(*people->find("alice")));
  EXPECT_EQ(shown.find(people->find("alice")->keys[0].secret), std::string::npos);
  EXPECT_NE(shown.find(people->find("alice")->keys[0].id), std::string::npos);
}

TEST(Audit, EntriesAreBoundedAndReadBack) {
  fakes::ManualLoop loop;
  fakes::FakeStore store(loop);
  Audit audit(loop, store, Lease{0, 1});
  AuditEntry entry;
  entry.actor = {Actor::Kind::kFunction, "Notify", "123456789012", "api", "alice"};
  entry.action = "token.use";
  entry.subject = "arn:x";
  entry.outcome = "refused";
  entry.reason = std::string(100'000, 'r') + "\xff";
  entry.details = json::Value::object({{"body", std::string(100'000, 'd')}});
  audit.record(entry);
  loop.run();
  ASSERT_EQ(store.log.size(), 1u);
  EXPECT_LT(store.log[0].body.size(), 40'000u);
  const std::vector<AuditEntry> found = audit.query({.actor = "function:Notify"}).value();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].actor.on_behalf_of, "alice");
  EXPECT_EQ(found[0].outcome, "refused");
  EXPECT_EQ(found[0].time, loop.now());
}

}  // namespace
}  // namespace sortie::response
