#include "api/execution_log.h"

#include <gtest/gtest.h>

#include "api/testing/api_fakes.h"

namespace sortie::api {
namespace {

using namespace api::testing;

struct ExecutionLogTest : ::testing::Test {
  fakes::ManualLoop loop;
  SeededRandom random{1};
  MapRuntime runtime{loop};
  std::vector<LogCall> calls;
  std::vector<ExecutionLog::Done> answers;
  ExecutionLog log{{loop, random,
                    [this](LogCall call, ExecutionLog::Done done) {
                      calls.push_back(std::move(call));
                      answers.push_back(std::move(done));
                    },
                    "us-east-1"},
                   runtime};
  int events = 0;

  void happens(const std::string& level, std::vector<engine::EventType> types, bool with_data = false) {
    runtime::LoggedEvents logged;
    logged.state_machine_arn = "arn:aws:states:us-east-1:123456789012:stateMachine:m";
    logged.logging_configuration = json::Value::object(
        {{"level", level},
         {"includeExecutionData", with_data},
         {"destinations",
          parse_json(
              R"([{"cloudWatchLogsLogGroup":{"logGroupArn":"arn:aws:logs:eu-west-1:123456789012:log-group:g:*"}}])")}});
    for (const engine::EventType type : types) {
      logged.events.push_back({++events, events - 1, loop.now(), type, {{engine::Field::kInput, 1}}});
    }
    runtime::ExecutionChange change{"arn:x", store::ExecutionStatus::kRunning, events};
    change.logged = std::make_shared<const runtime::LoggedEvents>(logged);
    runtime.observer(change);
  }
  void answer(const std::string& error = "") { answers.back()(error); }
  std::vector<std::string> messages() {
    std::vector<std::string> out;
    for (const json::Value& line : calls.back().parameters.get("LogEvents").items()) {
      out.push_back(line.get("Message").to_std_string());
    }
    return out;
  }
};

TEST_F(ExecutionLogTest, MakesItsStreamAndWritesTheEventsAsStepFunctionsDoes) {
  happens("ALL", {engine::EventType::kExecutionStarted}, true);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].action, "createLogStream");
  EXPECT_EQ(calls[0].region, "eu-west-1");
  answer();
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[1].action, "putLogEvents");
  EXPECT_EQ(messages(),
            std::vector<std::string>{
                R"({"id":"1","type":"ExecutionStarted","details":{"input":"1","inputDetails":)"
                R"({"truncated":false}},"previous_event_id":"0","event_timestamp":"1795392000000",)"
                R"("execution_arn":"arn:x","redrive_count":"0"})"});
  // What happens meanwhile goes together into the next call, in order and without a new stream.
  happens("ALL", {engine::EventType::kPassStateEntered});
  happens("ALL", {engine::EventType::kPassStateExited});
  EXPECT_EQ(calls.size(), 2u);
  answer();
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_EQ(messages().size(), 2u);
  answer();
  EXPECT_EQ(log.figures().delivered, 3u);
}

TEST_F(ExecutionLogTest, LevelsLeaveOutWhatTheyDoOnAws) {
  using E = engine::EventType;
  happens("ERROR", {E::kExecutionStarted, E::kFailStateEntered, E::kTaskFailed, E::kExecutionFailed});
  happens("FATAL", {E::kTaskTimedOut, E::kFailStateEntered, E::kExecutionTimedOut});
  answer();
  ASSERT_EQ(messages().size(), 4u);
  EXPECT_NE(messages()[3].find("ExecutionTimedOut"), std::string::npos);
}

TEST_F(ExecutionLogTest, AGroupThatIsNotThereCostsAFewTriesAndNothingElse) {
  happens("ALL", {engine::EventType::kExecutionStarted});
  for (int i = 0; i < 3; ++i) {
    answer("CloudWatchLogs.ResourceNotFoundException");
    loop.advance_ms(60'000);
  }
  answer("CloudWatchLogs.ResourceNotFoundException");
  loop.advance_ms(60'000);
  EXPECT_EQ(calls.size(), 4u);
  EXPECT_EQ(log.figures().dropped, 1u);
}

}  // namespace
}  // namespace sortie::api
