// Slack's proofs and limits. How the desk works with a Slack is in tests/e2e/slack_e2e.py, on the real
// program.
#include "response/slack.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/text.h"
#include "json/text.h"

namespace sortie::response {
namespace {

const Timestamp kSlackNow{1'700'000'000'000};

std::string signed_by(std::string_view secret, std::string_view timestamp, std::string_view body) {
  return "v0=" + to_hex(hmac_sha256(secret, "v0:" + std::string(timestamp) + ":" + std::string(body)));
}

TEST(SlackSignature, TakesThePresentSecretAndTheFormerOne) {
  SlackSignature check;
  for (const char* secret : {"new", "old"}) {
    EXPECT_TRUE(
        check.check({"new", "old"}, "1700000000", signed_by(secret, "1700000000", "a=b"), "a=b", kSlackNow)
            .ok());
  }
  EXPECT_FALSE(
      check.check({"new"}, "1700000000", signed_by("other", "1700000000", "a=b"), "a=b", kSlackNow).ok());
  EXPECT_FALSE(check.check({""}, "1700000000", signed_by("", "1700000000", "a=b"), "a=b", kSlackNow).ok());
  EXPECT_FALSE(check.check({}, "1700000000", signed_by("new", "1700000000", "a=b"), "a=b", kSlackNow).ok());
}

TEST(SlackSignature, RefusesWhatIsStaleEarlyChangedOrMisshapen) {
  SlackSignature check;
  const auto good = [&](std::string_view timestamp, std::string_view body, std::string signature) {
    return check.check({"s"}, timestamp, signature, body, kSlackNow).ok();
  };
  EXPECT_TRUE(good("1699999700", "x", signed_by("s", "1699999700", "x")));
  EXPECT_FALSE(good("1699999699", "x", signed_by("s", "1699999699", "x")));
  EXPECT_TRUE(good("1700000300", "x", signed_by("s", "1700000300", "x")));
  EXPECT_FALSE(good("1700000301", "x", signed_by("s", "1700000301", "x")));
  EXPECT_FALSE(good("1700000000", "y", signed_by("s", "1700000000", "x")));
  EXPECT_FALSE(good("", "x", signed_by("s", "", "x")));
  EXPECT_FALSE(good("1700000000 ", "x", signed_by("s", "1700000000 ", "x")));
  EXPECT_FALSE(good("99999999999999", "x", signed_by("s", "99999999999999", "x")));
  EXPECT_FALSE(good("1700000000", "x", signed_by("s", "1700000000", "x").substr(3)));
  EXPECT_FALSE(good("1700000000", "x", ""));
}

TEST(SlackSignature, TakesEachPostOnce) {
  SlackSignature check;
  const std::string signature = signed_by("s", "1700000000", "x");
  EXPECT_TRUE(check.check({"s"}, "1700000000", signature, "x", kSlackNow).ok());
  EXPECT_FALSE(check.check({"s"}, "1700000000", signature, "x", kSlackNow).ok());
  EXPECT_FALSE(check.check({"s"}, "1700000000", signature, "x", kSlackNow.plus_ms(299'000)).ok());
}

TEST(SlackText, IsNeverMarkupAndNeverCutInsideAnEntity) {
  EXPECT_EQ(slack_escape("<!channel> & <https://evil|here>", 200),
            "&lt;!channel&gt; &amp; &lt;https://evil|here&gt;");
  EXPECT_EQ(slack_escape("a\u202Eb\u200Bc", 100), "abc");
  for (std::size_t size = 8; size < 40; ++size) {
    const std::string cut = slack_escape("<<<<<<<<<<<<", size);
    EXPECT_LE(cut.size(), size);
    EXPECT_EQ(replace_all(replace_all(cut, "&lt;", ""), "…", ""), "");
  }
}

Approval make_large() {
  Approval approval;
  approval.id = "ap-1";
  approval.title = std::string(500, 't');
  approval.description = std::string(9'000, '<');
  std::vector<json::Value> changes;
  for (int i = 0; i < 200; ++i) {
    changes.push_back(
        json::Value::object({{"resource", "eni"}, {"before", "```x"}, {"after", std::string(5'000, 'y')}}));
  }
  approval.plan = json::Value::array(
      {json::Value::object({{"action", "Isolate"}, {"changes", json::Value::array(changes)}})});
  approval.plan_hash = std::string(64, 'a');
  return approval;
}

TEST(SlackMessage, StaysWithinSlacksLimitsAndSaysWhatIsLeftOut) {
  const json::Value message = slack_message(make_large(), {}, {"b1", "b2"});
  EXPECT_LE(message.get("blocks").size(), 50u);
  for (const json::Value& block : message.get("blocks").items()) {
    const json::Value& text = block.get("text").get("text");
    if (text.is_string()) {
      EXPECT_LE(text.as_string().size(), block.get("type").as_string() == "header" ? 150u : 3'000u);
    }
  }
  const std::string whole = json::to_text(message);
  EXPECT_NE(whole.find("more, see the full plan"), std::string::npos);
  EXPECT_EQ(whole.find("````"), std::string::npos);
  EXPECT_NE(whole.find("\"b1\""), std::string::npos);
}

TEST(SlackMessage, WhatIsDecidedHasNoButtonsAndSaysByWhom) {
  Approval approval = make_large();
  approval.status = ApprovalStatus::kApproved;
  approval.decision = Decision{"approved", "alice", "seen <it>", kSlackNow, "console"};
  const std::string whole = json::to_text(slack_message(approval, {}, {"b1", "b2"}));
  EXPECT_EQ(whole.find("\"actions\""), std::string::npos);
  EXPECT_NE(whole.find("*APPROVED* by *alice* in console"), std::string::npos);
  EXPECT_NE(whole.find("seen &lt;it&gt;"), std::string::npos);
}

}  // namespace
}  // namespace sortie::response
