// The search language: what it finds, what it refuses.
#include "api/execution_search.h"

#include <gtest/gtest.h>

namespace sortie::api {
namespace {

const Timestamp kNow{1'700'000'000'000};

bool found(std::string_view text, const store::ExecutionRow& row, bool waiting = false) {
  const Result<ExecutionSearch> search = parse_execution_search(text, kNow);
  EXPECT_TRUE(search.ok()) << text;
  ExecutionFacts facts;
  facts.is_waiting = [&](const store::ExecutionRow&) { return waiting; };
  facts.tags = [](const store::ExecutionRow&) {
    return json::parse(R"([{"key":"team","value":"ir"},{"key":"test","value":""}])").value();
  };
  facts.states = [](const store::ExecutionRow&) { return std::vector<std::string>{"WaitForApproval"}; };
  facts.describe = [](const store::ExecutionRow&) -> Result<runtime::ExecutionDescription> {
    runtime::ExecutionDescription out;
    out.error = "States.Timeout";
    out.cause = "The instance i-0abc did not stop";
    out.input_text = R"({"detail":{"severity":8.1,"resource":{"ids":["eni-7","i-0abcdef"]}}})";
    out.actor = {Actor::Kind::kRule, "guardduty", "1", "", "jo"};
    return out;
  };
  return search.ok() && matches_row(*search, row, facts) && matches_inside(*search, row, facts);
}

store::ExecutionRow row(store::ExecutionStatus status = store::ExecutionStatus::kFailed) {
  store::ExecutionRow out;
  out.arn = "arn:aws:states:us-east-1:123456789012:execution:ir-critical:Night-7";
  out.state_machine_arn = "arn:aws:states:us-east-1:123456789012:stateMachine:ir-critical";
  out.name = "Night-7";
  out.status = status;
  return out;
}

TEST(ExecutionSearch, StoppedIsARangeThatOnlyWhatHasEndedFits) {
  const ExecutionSearch search = parse_execution_search("stopped:>-2h stopped:<-1h", kNow).value();
  store::ExecutionRow ended = row();
  ended.stopped_at = kNow.plus_ms(-5'400'000);
  EXPECT_TRUE(search.fits_times(ended));
  ended.stopped_at = kNow.plus_ms(-1'000);
  EXPECT_FALSE(search.fits_times(ended));
  store::ExecutionRow running = row(store::ExecutionStatus::kRunning);
  running.stopped_at = kNow.plus_ms(-5'400'000);
  EXPECT_FALSE(search.fits_times(running));
  EXPECT_FALSE(parse_execution_search("stopped:yesterday", kNow).ok());
}

TEST(ExecutionSearch, WordsAreAndedCommasAreOrAndMinusNegates) {
  EXPECT_TRUE(found("", row()));
  EXPECT_TRUE(found("status:timed-out,failed playbook:ir-*", row()));
  EXPECT_FALSE(found("status:succeeded playbook:ir-*", row()));
  EXPECT_TRUE(found("night", row()));
  EXPECT_TRUE(found("critical -playbook:test*", row()));
  EXPECT_FALSE(found("-name:night*", row()));
  EXPECT_FALSE(found("playbook:ir", row()));
  EXPECT_TRUE(found("name:\"Night-7\"", row()));
}

TEST(ExecutionSearch, ARunThatWaitsForPeopleIsItsOwnStatus) {
  const store::ExecutionRow running = row(store::ExecutionStatus::kRunning);
  EXPECT_TRUE(found("status:waiting", running, true));
  EXPECT_FALSE(found("status:waiting", running, false));
  EXPECT_TRUE(found("has:approval status:running", running, true));
  EXPECT_FALSE(found("has:approval", row(), true));
}

TEST(ExecutionSearch, LooksIntoTheExecutionForErrorStateSeverityResourceAndActor) {
  EXPECT_TRUE(found("error:\"States.Timeout\"", row()));
  EXPECT_TRUE(found("error:States.*,Other", row()));
  EXPECT_TRUE(found("error:\"did not stop\"", row())) << "words of the cause";
  EXPECT_FALSE(found("error:Timeout", row())) << "a name is whole";
  EXPECT_FALSE(found("-error:States.*", row()));
  EXPECT_TRUE(found("state:waitfor*", row()));
  EXPECT_FALSE(found("state:Look", row()));
  EXPECT_TRUE(found("sev:high resource:i-0abc*", row()));
  EXPECT_FALSE(found("sev:CRITICAL", row()));
  EXPECT_FALSE(found("resource:i-0abc", row()));
  EXPECT_TRUE(found("actor:jo", row())) << "on whose behalf";
  EXPECT_TRUE(found("actor:rule:guardduty", row()));
  EXPECT_FALSE(found("actor:ana", row()));
}

TEST(ExecutionSearch, LabelsAreTheTagsOfThePlaybook) {
  EXPECT_TRUE(found("label:team", row()));
  EXPECT_TRUE(found("label:ir", row()));
  EXPECT_TRUE(found("label:team=i*", row()));
  EXPECT_FALSE(found("-label:test", row()));
  EXPECT_FALSE(found("label:prod", row()));
}

TEST(ExecutionSearch, ReadsTheSeverityWhereServicesPutIt) {
  const auto severity = [](const char* text) { return store::severity_of(json::parse(text).value()); };
  EXPECT_EQ(severity(R"({"severity":"CRITICAL"})"), "CRITICAL");
  EXPECT_EQ(severity(R"({"detail":{"severity":9.2}})"), "CRITICAL");
  EXPECT_EQ(severity(R"({"detail":{"severity":4}})"), "MEDIUM");
  EXPECT_EQ(severity(R"({"detail":{"findings":[{"Severity":{"Label":"LOW"}}]}})"), "LOW");
  EXPECT_EQ(severity(R"({"detail":{"severity":null}})"), "");
  EXPECT_EQ(severity("[]"), "");
}

TEST(ExecutionSearch, TimesAreRelativeOrAbsolute) {
  const ExecutionSearch search =
      parse_execution_search("started:>-2h started:<2023-11-14T00:00:00Z", kNow).value();
  EXPECT_EQ(search.started_from.ms, kNow.ms - 7'200'000);
  EXPECT_EQ(search.started_before.ms, 1'699'920'000'000);
}

TEST(ExecutionSearch, WhatItDoesNotKnowIsRefusedByName) {
  for (const char* text :
       {"colour:red", "status:broken", "started:yesterday", "started:>-2y", "has:legs", "name:"}) {
    const Result<ExecutionSearch> search = parse_execution_search(text, kNow);
    ASSERT_FALSE(search.ok()) << text;
    EXPECT_EQ(search.error().code, "InvalidSearch");
    EXPECT_FALSE(search.error().hint.empty());
  }
  EXPECT_FALSE(parse_execution_search(std::string(2000, 'a'), kNow).ok());
}

TEST(ExecutionSearch, StarsMatchInLinearTime) {
  EXPECT_TRUE(fits("*a*b*", "xxaxxbxx"));
  EXPECT_FALSE(fits("*a*a*a*a*a*a*a*a*b", std::string(5000, 'a')));
  EXPECT_TRUE(fits("ABC", "abc"));
}

}  // namespace
}  // namespace sortie::api
