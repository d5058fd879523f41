// What the engine promises by itself, without a store: order, errors, retries, joins, limits, and that a
// frame survives being written and read at any moment.
#include <gtest/gtest.h>

#include <map>

#include "engine/codec.h"
#include "engine/map_run.h"
#include "engine/testing/driver.h"

namespace sortie::engine::testing {
namespace {

const std::string kLambda = R"("Resource":"arn:aws:lambda:us-east-1:123456789012:function:f")";
const std::string kToken = R"("Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken")";

// A Task T, and C to go on to where it names it: a state that nothing leads to is refused.
std::string one_task(const std::string& rest) {
  const bool goes_on = rest.find(R"("Next":"C")") != std::string::npos;
  return R"({"StartAt":"T","States":{"T":{"Type":"Task",)" + rest +
         (goes_on ? R"(},"C":{"Type":"Pass","End":true}}})" : "}}}");
}

std::optional<Stimulus> always_fails(const TaskCall& call) {
  return Stimulus(TaskFailed{call.attempt, "Boom", "why"});
}

TEST(Engine, WritesTheEventsOfALambdaTaskInAwsOrder) {
  Driver driver(one_task(kLambda + R"(,"End":true)"), *json::parse(R"({"a":1})"), echo);
  driver.run();
  EXPECT_EQ(driver.compile_error, "");
  EXPECT_EQ(
      driver.lines(),
      "1 0 ExecutionStarted\n2 0 TaskStateEntered\n3 2 LambdaFunctionScheduled\n4 3 LambdaFunctionStarted\n"
      "5 4 LambdaFunctionSucceeded\n6 5 TaskStateExited\n7 6 ExecutionSucceeded\n");
}

TEST(Engine, RetriesWithBackoffAndThenCatchesKeepingTheInput) {
  Driver driver(
      one_task(kLambda +
               R"(,"Retry":[{"ErrorEquals":["Boom"],"IntervalSeconds":2,"BackoffRate":3,"MaxAttempts":2}],
      "Catch":[{"ErrorEquals":["States.TaskFailed"],"ResultPath":"$.error","Next":"C"}],"End":true)"),
      *json::parse(R"({"kept":true})"), always_fails);
  const Timestamp began = driver.now;
  driver.run();
  EXPECT_EQ(driver.execution.outcome, Outcome::kSucceeded);
  EXPECT_EQ(json::to_text(driver.execution.output),
            R"({"kept":true,"error":{"Error":"Boom","Cause":"why"}})");
  EXPECT_EQ(driver.now.ms - began.ms, 2'000 + 6'000);
}

TEST(Engine, TimesOutATaskThatNobodyAnswersAndIgnoresItsLateResult) {
  std::optional<AttemptId> seen;
  Driver driver(
      one_task(kLambda +
               R"(,"TimeoutSeconds":7,"Catch":[{"ErrorEquals":["States.Timeout"],"Next":"C"}],"End":true)"),
      json::Value(), [&seen](const TaskCall& call) {
        seen = call.attempt;
        return std::optional<Stimulus>();
      });
  driver.send(Start{});
  driver.now = driver.now.plus_ms(7'000);
  EXPECT_TRUE(driver.send(TimerFired{kTopFrame}).ended);
  EXPECT_EQ(driver.execution.outcome, Outcome::kSucceeded);
  const std::size_t before = driver.events.size();
  EXPECT_FALSE(driver.send(TaskSucceeded{*seen, json::Value(1)}).applied);
  EXPECT_EQ(driver.events.size(), before);
}

TEST(Engine, AHeartbeatMovesTheDeadlineAndSilenceFails) {
  Driver driver(
      one_task(
          kToken +
          R"(,"HeartbeatSeconds":5,"TimeoutSeconds":600,"Parameters":{"QueueUrl":"q","MessageBody":{"t.$":"$$.Task.Token"}},
      "Catch":[{"ErrorEquals":["States.HeartbeatTimeout"],"Next":"C"}],"End":true)"),
      json::Value::object({{"x", 1}}), [](const TaskCall&) { return std::optional<Stimulus>(); });
  driver.send(Start{});
  const AttemptId attempt = *waiting_attempt(driver.execution.frames.at(kTopFrame));
  driver.now = driver.now.plus_ms(4'000);
  driver.send(TaskHeartbeat{attempt});
  driver.now = driver.now.plus_ms(4'000);
  EXPECT_FALSE(driver.send(TimerFired{kTopFrame}).applied) << "the heartbeat came in time";
  driver.now = driver.now.plus_ms(1'000);
  EXPECT_TRUE(driver.send(TimerFired{kTopFrame}).applied);
  EXPECT_EQ(driver.execution.outcome, Outcome::kSucceeded);
}

TEST(Engine, AFailingBranchCancelsItsSiblingsAndTheParallelIsCaught) {
  const std::string definition =
      R"({"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[
         {"StartAt":"A","States":{"A":{"Type":"Task",)" +
      kLambda + R"(,"End":true}}},
         {"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":100,"End":true}}},
         {"StartAt":"B","States":{"B":{"Type":"Task",)" +
      kLambda + R"(,"End":true}}}],
         "Catch":[{"ErrorEquals":["States.ALL"],"Next":"Z"}],"Next":"Z"},"Z":{"Type":"Pass","End":true}}})";
  Driver driver(definition, json::Value(1), [](const TaskCall&) { return std::optional<Stimulus>(); });
  driver.send(Start{});
  const Advance step = driver.send(TaskFailed{{1, 1, 1}, "Boom", ""});
  EXPECT_EQ(driver.execution.outcome, Outcome::kSucceeded);
  ASSERT_EQ(step.commands.size(), 1u);
  EXPECT_EQ(std::get<CancelTask>(step.commands[0]).attempt.frame, 3u);
  EXPECT_TRUE(step.gone.contains(1) && step.gone.contains(2) && step.gone.contains(3));
}

TEST(Engine, WhatATaskReportsOfItsFailureIsCutToWhatTheApiHolds) {
  std::string cause;
  for (int i = 0; i < 40'000; ++i) cause += "\xC3\xA4";
  Driver driver(one_task(kLambda + R"(,"End":true)"), json::Value(1), [&](const TaskCall& call) {
    return std::optional<Stimulus>(TaskFailed{call.attempt, std::string(300, 'E'), cause});
  });
  driver.run();
  ASSERT_EQ(driver.execution.outcome, Outcome::kFailed);
  EXPECT_EQ(driver.execution.error, std::string(256, 'E'));
  EXPECT_EQ(driver.execution.cause, cause.substr(0, 2 * 32'768));
}

TEST(Engine, AMapRunsAsManyItemsAtOnceAsItMayAndKeepsTheirOrder) {
  std::size_t running = 0, most = 0;
  const std::string definition =
      R"({"StartAt":"M","States":{"M":{"Type":"Map","MaxConcurrency":3,"ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Task",)" +
      kLambda + R"(,"End":true}}},"End":true}}})";
  std::vector<json::Value> items;
  for (int i = 0; i < 20; ++i) items.emplace_back(i);
  Driver driver(definition, json::Value::array(items), echo);
  driver.send(Start{});
  for (const auto& [no, frame] : driver.execution.frames)
    running += waiting_attempt(frame).has_value() ? 1 : 0;
  most = running;
  EXPECT_EQ(most, 3u);
  Driver whole(definition, json::Value::array(items), echo);
  whole.run();
  EXPECT_EQ(whole.execution.output, json::Value::array(items));
}

TEST(Engine, AnInputThatIsPassedThroughKeepsItsOwnText) {
  Driver driver(R"({"StartAt":"P","States":{"P":{"Type":"Parallel","End":true,"Branches":[
      {"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},
      {"StartAt":"B","States":{"B":{"Type":"Pass","Result":[1,2],"End":true}}}]}}})",
                *json::parse("[ 1, 2 ]"), echo);
  driver.execution.input_text = "[ 1, 2 ]";
  driver.run();
  EXPECT_EQ(payload_text(driver.events.back().details.front()), "[[ 1, 2 ],[1,2]]");
}

TEST(Engine, AMissingPathEndsTheExecutionAtOnceWhateverIsCaught) {
  Driver driver(
      one_task(
          kLambda +
          R"(,"Parameters":{"x.$":"$.missing"},"Catch":[{"ErrorEquals":["States.ALL"],"Next":"C"}],"End":true)"),
      *json::parse(R"({"a":1})"), echo);
  driver.run();
  EXPECT_EQ(driver.execution.outcome, Outcome::kFailed);
  EXPECT_EQ(driver.execution.error, "States.Runtime");
  EXPECT_EQ(driver.execution.cause,
            "An error occurred while executing the state 'T' (entered at the event id #2). The JSONPath "
            "'$.missing' "
            "specified for the field 'x.$' could not be found in the input '{\"a\":1}'");
}

TEST(Engine, StatesAllCatchesTheDataLimitOfATaskButNotThatOfAState) {
  const World large = [](const TaskCall& call) {
    return std::optional<Stimulus>(TaskSucceeded{call.attempt, json::Value(std::string(200'000, 'x'))});
  };
  const World too_large = [](const TaskCall& call) {
    return std::optional<Stimulus>(TaskSucceeded{call.attempt, json::Value(std::string(300'000, 'x'))});
  };
  Driver task(one_task(kLambda + R"(,"Catch":[{"ErrorEquals":["States.ALL"],"Next":"C"}],"End":true)"),
              json::Value(1), too_large);
  task.run();
  EXPECT_EQ(task.execution.output.get("Error"), json::Value("States.DataLimitExceeded"));
  const std::string branch = R"({"StartAt":"N","States":{"N":{"Type":"Task","End":true,)" + kLambda + "}}}";
  const std::string second = R"({"StartAt":"M","States":{"M":{"Type":"Task","End":true,)" + kLambda + "}}}";
  Driver state(R"({"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[)" + branch + "," + second +
                   R"(],"Catch":[{"ErrorEquals":["States.ALL"],"Next":"C"}],"End":true},
                   "C":{"Type":"Pass","End":true}}})",
               json::Value(1), large);
  state.run();
  EXPECT_EQ(state.compile_error, "");
  EXPECT_EQ(state.execution.error, "States.DataLimitExceeded");
}

TEST(Engine, AnotherAttemptOfAParallelFollowsTheEventThatFailed) {
  Driver driver(R"({"StartAt":"P","States":{"P":{"Type":"Parallel","End":true,
      "Retry":[{"ErrorEquals":["States.ALL"],"MaxAttempts":1}],
      "Branches":[{"StartAt":"T","States":{"T":{"Type":"Task","End":true,)" +
                    kLambda + "}}}]}}}",
                json::Value(1), always_fails);
  driver.run();
  EXPECT_EQ(driver.lines().substr(0, driver.lines().find("\n10 ")),
            "1 0 ExecutionStarted\n2 0 ParallelStateEntered\n3 2 ParallelStateStarted\n4 3 TaskStateEntered\n"
            "5 4 LambdaFunctionScheduled\n6 5 LambdaFunctionStarted\n7 6 LambdaFunctionFailed\n"
            "8 7 TaskStateAborted\n9 7 ParallelStateStarted");
}

TEST(Engine, VariablesHaveASizeOfTheirOwn) {
  std::string states;
  for (int i = 0; i < 60; ++i) {
    const std::string n = std::to_string(i);
    states += R"("S)" + n + R"(":{"Type":"Pass","Assign":{"v)" + n + R"(.$":"$"},)" +
              (i == 59 ? R"("End":true})" : R"("Next":"S)" + std::to_string(i + 1) + R"("},)");
  }
  Driver driver(R"({"StartAt":"S0","States":{)" + states + "}}", json::Value(std::string(250'000, 'x')),
                echo);
  driver.run();
  EXPECT_EQ(driver.execution.error, "States.DataLimitExceeded");
  EXPECT_LT(driver.execution.last_event_id, 100) << "some forty values fit";
}

TEST(Engine, AnEndlessLoopEndsAtTheHistoryLimitInBoundedSteps) {
  Driver driver(
      R"({"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Choice","Choices":[{"Variable":"$.x","IsPresent":true,"Next":"A"}]}}})",
      *json::parse(R"({"x":1})"), echo);
  const Advance first = driver.send(Start{});
  EXPECT_FALSE(first.ready.empty()) << "the loop has to be given back to others now and then";
  driver.run();
  Driver whole(
      R"({"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Choice","Choices":[{"Variable":"$.x","IsPresent":true,"Next":"A"}]}}})",
      *json::parse(R"({"x":1})"), echo);
  whole.run();
  EXPECT_EQ(whole.execution.outcome, Outcome::kFailed);
  EXPECT_EQ(whole.events.size(), static_cast<std::size_t>(kHistoryEventsMax));
  EXPECT_EQ(whole.events.back().id, kHistoryEventsMax);
  EXPECT_EQ(whole.execution.cause, "The execution reached the maximum number of history events (25000).");
}

TEST(Engine, AnExpressExecutionMayHaveMoreEvents) {
  Driver driver(
      R"({"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"End":true}}})",
      json::Value::array(std::vector<json::Value>(7'000, json::Value(1))),
      [](const TaskCall&) { return std::optional<Stimulus>(); });
  driver.execution.arn = "arn:aws:states:us-east-1:123456789012:express:m:n:id";
  driver.run();
  EXPECT_EQ(driver.execution.outcome, Outcome::kSucceeded) << driver.execution.cause.value_or("");
  EXPECT_GT(driver.execution.last_event_id, kHistoryEventsMax);
}

TEST(Engine, StoppingCancelsWhatRunsAndNothingMovesAfterwards) {
  Driver driver(one_task(kLambda + R"(,"End":true)"), json::Value(1),
                [](const TaskCall&) { return std::optional<Stimulus>(); });
  driver.send(Start{});
  const AttemptId attempt = *waiting_attempt(driver.execution.frames.at(kTopFrame));
  const Advance stop = driver.send(Stop{"Operator", "wrong target"});
  EXPECT_EQ(driver.execution.outcome, Outcome::kAborted);
  ASSERT_EQ(stop.commands.size(), 1u);
  EXPECT_EQ(std::get<CancelTask>(stop.commands[0]).attempt, attempt);
  EXPECT_FALSE(driver.send(TaskSucceeded{attempt, json::Value(1)}).applied);
}

// A payload table as the runtime keeps one.
class Payloads final : public PayloadSink, public PayloadSource {
 public:
  std::optional<std::uint32_t> find(const json::Value& value) override {
    const auto found = numbers_.find(value.identity());
    return found == numbers_.end() ? std::nullopt : std::optional(found->second);
  }
  std::uint32_t keep(const json::Value& value, std::string text) override {
    const auto number = static_cast<std::uint32_t>(texts_.size() + 1);
    texts_.push_back(std::move(text));
    numbers_.emplace(value.identity(), number);
    kept_.push_back(value);
    return number;
  }
  Result<json::Value> load(std::uint32_t number) override {
    if (const auto seen = loaded_.find(number); seen != loaded_.end()) return seen->second;
    SORTIE_TRY(const std::string text, load_text(number));
    SORTIE_TRY(json::Value value, json::parse(text));
    numbers_.emplace(value.identity(), number);
    loaded_.emplace(number, value);
    return value;
  }
  Result<std::string> load_text(std::uint32_t number) override {
    if (number == 0 || number > texts_.size()) return Error{"StoreCorrupt", "no such payload", "", ""};
    return texts_[number - 1];
  }

 private:
  std::map<const void*, std::uint32_t> numbers_;
  std::vector<std::string> texts_;
  std::vector<json::Value> kept_;
  std::map<std::uint32_t, json::Value> loaded_;
};

TEST(Engine, ARedriveRunsWhatFailedAgainAndKeepsWhatSucceeded) {
  bool broken = true;
  std::map<std::string, int> calls;
  Driver driver(
      R"({"StartAt":"P","States":{"P":{"Type":"Parallel","Next":"After","Branches":[
          {"StartAt":"Good","States":{"Good":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:g","Next":"GoodEnd"},"GoodEnd":{"Type":"Pass","End":true}}},
          {"StartAt":"Bad","States":{"Bad":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:b","Retry":[{"ErrorEquals":["States.ALL"],"MaxAttempts":1}],"End":true}}},
          {"StartAt":"Slow","States":{"Slow":{"Type":"Wait","Seconds":1000,"End":true}}}]},
          "After":{"Type":"Pass","End":true}}})",
      json::parse("{}").value(), [&](const TaskCall& call) -> std::optional<Stimulus> {
        ++calls[call.state_name];
        if (call.state_name == "Bad" && broken) return TaskFailed{call.attempt, "Broken", "yet"};
        return TaskSucceeded{call.attempt, json::Value(1)};
      });
  driver.run();
  ASSERT_EQ(driver.execution.outcome, Outcome::kFailed) << driver.compile_error;
  EXPECT_TRUE(driver.execution.frames.empty());
  const std::size_t before = driver.events.size();
  broken = false;
  driver.send(Redrive{});
  driver.go_on();
  EXPECT_EQ(driver.execution.outcome, Outcome::kSucceeded);
  EXPECT_EQ(driver.execution.redrive_count, 1);
  EXPECT_EQ(calls["Good"], 1) << "what succeeded is kept";
  EXPECT_EQ(calls["Bad"], 3) << "an attempt, its retry, and the redrive with retries counted anew";
  EXPECT_EQ(driver.events[before].type, EventType::kExecutionRedriven);
  EXPECT_EQ(driver.events[before + 1].type, EventType::kLambdaFunctionScheduled)
      << "the state is not entered again";
  EXPECT_TRUE(driver.execution.left_behind.empty());
}

TEST(Engine, ARedriveOfAStoppedMapGoesOnWithTheItemsThatAreNotDone) {
  std::multiset<std::string> done;
  bool answers = false;
  Driver driver(
      R"({"StartAt":"M","States":{"M":{"Type":"Map","MaxConcurrency":2,"ItemProcessor":{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:t","End":true}}},"End":true}}})",
      json::parse("[1,2,3,4]").value(), [&](const TaskCall& call) -> std::optional<Stimulus> {
        const std::string item = json::to_text(call.parameters);
        if (!answers && item != "1") return std::nullopt;
        done.insert(item);
        return TaskSucceeded{call.attempt, call.parameters};
      });
  driver.run();
  driver.send(Stop{"", ""});
  ASSERT_EQ(driver.execution.outcome, Outcome::kAborted);
  EXPECT_EQ(driver.send(Continue{{0}}).applied, false);
  answers = true;
  driver.send(Redrive{});
  driver.go_on();
  ASSERT_EQ(driver.execution.outcome, Outcome::kSucceeded);
  EXPECT_EQ(json::to_text(driver.execution.output), "[1,2,3,4]");
  EXPECT_EQ(done, (std::multiset<std::string>{"1", "2", "3", "4"})) << "no item ran twice";
  EXPECT_FALSE(driver.send(Redrive{}).applied) << "what succeeded is not redriven";
}

TEST(Engine, ARedriveOfADistributedMapGoesOnWithTheSameMapRun) {
  Driver driver(
      R"({"StartAt":"M","States":{"M":{"Type":"Map","Label":"l","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"End":true}}})",
      json::parse("[1,2]").value(), [](const TaskCall&) { return std::optional<Stimulus>(); });
  driver.send(Start{});
  const AttemptId first{kTopFrame, 1, 1}, second{kTopFrame, 1, 2}, third{kTopFrame, 1, 3};
  const InMapRun* before = find_map_run(driver.execution, first);
  ASSERT_NE(before, nullptr) << driver.compile_error;
  const std::string run = before->run;
  driver.send(MapRunEnded{first, {}, "States.ExceedToleratedFailureThreshold", "too many"});
  ASSERT_EQ(driver.execution.outcome, Outcome::kFailed);
  std::size_t seen = driver.events.size();
  Advance redriven = driver.send(Redrive{});
  ASSERT_EQ(driver.events.size(), seen + 2);
  const HistoryEvent& event = driver.events.back();
  EXPECT_EQ(event.type, EventType::kMapRunRedriven);
  EXPECT_EQ(*event.find(Field::kRedriveCount), json::Value(1));
  EXPECT_EQ(*event.find(Field::kMapRunArn),
            json::Value(map_run_arn(driver.execution, driver.execution.frames.at(0), run)));
  ASSERT_EQ(redriven.commands.size(), 1U);
  EXPECT_EQ(std::get<StartMapRun>(redriven.commands[0]).attempt, second);
  EXPECT_FALSE(driver.send(MapRunEnded{first, {}, "late", ""}).applied)
      << "what an earlier life reports is late";
  Payloads payloads;
  const Result<DecodedFrame> back =
      decode_frame(encode_frame(driver.execution, driver.execution.frames.at(0), payloads), payloads);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(std::get<InMapRun>(back->frame.phase).redrives, 1U);
  // A run that is stopped under way says so, and can be redriven, too.
  driver.send(Stop{"", ""});
  EXPECT_EQ(driver.events[driver.events.size() - 2].type, EventType::kMapRunAborted);
  driver.send(Redrive{});
  EXPECT_EQ(*driver.events.back().find(Field::kRedriveCount), json::Value(2));
  driver.send(MapRunEnded{third, json::parse("[1,2]").value(), std::nullopt, ""});
  EXPECT_EQ(driver.execution.outcome, Outcome::kSucceeded);
  EXPECT_EQ(json::to_text(driver.execution.output), "[1,2]");
}

TEST(Engine, FramesAndEventsReadBackAsTheyWereWrittenLargeValuesOnce) {
  const std::string definition =
      R"({"StartAt":"M","States":{"M":{"Type":"Map","ItemsPath":"$.items","ItemProcessor":{"StartAt":"T","States":{"T":{"Type":"Task",)" +
      kLambda +
      R"(,"TimeoutSeconds":60,"Assign":{"v":7},"Retry":[{"ErrorEquals":["Boom"],"MaxAttempts":1}],"End":true}}},"End":true}}})";
  const json::Value input =
      json::Value::object({{"items", json::Value::array({1, 2, 3})}, {"big", std::string(5'000, 'y')}});
  Driver driver(definition, input, [](const TaskCall&) { return std::optional<Stimulus>(); });
  driver.send(Start{});
  driver.send(TaskFailed{{1, 1, 1}, "Boom", ""});
  driver.send(TaskSucceeded{{2, 1, 1}, json::Value("done")});
  Payloads payloads;
  for (const auto& [no, frame] : driver.execution.frames) {
    const std::string image = encode_frame(driver.execution, frame, payloads);
    const Result<DecodedFrame> back = decode_frame(image, payloads);
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_EQ(encode_frame(driver.execution, back->frame, payloads), image) << "frame " << no;
    EXPECT_EQ(back->last_event_id, driver.execution.last_event_id);
    for (std::size_t cut = 0; cut < image.size(); cut += 3) {
      EXPECT_FALSE(decode_frame(image.substr(0, cut), payloads).ok()) << "cut at " << cut;
    }
  }
  const std::string bytes = encode_events(driver.events, payloads);
  const Result<std::vector<HistoryEvent>> events = decode_events(bytes, payloads);
  ASSERT_TRUE(events.ok());
  ASSERT_EQ(events->size(), driver.events.size());
  EXPECT_EQ(encode_events(*events, payloads).size(), bytes.size());
  EXPECT_LT(bytes.size(), 3'000u) << "the 5,000 byte input is a payload, not a copy in each event";
}

TEST(Codec, ATextThatIsRememberedIsThatOfItsOwnValue) {
  TextCache texts;
  Payloads remembering, plain;
  remembering.texts = &texts;
  const json::Value lasting = json::Value::object({{"lasting", 1}});
  for (int i = 0; i < 5'000; ++i) {  // More than are remembered, at addresses that come again.
    HistoryEvent event;
    event.details.push_back({Field::kInput, json::Value::array({i})});
    event.details.push_back({Field::kOutput, lasting});
    event.details.push_back({Field::kParameters, json::Value::object({{"number", i}, {"lasting", lasting}})});
    const std::vector<HistoryEvent> events = {std::move(event)};
    ASSERT_EQ(encode_events(events, remembering), encode_events(events, plain)) << i;
    ASSERT_EQ(encode_events(events, remembering), encode_events(events, plain)) << i;
  }
}

TEST(Codec, TextsOfAnyLengthReadBackWithOrWithoutEscapes) {
  // Around what is staged, what a value holds itself, and what becomes a payload.
  for (const std::size_t size : {0,   1,   7,   8,   14,    15,    63,    126,   127,   252,  253,
                                 254, 255, 256, 257, 1'020, 1'021, 1'022, 1'023, 1'024, 5'000}) {
    for (const std::string last : {"", "\"", "\\", "\n", "\x01", "\xC3\xA4"}) {
      const std::string text = std::string(size, 'x') + last;
      HistoryEvent event;
      event.details.push_back({Field::kName, json::Value("before")});
      event.details.push_back({Field::kCause, json::Value(text)});
      event.details.push_back({Field::kInput, json::Value::array({json::Value(text)})});
      event.details.push_back({Field::kError, event.details[1].value});
      Payloads payloads;
      const std::string bytes = encode_events({event, event}, payloads);
      const Result<std::vector<HistoryEvent>> back = decode_events(bytes, payloads);
      ASSERT_TRUE(back.ok()) << size << last;
      ASSERT_EQ(back->size(), 2U);
      for (std::size_t i = 0; i < event.details.size(); ++i) {
        EXPECT_EQ((*back)[1].details[i].value, event.details[i].value) << size << last << " " << i;
      }
    }
  }
}

TEST(Codec, AValueThatSeveralEventsShareStandsInTheirBytesOnce) {
  Driver driver(
      R"({"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Pass","Next":"C"},"C":{"Type":"Pass","End":true}}})",
      json::Value::object({{"text", std::string(300, 'x')}, {"number", 7}}),
      [](const TaskCall&) { return std::optional<Stimulus>(); });
  driver.send(Start{});
  Payloads payloads;
  const std::string bytes = encode_events(driver.events, payloads);
  EXPECT_LT(bytes.size(), 700u) << "eight events, and 300 bytes in each of them";
  const Result<std::vector<HistoryEvent>> events = decode_events(bytes, payloads);
  ASSERT_TRUE(events.ok());
  ASSERT_EQ(events->size(), driver.events.size());
  EXPECT_EQ(encode_events(*events, payloads), bytes);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_FALSE(decode_events(bytes.substr(0, cut), payloads).ok()) << "cut at " << cut;
  }
  for (std::size_t at = 0; at < bytes.size(); ++at) {  // Whatever a byte becomes: an answer, never a crash.
    std::string broken = bytes;
    broken[at] = 5;
    (void)decode_events(broken, payloads);
  }
}

}  // namespace
}  // namespace sortie::engine::testing
