// The desk against a Slack that outlives it: whatever is lost on the way, there is one message for an
// approval and it says what is true. How it works with a Slack over HTTP is in tests/e2e/slack_e2e.py.
#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/text.h"
#include "json/members.h"
#include "json/text.h"
#include "response/slack.h"
#include "response/testing_world.h"

namespace sortie::response {
namespace {

constexpr const char* kSlackSecret = "signing-secret";

// What becomes of a call.
enum class Fate { kDone, kLostBefore, kLostAfter, kThrottled, kUnreachable, kDoneUnheard, kRefused };

class FakeSlack {
 public:
  struct Call {
    std::string method;
    json::Value body;
  };

  void call(fakes::ManualLoop& loop, const std::string& method, const json::Value& body,
            SlackDesk::Answer done) {
    calls.push_back({method, body});
    const Fate fate = plan ? plan(calls.size(), method) : Fate::kDone;
    if (fate == Fate::kLostBefore) return;
    const bool works = fate == Fate::kDone || fate == Fate::kLostAfter || fate == Fate::kDoneUnheard;
    Result<json::Value> answer = Error{"SlackError", "refused", "", ""};
    if (works) answer = act(method, body);
    if (fate == Fate::kThrottled) answer = Error{"Throttled", "429", "", ""};
    if (fate == Fate::kUnreachable || fate == Fate::kDoneUnheard) answer = Error{"Unreachable", "", "", ""};
    if (fate == Fate::kLostAfter) return;
    loop.post([done = std::move(done), answer = std::move(answer)] { done(answer); });
  }

  std::size_t count(std::string_view method) const {
    return static_cast<std::size_t>(
        std::count_if(calls.begin(), calls.end(), [&](const Call& call) { return call.method == method; }));
  }
  // The text of a message as people see it now.
  std::string shown(std::size_t i) const { return json::to_text(messages.at(i)); }

  std::function<Fate(std::size_t, const std::string&)> plan;
  std::vector<Call> calls;
  std::vector<json::Value> messages;  // Newest last.
  std::size_t page_size = 200;

 private:
  Result<json::Value> act(const std::string& method, const json::Value& body) {
    if (method == "chat.postMessage") {
      const std::string ts = "17000000." + std::to_string(messages.size());
      messages.push_back(json::ObjectBuilder(body).set("ts", ts).set("app_id", "A1").build());
      return json::Value::object({{"ok", true}, {"channel", "C1"}, {"ts", ts}});
    }
    if (method == "chat.update") {
      for (json::Value& message : messages) {
        if (message.get("ts") != body.get("ts")) continue;
        message = json::ObjectBuilder(body).set("app_id", "A1").build();
        return json::Value::object({{"ok", true}});
      }
      return Error{"SlackError", "message_not_found", "", ""};
    }
    if (method != "conversations.history") return json::Value::object({{"ok", true}});
    const std::string cursor = json::text_member(body, "cursor");
    const std::size_t from = cursor.empty() ? 0 : std::stoul(cursor);
    std::vector<json::Value> page;
    for (std::size_t i = from; i < messages.size() && page.size() < page_size; ++i) {
      page.push_back(messages[messages.size() - 1 - i]);
    }
    const std::string next = from + page.size() < messages.size() ? std::to_string(from + page.size()) : "";
    return json::Value::object({{"ok", true},
                                {"messages", json::Value::array(std::move(page))},
                                {"response_metadata", json::Value::object({{"next_cursor", next}})}});
  }
};

class SlackDeskTest : public ApprovalsWorld {
 protected:
  SlackDeskTest() { boot_desk(); }
  void boot_more() override { boot_desk(); }
  void forget_more() override { desk.reset(); }
  void boot_desk() {
    desk = std::make_unique<SlackDesk>(
        loop, random, store, *audit, *approvals,
        [this](const std::string& method, const json::Value& body, SlackDesk::Answer done) {
          slack.call(loop, method, body, std::move(done));
        });
    desk->configure({"C1", "A1", "T1", {kSlackSecret}, {{"U1", "alice"}}, ""});
    ASSERT_TRUE(desk->start().ok());
  }

  // What Slack posts; answers the body, or the error's code.
  std::string post(const json::Value& payload, const std::string& secret = kSlackSecret) {
    return post_body("payload=" + percent_encode(json::to_text(payload)), secret);
  }
  std::string post_body(const std::string& body, const std::string& secret = kSlackSecret) {
    const std::string time = std::to_string(loop.now().ms / 1000);
    const std::string signature = "v0=" + to_hex(hmac_sha256(secret, "v0:" + time + ":" + body));
    return post_signed(time, signature, body);
  }
  std::string post_signed(const std::string& time, const std::string& signature, const std::string& body) {
    std::string answer = "no answer";
    desk->interact(time, signature, body, [&answer](const Result<std::string>& done) {
      answer = done.ok() ? *done : done.error().code;
    });
    loop.run();
    return answer;
  }
  json::Value payload(const std::string& user, std::vector<json::Member> more) {
    json::ObjectBuilder out(json::Value::object({{"api_app_id", "A1"},
                                                 {"team", json::Value::object({{"id", "T1"}})},
                                                 {"user", json::Value::object({{"id", user}})}}));
    for (json::Member& member : more) out.set(member.key.to_std_string(), std::move(member.value));
    return out.build();
  }
  json::Value click(const std::string& user, const std::string& button) {
    const json::Value action = json::Value::object({{"action_id", "approve"}, {"value", button}});
    return payload(user, {{"type", "block_actions"},
                          {"trigger_id", "t" + std::to_string(++triggers)},
                          {"channel", json::Value::object({{"id", "C1"}})},
                          {"actions", json::Value::array({action})}});
  }
  json::Value submission(const std::string& user, const std::string& button, const std::string& reason) {
    const json::Value values = json::parse(R"({"reason":{"reason":{"value":")" + reason + R"("}}})").value();
    return payload(user,
                   {{"type", "view_submission"},
                    {"view", json::Value::object({{"id", "V" + std::to_string(++triggers)},
                                                  {"private_metadata", button},
                                                  {"state", json::Value::object({{"values", values}})}})}});
  }
  std::string button(std::size_t message, std::size_t which) {
    for (const json::Value& block : slack.messages.at(message).get("blocks").items()) {
      if (block.get("type") == json::Value("actions")) {
        return json::text_member(block.get("elements")[which], "value");
      }
    }
    return "";
  }

  FakeSlack slack;
  std::unique_ptr<SlackDesk> desk;
  int triggers = 0;
};

TEST_F(SlackDeskTest, PostsOnceAndUpdatesTheCopyWithOutcomeWhoAndWhen) {
  const std::string id = ask();
  ASSERT_EQ(slack.messages.size(), 1u);
  EXPECT_NE(slack.shown(0).find("\"actions\""), std::string::npos);
  EXPECT_EQ(decide(id, "alice", true), "APPROVED");
  ASSERT_EQ(slack.messages.size(), 1u);
  EXPECT_EQ(slack.count("conversations.history"), 0u) << "nothing was lost, so nothing is looked for";
  EXPECT_NE(slack.shown(0).find("*APPROVED* by *alice* in cli at 2026-11-23T"), std::string::npos);
  EXPECT_EQ(slack.shown(0).find("\"actions\""), std::string::npos);
}

TEST_F(SlackDeskTest, HasOneMessageWhereverTheProcessDies) {
  // Every call to Slack is a place to die: before it arrives, and between its effect and the record of it.
  for (const Fate fate : {Fate::kLostBefore, Fate::kLostAfter}) {
    for (std::size_t at = 1; at <= 4; ++at) {
      SCOPED_TRACE("call " + std::to_string(at) + (fate == Fate::kLostAfter ? " after" : " before"));
      slack.messages.clear();
      slack.calls.clear();
      slack.plan = [&](std::size_t call, const std::string&) { return call == at ? fate : Fate::kDone; };
      const std::string id = ask(static_cast<std::uint32_t>(++triggers));
      if (slack.calls.size() == at) crash();
      EXPECT_EQ(decide(id, "alice", true), "APPROVED");
      if (slack.calls.size() == at) crash();
      loop.advance_ms(600'000);
      ASSERT_EQ(slack.messages.size(), 1u);
      EXPECT_NE(slack.shown(0).find("APPROVED"), std::string::npos);
    }
  }
}

TEST_F(SlackDeskTest, HasOneMessageWhenTheRecordOfItWasNotWritten) {
  slack.plan = [&](std::size_t, const std::string& method) {
    store.hold = method == "chat.postMessage";  // Slack answers, and the disk does not take it any more.
    return Fate::kDone;
  };
  const std::string id = ask();
  ASSERT_EQ(slack.messages.size(), 1u);
  slack.plan = {};
  crash();
  EXPECT_EQ(slack.messages.size(), 1u) << "found in the channel's history";
  EXPECT_EQ(slack.count("conversations.history"), 1u);
  EXPECT_EQ(post(submission("U1", button(0, 0), "confirmed")), R"({"response_action":"clear"})")
      << "its buttons still work";
  EXPECT_EQ(status(id), "APPROVED");
  EXPECT_NE(slack.shown(0).find("APPROVED"), std::string::npos);
}

TEST_F(SlackDeskTest, LooksForAMessageWhoseAnswerWasLost) {
  slack.plan = [](std::size_t call, const std::string&) {
    return call == 1 ? Fate::kDoneUnheard : Fate::kDone;
  };
  ask();
  loop.advance_ms(60'000);
  EXPECT_EQ(slack.messages.size(), 1u);
  EXPECT_EQ(slack.count("chat.postMessage"), 1u);
}

TEST_F(SlackDeskTest, UpdatesALostMessageOfWhatEndedMeanwhile) {
  slack.plan = [](std::size_t, const std::string&) { return Fate::kLostAfter; };
  const std::string id = ask();
  forget_more();
  EXPECT_EQ(decide(id, "alice", false), "REJECTED");
  slack.plan = {};
  crash();
  ASSERT_EQ(slack.messages.size(), 1u);
  EXPECT_NE(slack.shown(0).find("REJECTED"), std::string::npos) << "no copy keeps live buttons";
}

TEST_F(SlackDeskTest, LooksThroughAllPagesAndTakesNoOtherAppsWord) {
  slack.plan = [](std::size_t, const std::string&) { return Fate::kLostAfter; };
  const std::string id = ask();
  slack.plan = {};
  slack.page_size = 2;
  const json::Value forged =
      json::ObjectBuilder(slack.messages[0]).set("app_id", "A2").set("ts", "9.9").build();
  for (int i = 0; i < 5; ++i) slack.messages.push_back(forged);
  crash();
  EXPECT_EQ(slack.messages.size(), 6u) << "nothing was posted again";
  EXPECT_EQ(slack.count("conversations.history"), 3u);
  EXPECT_EQ(decide(id, "alice", true), "APPROVED");
  EXPECT_NE(slack.shown(0).find("APPROVED"), std::string::npos);
  EXPECT_EQ(slack.shown(1).find("APPROVED"), std::string::npos);
}

TEST_F(SlackDeskTest, PostsAgainWhereSlackRefusesToSayAndTellsSo) {
  slack.plan = [](std::size_t call, const std::string& method) {
    if (method == "conversations.history") return Fate::kRefused;
    return call == 1 ? Fate::kLostAfter : Fate::kDone;
  };
  ask();
  crash();
  EXPECT_EQ(slack.messages.size(), 2u) << "better twice than never";
  EXPECT_EQ(button(0, 0), button(1, 0)) << "both copies have the same buttons";
  const auto told = audit_of("approval.notify");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].reason.find("there may be two messages"), std::string::npos);
}

TEST_F(SlackDeskTest, OutlastsALongOutageAndKnowsWhatWasNeverTaken) {
  bool is_limited = true;
  slack.plan = [&](std::size_t, const std::string&) { return is_limited ? Fate::kThrottled : Fate::kDone; };
  ask();
  loop.advance_ms(2 * 3'600'000);
  EXPECT_EQ(slack.messages.size(), 0u);
  EXPECT_LT(slack.calls.size(), 50u);
  EXPECT_EQ(audit_of("approval.notify").size(), 1u) << "told once";
  is_limited = false;
  loop.advance_ms(kSlackPauseMsMax);
  EXPECT_EQ(slack.messages.size(), 1u);
  EXPECT_EQ(slack.count("conversations.history"), 0u) << "what is throttled was not taken";
}

TEST_F(SlackDeskTest, EveryKindOfEndIsShownInThePostedCopy) {
  const std::string first = ask(1);
  const std::string second = ask(2);
  ASSERT_EQ(slack.messages.size(), 2u);
  EXPECT_NE(slack.shown(0).find("SUPERSEDED"), std::string::npos);
  EXPECT_NE(slack.shown(0).find(second), std::string::npos) << "it names the one that asks now";
  approvals->close(order(2).key);
  loop.run();
  EXPECT_NE(slack.shown(1).find("CANCELLED"), std::string::npos);
  const std::string third = ask(3);
  loop.advance_ms(25 * 3'600'000);
  EXPECT_EQ(status(third), "EXPIRED");
  EXPECT_NE(slack.shown(2).find("EXPIRED"), std::string::npos);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(button(i, 0), "") << "no buttons on what is closed";
}

TEST_F(SlackDeskTest, APostPlayedAgainFindsItselfInTheJournalEvenAfterARestart) {
  const std::string id = ask();
  const std::string body =
      "payload=" + percent_encode(json::to_text(submission("U1", button(0, 0), "seen it")));
  const std::string time = std::to_string(loop.now().ms / 1000);
  const std::string signature = "v0=" + to_hex(hmac_sha256(kSlackSecret, "v0:" + time + ":" + body));
  EXPECT_EQ(post_signed(time, signature, body), R"({"response_action":"clear"})");
  EXPECT_EQ(post_signed(time, signature, body), "Unauthorized");
  crash();
  EXPECT_EQ(post_signed(time, signature, body), "Unauthorized");
  EXPECT_EQ(status(id), "APPROVED");
  loop.advance_ms(2 * kSlackSkewMs);
  EXPECT_EQ(post_signed(time, signature, body), "Unauthorized") << "it is too old by now";
  post(click("U1", button(0, 0)));
  EXPECT_EQ(store.list_documents("slack_post", "", 100).value().size(), 1u) << "what is too old is forgotten";
}

TEST_F(SlackDeskTest, APostThatCannotBeJournalledDoesNothing) {
  const std::string id = ask();
  store.fail = true;
  EXPECT_EQ(post(submission("U1", button(0, 0), "seen it")), "ServiceUnavailable");
  store.fail = false;
  EXPECT_EQ(status(id), "PENDING");
  EXPECT_EQ(post(submission("U1", button(0, 0), "seen it")), R"({"response_action":"clear"})");
}

TEST_F(SlackDeskTest, ADoubleClickOpensTwoDialogsAndDecidesOnce) {
  const std::string id = ask();
  EXPECT_EQ(post(click("U1", button(0, 0))), "");
  EXPECT_EQ(post(click("U1", button(0, 0))), "");
  EXPECT_EQ(slack.count("views.open"), 2u);
  EXPECT_EQ(audit_of("approval.review").size(), 2u) << "who looked is on record";
  const std::string value = button(0, 0);
  EXPECT_EQ(post(submission("U1", value, "once")), R"({"response_action":"clear"})");
  EXPECT_NE(post(submission("U1", value, "twice")).find("errors"), std::string::npos);
  EXPECT_EQ(approvals->find(id)->votes.size(), 1u);
}

TEST_F(SlackDeskTest, ARefusalIsRecordedBeforeItIsAnswered) {
  const std::string id = ask();
  store.hold = true;
  std::string answer = "no answer";
  const std::string body = "payload=" + percent_encode(json::to_text(click("U9", button(0, 0))));
  const std::string time = std::to_string(loop.now().ms / 1000);
  const std::string signature = "v0=" + to_hex(hmac_sha256(kSlackSecret, "v0:" + time + ":" + body));
  desk->interact(time, signature, body,
                 [&](const Result<std::string>& done) { answer = done.ok() ? *done : "?"; });
  store.commit_all();
  loop.run();
  EXPECT_EQ(answer, "no answer") << "the post is in the journal, the refusal is not";
  store.commit_all();
  loop.run();
  EXPECT_EQ(answer, "");
  const auto refused = audit_of("approval.decide");
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].details.get("slack_user"), json::Value("U9"));
  EXPECT_EQ(slack.count("chat.postEphemeral"), 1u);
  EXPECT_EQ(status(id), "PENDING");
}

TEST_F(SlackDeskTest, HostilePayloadsAreAnsweredAndDoNothing) {
  const std::string id = ask();
  for (const char* body : {"", "payload=", "payload=%ff", "payload=[]", "payload=%7B", "x=1&payload={}"}) {
    const std::string answer = post_body(body);
    EXPECT_TRUE(answer == "InvalidParameter" || answer == "ForbiddenSlackApp") << body << ": " << answer;
    loop.advance_ms(1'000);
  }
  EXPECT_EQ(post(payload("U1", {{"type", "block_actions"}, {"actions", json::Value("no list")}})), "");
  EXPECT_EQ(post(payload("U1", {{"type", "view_submission"}, {"view", json::Value(7)}})).find("{"), 0u);
  EXPECT_EQ(post(payload("U1", {{"type", "shortcut"}})), "");
  EXPECT_EQ(post(click("U1", button(0, 0)), "other-secret"), "Unauthorized");
  EXPECT_EQ(status(id), "PENDING");
}

}  // namespace
}  // namespace sortie::response
