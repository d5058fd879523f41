#include "integrations/mocks.h"

#include <gtest/gtest.h>

#include "integrations/testing/fakes.h"

namespace sortie::integrations {
namespace {

constexpr char kConfig[] = R"({
  "StateMachines": {"m": {"TestCases": {"Retried": {"Call": "Flaky"}, "Happy": {"Call": "Good"}}}},
  "MockedResponses": {
    "Good": {"0": {"Return": {"StatusCode": 200}}},
    "Flaky": {"0": {"Throw": {"Error": "Boom", "Cause": "first"}}, "1-2": {"Throw": {"Error": "Boom"}},
              "3": {"Return": 1}}}})";

struct Next final : runtime::TaskDispatcher {
  int orders = 0;
  void dispatch(runtime::TaskOrder) override { ++orders; }
  void cancel(const runtime::AttemptKey&) override {}
};

struct MocksTest : ::testing::Test {
  fakes::ManualLoop loop;
  fakes::FakeStore store{loop};
  fakes::FakeRuntime runtime{loop, store};
  Next next;
  MockDispatcher mocks{loop, MockConfig::parse(kConfig).value(), next};

  MocksTest() { mocks.attach(runtime); }
  void send(const std::string& test_case, const std::string& state, std::uint32_t attempt,
            asl::TaskPattern pattern = asl::TaskPattern::kRequestResponse, std::uint32_t entry = 1,
            store::FrameNo frame = 0) {
    runtime::TaskOrder order;
    order.key = {1, frame, entry, attempt};
    order.origin.edit().execution_arn = "arn:aws:states:us-east-1:123456789012:execution:m:e";
    order.origin.edit().state_machine_arn = "arn:aws:states:us-east-1:123456789012:stateMachine:m";
    order.state_name = state;
    order.origin.edit().test_case = test_case;
    order.resource.edit().pattern = pattern;
    mocks.dispatch(order);
    loop.run();
  }
};

TEST_F(MocksTest, EachAttemptGetsTheResponseOfItsNumber) {
  for (std::uint32_t attempt = 1; attempt <= 5; ++attempt) send("Retried", "Call", attempt);
  ASSERT_EQ(runtime.answers.size(), 5u);
  EXPECT_EQ(runtime.answers[0].error, "Boom");
  EXPECT_EQ(runtime.answers[0].cause, "first");
  EXPECT_EQ(runtime.answers[2].error, "Boom");
  EXPECT_EQ(runtime.answers[3].output, json::Value(1));
  EXPECT_EQ(runtime.answers[4].error, "States.Runtime") << "a response that is missing is no success";
}

TEST_F(MocksTest, ALoopTakesTheNextResponseAndAnIterationBeginsAnew) {
  const auto plain = asl::TaskPattern::kRequestResponse;
  for (std::uint32_t entry : {1u, 3u, 5u, 7u}) send("Retried", "Call", 1, plain, entry);
  send("Retried", "Call", 1, plain, 3);
  send("Retried", "Call", 1, plain, 1, 2);
  ASSERT_EQ(runtime.answers.size(), 6u);
  EXPECT_EQ(runtime.answers[2].error, "Boom");
  EXPECT_EQ(runtime.answers[3].output, json::Value(1));
  EXPECT_EQ(runtime.answers[4].cause, "") << "what is dispatched again gets its own number again";
  EXPECT_EQ(runtime.answers[5].cause, "first");
}

TEST_F(MocksTest, WhatTheCaseDoesNotListRunsAsEver) {
  send("Happy", "Other", 1);
  send("", "Call", 1);
  EXPECT_EQ(next.orders, 2);
  EXPECT_TRUE(runtime.answers.empty());
}

TEST_F(MocksTest, ATaskThatWaitsIsSubmittedFirst) {
  send("Happy", "Call", 1, asl::TaskPattern::kWaitForTaskToken);
  ASSERT_EQ(runtime.answers.size(), 2u);
  EXPECT_EQ(runtime.answers[0].kind, "submitted");
  EXPECT_EQ(runtime.answers[1].kind, "succeeded");
}

TEST(MockConfig, SaysWhatIsWrongAndWhere) {
  const auto place = [](const char* text) { return MockConfig::parse(text).error().place; };
  EXPECT_EQ(place(R"({"StateMachines":{"m":{"TestCases":{"c":{"S":"gone"}}}}})"),
            "/StateMachines/m/TestCases/c");
  EXPECT_EQ(place(R"({"StateMachines":{},"MockedResponses":{"r":{"x":{"Return":1}}}})"),
            "/MockedResponses/r");
  EXPECT_EQ(place(R"({"StateMachines":{},"MockedResponses":{"r":{"0":{}}}})"), "/MockedResponses/r");
  EXPECT_EQ(place(R"({"StateMachines":{},"MockedResponses":{"r":{"0-2":{"Return":1},"1":{"Return":1}}}})"),
            "/MockedResponses/r");
  EXPECT_FALSE(MockConfig::parse("[").ok());
}

}  // namespace
}  // namespace sortie::integrations
