// Executions through the API: starting, describing, listing, histories.
#include "api/testing/states_fixture.h"

namespace sortie::api {
namespace {

using namespace api::testing;

using ExecutionsApi = StatesApiTest;

engine::HistoryEvent event(std::int64_t id, engine::EventType type, std::vector<engine::Detail> details) {
  return {id, id - 1, Timestamp{1'795'392'000'123}, type, std::move(details)};
}

TEST_F(ExecutionsApi, StartsAnExecutionWithTheCallersIdentity) {
  const std::string machine = make_machine("m");
  EXPECT_EQ(
      text("StartExecution",
           R"({"stateMachineArn":")" + machine + R"(","name":"e1","input":"[1]","traceHeader":"Root=1"})"),
      R"({"executionArn":"arn:aws:states:us-east-1:123456789012:execution:m:e1","startDate":1795392000.0})");
  ASSERT_EQ(runtime.starts.size(), 1u);
  EXPECT_EQ(runtime.starts[0].actor, caller.actor);
  EXPECT_EQ(runtime.starts[0].input_text, "[1]");
  EXPECT_EQ(runtime.starts[0].trace_header, "Root=1");
  EXPECT_TRUE(call("StartExecution", R"({"stateMachineArn":")" + machine + "\"}").ok());
  EXPECT_EQ(runtime.starts[1].input_text, "{}");
  EXPECT_EQ(runtime.starts[1].name, "");
}

TEST_F(ExecutionsApi, ExecutionInputThatIsNoJsonIsToldInAwsWords) {
  const std::string machine = make_machine("m");
  const auto start = [&](const char* input) {
    return text("StartExecution",
                json::to_text(json::Value::object({{"stateMachineArn", machine}, {"input", input}})));
  };
  const std::string prefix = "InvalidExecutionInput: Invalid State Machine Execution Input: '";
  EXPECT_EQ(
      start("not some json"),
      prefix +
          "Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', "
          "'true' or 'false')'");
  EXPECT_EQ(start("{'not': 'json'"),
            prefix + "Unexpected character (''' (code 39)): was expecting double-quote to start field name'");
  EXPECT_EQ(start(""), prefix + "Invalid execution input.'");
  for (const char* good : {"2", "\"some text\"", "null", "{\"a\":1,\"a\":2}"}) {
    EXPECT_EQ(start(good).substr(0, 17), "{\"executionArn\":\"") << good;
  }
  EXPECT_EQ(start(std::string(5000, '[').c_str()).substr(0, 21), "InvalidExecutionInput");
}

TEST_F(ExecutionsApi, ASynchronousExecutionAnswersItsEndAndWhatAwsWouldBill) {
  json::ObjectBuilder express(machine_input("x"));
  ASSERT_TRUE(call("CreateStateMachine", express.set("type", "EXPRESS").build()).ok());
  runtime::ExecutionDescription end;
  end.arn = "arn:aws:states:us-east-1:123456789012:express:x:n:u";
  end.state_machine_arn = arn("x");
  end.name = "n";
  end.input_text = "{}";
  end.started_at = loop.now();
  end.stopped_at = loop.now().plus_ms(101);
  end.status = store::ExecutionStatus::kFailed;
  end.error = "E";
  runtime.sync_end = end;
  const json::Value answer =
      *call("StartSyncExecution", json::Value::object({{"stateMachineArn", arn("x")}, {"traceHeader", "t"}}));
  EXPECT_EQ(answer.get("status"), json::Value("FAILED"));
  EXPECT_EQ(answer.get("error"), json::Value("E"));
  EXPECT_EQ(answer.get("traceHeader"), json::Value("t"));
  EXPECT_FALSE(answer.has("output"));
  EXPECT_EQ(json::to_text(answer.get("billingDetails")),
            R"({"billedMemoryUsedInMB":64,"billedDurationInMilliseconds":200})");
  const json::Value metadata =
      *call("StartSyncExecution",
            json::Value::object({{"stateMachineArn", arn("x")}, {"includedData", "METADATA_ONLY"}}));
  EXPECT_FALSE(metadata.has("input"));
  EXPECT_EQ(json::to_text(metadata.get("inputDetails")), R"({"included":false})");
}

TEST_F(ExecutionsApi, RedrivingSaysWhenOrWhyNot) {
  const std::string failed = make_execution(store::ExecutionStatus::kFailed, "f");
  EXPECT_EQ(text("RedriveExecution", R"({"executionArn":")" + failed + R"(","clientToken":"c"})"),
            R"({"redriveDate":1795392000.0})");
  EXPECT_EQ(runtime.calls.back(), "redrive " + failed + " c");
  const std::string done = make_execution(store::ExecutionStatus::kSucceeded, "s");
  EXPECT_EQ(text("RedriveExecution", R"({"executionArn":")" + done + "\"}"),
            "ExecutionNotRedrivable: Execution is SUCCEEDED and cannot be redriven");
  EXPECT_EQ(text("RedriveExecution", R"({"executionArn":")" + done + "x\"}").substr(0, 22),
            "ExecutionDoesNotExist:");
  EXPECT_EQ(
      text("RedriveExecution", R"({"executionArn":"arn:aws:states:us-east-1:123456789012:express:m:n:u"})"),
      "InvalidArn: Invalid Arn: 'Resource type not valid in this context: express'");
}

TEST_F(ExecutionsApi, StartingWhatCannotBeStartedSaysWhy) {
  EXPECT_EQ(text("StartExecution", R"({"stateMachineArn":")" + arn("gone") + "\"}"),
            "StateMachineDoesNotExist: State Machine Does Not Exist: '" + arn("gone") + "'");
  const std::string machine = make_machine("m");
  EXPECT_EQ(text("StartExecution", R"({"stateMachineArn":")" + machine + R"(","name":"a/b"})"),
            "InvalidName: Invalid Name: 'a/b'");
  EXPECT_EQ(text("StartSyncExecution", R"({"stateMachineArn":")" + machine + "\"}"),
            "StateMachineTypeNotSupported: This operation is not supported by this type of state machine");
  json::ObjectBuilder express(machine_input("x"));
  ASSERT_TRUE(call("CreateStateMachine", express.set("type", "EXPRESS").build()).ok());
  EXPECT_EQ(text("ListExecutions", R"({"stateMachineArn":")" + arn("x") + "\"}").substr(0, 28),
            "StateMachineTypeNotSupported");
  runtime.fail = Error{"ExecutionAlreadyExists", "Execution Already Exists: 'x'", "", ""};
  EXPECT_EQ(text("StartExecution", R"({"stateMachineArn":")" + machine + "\"}"),
            "ExecutionAlreadyExists: Execution Already Exists: 'x'");
}

TEST_F(ExecutionsApi, DescribesExecutionsAsAwsDoes) {
  const auto describe = [&](store::ExecutionStatus status) {
    return text("DescribeExecution", R"({"executionArn":")" + make_execution(status) + "\"}");
  };
  EXPECT_EQ(
      describe(store::ExecutionStatus::kSucceeded),
      R"({"executionArn":"arn:aws:states:us-east-1:123456789012:execution:m:e","stateMachineArn":)"
      R"("arn:aws:states:us-east-1:123456789012:stateMachine:m","name":"e","status":"SUCCEEDED",)"
      R"("startDate":1795392000.0,"stopDate":1795392000.0,"input":"{\"a\":1}","inputDetails":{"included":true},)"
      R"("output":"2","outputDetails":{"included":true},"redriveCount":0,"redriveStatus":"NOT_REDRIVABLE",)"
      R"("redriveStatusReason":"Execution is SUCCEEDED and cannot be redriven"})");
  const json::Value failed = parse_json(describe(store::ExecutionStatus::kFailed));
  EXPECT_EQ(failed.get("error"), json::Value("Boom"));
  EXPECT_FALSE(failed.has("cause"));
  EXPECT_EQ(failed.get("redriveStatus"), json::Value("REDRIVABLE"));
  EXPECT_FALSE(failed.has("redriveStatusReason"));
  const json::Value running = parse_json(describe(store::ExecutionStatus::kRunning));
  EXPECT_FALSE(running.has("stopDate"));
  EXPECT_FALSE(running.has("output"));
  const std::string gone = "arn:aws:states:us-east-1:123456789012:execution:m:gone";
  EXPECT_EQ(text("DescribeExecution", R"({"executionArn":")" + gone + "\"}"),
            "ExecutionDoesNotExist: Execution Does Not Exist: '" + gone + "'");
  EXPECT_EQ(text("GetExecutionHistory", R"({"executionArn":")" + gone + "\"}"),
            "ExecutionDoesNotExist: Execution Does Not Exist: '" + gone + "'");
  EXPECT_EQ(text("StopExecution", R"({"executionArn":")" + gone + "\"}"),
            "ExecutionDoesNotExist: Execution Does Not Exist: '" + gone + "'");
}

TEST_F(ExecutionsApi, MetadataOnlyLeavesTheDataOut) {
  const std::string execution = make_execution(store::ExecutionStatus::kSucceeded);
  const json::Value described =
      *call("DescribeExecution", R"({"executionArn":")" + execution + R"(","includedData":"METADATA_ONLY"})");
  EXPECT_FALSE(described.has("input"));
  EXPECT_FALSE(described.has("output"));
  EXPECT_EQ(described.get("inputDetails"), parse_json(R"({"included":false})"));
}

TEST_F(ExecutionsApi, TheMachineOfAnExecutionIsTheOneItStartedOn) {
  make_machine("m");
  const std::string execution = make_execution(store::ExecutionStatus::kRunning);
  runtime.machines[arn("m")].definition = R"({"changed":"since"})";
  const json::Value machine =
      *call("DescribeStateMachineForExecution", R"({"executionArn":")" + execution + "\"}");
  EXPECT_EQ(machine.get("definition"), json::Value(kPassDefinition));
  EXPECT_EQ(machine.get("name"), json::Value("m"));
}

TEST_F(ExecutionsApi, ListsExecutionsNewestFirstFilteredAndPaged) {
  const std::string machine = make_machine("m");
  for (store::ExecutionNo no = 1; no <= 5; ++no) {
    store.rows.push_back({no, "arn:e" + std::to_string(no), machine, "e" + std::to_string(no),
                          no % 2 == 0 ? store::ExecutionStatus::kRunning : store::ExecutionStatus::kSucceeded,
                          loop.now(), loop.now(), ""});
  }
  const json::Value first =
      *call("ListExecutions", R"({"stateMachineArn":")" + machine + R"(","maxResults":2})");
  ASSERT_EQ(first.get("executions").size(), 2u);
  EXPECT_EQ(first.get("executions")[0].get("name"), json::Value("e5"));
  EXPECT_EQ(first.get("executions")[0].get("redriveCount"), json::Value(0));
  const json::Value second =
      *call("ListExecutions",
            json::Value::object(
                {{"stateMachineArn", machine}, {"maxResults", 3}, {"nextToken", first.get("nextToken")}}));
  ASSERT_EQ(second.get("executions").size(), 3u);
  EXPECT_EQ(second.get("executions")[2].get("name"), json::Value("e1"));
  EXPECT_FALSE(second.has("nextToken"));
  const json::Value running =
      *call("ListExecutions", R"({"stateMachineArn":")" + machine + R"(","statusFilter":"RUNNING"})");
  EXPECT_EQ(running.get("executions").size(), 2u);
  EXPECT_FALSE(running.get("executions")[0].has("stopDate"));
  // A token belongs to its filters.
  EXPECT_FALSE(call("ListExecutions", json::Value::object({{"stateMachineArn", machine},
                                                           {"statusFilter", "RUNNING"},
                                                           {"nextToken", first.get("nextToken")}}))
                   .ok());
  store.list_error = Error{"StoreUnavailable", "I/O error", "", ""};
  EXPECT_EQ(text("ListExecutions", R"({"stateMachineArn":")" + machine + "\"}"),
            "StoreUnavailable: I/O error");
}

TEST_F(ExecutionsApi, RendersHistoryEventsInWireForm) {
  using engine::EventType;
  using engine::Field;
  const std::string execution = make_execution(store::ExecutionStatus::kRunning);
  runtime.events = {event(1, EventType::kExecutionStarted,
                          {{Field::kInput, parse_json("{\"a\":1.0}")}, {Field::kRoleArn, kRole}}),
                    event(2, EventType::kPassStateExited,
                          {{Field::kName, "A"},
                           {Field::kOutput, 5},
                           {Field::kAssignedVariables, parse_json(R"({"x":"v"})")}}),
                    event(3, EventType::kTaskScheduled,
                          {{Field::kResourceType, "sqs"},
                           {Field::kParameters, parse_json(R"({"q":[]})")},
                           {Field::kTimeoutInSeconds, 5}}),
                    event(4, EventType::kMapStateSucceeded, {})};
  const std::string ask = R"({"executionArn":")" + execution + "\"";
  EXPECT_EQ(
      text("GetExecutionHistory", ask + "}"),
      R"({"events":[{"timestamp":1795392000.123,"type":"ExecutionStarted","id":1,"previousEventId":0,)"
      R"("executionStartedEventDetails":{"input":"{\"a\":1.0}","inputDetails":{"truncated":false},)"
      R"("roleArn":"arn:aws:iam::123456789012:role/sortie"}},)"
      R"({"timestamp":1795392000.123,"type":"PassStateExited","id":2,"previousEventId":1,)"
      R"("stateExitedEventDetails":{"name":"A","output":"5","outputDetails":{"truncated":false},)"
      R"("assignedVariables":{"x":"\"v\""},"assignedVariablesDetails":{"truncated":false}}},)"
      R"({"timestamp":1795392000.123,"type":"TaskScheduled","id":3,"previousEventId":2,)"
      R"("taskScheduledEventDetails":{"resourceType":"sqs","parameters":"{\"q\":[]}","timeoutInSeconds":5}},)"
      R"({"timestamp":1795392000.123,"type":"MapStateSucceeded","id":4,"previousEventId":3}]})");
  EXPECT_EQ(
      text("GetExecutionHistory", ask + R"(,"includeExecutionData":false,"maxResults":2})").substr(0, 176),
      R"({"events":[{"timestamp":1795392000.123,"type":"ExecutionStarted","id":1,"previousEventId":0,)"
      R"("executionStartedEventDetails":{"roleArn":"arn:aws:iam::123456789012:role/sortie"}},)");
  std::vector<std::int64_t> ids;
  std::string token;
  do {
    json::ObjectBuilder input;
    input.set("executionArn", execution).set("maxResults", 3).set("reverseOrder", true);
    if (!token.empty()) input.set("nextToken", token);
    const json::Value page = *call("GetExecutionHistory", input.build());
    for (const json::Value& item : page.get("events").items()) ids.push_back(item.get("id").as_integer());
    token = text_member(page, "nextToken");
  } while (!token.empty());
  EXPECT_EQ(ids, (std::vector<std::int64_t>{4, 3, 2, 1}));
}

TEST_F(ExecutionsApi, APayloadIsShownInItsOwnTextWhereItHasOne) {
  using engine::EventType;
  using engine::Field;
  const std::string execution = make_execution(store::ExecutionStatus::kRunning);
  runtime.events = {
      event(1, EventType::kExecutionStarted, {{Field::kInput, parse_json("[1,2]"), "[ 1, 2 ]"}})};
  const json::Value page = *call("GetExecutionHistory", R"({"executionArn":")" + execution + "\"}");
  EXPECT_EQ(page.get("events")[0].get("executionStartedEventDetails").get("input"), json::Value("[ 1, 2 ]"));
}

TEST_F(ExecutionsApi, APageOfHistoryStaysWithinItsBytes) {
  const std::string execution = make_execution(store::ExecutionStatus::kRunning);
  for (int i = 1; i <= 40; ++i) {
    runtime.events.push_back(
        event(i, engine::EventType::kPassStateExited, {{engine::Field::kOutput, std::string(250'000, 'x')}}));
  }
  const json::Value page =
      *call("GetExecutionHistory", R"({"executionArn":")" + execution + R"(","maxResults":1000})");
  EXPECT_EQ(page.get("events").size(), 25u);
  const json::Value rest =
      *call("GetExecutionHistory",
            json::Value::object(
                {{"executionArn", execution}, {"maxResults", 1000}, {"nextToken", page.get("nextToken")}}));
  EXPECT_EQ(rest.get("events")[0].get("id"), json::Value(26));
}

}  // namespace
}  // namespace sortie::api
