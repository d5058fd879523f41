#include "asl/compile.h"

#include <gtest/gtest.h>

namespace sortie::asl {
namespace {

// What compile() says about a machine whose only state "A" has these members.
std::string errors_of_state(const std::string& members, const CompileOptions& options = {}) {
  const std::string text = R"({"StartAt":"A","States":{"A":{)" + members + "}}}";
  return compile(text, options).error_text();
}

std::string errors_of(const std::string& text, const CompileOptions& options = {}) {
  return compile(text, options).error_text();
}

std::shared_ptr<const StateMachine> machine_of(const std::string& text) {
  const Compilation out = compile(text);
  EXPECT_TRUE(out.ok()) << out.error_text();
  return out.machine;
}

TEST(Compile, ResolvesNamesToIndicesAndFillsInDefaults) {
  const auto machine = machine_of(R"({
    "Comment": "c", "TimeoutSeconds": 60, "StartAt": "B", "States": {
      "A": {"Type": "Succeed"},
      "B": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:f", "Next": "A",
            "Retry": [{"ErrorEquals": ["X"]}, {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "MaxAttempts": 0,
                       "BackoffRate": 1.5, "MaxDelaySeconds": 9, "JitterStrategy": "FULL"}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "A", "ResultPath": "$.error"}]}}})");
  ASSERT_NE(machine, nullptr);
  EXPECT_EQ(machine->comment, "c");
  EXPECT_EQ(machine->timeout_seconds, 60);
  ASSERT_EQ(machine->flows.size(), 1U);
  EXPECT_EQ(machine->flows[0].start, 1U);
  const State& task = machine->state(0, 1);
  EXPECT_EQ(task.next, 0U);
  EXPECT_FALSE(task.is_end);
  EXPECT_FALSE(task.input_path.is_null);
  EXPECT_FALSE(task.input_path.path.has_value());
  ASSERT_EQ(task.retry.size(), 2U);
  EXPECT_EQ(task.retry[0].interval_seconds, 1);
  EXPECT_EQ(task.retry[0].max_attempts, 3);
  EXPECT_EQ(task.retry[0].backoff_rate, 2.0);
  EXPECT_EQ(task.retry[1].max_attempts, 0);
  EXPECT_TRUE(task.retry[1].full_jitter);
  ASSERT_EQ(task.catchers.size(), 1U);
  EXPECT_EQ(task.catchers[0].next, 0U);
  ASSERT_TRUE(task.catchers[0].result_path.path.has_value());
  EXPECT_TRUE(machine->state(0, 0).is_end || machine->state(0, 0).type == StateType::kSucceed);
}

TEST(Compile, NumbersFlowsInDocumentOrderWithTheirParents) {
  const auto machine = machine_of(R"({"StartAt": "P", "States": {
    "P": {"Type": "Parallel", "Next": "M", "Branches": [
      {"StartAt": "I", "States": {"I": {"Type": "Map", "End": true, "Iterator":
        {"StartAt": "X", "States": {"X": {"Type": "Pass", "End": true}}}}}},
      {"StartAt": "Y", "States": {"Y": {"Type": "Pass", "End": true}}}]},
    "M": {"Type": "Map", "End": true, "ItemsPath": "$.items", "MaxConcurrency": 2,
          "Parameters": {"i.$": "$$.Map.Item.Value"},
          "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "Z",
                            "States": {"Z": {"Type": "Pass", "End": true}}}}}})");
  ASSERT_NE(machine, nullptr);
  ASSERT_EQ(machine->flows.size(), 5U);
  EXPECT_EQ(machine->flows[1].states[0].name, "I");
  EXPECT_EQ(machine->flows[2].states[0].name, "X");
  EXPECT_EQ(machine->flows[2].parent_flow, 1U);
  EXPECT_EQ(machine->flows[2].parent_state, 0U);
  EXPECT_EQ(machine->flows[3].states[0].name, "Y");
  EXPECT_EQ(machine->flows[3].parent_flow, 0U);
  EXPECT_EQ(machine->flows[4].states[0].name, "Z");
  const auto& parallel = std::get<Parallel>(machine->state(0, 0).body);
  EXPECT_EQ(parallel.branches, (std::vector<FlowIndex>{1, 3}));
  const auto& map = std::get<Map>(machine->state(0, 1).body);
  EXPECT_EQ(map.processor, 4U);
  EXPECT_TRUE(map.item_selector.has_value());
  EXPECT_FALSE(machine->state(0, 1).parameters.has_value());
  EXPECT_EQ(map.max_concurrency.literal, 2.0);
}

TEST(Compile, ReadsEveryChoiceOperatorAndNesting) {
  const auto machine = machine_of(R"({"StartAt": "C", "States": {
    "C": {"Type": "Choice", "Default": "D", "Choices": [
      {"And": [{"Variable": "$.a", "NumericGreaterThanEqualsPath": "$.b"},
               {"Not": {"Or": [{"Variable": "$$.State.Name", "StringMatches": "x*"},
                               {"Variable": "$v", "IsPresent": true}]}}],
       "Next": "D", "Assign": {"x": 1}},
      {"Variable": "$.t", "TimestampLessThan": "2016-08-18T17:33:00Z", "Next": "D"}]},
    "D": {"Type": "Succeed"}}})");
  ASSERT_NE(machine, nullptr);
  const auto& choice = std::get<Choice>(machine->state(0, 0).body);
  ASSERT_EQ(choice.rules.size(), 2U);
  const Condition& first = choice.rules[0].condition;
  ASSERT_EQ(first.kind, Condition::Kind::kAnd);
  ASSERT_EQ(first.children.size(), 2U);
  EXPECT_EQ(first.children[0].comparison.comparator, Comparator::kNumericGreaterThanEquals);
  EXPECT_TRUE(first.children[0].comparison.operand_path.has_value());
  ASSERT_EQ(first.children[1].kind, Condition::Kind::kNot);
  EXPECT_EQ(first.children[1].children[0].kind, Condition::Kind::kOr);
  EXPECT_TRUE(choice.rules[0].assign.has_value());
  EXPECT_EQ(choice.rules[1].condition.comparison.comparator, Comparator::kTimestampLessThan);
}

TEST(Compile, AnswersTheRecordedTextsOfAws) {
  EXPECT_EQ(errors_of(R"({"StartAt":"A"})"),
            "SCHEMA_VALIDATION_FAILED: These fields are required: [States] at /");
  EXPECT_EQ(errors_of_state(R"("Type":"Wait","Timestamp":"2016-12-05T21:29:29","End":true)"),
            "SCHEMA_VALIDATION_FAILED: String does not match RFC3339 timestamp at /States/A/Timestamp");
  EXPECT_EQ(
      errors_of_state(R"("Type":"Task","Resource":"arn:aws:states:::dynamodb:query","End":true)"),
      "SCHEMA_VALIDATION_FAILED: The resource provided arn:aws:states:::dynamodb:query is not recognized. "
      "The value is not a valid resource ARN, or the resource is not available in this region. at "
      "/States/A/Resource");
  EXPECT_EQ(
      errors_of_state(R"("Type":"Pass","Parameters":{"k.$":"not a path"},"End":true)"),
      "SCHEMA_VALIDATION_FAILED: The value for the field 'k.$' must be a valid JSONPath or a valid intrinsic "
      "function call at /States/A/Parameters");
  EXPECT_EQ(
      errors_of(
          R"({"QueryLanguage":"JSONata","StartAt":"P","States":{"P":{"Type":"Pass","End":true,"QueryLanguage":"JSONPath"}}})"),
      "SCHEMA_VALIDATION_FAILED: 'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state "
      "machine at /States/P");
}

TEST(Compile, RefusesCallbacksInExpressMachines) {
  const CompileOptions express{.type = MachineType::kExpress};
  EXPECT_EQ(errors_of_state(R"("Type":"Task","Resource":"arn:aws:states:::sns:publish.waitForTaskToken",
                              "Parameters":{"Message":"m"},"End":true)",
                            express),
            "SCHEMA_VALIDATION_FAILED: Express state machine does not support '.waitForTaskToken' service "
            "integration  at /States/A/Resource");
  EXPECT_EQ(errors_of_state(R"("Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync",
                              "Parameters":{"StateMachineArn":"a"},"End":true)",
                            express),
            "SCHEMA_VALIDATION_FAILED: Express state machine does not support '.sync' service integration at "
            "/States/A/Resource");
  EXPECT_NE(errors_of_state(R"("Type":"Task","Resource":"arn:aws:states:us-east-1:1:activity:a","End":true)",
                            express),
            "");
}

TEST(Compile, SaysWhereTargetsAreMissingAndWhatCannotBeReached) {
  EXPECT_EQ(errors_of_state(R"("Type":"Pass","Next":"B")"),
            "MISSING_TRANSITION_TARGET: Missing 'Next' target: B at /States/A/Next");
  EXPECT_EQ(errors_of(R"({"StartAt":"Z","States":{"A":{"Type":"Pass","End":true}}})"),
            "MISSING_TRANSITION_TARGET: Missing 'StartAt' target: Z at /StartAt");
  EXPECT_EQ(errors_of(R"({"StartAt":"A","States":{"A":{"Type":"Pass","End":true},"B":{"Type":"Succeed"}}})"),
            "MISSING_TRANSITION_TARGET: State \"B\" is not reachable. at /States/B");
  const Compilation nested =
      compile(R"({"StartAt":"P","States":{"P":{"Type":"Parallel","End":true,"Branches":[
      {"StartAt":"a/b","States":{"a/b":{"Type":"Choice","Choices":[{"Variable":"$.x","IsNull":true,"Next":"no"}]}}}]}}})");
  ASSERT_EQ(nested.diagnostics.size(), 1U);
  EXPECT_EQ(nested.diagnostics[0].location, "/States/P/Branches[0]/States/a/b/Choices[0]/Next");
  EXPECT_EQ(nested.diagnostics[0].pointer, "/States/P/Branches/0/States/a~1b/Choices/0/Next");
}

TEST(Compile, RefusesAStateNameThatIsUsedTwiceInTheMachine) {
  EXPECT_EQ(errors_of(R"({"StartAt":"P","States":{"P":{"Type":"Parallel","End":true,"Branches":[
      {"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}]}}})"),
            "DUPLICATE_STATE_NAME: Duplicate State name: P at /States/P/Branches[0]/States/P");
}

struct BadState {
  std::string members;
  std::string error;  // Part of the answer.
};

void PrintTo(const BadState& state, std::ostream* out) { *out << state.members; }

class CompileRefuses : public testing::TestWithParam<BadState> {};

TEST_P(CompileRefuses, WithAReasonAndAPlace) {
  const std::string error = errors_of_state(GetParam().members);
  EXPECT_NE(error.find(GetParam().error), std::string::npos) << GetParam().members << "\n" << error;
}

INSTANTIATE_TEST_SUITE_P(
    States, CompileRefuses,
    testing::Values(
        BadState{R"("End":true)", "These fields are required: [Type] at /States/A"},
        BadState{R"("Type":"Job","End":true)", "/States/A/Type"},
        BadState{R"("Type":7,"End":true)", "[Type] at /States/A"},
        BadState{R"("Type":"Pass")", "Exactly one of these fields is required: [Next, End] at /States/A"},
        BadState{R"("Type":"Pass","End":false)", "[Next, End]"},
        BadState{R"("Type":"Pass","End":true,"Next":"A")", "[Next, End]"},
        BadState{R"("Type":"Succeed","End":true)", "Field is not supported at /States/A/End"},
        BadState{R"("Type":"Pass","End":"yes")", "Expected value of type Boolean at /States/A/End"},
        BadState{R"("Type":"Pass","End":true,"Colour":"red")", "Field is not supported at /States/A/Colour"},
        BadState{R"("Type":"Pass","End":true,"ResultPath":"$.a[*]")", "Value is not a Reference Path"},
        BadState{R"("Type":"Pass","End":true,"ResultPath":"$$.x")", "Value is not a Reference Path"},
        BadState{R"("Type":"Pass","End":true,"InputPath":"x")",
                 "Value is not a valid JSONPath at /States/A/InputPath"},
        BadState{R"_("Type":"Pass","End":true,"InputPath":"States.UUID()")_",
                 "Value is not a valid JSONPath"},
        BadState{R"("Type":"Pass","End":true,"OutputPath":"$.a[?(")", "Value is not a valid JSONPath"},
        BadState{R"("Type":"Pass","End":true,"Assign":{"a.b":1})", "variable name 'a.b' is not valid"},
        BadState{R"("Type":"Pass","End":true,"Assign":{"states":1})", "variable name 'states' is not valid"},
        BadState{R"("Type":"Task","End":true)", "These fields are required: [Resource]"},
        BadState{R"("Type":"Task","Resource":"nonsense","End":true)", "is not recognized"},
        BadState{
            R"("Type":"Task","Resource":"arn:aws:states:::aws-sdk:ec2:describeInstances.sync","End":true)",
            "is not recognized"},
        BadState{
            R"("Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"u"},"End":true)",
            "The field 'MessageBody' is required but was missing at /States/A/Parameters"},
        BadState{
            R"("Type":"Task","Resource":"arn:aws:states:us-east-1:1:activity:a","TimeoutSeconds":5,"HeartbeatSeconds":5,"End":true)",
            "HeartbeatSeconds must be smaller than TimeoutSeconds"},
        BadState{
            R"("Type":"Task","Resource":"arn:aws:states:us-east-1:1:activity:a","TimeoutSeconds":0,"End":true)",
            "Value must be greater than or equal to 1 at /States/A/TimeoutSeconds"},
        BadState{
            R"("Type":"Task","Resource":"arn:aws:states:us-east-1:1:activity:a","TimeoutSeconds":1.5,"End":true)",
            "Expected value of type Integer at /States/A/TimeoutSeconds"},
        BadState{
            R"("Type":"Task","Resource":"arn:aws:states:us-east-1:1:activity:a","TimeoutSeconds":1,"TimeoutSecondsPath":"$.t","End":true)",
            "[TimeoutSeconds, TimeoutSecondsPath]"},
        BadState{
            R"("Type":"Task","Resource":"arn:aws:states:us-east-1:1:activity:a","Credentials":{"x":1},"End":true)",
            "The field 'RoleArn' is required but was missing at /States/A/Credentials"},
        BadState{R"("Type":"Task","Resource":"arn:aws:states:us-east-1:1:activity:a","End":true,
                    "Retry":[{"ErrorEquals":["States.ALL"]},{"ErrorEquals":["X"]}])",
                 "last element of its list at /States/A/Retry[0]/ErrorEquals[0]"},
        BadState{R"("Type":"Task","Resource":"arn:aws:states:us-east-1:1:activity:a","End":true,
                    "Catch":[{"ErrorEquals":["X","States.ALL"],"Next":"A"}])",
                 "must appear alone in ErrorEquals at /States/A/Catch[0]/ErrorEquals[1]"},
        BadState{
            R"("Type":"Task","Resource":"arn:aws:states:us-east-1:1:activity:a","End":true,"Catch":[{"ErrorEquals":[]}])",
            "These fields are required: [Next] at /States/A/Catch[0]"},
        BadState{
            R"("Type":"Task","Resource":"arn:aws:states:us-east-1:1:activity:a","End":true,"Retry":[{"ErrorEquals":["X"],"BackoffRate":0.5}])",
            "/States/A/Retry[0]/BackoffRate"},
        BadState{
            R"("Type":"Task","Resource":"arn:aws:states:us-east-1:1:activity:a","End":true,"Retry":[{"ErrorEquals":["X"],"JitterStrategy":"half"}])",
            "[FULL, NONE]"},
        BadState{R"("Type":"Wait","End":true)", "[Seconds, SecondsPath, Timestamp, TimestampPath]"},
        BadState{R"("Type":"Wait","Seconds":1,"Timestamp":"2016-12-05T21:29:29Z","End":true)", "Exactly one"},
        BadState{R"("Type":"Wait","Seconds":-1,"End":true)", "greater than or equal to 0"},
        BadState{R"("Type":"Fail","Error":"a","ErrorPath":"$.b")", "[Error, ErrorPath]"},
        BadState{R"_("Type":"Fail","ErrorPath":"States.ArrayLength($.a)")_", "/States/A/ErrorPath"},
        BadState{R"("Type":"Choice","Choices":[])", "at least 1 item at /States/A/Choices"},
        BadState{R"("Type":"Choice","Choices":[{"Variable":"$.a","StringEquals":"x"}])",
                 "[Next] at /States/A/Choices[0]"},
        BadState{R"("Type":"Choice","Choices":[{"StringEquals":"x","Next":"A"}])", "/States/A/Choices[0]"},
        BadState{R"("Type":"Choice","Choices":[{"Variable":"$.a","Next":"A"}])",
                 "Exactly one comparison operator"},
        BadState{
            R"("Type":"Choice","Choices":[{"Variable":"$.a","StringEquals":"x","IsNull":true,"Next":"A"}])",
            "Exactly one comparison operator"},
        BadState{R"("Type":"Choice","Choices":[{"Variable":"$.a","NumericEquals":"x","Next":"A"}])",
                 "Expected value of type Number at /States/A/Choices[0]/NumericEquals"},
        BadState{
            R"("Type":"Choice","Choices":[{"Not":{"Variable":"$.a","IsNull":true,"Next":"A"},"Next":"A"}])",
            "Field is not supported at /States/A/Choices[0]/Not/Next"},
        BadState{R"("Type":"Choice","Choices":[{"Variable":"$.a","TimestampEquals":"noon","Next":"A"}])",
                 "String does not match RFC3339 timestamp"},
        BadState{R"("Type":"Parallel","End":true,"Branches":[])", "at least 1 item"},
        BadState{R"("Type":"Parallel","End":true,"Branches":[{}])",
                 "[StartAt, States] at /States/A/Branches[0]"},
        BadState{R"("Type":"Map","End":true)", "[ItemProcessor, Iterator]"},
        BadState{
            R"("Type":"Map","End":true,"MaxConcurrency":-1,"Iterator":{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}})",
            "/States/A/MaxConcurrency"},
        BadState{
            R"("Type":"Map","End":true,"ToleratedFailurePercentage":101,"Iterator":{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}})",
            "less than or equal to 100"},
        BadState{R"("Type":"Pass","Output":"{% 1 %}","End":true)",
                 "only supported for the 'JSONata' QueryLanguage"}));

TEST(Compile, NamesStateAndFieldOfWhatIsNotSupportedYet) {
  const std::string map = errors_of_state(R"("Type":"Map","End":true,
      "ItemReader":{"Resource":"arn:aws:states:::s3:getObject","Parameters":{"Bucket":"b","Key":"k"},
                    "ReaderConfig":{"InputType":"PARQUET"}},
      "ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},
                       "StartAt":"B","States":{"B":{"Type":"Pass","End":true}}})");
  EXPECT_NE(map.find("NOT_SUPPORTED_YET: The state 'A' reads Parquet"), std::string::npos) << map;
}

TEST(Compile, TakesBareTopicAndQueueArnsUnlessStrict) {
  const std::string members =
      R"("Type":"Task","Resource":"arn:aws:sns:us-east-1:123456789012:alerts","End":true)";
  EXPECT_EQ(errors_of_state(members), "");
  EXPECT_NE(errors_of_state(members, {.strict = true}).find("is not recognized"), std::string::npos);
}

TEST(Compile, ReadsYamlWithTheSameMeaning) {
  const auto machine = machine_of(
      "# playbook\nStartAt: A\nStates:\n  A:\n    Type: Wait\n    Seconds: 5\n    Next: B\n  B: {Type: "
      "Succeed}\n");
  ASSERT_NE(machine, nullptr);
  EXPECT_EQ(std::get<Wait>(machine->state(0, 0).body).seconds, 5);
  const std::string broken = errors_of("StartAt: A\nStates:\n  A: [\n");
  EXPECT_NE(broken.find("not valid YAML"), std::string::npos) << broken;
}

TEST(Compile, AnswersTextThatIsNoDefinition) {
  EXPECT_EQ(errors_of(" "), "SCHEMA_VALIDATION_FAILED: Definition must be a valid JSON object");
  EXPECT_EQ(errors_of("[1]"), "SCHEMA_VALIDATION_FAILED: Definition must be a valid JSON object");
  const Compilation text = compile("not a definition");
  ASSERT_EQ(text.diagnostics.size(), 1U);
  EXPECT_EQ(text.diagnostics[0].code, "INVALID_JSON_DESCRIPTION");
  EXPECT_EQ(text.diagnostics[0].location, "[Source: (String)\"not a definition\"; line: 1, column: 4]");
  EXPECT_NE(errors_of(R"({"StartAt":"A","StartAt":"B","States":{}})").find("Duplicate field 'StartAt'"),
            std::string::npos);
  EXPECT_NE(errors_of(std::string(2'000'000, ' ') + "{}"), "");
}

TEST(Compile, SurvivesHostileNesting) {
  std::string deep = R"({"StartAt":"A","States":{"A":{"Type":"Pass","Result":)";
  deep += std::string(5000, '[') + std::string(5000, ']') + R"(,"End":true}}})";
  EXPECT_NE(errors_of(deep), "");
  std::string choice = R"({"Variable":"$.a","IsNull":true})";
  for (int i = 0; i < 150; ++i) choice = R"({"Not":)" + choice + "}";
  choice.insert(1, R"("Next":"A",)");
  EXPECT_NE(errors_of_state(R"("Type":"Choice","Choices":[)" + choice + "]"), "");
  std::string flows = R"({"StartAt":"s","States":{"s":{"Type":"Pass","End":true}}})";
  for (int i = 0; i < 90; ++i) {
    const std::string name = "s" + std::to_string(i);
    flows = R"({"StartAt":")" + name + R"(","States":{")" + name +
            R"(":{"Type":"Parallel","End":true,"Branches":[)" + flows + "]}}}";
  }
  EXPECT_EQ(errors_of(flows), "");
}

TEST(Compile, ListsAtMostAHundredFaults) {
  std::string states;
  for (int i = 0; i < 500; ++i)
    states += (i == 0 ? "\"s" : ",\"s") + std::to_string(i) + R"(":{"Type":"Pass"})";
  EXPECT_EQ(compile(R"({"StartAt":"s0","States":{)" + states + "}}").diagnostics.size(), 100U);
}

}  // namespace
}  // namespace sortie::asl
