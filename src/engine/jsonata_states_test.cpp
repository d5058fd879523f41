// States in JSONata: what each field sees, what it makes, and how an expression that fails is told.
#include <gtest/gtest.h>

#include "engine/testing/driver.h"

namespace sortie::engine::testing {
namespace jsonata_states {

const std::string kInvoke = R"("Type":"Task","Resource":"arn:aws:states:::lambda:invoke")";

// A machine of the given states; the first is "A".
std::string machine(const std::string& states) {
  return R"({"QueryLanguage":"JSONata","StartAt":"A","States":{)" + states + "}}";
}

json::Value value(const std::string& text) { return *json::parse(text); }

std::string output_of(const Driver& driver) { return json::to_text(driver.execution.output); }

const HistoryEvent* find_event(const Driver& driver, EventType type) {
  for (const HistoryEvent& event : driver.events) {
    if (event.type == type) return &event;
  }
  return nullptr;
}

std::string text_of(const HistoryEvent* event, Field field) {
  if (event == nullptr || event->find(field) == nullptr) return "(none)";
  const json::Value& found = *event->find(field);
  return found.is_string() ? found.to_std_string() : json::to_text(found);
}

TEST(JsonataStates, ATaskShapesItsArgumentsAndOutputAndRemembersItsResult) {
  Driver driver(
      machine(
          R"("A":{)" + kInvoke +
          R"(,"Arguments":{"FunctionName":"f","Payload":{"sum":"{% $sum($states.input.n) %}","text":"$states"}},
        "Assign":{"kept":"{% $states.result.Payload.sum %}"},"Output":"{% $states.input.n[0] %}","Next":"B"},
        "B":{"Type":"Pass","Output":{"kept":"{% $kept %}","got":"{% $states.input %}"},"End":true})"),
      value(R"({"n":[4,5]})"), echo);
  driver.run();
  EXPECT_EQ(driver.compile_error, "");
  EXPECT_EQ(output_of(driver), R"({"kept":9,"got":4})");
  const HistoryEvent* scheduled = find_event(driver, EventType::kTaskScheduled);
  EXPECT_EQ(text_of(scheduled, Field::kParameters),
            R"({"FunctionName":"f","Payload":{"sum":9,"text":"$states"}})");
}

TEST(JsonataStates, AssignAndOutputSeeTheVariablesAsTheyWereOnEntry) {
  Driver driver(machine(R"("A":{"Type":"Pass","Assign":{"x":1,"y":10},"Next":"B"},
        "B":{"Type":"Pass","Assign":{"x":"{% $y %}","y":"{% $x %}"},"Output":"{% $x %}","Next":"C"},
        "C":{"Type":"Pass","Output":"{% [$states.input, $x, $y] %}","End":true})"),
                json::Value(), echo);
  driver.run();
  EXPECT_EQ(output_of(driver), "[1,10,1]");
}

TEST(JsonataStates, ABranchReadsTheVariablesAroundItAndKeepsItsOwn) {
  Driver driver(machine(R"("A":{"Type":"Pass","Assign":{"outer":1},"Next":"B"},
        "B":{"Type":"Parallel","Next":"C","Branches":[{"StartAt":"B1","States":{
          "B1":{"Type":"Pass","Assign":{"inner":"{% $outer + 1 %}"},"Next":"B2"},
          "B2":{"Type":"Pass","Output":"{% $inner + $outer %}","End":true}}}]},
        "C":{"Type":"Pass","Output":"{% $exists($inner) ? 'leaked' : $states.input %}","End":true})"),
                json::Value(), echo);
  driver.run();
  EXPECT_EQ(output_of(driver), "[3]");
}

TEST(JsonataStates, ACatcherSeesTheErrorAndHandsOnTheErrorOutputByDefault) {
  const auto run = [](const std::string& catcher) {
    Driver driver(machine(R"("A":{)" + kInvoke + R"(,"Arguments":{"FunctionName":"f"},"Catch":[{
          "ErrorEquals":["Boom"],"Next":"B")" +
                          catcher + R"(}],"End":true},
        "B":{"Type":"Pass","End":true})"),
                  value(R"({"id":7})"), [](const TaskCall& call) {
                    return std::optional<Stimulus>(TaskFailed{call.attempt, "Boom", "why"});
                  });
    driver.run();
    EXPECT_EQ(driver.compile_error, "");
    return output_of(driver);
  };
  EXPECT_EQ(run(""), R"({"Error":"Boom","Cause":"why"})");
  EXPECT_EQ(run(R"(,"Output":{"id":"{% $states.input.id %}","e":"{% $states.errorOutput.Error %}"})"),
            R"({"id":7,"e":"Boom"})");
}

TEST(JsonataStates, AChoiceTakesTheOutputOfTheRuleOrItsOwnByDefault) {
  const std::string definition =
      machine(R"("A":{"Type":"Choice","Choices":[{"Condition":"{% $states.input > 5 %}","Next":"B",
          "Assign":{"way":"rule"},"Output":"{% $states.input * 2 %}"}],
          "Default":"B","Assign":{"way":"default"},"Output":"small"},
        "B":{"Type":"Pass","Output":["{% $way %}","{% $states.input %}"],"End":true})");
  Driver large(definition, json::Value(6), echo);
  large.run();
  EXPECT_EQ(output_of(large), R"(["rule",12])");
  Driver small(definition, json::Value(5), echo);
  small.run();
  EXPECT_EQ(output_of(small), R"(["default","small"])");
}

TEST(JsonataStates, AMapSelectsEachItemWithItsContext) {
  Driver driver(
      machine(R"("A":{"Type":"Map","Items":"{% $states.input.list %}","MaxConcurrency":"{% 1 + 1 %}",
          "ItemSelector":{"v":"{% $states.context.Map.Item.Value %}","i":"{% $states.context.Map.Item.Index %}",
                          "of":"{% $count($states.input.list) %}"},
          "ItemProcessor":{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},
          "Output":"{% $states.result.(v & ':' & i & '/' & of) %}","End":true})"),
      value(R"({"list":["a","b","c"]})"), echo);
  driver.run();
  EXPECT_EQ(driver.compile_error, "");
  EXPECT_EQ(output_of(driver), R"(["a:0/3","b:1/3","c:2/3"])");
}

TEST(JsonataStates, AWaitTakesItsSecondsFromAnExpression) {
  Driver driver(
      machine(R"("A":{"Type":"Wait","Seconds":"{% $states.input.s %}","Output":"done","End":true})"),
      value(R"({"s":90})"), echo);
  const Timestamp began = driver.now;
  driver.run();
  EXPECT_EQ(output_of(driver), R"("done")");
  EXPECT_EQ(driver.now.ms - began.ms, 90'000);
}

TEST(JsonataStates, AFailedExpressionIsAnEventThatNamesItsPlaceAndMayBeCaught) {
  Driver driver(machine(R"("A":{)" + kInvoke +
                        R"(,"Arguments":{"FunctionName":"f","Payload":{"list":[1,"{% $nothing.there %}"]}},
          "Catch":[{"ErrorEquals":["States.QueryEvaluationError"],"Next":"B"}],"End":true},
        "B":{"Type":"Pass","End":true})"),
                json::Value(), echo);
  driver.run();
  const HistoryEvent* failed = find_event(driver, EventType::kEvaluationFailed);
  EXPECT_EQ(text_of(failed, Field::kLocation), "Arguments/Payload/list[1]");
  EXPECT_EQ(text_of(failed, Field::kState), "A");
  EXPECT_EQ(
      text_of(failed, Field::kCause),
      "An error occurred while executing the state 'A' (entered at the event id #2). The JSONata "
      "expression '$nothing.there' specified for the field 'Arguments/Payload/list[1]' returned nothing "
      "(undefined).");
  EXPECT_EQ(driver.execution.outcome, Outcome::kSucceeded);
  EXPECT_EQ(text_of(&driver.events.back(), Field::kOutput), output_of(driver));
}

TEST(JsonataStates, AFailedExpressionIsTriedAgainAsARetrierSays) {
  Driver driver(machine(R"("A":{)" + kInvoke + R"(,"Arguments":"{% 1 + 'a' %}",
          "Retry":[{"ErrorEquals":["States.QueryEvaluationError"],"MaxAttempts":2}],"End":true})"),
                json::Value(), echo);
  driver.run();
  int failures = 0;
  for (const HistoryEvent& event : driver.events) failures += event.type == EventType::kEvaluationFailed;
  EXPECT_EQ(failures, 3);
  EXPECT_EQ(driver.execution.error, "States.QueryEvaluationError");
}

TEST(JsonataStates, AResultOfTheWrongKindSaysWhatWasExpected) {
  const auto cause = [](const std::string& state) {
    Driver driver(machine(R"("A":{)" + state + R"(},"B":{"Type":"Pass","End":true})"), json::Value(), echo);
    driver.run();
    EXPECT_EQ(driver.compile_error, "");
    const std::string whole = driver.execution.cause.value_or("");
    return whole.substr(whole.find(" field ") + 1);
  };
  EXPECT_EQ(cause(R"("Type":"Choice","Choices":[{"Condition":"{% 'yes' %}","Next":"B"}])"),
            "field 'Condition' returned an unexpected result type. Expected 'boolean', but was 'string' for "
            "value: \"yes\"");
  EXPECT_EQ(
      cause(R"("Type":"Wait","Seconds":"{% '1' %}","Next":"B")"),
      "field 'Seconds' returned an unexpected result type. Expected 'number', but was 'string' for value: "
      "\"1\"");
  EXPECT_EQ(cause(R"("Type":"Pass","Output":{"f":"{% $sum %}"},"Next":"B")"),
            "field 'Output/f' returned an unsupported result type.");
}

TEST(JsonataStates, ATaskWhoseRoleIsNoRoleNeverRuns) {
  const auto error = [](const std::string& credentials, const std::string& top) {
    int calls = 0;
    Driver driver(top + R"("StartAt":"A","States":{"A":{)" + kInvoke + R"(,"Credentials":{)" + credentials +
                      R"(},")" + (top == "{" ? "Parameters" : "Arguments") +
                      R"(":{"FunctionName":"f"},"End":true}}})",
                  value(R"({"n":5,"role":"arn:aws:iam::123456789012:role/x"})"), [&](const TaskCall& call) {
                    ++calls;
                    return echo(call);
                  });
    driver.run();
    EXPECT_EQ(driver.compile_error, "");
    EXPECT_EQ(calls, driver.execution.error ? 0 : 1);
    return driver.execution.error.value_or("");
  };
  const std::string jsonata = R"({"QueryLanguage":"JSONata",)";
  EXPECT_EQ(error(R"("RoleArn":"{% $states.input.n %}")", jsonata), "States.QueryEvaluationError");
  EXPECT_EQ(error(R"("RoleArn":"{% $states.input.role %}")", jsonata), "");
  EXPECT_EQ(error(R"("RoleArn.$":"$.n")", "{"), "States.Runtime");
  EXPECT_EQ(error(R"("RoleArn":"admin")", "{"), "States.Runtime");
  EXPECT_EQ(error(R"("RoleArn.$":"$.role")", "{"), "");
}

TEST(JsonataStates, AMixedMachinePassesVariablesBothWays) {
  Driver driver(R"({"StartAt":"A","States":{
      "A":{"Type":"Pass","Assign":{"x.$":"$.n"},"Next":"B"},
      "B":{"Type":"Pass","QueryLanguage":"JSONata","Assign":{"y":"{% $x + 1 %}"},"Next":"C"},
      "C":{"Type":"Pass","Parameters":{"y.$":"$y"},"End":true}}})",
                value(R"({"n":1})"), echo);
  driver.run();
  EXPECT_EQ(driver.compile_error, "");
  EXPECT_EQ(output_of(driver), R"({"y":2})");
}

}  // namespace jsonata_states
}  // namespace sortie::engine::testing
