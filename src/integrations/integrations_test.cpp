// The integrations on stand-ins for runtime, store, functions, bus and AWS worker: result shapes, error
// names, repeated dispatches, cancels, and what happens when the store or a worker fails.
#include <gtest/gtest.h>

#include "asl/compile.h"
#include "integrations/aws.h"
#include "integrations/events.h"
#include "integrations/lambda.h"
#include "integrations/results.h"
#include "integrations/sdk_worker.h"
#include "integrations/states.h"
#include "integrations/testing/fakes.h"

namespace sortie::integrations {
namespace {

using fakes::Answer;
using fakes::FakeRuntime;
using fakes::FakeStore;
using fakes::ManualLoop;

json::Value parsed(std::string_view text) { return json::parse(text).value(); }

// Splits a Resource the way compile() does, as far as these tests need it.
asl::TaskResource resource(const std::string& arn) {
  asl::TaskResource task;
  task.text = arn;
  const std::vector<std::string_view> parts = split(arn, ':');
  task.region = parts[3];
  task.account = parts[4];
  task.is_lambda_arn = parts[2] == "lambda";
  task.is_bare_topic = parts[2] == "sns";
  task.is_bare_queue = parts[2] == "sqs";
  task.resource_type = parts[2];
  task.resource = task.is_bare_topic ? "publish" : task.is_bare_queue ? "sendMessage" : arn;
  if (parts[2] == "states") {
    const std::string rest = arn.substr(std::string("arn:aws:states:::").size());
    const bool is_sdk = rest.rfind("aws-sdk:", 0) == 0;
    const std::size_t colon = rest.find(':', is_sdk ? 8 : 0);
    task.resource_type = rest.substr(0, colon);
    task.resource = rest.substr(colon + 1);
    if (arn.find(".sync:2") != std::string::npos) {
      task.pattern = asl::TaskPattern::kSync2;
    } else if (arn.find(".sync") != std::string::npos) {
      task.pattern = asl::TaskPattern::kSync;
    } else if (arn.find(".waitForTaskToken") != std::string::npos) {
      task.pattern = asl::TaskPattern::kWaitForTaskToken;
    }
  }
  return task;
}

constexpr const char* kParent = "arn:aws:states:us-east-1:123456789012:execution:ir:run-1";

runtime::TaskOrder order_of(const std::string& arn, json::Value parameters, std::uint32_t attempt = 1) {
  runtime::TaskOrder order;
  order.key = {4, 0, 2, attempt};
  order.idempotency_key = "store-4-0-2-" + std::to_string(attempt);
  order.origin.edit().execution_arn = kParent;
  order.origin.edit().execution_name = "run-1";
  order.origin.edit().state_machine_arn = "arn:aws:states:us-east-1:123456789012:stateMachine:ir";
  order.state_name = std::string("Task");
  order.origin.edit().role_arn = "arn:aws:iam::123456789012:role/ir";
  order.resource = resource(arn);
  order.parameters = std::move(parameters);
  if (order.resource->pattern == asl::TaskPattern::kWaitForTaskToken) order.task_token = "the-token";
  order.origin.edit().actor = {Actor::Kind::kPerson, "alice"};
  return order;
}

class IntegrationsTest : public testing::Test {
 protected:
  IntegrationsTest() : store(loop), runtime(loop, store), dispatcher(loop) { dispatcher.attach(runtime); }
  // The one answer that the runtime got.
  Answer answer() {
    loop.run();
    if (runtime.answers.size() != 1)
      return {"answers: " + std::to_string(runtime.answers.size()), {}, {}, {}, {}};
    return runtime.answers[0];
  }

  ManualLoop loop;
  FakeStore store;
  FakeRuntime runtime;
  Dispatcher dispatcher;
};

// --- Dispatcher

class Recorder final : public Integration {
 public:
  void start(const runtime::TaskOrder& order, Report report) override {
    started.push_back(order.resource->text);
    reports.push_back(report);
  }
  void cancel(const runtime::AttemptKey& key) override { cancelled.push_back(key); }
  std::vector<std::string> started;
  std::vector<Report> reports;
  std::vector<runtime::AttemptKey> cancelled;
};

using DispatcherTest = IntegrationsTest;

TEST_F(DispatcherTest, AnAnswerThatOvertakesTheReportOfItsCallWaitsForItButNotForEver) {
  Recorder recorder;
  dispatcher.add("*", recorder);
  const runtime::TaskOrder order =
      order_of("arn:aws:states:::sqs:sendMessage.waitForTaskToken", parsed("{}"));
  dispatcher.dispatch(order);
  std::vector<std::string> seen;
  const auto note = [&](const char* what) { return [&seen, what] { seen.emplace_back(what); }; };
  dispatcher.when_handed_over(order.key, note("answer"));
  loop.run();
  EXPECT_TRUE(seen.empty());
  recorder.reports[0].answered(parsed("{}"));
  loop.run();
  ASSERT_EQ(runtime.answers_of("submitted").size(), 1u);
  EXPECT_EQ(seen, std::vector<std::string>{"answer"});
  dispatcher.when_handed_over(order.key, note("at once"));
  EXPECT_EQ(seen.back(), "at once") << "nothing is in flight any more";
  const runtime::TaskOrder next =
      order_of("arn:aws:states:::sqs:sendMessage.waitForTaskToken", parsed("{}"), 2);
  dispatcher.dispatch(next);
  dispatcher.when_handed_over(next.key, note("late"));
  loop.advance_ms(2'000);
  EXPECT_EQ(seen.back(), "late") << "the call may hang";
  dispatcher.when_handed_over(next.key, note("cancelled"));
  dispatcher.cancel(next.key);
  loop.run();
  EXPECT_EQ(seen.back(), "cancelled");
}

TEST_F(DispatcherTest, FindsTheIntegrationThatAResourceNames) {
  std::map<std::string, Recorder> all;
  for (const char* kind : {"function", "topic", "queue", "aws-sdk", "lambda", "states", "*"}) {
    dispatcher.add(kind, all[kind]);
  }
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"function", "arn:aws:lambda:us-east-1:1:function:f"},
      {"topic", "arn:aws:sns:us-east-1:1:t"},
      {"queue", "arn:aws:sqs:us-east-1:1:q"},
      {"aws-sdk", "arn:aws:states:::aws-sdk:s3:getObject"},
      {"lambda", "arn:aws:states:::lambda:invoke.waitForTaskToken"},
      {"states", "arn:aws:states:::states:startExecution.sync:2"},
      {"*", "arn:aws:states:::sqs:sendMessage"}};
  std::uint32_t attempt = 0;
  for (const auto& [kind, arn] : cases) {
    dispatcher.dispatch(order_of(arn, {}, ++attempt));
    ASSERT_EQ(all[kind].started.size(), 1u) << arn;
    EXPECT_EQ(all[kind].started[0], arn);
  }
}

TEST_F(DispatcherTest, AResourceThatNothingCarriesOutFailsByName) {
  dispatcher.dispatch(order_of("arn:aws:states:::ecs:runTask.sync", {}));
  EXPECT_TRUE(runtime.answers.empty()) << "never inside the call";
  EXPECT_EQ(answer().error, "Sortie.NotSupportedYet");
  EXPECT_EQ(answer().cause, "arn:aws:states:::ecs:runTask.sync is not supported yet");
}

TEST_F(DispatcherTest, ARepeatedDispatchOfWhatIsInFlightStartsNothing) {
  Recorder recorder;
  dispatcher.add("*", recorder);
  const auto order = order_of("arn:aws:states:::sqs:sendMessage", {});
  dispatcher.dispatch(order);
  dispatcher.dispatch(order);
  EXPECT_EQ(recorder.started.size(), 1u);
  recorder.reports[0].succeeded("one");
  recorder.reports[0].succeeded("two");
  EXPECT_EQ(answer().output, json::Value("one"));
  dispatcher.dispatch(order);
  EXPECT_EQ(recorder.started.size(), 2u) << "after the end it is a new order";
}

TEST_F(DispatcherTest, ATaskThatIsTriedOnceTellsWhoAskedAndNotTheRuntime) {
  Recorder recorder;
  dispatcher.add("*", recorder);
  std::vector<Result<json::Value>> ends;
  const auto order = order_of("arn:aws:states:::sqs:sendMessage", {});
  for (int i = 0; i < 2; ++i) {
    dispatcher.try_once(order,
                        [&ends](const Result<json::Value>& end, const json::Value&) { ends.push_back(end); });
  }
  ASSERT_EQ(recorder.reports.size(), 2u) << "each has a key of its own";
  recorder.reports[0].succeeded("one");
  recorder.reports[1].failed("Boom", "why");
  EXPECT_TRUE(ends.empty()) << "never inside the call";
  loop.run();
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_EQ(*ends[0], json::Value("one"));
  EXPECT_EQ(ends[1].error().code + ": " + ends[1].error().message, "Boom: why");
  EXPECT_TRUE(runtime.answers.empty());
}

TEST_F(DispatcherTest, NothingIsReportedAfterACancelOrOurEnd) {
  Recorder recorder;
  dispatcher.add("*", recorder);
  dispatcher.dispatch(order_of("arn:aws:states:::sqs:sendMessage", {}, 1));
  dispatcher.dispatch(order_of("arn:aws:states:::sqs:sendMessage", {}, 2));
  dispatcher.cancel({4, 0, 2, 1});
  EXPECT_EQ(recorder.cancelled.size(), 1u);
  recorder.reports[0].failed("late", "");
  recorder.reports[1].failed("our own death", "");
  dispatcher.stop();
  loop.run();
  EXPECT_TRUE(runtime.answers.empty());
  dispatcher.dispatch(order_of("arn:aws:states:::sqs:sendMessage", {}, 3));
  EXPECT_EQ(recorder.started.size(), 2u);
}

// --- Lambda

class FakeFunctions final : public functions::FunctionInvoker {
 public:
  explicit FakeFunctions(ManualLoop& loop) : loop_(loop) {}
  void invoke(functions::InvokeRequest request, functions::InvokeCallback done) override {
    requests.push_back(request);
    loop_.post([done, result = result] { done(result); });
  }
  std::vector<functions::InvokeRequest> requests;
  functions::InvokeResult result;

 private:
  ManualLoop& loop_;
};

class LambdaTest : public IntegrationsTest {
 protected:
  LambdaTest() : functions(loop), lambda(loop, functions) {
    dispatcher.add("function", lambda);
    dispatcher.add("lambda", lambda);
    functions.result.request_id = "11111111-2222-4333-8444-555555555555";
    functions.result.payload = "{}";
  }
  FakeFunctions functions;
  LambdaIntegration lambda;
};

constexpr const char* kFunction = "arn:aws:lambda:us-east-1:123456789012:function:Isolate";
constexpr const char* kInvoke = "arn:aws:states:::lambda:invoke";

TEST_F(LambdaTest, ABareArnGivesWhatTheFunctionReturned) {
  functions.result.payload = "{\"n\":0.0}";
  dispatcher.dispatch(order_of(kFunction, parsed(R"({"id":"i-1"})")));
  EXPECT_EQ(answer().kind, "succeeded");
  EXPECT_EQ(json::to_text(answer().output), "{\"n\":0.0}");
  ASSERT_EQ(functions.requests.size(), 1u);
  EXPECT_EQ(functions.requests[0].payload, R"({"id":"i-1"})");
  EXPECT_EQ(functions.requests[0].function, kFunction);
  EXPECT_EQ(functions.requests[0].account, "123456789012");
  EXPECT_EQ(functions.requests[0].idempotency_key, "store-4-0-2-1");
}

TEST_F(LambdaTest, InvokeWrapsTheResultAsAwsRecordedIt) {
  functions.result.payload = "\"HelloWorld!\"";
  functions.result.log_tail = "START";
  dispatcher.dispatch(
      order_of(kInvoke, parsed(R"({"FunctionName":"f","Payload":{"a":1},"LogType":"Tail"})")));
  const json::Value output = answer().output;
  EXPECT_EQ(output.get("ExecutedVersion"), json::Value("$LATEST"));
  EXPECT_EQ(output.get("Payload"), json::Value("HelloWorld!"));
  EXPECT_EQ(output.get("StatusCode"), json::Value(200));
  EXPECT_EQ(output.get("LogResult"), json::Value("U1RBUlQ="));
  EXPECT_EQ(output.get("SdkResponseMetadata").get("RequestId"), json::Value(functions.result.request_id));
  const json::Value& http = output.get("SdkHttpMetadata");
  EXPECT_EQ(http.get("HttpHeaders").get("Content-Length"), json::Value("13"));
  EXPECT_EQ(http.get("AllHttpHeaders").get("X-Amz-Executed-Version"), parsed(R"(["$LATEST"])"));
  EXPECT_EQ(http.get("HttpHeaders").get("Date"), json::Value("Mon, 23 Nov 2026 00:00:00 GMT"));
}

TEST_F(LambdaTest, PayloadTextIsSentAsItStandsAndNullAsAnEmptyObject) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"FunctionName":"f","Payload":"0.0"})", "0.0"},
      {R"({"FunctionName":"f","Payload":null})", "{}"},
      {R"({"FunctionName":"f"})", "{}"},
      {R"({"FunctionName":"f","Payload":[1,"a"]})", R"([1,"a"])"}};
  std::uint32_t attempt = 0;
  for (const auto& [parameters, payload] : cases) {
    dispatcher.dispatch(order_of(kInvoke, parsed(parameters), ++attempt));
    EXPECT_EQ(functions.requests.back().payload, payload);
  }
}

TEST_F(LambdaTest, AnErrorOfTheHandlerIsItsTypeWithTheWholeObjectAsCause) {
  const std::string error = R"({"errorMessage":"Some exception","errorType":"Exception","requestId":"r"})";
  functions.result.function_error = "Unhandled";
  functions.result.payload = error;
  dispatcher.dispatch(order_of(kFunction, parsed("{}")));
  EXPECT_EQ(answer().error, "Exception");
  EXPECT_EQ(answer().cause, error);
}

TEST_F(LambdaTest, AnErrorWithoutATypeIsUnknown) {
  functions.result.function_error = "Unhandled";
  functions.result.payload = R"({"errorMessage":"x"})";
  dispatcher.dispatch(order_of(kFunction, parsed("{}")));
  EXPECT_EQ(answer().error, "Lambda.Unknown");
  EXPECT_EQ(
      answer().cause,
      "The cause could not be determined because Lambda did not return an error type. Returned payload: "
      "{\"errorMessage\":\"x\"}");
}

TEST_F(LambdaTest, AnAnswerOfTheApiHasItsNameAndTheSdksWords) {
  functions.result = {};
  functions.result.error_code = "ResourceNotFoundException";
  functions.result.error_message = "Function not found: arn:aws:lambda:us-east-1:123456789012:function:none";
  functions.result.status_code = 404;
  functions.result.request_id = "r-1";
  dispatcher.dispatch(order_of(kInvoke, parsed(R"({"FunctionName":"none"})")));
  EXPECT_EQ(answer().error, "Lambda.ResourceNotFoundException");
  EXPECT_EQ(
      answer().cause,
      "Function not found: arn:aws:lambda:us-east-1:123456789012:function:none:$LATEST (Service: AWSLambda; "
      "Status Code: 404; Error Code: ResourceNotFoundException; Request ID: r-1; Proxy: null)");
}

TEST_F(LambdaTest, WithATaskTokenTheAnswerIsOnlySubmitted) {
  dispatcher.dispatch(
      order_of("arn:aws:states:::lambda:invoke.waitForTaskToken", parsed(R"({"FunctionName":"f"})")));
  EXPECT_EQ(answer().kind, "submitted");
  EXPECT_EQ(functions.requests[0].task_token, "the-token");
  EXPECT_EQ(dispatcher.in_flight(), 0u) << "what waits for a token costs nothing here";
}

TEST_F(LambdaTest, WrongParametersAreRefusedBeforeAnythingRuns) {
  dispatcher.dispatch(order_of(kInvoke, parsed(R"({"Function":"f"})")));
  EXPECT_EQ(answer().error, "States.Runtime");
  EXPECT_NE(answer().cause.find("The field \"Function\" is not supported by Step Functions"),
            std::string::npos);
  EXPECT_TRUE(functions.requests.empty());
}

// --- Nested executions

class StatesTest : public IntegrationsTest {
 protected:
  StatesTest() : states(loop, store) {
    dispatcher.add("states", states);
    states.attach(runtime,
                  [this](store::Batch batch) { store.append(std::move(batch), [](const Status&) {}); });
  }
  void dispatch(const std::string& suffix, const std::string& parameters) {
    dispatcher.dispatch(order_of("arn:aws:states:::states:startExecution" + suffix, parsed(parameters)));
    loop.run();
  }
  void end(const std::string& arn, store::ExecutionStatus status) {
    loop.advance_ms(1000);
    runtime.end_execution(arn, status);
    loop.run();
  }
  StatesIntegration states;
  const std::string child_arn = "arn:aws:states:us-east-1:123456789012:execution:child:named";
  const std::string named = R"({"StateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:child",
                                "Name":"named","Input":{"a":1}})";
  const std::string nameless =
      R"({"StateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:child","Input":null})";
};

TEST_F(StatesTest, RequestResponseAnswersAsStartExecutionDoes) {
  dispatch("", named);
  const json::Value output = answer().output;
  EXPECT_EQ(answer().kind, "succeeded");
  EXPECT_EQ(output.get("ExecutionArn"), json::Value(child_arn));
  EXPECT_EQ(output.get("StartDate"), json::Value(loop.now().ms));
  EXPECT_EQ(output.get("SdkHttpMetadata").get("HttpStatusCode"), json::Value(200));
  ASSERT_EQ(runtime.starts.size(), 1u);
  EXPECT_EQ(runtime.starts[0].input_text, "{\"a\":1}");
  EXPECT_EQ(runtime.starts[0].actor.kind, Actor::Kind::kExecution);
  EXPECT_EQ(runtime.starts[0].actor.person(), "alice");
}

TEST_F(StatesTest, SyncWaitsForTheEndAndGivesTextsSync2GivesValues) {
  dispatch(".sync", named);
  ASSERT_EQ(runtime.answers.size(), 1u);
  EXPECT_EQ(runtime.answers[0].kind, "submitted");
  runtime.executions[child_arn].output_text = "{\"Arg1\":\"argument1\"}";
  end(child_arn, store::ExecutionStatus::kSucceeded);
  ASSERT_EQ(runtime.answers.size(), 2u);
  EXPECT_EQ(json::to_text(runtime.answers[1].output),
            "{\"ExecutionArn\":\"" + child_arn +
                "\",\"Input\":\"{\\\"a\\\":1}\",\"InputDetails\":{\"Included\":true},\"Name\":\"named\","
                "\"Output\":\"{\\\"Arg1\\\":\\\"argument1\\\"}\",\"OutputDetails\":{\"Included\":true},"
                "\"StartDate\":1795392000000,\"StateMachineArn\":"
                "\"arn:aws:states:us-east-1:123456789012:stateMachine:child\",\"Status\":\"SUCCEEDED\","
                "\"StopDate\":1795392001000}");
  runtime.answers.clear();
  runtime.executions.clear();
  store.documents.clear();
  dispatch(".sync:2", named);
  runtime.executions[child_arn].output_text = "{\"Arg1\":\"argument1\"}";
  end(child_arn, store::ExecutionStatus::kSucceeded);
  EXPECT_EQ(runtime.answers[1].output.get("Input"), parsed("{\"a\":1}"));
  EXPECT_EQ(runtime.answers[1].output.get("Output"), parsed("{\"Arg1\":\"argument1\"}"));
}

TEST_F(StatesTest, AChildThatFailsFailsTheTaskWithItsDescription) {
  dispatch(".sync", named);
  runtime.executions[child_arn].error = "SomeFailure";
  runtime.executions[child_arn].cause = "because";
  end(child_arn, store::ExecutionStatus::kFailed);
  EXPECT_EQ(runtime.answers[1].error, "States.TaskFailed");
  const json::Value cause = parsed(runtime.answers[1].cause);
  EXPECT_EQ(cause.get("Cause"), json::Value("because"));
  EXPECT_EQ(cause.get("Error"), json::Value("SomeFailure"));
  EXPECT_EQ(cause.get("Input"), json::Value("{\"a\":1}"));
  EXPECT_EQ(cause.get("Status"), json::Value("FAILED"));
  EXPECT_FALSE(cause.has("Output"));
}

TEST_F(StatesTest, ARefusedStartHasTheNameThatStepFunctionsGivesIt) {
  runtime.start_error = Error{"StateMachineDoesNotExist", "State Machine Does Not Exist: 'arn:x'"};
  dispatch("", named);
  EXPECT_EQ(answer().error, "StepFunctions.StateMachineDoesNotExistException");
  EXPECT_EQ(answer().cause.rfind(
                "State Machine Does Not Exist: 'arn:x' (Service: AWSStepFunctions; Status Code: 400; "
                "Error Code: StateMachineDoesNotExist; Request ID: ",
                0),
            0u);
}

TEST_F(StatesTest, AStartThatTheStoreRefusesIsTriedAgain) {
  runtime.start_error = Error{"ServiceUnavailable", "disk"};
  dispatch("", named);
  loop.advance_ms(3'500);
  EXPECT_EQ(runtime.starts.size(), 3u);
  EXPECT_TRUE(runtime.answers.empty()) << "our trouble is not the task's";
  runtime.start_error.reset();
  loop.advance_ms(30'000);
  EXPECT_EQ(answer().kind, "succeeded");
}

// What a new process does when the runtime dispatches the attempt again.
class StatesAfterRestart : public StatesTest {
 protected:
  void restart_and_dispatch(const std::string& suffix, const std::string& parameters) {
    runtime.answers.clear();
    dispatcher.stop();
    Dispatcher again(loop);
    StatesIntegration fresh(loop, store);
    again.add("states", fresh);
    again.attach(runtime);
    fresh.attach(runtime);
    again.dispatch(order_of("arn:aws:states:::states:startExecution" + suffix, parsed(parameters)));
    loop.run();
    if (!ended_arn.empty()) runtime.end_execution(ended_arn, store::ExecutionStatus::kSucceeded);
    loop.run();
  }
  std::string ended_arn;
};

TEST_F(StatesAfterRestart, TheSameChildIsFoundByTheNameMadeFromTheKey) {
  dispatch(".sync", nameless);
  ASSERT_EQ(runtime.executions.size(), 1u);
  ended_arn = runtime.executions.begin()->first;
  restart_and_dispatch(".sync", nameless);
  EXPECT_EQ(runtime.executions.size(), 1u);
  EXPECT_EQ(runtime.answers_of("succeeded").size(), 1u);
  restart_and_dispatch(".sync", nameless);
  EXPECT_EQ(runtime.answers_of("succeeded").size(), 1u) << "also when it has ended meanwhile";
}

TEST_F(StatesAfterRestart, ANamedChildIsRememberedWithItsStart) {
  dispatch("", named);
  EXPECT_EQ(store.documents.size(), 1u);
  runtime.end_execution(child_arn, store::ExecutionStatus::kSucceeded);
  restart_and_dispatch("", named);
  EXPECT_EQ(runtime.answers_of("succeeded").size(), 1u);
  runtime.end_execution(kParent, store::ExecutionStatus::kSucceeded);
  loop.run();
  EXPECT_TRUE(store.documents.empty()) << "forgotten with its parent";
}

// The runtime does not dispatch a task again that was submitted: the waiting goes on from the document.
TEST_F(StatesAfterRestart, TheWaitingForASubmittedChildGoesOn) {
  dispatch(".sync:2", named);
  runtime.answers.clear();
  dispatcher.stop();
  StatesIntegration fresh(loop, store);
  runtime.executions[kParent].arn = kParent;
  fresh.attach(runtime, [this](store::Batch batch) { store.append(std::move(batch), [](const Status&) {}); });
  loop.run();
  runtime.executions[child_arn].output_text = "{\"n\":1}";
  end(child_arn, store::ExecutionStatus::kSucceeded);
  ASSERT_EQ(runtime.answers.size(), 1u);
  EXPECT_EQ(runtime.answers[0].key, (runtime::AttemptKey{4, 0, 2, 1}));
  EXPECT_EQ(runtime.answers[0].output.get("Output"), parsed("{\"n\":1}"));
}

TEST_F(StatesAfterRestart, AChildWhoseParentEndedMeanwhileIsStoppedAndForgotten) {
  dispatch(".sync", named);
  dispatcher.stop();
  runtime.executions[kParent].arn = kParent;
  runtime.executions[kParent].status = store::ExecutionStatus::kAborted;
  StatesIntegration fresh(loop, store);
  fresh.attach(runtime, [this](store::Batch batch) { store.append(std::move(batch), [](const Status&) {}); });
  loop.run();
  EXPECT_EQ(runtime.stops, std::vector<std::string>{child_arn});
  EXPECT_TRUE(store.documents.empty());
}

TEST_F(StatesTest, ANameThatAnotherAttemptTookIsTaken) {
  dispatch("", named);
  end(child_arn, store::ExecutionStatus::kFailed);
  runtime.answers.clear();
  dispatcher.dispatch(order_of("arn:aws:states:::states:startExecution", parsed(named), 2));
  EXPECT_EQ(answer().error, "StepFunctions.ExecutionAlreadyExistsException");
}

TEST_F(StatesTest, ACancelledSyncParentStopsItsChild) {
  dispatch(".sync", named);
  dispatcher.cancel({4, 0, 2, 1});
  loop.run();
  EXPECT_EQ(runtime.stops, std::vector<std::string>{child_arn});
  end(child_arn, store::ExecutionStatus::kAborted);
  EXPECT_EQ(runtime.answers.size(), 1u) << "only that it was submitted";
}

TEST_F(StatesTest, AParentCancelledWhileTheChildStartsStopsItToo) {
  dispatcher.dispatch(order_of("arn:aws:states:::states:startExecution.sync", parsed(named)));
  dispatcher.cancel({4, 0, 2, 1});
  loop.run();
  EXPECT_EQ(runtime.stops, std::vector<std::string>{child_arn});
}

TEST(ActingExecution, MakesNoKnownPersonOfAnUnknownOne) {
  runtime::TaskOrder order = order_of("arn:aws:states:::states:startExecution", {});
  for (const auto kind : {Actor::Kind::kUnknown, Actor::Kind::kAccountKey}) {
    order.origin.edit().actor = {kind, "123456789012"};
    EXPECT_EQ(acting_execution(order).person(), "unknown");
  }
  order.origin.edit().actor = {Actor::Kind::kRule, "guardduty"};
  EXPECT_EQ(acting_execution(order).person(), "");
  order.origin.edit().actor.on_behalf_of = "unknown";
  EXPECT_EQ(acting_execution(order).person(), "unknown");
}

// --- Events

class FakeSink final : public EventSink {
 public:
  void put_events(json::Value given, const Actor& by, std::string key,
                  std::function<void(Result<json::Value>)> done) override {
    entries = std::move(given);
    actor = by;
    idempotency_key = std::move(key);
    done(answer);
  }
  json::Value entries;
  Actor actor;
  std::string idempotency_key;
  Result<json::Value> answer = parsed(R"({"FailedEntryCount":0,"Entries":[{"EventId":"e-1"}]})");
};

class EventsTest : public IntegrationsTest {
 protected:
  EventsTest() : events(loop, sink) { dispatcher.add("events", events); }
  void dispatch(const char* parameters) {
    dispatcher.dispatch(order_of("arn:aws:states:::events:putEvents", parsed(parameters)));
  }
  FakeSink sink;
  EventsIntegration events;
};

TEST_F(EventsTest, EntriesGetTextDetailsAndTheArnsOfWhoSendsThem) {
  dispatch(R"({"Entries":[{"Source":"s","DetailType":"t","Detail":{"a":1},"Resources":["r"]}]})");
  EXPECT_EQ(answer().kind, "succeeded");
  EXPECT_EQ(answer().output.get("FailedEntryCount"), json::Value(0));
  EXPECT_TRUE(answer().output.has("SdkHttpMetadata"));
  EXPECT_EQ(sink.entries[0].get("Detail"), json::Value("{\"a\":1}"));
  EXPECT_EQ(sink.entries[0].get("Resources").size(), 3u);
  EXPECT_EQ(sink.entries[0].get("Resources")[2], json::Value(kParent));
  EXPECT_EQ(sink.idempotency_key, "store-4-0-2-1");
}

TEST_F(EventsTest, OneFailedEntryFailsTheTask) {
  sink.answer = parsed(
      R"({"FailedEntryCount":1,"Entries":[{"ErrorCode":"MalformedDetail","ErrorMessage":"Detail is malformed."}]})");
  dispatch(R"({"Entries":[{"Source":"s","DetailType":"t","Detail":"\"jsonstring\""}]})");
  EXPECT_EQ(answer().error, "EventBridge.FailedEntry");
  EXPECT_EQ(answer().cause, json::to_text(*sink.answer));
}

TEST_F(EventsTest, ARefusedCallHasTheNameOfTheApi) {
  sink.answer = Error{"ResourceNotFoundException", "Event bus x does not exist."};
  dispatch(R"({"Entries":[]})");
  EXPECT_EQ(answer().error, "EventBridge.ResourceNotFoundException");
}

TEST_F(EventsTest, EntriesThatAreNoneAreRefused) {
  dispatch(R"({"Entries":"x"})");
  EXPECT_EQ(answer().error, "States.Runtime");
}

}  // namespace
}  // namespace sortie::integrations
