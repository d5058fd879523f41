#include "response/sessions.h"

#include <gtest/gtest.h>

#include "integrations/testing/fakes.h"

namespace sortie::response {
namespace {

class SessionsTest : public testing::Test {
 protected:
  SessionsTest() : store(loop), random(7) {
    EXPECT_TRUE(people.load().ok());
    people.add("alice", {}, Actor{}, [this](const Result<NewPerson>& made) { token = made->token; });
    loop.run();
    alice = *people.find_by_token(token);
  }
  NewSession log_in() {
    NewSession out;
    sessions.open(alice, "token", [&out](const Result<NewSession>& made) { out = made.value(); });
    loop.run();
    return out;
  }

  fakes::ManualLoop loop;
  fakes::FakeStore store;
  SeededRandom random;
  Audit audit{loop, store, Lease{0, 1}};
  People people{loop, random, store, audit};
  Sessions sessions{loop, random, store, audit, people};
  std::string token;
  Actor alice;
};

TEST_F(SessionsTest, ASessionIsItsPersonInTheConsoleAndItsTokenIsNowhereInTheStore) {
  const NewSession made = log_in();
  ASSERT_TRUE(sessions.find(made.token).has_value());
  EXPECT_EQ(to_text(sessions.find(made.token)->actor), "person:alice");
  EXPECT_EQ(sessions.find(made.token)->actor.channel, "console");
  EXPECT_FALSE(sessions.find(made.token + "0").has_value());
  EXPECT_FALSE(sessions.find("").has_value());
  for (const auto& [name, value] : store.documents) EXPECT_EQ(value.find(made.token), std::string::npos);
}

TEST_F(SessionsTest, ItSurvivesARestartAndEndsAfterItsTime) {
  const NewSession made = log_in();
  Sessions again(loop, random, store, audit, people);
  ASSERT_TRUE(again.load().ok());
  EXPECT_TRUE(again.find(made.token).has_value());
  loop.advance_ms(made.expires_at.ms - loop.now().ms - 1);
  EXPECT_TRUE(again.find(made.token).has_value());
  loop.advance_ms(1);
  EXPECT_FALSE(again.find(made.token).has_value());
}

TEST_F(SessionsTest, LoggingOutEndsItForGood) {
  const NewSession made = log_in();
  sessions.close(made.token, [](const Result<Unit>& done) { EXPECT_TRUE(done.ok()); });
  EXPECT_FALSE(sessions.find(made.token).has_value());
  loop.run();
  Sessions again(loop, random, store, audit, people);
  ASSERT_TRUE(again.load().ok());
  EXPECT_FALSE(again.find(made.token).has_value());
}

TEST_F(SessionsTest, ANewTokenOrARemovedPersonEndsEverySession) {
  const NewSession made = log_in();
  people.renew_token("alice", Actor{}, [](const Result<NewPerson>& done) { EXPECT_TRUE(done.ok()); });
  loop.run();
  EXPECT_FALSE(sessions.find(made.token).has_value());
  const NewSession second = log_in();
  EXPECT_TRUE(sessions.find(second.token).has_value());
  people.remove("alice", Actor{}, [](const Result<Unit>& done) { EXPECT_TRUE(done.ok()); });
  loop.run();
  EXPECT_FALSE(sessions.find(second.token).has_value());
}

TEST_F(SessionsTest, OnlyPeopleGetOne) {
  std::string code;
  const Actor key{Actor::Kind::kAccountKey, "123456789012", "123456789012", "", ""};
  sessions.open(key, "token", [&code](const Result<NewSession>& made) { code = made.error().code; });
  loop.run();
  EXPECT_EQ(code, "PersonDoesNotExist");
}

}  // namespace
}  // namespace sortie::response
