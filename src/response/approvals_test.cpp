#include "response/approvals.h"

#include <gtest/gtest.h>

#include "response/canonical.h"
#include "response/testing_world.h"

namespace sortie::response {
namespace {

using ApprovalsTest = ApprovalsWorld;

TEST_F(ApprovalsTest, ADecisionAnswersTheTaskInOneTransactionWithItsRecord) {
  const std::string id = ask();
  EXPECT_EQ(status(id), "PENDING");
  const std::size_t commits = store.commits;
  EXPECT_EQ(decide(id, "alice", true), "APPROVED");
  EXPECT_EQ(store.commits, commits + 1) << "decision, audit line and task result must be one batch";
  ASSERT_EQ(runtime.answers.size(), 1u);
  const json::Value& output = runtime.answers[0].output;
  EXPECT_EQ(output.get("decision"), json::Value("approved"));
  EXPECT_EQ(output.get("by"), json::Value("alice"));
  EXPECT_EQ(output.get("reason"), json::Value("because it is right"));
  EXPECT_EQ(output.get("approval_id"), json::Value(id));
  EXPECT_EQ(output.get("plan_hash"), json::Value(approvals->find(id)->plan_hash));
  ASSERT_EQ(audit_of("approval.decide").size(), 1u);
  EXPECT_EQ(to_text(audit_of("approval.decide")[0].actor), "person:alice");
}

TEST_F(ApprovalsTest, ARejectionIsAnOutputNotAFailure) {
  const std::string id = ask();
  EXPECT_EQ(decide(id, "bob", false), "REJECTED");
  EXPECT_EQ(runtime.answers[0].output.get("decision"), json::Value("rejected"));
}

TEST_F(ApprovalsTest, TheTokenIsInNothingThatPeopleSee) {
  const std::string id = ask();
  const std::string shown = json::to_text(to_json(approvals->find(id).value()));
  EXPECT_EQ(shown.find("token-1"), std::string::npos) << shown;
  EXPECT_NE(shown.find("i-0abc"), std::string::npos);
  decide(id, "alice", true);
  for (const store::LogLine& line : store.log) EXPECT_EQ(line.body.find("token-1"), std::string::npos);
}

TEST_F(ApprovalsTest, TheSecondAnswerIsToldWhoDecidedAndWhen) {
  const std::string id = ask();
  decide(id, "alice", true);
  EXPECT_EQ(decide(id, "bob", false), "AlreadyDecided");
  EXPECT_NE(last_message.find("Approved by alice at 2026-11-23T"), std::string::npos) << last_message;
  EXPECT_EQ(runtime.answers.size(), 1u);
}

TEST_F(ApprovalsTest, OfTwoAnswersAtTheSameMomentOneDecides) {
  const std::string id = ask();
  std::vector<std::string> answers;
  for (const char* name : {"alice", "bob"}) {
    approvals->decide({id, test_person(name), std::string(name) == "alice", "same moment", {}, "cli"},
                      [&answers](const Result<Approval>& result) {
                        answers.push_back(result.ok() ? "decided" : result.error().code);
                      });
  }
  loop.run();
  EXPECT_EQ(answers, (std::vector<std::string>{"decided", "AlreadyDecided"}));
  EXPECT_EQ(runtime.answers.size(), 1u);
}

TEST_F(ApprovalsTest, OnlyPeopleWithAReasonDecide) {
  const std::string id = ask();
  Actor key;
  key.kind = Actor::Kind::kAccountKey;
  key.name = "123456789012";
  EXPECT_EQ(decide({id, key, true, "because", {}, "api"}), "PersonRequired");
  EXPECT_EQ(decide({id, test_person("mallory"), true, "because", {}, "api"}), "PersonRequired")
      << "nobody we know";
  EXPECT_EQ(decide({id, test_person("alice"), true, " ok ", {}, "cli"}), "ReasonRequired");
  EXPECT_EQ(decide({id, test_person("alice"), true, std::string(2001, 'x'), {}, "cli"}), "ReasonRequired");
  EXPECT_EQ(decide({id, test_person("alice"), true, "bad \xff text", {}, "cli"}), "ReasonRequired");
  EXPECT_EQ(decide("ap-none", "alice", true), "ApprovalDoesNotExist");
  EXPECT_EQ(status(id), "PENDING");
  EXPECT_EQ(audit_of("approval.decide").size(), 6u) << "every refused attempt is on record";
  EXPECT_EQ(audit_of("approval.decide")[0].outcome, "refused");
}

TEST_F(ApprovalsTest, OnlyWhoThePolicyNamesMayDecide) {
  people->add("dave", {"interns"}, Actor{}, [](const auto&) {});
  const std::string id = ask();
  EXPECT_EQ(decide(id, "dave", true), "NotEligible");
  people->set_configured_groups({{"ir-leads", {"dave"}}});
  EXPECT_EQ(decide(id, "dave", true), "APPROVED") << "groups of sortie.yaml count, too";
}

TEST_F(ApprovalsTest, TheInitiatorCannotDecideThroughARule) {
  policy.exclude_initiator = true;
  approvals->configure(config());
  initiator.on_behalf_of = "Alice";
  const std::string id = ask();
  EXPECT_EQ(decide(id, "alice", true), "InitiatorExcluded");
  EXPECT_EQ(decide(id, "bob", true), "APPROVED");
}

TEST_F(ApprovalsTest, AnUnknownInitiatorIsNeverSomebodyElse) {
  policy.exclude_initiator = true;
  approvals->configure(config());
  std::uint32_t attempt = 0;
  for (Actor actor : {Actor{}, Actor{Actor::Kind::kAccountKey, "123456789012"},
                      Actor{Actor::Kind::kRule, "r", "", "", std::string(kUnknownPerson)}}) {
    initiator = actor;
    EXPECT_EQ(decide(ask(++attempt), "bob", true), "InitiatorUnknown") << to_text(actor);
  }
  initiator = Actor{Actor::Kind::kRule, "guardduty"};
  EXPECT_EQ(decide(ask(++attempt), "bob", true), "APPROVED") << "a detection that nobody sent is known";
  policy.allow_unknown_initiator = true;
  approvals->configure(config());
  initiator = Actor{};
  EXPECT_EQ(decide(ask(++attempt), "bob", true), "APPROVED");
}

TEST_F(ApprovalsTest, AQuorumNeedsDifferentPeople) {
  policy.quorum = 2;
  approvals->configure(config());
  const std::string id = ask();
  EXPECT_EQ(decide(id, "alice", true), "PENDING");
  EXPECT_EQ(decide(id, "alice", true), "AlreadyVoted");
  EXPECT_TRUE(runtime.answers.empty());
  crash();
  EXPECT_EQ(decide(id, "alice", true), "AlreadyVoted") << "votes survive a crash";
  EXPECT_EQ(decide(id, "bob", true), "APPROVED");
  EXPECT_EQ(runtime.answers[0].output.get("by"), json::Value("alice, bob"));
}

TEST_F(ApprovalsTest, TheVoteOfAPersonWhoWasRemovedCountsNoMore) {
  policy.quorum = 2;
  approvals->configure(config());
  const std::string id = ask();
  EXPECT_EQ(decide(id, "alice", true), "PENDING");
  people->remove("alice", Actor{}, [](const auto&) {});
  loop.run();
  EXPECT_EQ(decide(id, "bob", true), "PENDING");
  EXPECT_EQ(decide(id, "carol", true), "APPROVED");
  EXPECT_EQ(approvals->find(id)->votes.size(), 3u) << "but it stays on record";
  EXPECT_EQ(runtime.answers[0].output.get("by"), json::Value("bob, carol"));
}

TEST_F(ApprovalsTest, AVetoDecidesAndWithoutOneRejectionsNeedTheQuorumToo) {
  policy.quorum = 2;
  approvals->configure(config());
  EXPECT_EQ(decide(ask(1), "alice", false), "REJECTED");
  policy.veto = false;
  approvals->configure(config());
  const std::string id = ask(2);
  EXPECT_EQ(decide(id, "alice", false), "PENDING");
  EXPECT_EQ(decide(id, "bob", true), "PENDING");
  EXPECT_EQ(decide(id, "carol", false), "REJECTED");
}

TEST_F(ApprovalsTest, ADecisionOnAnotherPlanIsRefused) {
  policy.require_plan_hash = true;
  approvals->configure(config());
  const std::string id = ask();
  EXPECT_EQ(decide(id, "alice", true), "PlanHashRequired");
  EXPECT_EQ(decide(id, "alice", true, std::string(64, '0')), "PlanChanged");
  EXPECT_EQ(decide(id, "alice", true, approvals->find(id)->plan_hash), "APPROVED");
}

TEST_F(ApprovalsTest, TheHashCoversAllThatPeopleSee) {
  const runtime::TaskOrder made = order();
  const auto hash = [&](const json::Value& message, const Policy& policy) {
    return make_approval(made, kQueueUrl, message, policy, loop.now()).plan_hash;
  };
  const std::string base = hash(message(), policy);
  EXPECT_EQ(base, hash(message(), policy));
  EXPECT_NE(base, hash(json::ObjectBuilder(message()).set("incident", "other").build(), policy));
  EXPECT_NE(base, hash(json::ObjectBuilder(message()).set("plan", json::Value::array({})).build(), policy));
  EXPECT_NE(base, hash(message(), Policy{.name = "ir-leads", .quorum = 2, .from = policy.from}));
}

TEST_F(ApprovalsTest, ExpiryFailsTheTaskWithStatesTimeout) {
  policy.expires_after_ms = 60'000;
  approvals->configure(config());
  const std::string id = ask();
  loop.advance_ms(59'999);
  EXPECT_EQ(status(id), "PENDING");
  loop.advance_ms(1);
  EXPECT_EQ(status(id), "EXPIRED");
  ASSERT_EQ(runtime.answers.size(), 1u);
  EXPECT_EQ(runtime.answers[0].error, "States.Timeout");
  EXPECT_EQ(decide(id, "alice", true), "AlreadyDecided");
}

TEST_F(ApprovalsTest, ExpiryCanBeADecisionAndItsTimerSurvivesARestart) {
  policy.expires_after_ms = 60'000;
  policy.on_expire = Policy::OnExpire::kReject;
  approvals->configure(config());
  const std::string id = ask();
  loop.advance_ms(30'000);
  crash();
  loop.advance_ms(30'000);
  EXPECT_EQ(status(id), "EXPIRED");
  EXPECT_EQ(runtime.answers[0].output.get("decision"), json::Value("expired"));
  EXPECT_TRUE(runtime.answers[0].output.get("by").is_null());
}

TEST_F(ApprovalsTest, TheTasksOwnTimeoutComesFirst) {
  deadline = loop.now().plus_ms(60'000);
  const std::string id = ask();
  EXPECT_EQ(approvals->find(id)->expires_at, deadline);
  loop.advance_ms(60'000);
  EXPECT_EQ(status(id), "PENDING") << "the engine's timer speaks first";
  runtime.waiting_tokens.clear();
  approvals->close(order().key);
  runtime.waiting_tokens.clear();
  loop.run();
  EXPECT_EQ(status(id), "EXPIRED");
  EXPECT_TRUE(runtime.answers.empty());
}

TEST_F(ApprovalsTest, ExpiryTriesAgainWhileTheStoreIsDown) {
  policy.expires_after_ms = 60'000;
  approvals->configure(config());
  const std::string id = ask();
  store.fail = true;
  loop.advance_ms(61'000);
  EXPECT_EQ(status(id), "PENDING");
  store.fail = false;
  loop.advance_ms(10'000);
  EXPECT_EQ(status(id), "EXPIRED");
}

TEST_F(ApprovalsTest, AStoppedExecutionCancelsItsApprovals) {
  const std::string id = ask();
  runtime.waiting_tokens.clear();
  runtime.end_execution(kExecution, store::ExecutionStatus::kAborted);
  loop.run();
  EXPECT_EQ(status(id), "CANCELLED");
  EXPECT_EQ(decide(id, "alice", true), "AlreadyDecided");
  EXPECT_EQ(audit_of("approval.cancel").size(), 1u);
}

TEST_F(ApprovalsTest, AnApprovalThatNobodyWaitsForIsNoticedByTheDecision) {
  const std::string id = ask();
  runtime.waiting_tokens.clear();
  EXPECT_EQ(decide(id, "alice", true), "AlreadyDecided");
  EXPECT_EQ(status(id), "CANCELLED");
  EXPECT_TRUE(runtime.answers.empty());
}

TEST_F(ApprovalsTest, AnApprovalThatNobodyWaitsForIsNoticedAtTheStart) {
  const std::string id = ask();
  runtime.reasons.clear();
  crash();
  EXPECT_EQ(status(id), "CANCELLED");
}

TEST_F(ApprovalsTest, ARepeatedDispatchFindsTheApprovalThatExists) {
  const std::string id = ask();
  const std::size_t lines = store.log.size();
  EXPECT_EQ(ask(), id);
  crash();
  EXPECT_EQ(ask(), id);
  EXPECT_EQ(store.log.size(), lines) << "nothing is recorded twice";
  EXPECT_EQ(approvals->list({}).value().size(), 1u);
}

TEST_F(ApprovalsTest, TwoDispatchesAtOnceMakeOneApproval) {
  const runtime::TaskOrder made = order();
  std::vector<std::string> ids;
  for (int i = 0; i < 2; ++i) {
    approvals->open(made, kQueueUrl, message(),
                    [&ids](const Result<std::string>& id) { ids.push_back(*id); });
  }
  EXPECT_TRUE(approvals->guards(made.key)) << "guarded before it is durable";
  EXPECT_FALSE(approvals->find(approval_id(made.key)).ok()) << "shown only when durable";
  loop.run();
  ASSERT_EQ(ids.size(), 2u);
  EXPECT_EQ(ids[0], ids[1]);
}

TEST_F(ApprovalsTest, ARetryOfTheStateSupersedesTheOldQuestion) {
  const std::string first = ask(1);
  const std::string second = ask(2);
  EXPECT_NE(first, second);
  EXPECT_EQ(status(first), "SUPERSEDED");
  EXPECT_EQ(decide(first, "alice", true), "AlreadyDecided");
  EXPECT_EQ(decide(second, "alice", true), "APPROVED");
}

TEST_F(ApprovalsTest, AFailedWriteOfTheQuestionIsReportedAndLeavesNothing) {
  store.fail = true;
  EXPECT_EQ(ask(), "ServiceUnavailable");
  store.fail = false;
  EXPECT_TRUE(approvals->list({}).value().empty());
  EXPECT_EQ(status(ask()), "PENDING");
}

TEST_F(ApprovalsTest, ADecisionThatCouldNotBeWrittenDidNotHappen) {
  const std::string id = ask();
  store.fail = true;
  EXPECT_EQ(decide(id, "alice", true), "ServiceUnavailable");
  EXPECT_EQ(status(id), "PENDING");
  store.fail = false;
  EXPECT_EQ(decide(id, "alice", true), "APPROVED");
}

TEST_F(ApprovalsTest, ADurableDecisionSurvivesADeathBeforeAnybodyHeardOfIt) {
  const std::string id = ask();
  store.lose_callbacks = true;
  EXPECT_EQ(decide(id, "alice", true), "no answer");
  crash();
  EXPECT_EQ(status(id), "APPROVED");
  EXPECT_EQ(decide(id, "bob", false), "AlreadyDecided");
  EXPECT_EQ(approvals->figures().pending, 0u);
}

TEST_F(ApprovalsTest, ADecisionThatWasNotDurableNeverWas) {
  const std::string id = ask();
  store.hold = true;
  EXPECT_EQ(decide(id, "alice", true), "no answer");
  crash();
  runtime.wait_for("token-1", order().key);
  EXPECT_EQ(status(id), "PENDING");
  EXPECT_EQ(decide(id, "bob", false), "REJECTED");
}

TEST_F(ApprovalsTest, TheTokenOfAnApprovalIsWorthNothingElsewhere) {
  const std::string id = ask();
  EXPECT_TRUE(approvals->guards(order().key));
  EXPECT_FALSE(approvals->guards({4, 0, 2, 9}));
  const Error error = approvals->refuse_token(order().key, test_person("bob"), "SendTaskSuccess");
  loop.run();
  EXPECT_EQ(error.code, "AccessDeniedException");
  ASSERT_EQ(audit_of("token.use").size(), 1u);
  EXPECT_EQ(audit_of("token.use")[0].outcome, "refused");
  decide(id, "alice", true);
  EXPECT_TRUE(approvals->guards(order().key)) << "also after it was decided";
}

TEST_F(ApprovalsTest, APolicyThatIsGoneLetsNobodyDecide) {
  approvals->configure({{}, {{"approval-queue", "ir-leads"}}, {}});
  EXPECT_EQ(ask(), "PolicyDoesNotExist");
}

TEST_F(ApprovalsTest, ListsNewestFirstInPages) {
  std::vector<std::string> ids;
  for (std::uint32_t i = 1; i <= 5; ++i) {
    runtime::TaskOrder made = order(1);
    made.key.entry = i;
    approvals->open(made, kQueueUrl, message(),
                    [&ids](const Result<std::string>& id) { ids.push_back(*id); });
    loop.run();
    loop.advance_ms(10);
  }
  const std::vector<Approval> page = approvals->list({.limit = 2}).value();
  ASSERT_EQ(page.size(), 2u);
  EXPECT_EQ(page[0].id, ids[4]);
  const std::vector<Approval> next = approvals->list({.limit = 9, .before_id = page[1].id}).value();
  ASSERT_EQ(next.size(), 3u);
  EXPECT_EQ(next[0].id, ids[2]);
  EXPECT_TRUE(approvals->list({.status = ApprovalStatus::kApproved}).value().empty());
}

TEST_F(ApprovalsTest, ObserversSeeEveryChangeAfterItIsDurable) {
  std::vector<std::string> seen;
  const auto handle = approvals->observe(
      [&seen](const Approval& approval) { seen.emplace_back(status_name(approval.status)); });
  decide(ask(), "alice", true);
  EXPECT_EQ(seen, (std::vector<std::string>{"PENDING", "APPROVED"}));
}

TEST(MakeApproval, TextThatIsNoObjectIsTheDescription) {
  runtime::TaskOrder order;
  order.state_name = std::string("Ask");
  order.origin.edit().state_machine_arn = "arn:aws:states:us-east-1:1:stateMachine:ir";
  order.task_token = "tok";
  const Approval text = make_approval(order, "q", "please look", Policy{}, {});
  EXPECT_EQ(text.description, "please look");
  EXPECT_EQ(text.title, "Ask of ir");
  const Approval nested =
      make_approval(order, "q", R"({"title":"T","plan":"one","TaskToken":"tok"})", Policy{}, {});
  EXPECT_EQ(nested.title, "T");
  EXPECT_EQ(nested.plan, json::parse(R"(["one"])").value());
  EXPECT_EQ(nested.details, json::Value::object({}));
}

TEST(CanonicalJson, IsWhatRfc8785Says) {
  const auto canonical = [](const char* text) { return canonical_text(json::parse(text).value()); };
  EXPECT_EQ(canonical(R"({"b":2,"a":[1.0,1e21,1e-7,0.000001,333333333.33333329,-0.0],"":null})"),
            R"({"":null,"a":[1,1e+21,1e-7,0.000001,333333333.3333333,0],"b":2})");
  EXPECT_EQ(canonical("{\"\\u20ac\":1,\"\\ufb33\":2,\"\\ud83d\\ude00\":3,\"\\u0080\":4}"),
            "{\"\xC2\x80\":4,\"\xE2\x82\xAC\":1,\"\xF0\x9F\x98\x80\":3,\"\xEF\xAC\xB3\":2}");
  EXPECT_EQ(canonical("9007199254740993"), "9007199254740993") << "integers keep their digits";
  EXPECT_EQ(canonical("123456789012345680000.0"), "123456789012345680000");
}

}  // namespace
}  // namespace sortie::response
