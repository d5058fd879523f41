#pragma once
// What the server simulation runs: random machines whose every task waits in one of two ways (a function's
// answer, or a task token), the input and the outcome of each, and what the world answers to an attempt. An
// answer depends on state, parameters and attempt alone, so whatever fails, a run has one right outcome, and
// the reference interpreter knows it. Beside the random ones stand a few of known shape: one that asks
// people, one that starts another and waits for it, distributed Maps, and two that fail until they are
// redriven.
#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "history_lines.h"
#include "random_machine.h"
#include "reference_interpreter.h"

namespace sortie::simulation {

inline constexpr std::int64_t kTaskTimeoutSeconds = 90'000;
inline const std::string kFragile = "Fragile";
inline const std::string kWorkerDeath = "Runtime.ExitError";

// States of the machines that are not random; their tasks succeed, the fragile ones only once mended.
inline bool is_steady(const std::string& state) {
  return state == "Steady" || state == "Beside" || state == kFragile;
}

// An attempt that is lost is never answered in time; it ends as its timeout does.
inline reference::TaskAnswer world_answers(const std::string& state, const json::Value& parameters,
                                           unsigned attempt) {
  if (is_steady(state)) return {.result = json::Value::object({{"got", 1}})};
  const std::size_t dice =
      std::hash<std::string>{}(state + reference::canonical(parameters) + std::to_string(attempt));
  if (dice / 64 % 24 == 0) return {.error = "States.Timeout", .cause = "", .timed_out = true};
  if (dice % 3 == 0) return {.error = "E" + std::to_string(dice / 3 % 2)};
  return {.result = json::Value::object({{"got", static_cast<std::int64_t>(dice % 7)}})};
}

namespace machines {

inline json::Value waiting_task(const json::Value& state, Random& random, bool with_tokens) {
  json::ObjectBuilder out(state);
  out.set("TimeoutSeconds", kTaskTimeoutSeconds);
  if (with_tokens && random.next() % 3 == 0) {
    const char* field = state.find("Arguments") != nullptr ? "Arguments" : "Parameters";
    out.set("Resource", "arn:aws:states:::lambda:invoke.waitForTaskToken");
    out.set(field, json::ObjectBuilder(state.get(field)).set("FunctionName", "f").build());
    return out.build();
  }
  // A worker that dies is no answer of the world's; whatever else is to be retried has its own count.
  std::vector<json::Value> retriers{json::Value::object({{"ErrorEquals", json::Value::array({kWorkerDeath})},
                                                         {"IntervalSeconds", 1},
                                                         {"BackoffRate", 1},
                                                         {"MaxAttempts", 1'000'000}})};
  for (const json::Value& each : state.get("Retry").items()) retriers.push_back(each);
  out.set("Retry", json::Value::array(std::move(retriers)));
  return out.build();
}

// The same machine with a timeout for every task, and task tokens for some.
inline json::Value waiting(const json::Value& tree, Random& random, bool with_tokens) {
  if (tree.is_array()) {
    std::vector<json::Value> items;
    for (const json::Value& item : tree.items()) items.push_back(waiting(item, random, with_tokens));
    return json::Value::array(std::move(items));
  }
  if (!tree.is_object()) return tree;
  json::ObjectBuilder out;
  for (const json::Member& member : tree.members()) {
    out.append(member.key.as_string(), waiting(member.value, random, with_tokens));
  }
  const json::Value made = out.build();
  return made.get("Type") == json::Value("Task") ? waiting_task(made, random, with_tokens) : made;
}

}  // namespace machines

// One that ends in one way only on each of these inputs, whatever is slow and whatever is fast.
inline json::Value make_machine(Random& random, const std::vector<json::Value>& inputs,
                                bool with_tokens = true) {
  for (;;) {
    const json::Value machine =
        machines::waiting(reference::RandomMachine(random).make(), random, with_tokens);
    const auto fits = [&](const json::Value& input) {
      const auto run = reference::Interpreter(world_answers).run(machine, input);
      return !run.ambiguous && run.events.size() > 5 && run.events.size() < 150;
    };
    if (std::all_of(inputs.begin(), inputs.end(), fits)) return machine;
  }
}

// A machine that asks people and acts on their answer.
inline std::string approval_machine() {
  return R"({"StartAt":"Ask","States":{
    "Ask":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","TimeoutSeconds":90000,
      "Parameters":{"QueueUrl":"https://sqs.us-east-1.amazonaws.com/123456789012/approval-queue",
        "MessageBody":{"title":"Isolate it","mark.$":"$.mark","taskToken.$":"$$.Task.Token"}},
      "ResultPath":"$.answer","Next":"Act"},
    "Act":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:echo",
      "Parameters":{"decision.$":"$.answer.decision"},"ResultPath":"$.acted","End":true}}})";
}

// One that starts another, waits for its end and goes on with it, whatever it is.
inline json::Value nesting_machine(const std::string& child_arn) {
  return *json::parse(R"({"StartAt":"Call","States":{
    "Call":{"Type":"Task","QueryLanguage":"JSONata","Resource":"arn:aws:states:::states:startExecution.sync:2",
      "Arguments":{"StateMachineArn":")" +
                      child_arn + R"(","Input":{"n":"{% $states.input.n %}",
        "list":"{% $states.input.list %}","parent":"{% $states.context.Execution.Name %}"}},
      "Output":{"n":"{% $states.input.n %}","called":"{% $states.result.Output %}"},
      "Catch":[{"ErrorEquals":["States.TaskFailed"],"Next":"Last",
        "Output":{"n":"{% $states.input.n %}","error":"{% $states.errorOutput.Error %}"}}],"Next":"Last"},
    "Last":{"Type":"Pass","End":true}}})");
}

// A distributed Map whose children are executions of a random machine.
inline json::Value map_machine(const json::Value& processor, bool reads_object, bool tolerates) {
  const json::Value distributed =
      json::ObjectBuilder(processor)
          .set("ProcessorConfig",
               json::Value::object({{"Mode", "DISTRIBUTED"}, {"ExecutionType", "STANDARD"}}))
          .build();
  json::ObjectBuilder each(*json::parse(R"({"Type":"Map","MaxConcurrency":2,"ResultPath":"$.made","End":true,
    "ItemSelector":{"n.$":"$$.Map.Item.Value","list.$":"$.list","mark.$":"$.mark"}})"));
  each.set("ItemProcessor", distributed);
  if (tolerates) each.set("ToleratedFailurePercentage", 100);
  if (reads_object) {
    each.set("ItemReader", *json::parse(R"({"Resource":"arn:aws:states:::s3:getObject",
      "ReaderConfig":{"InputType":"JSONL"},"Parameters":{"Bucket":"b","Key":"k"}})"));
  } else {
    each.set("ItemsPath", "$.list");
  }
  return json::Value::object(
      {{"StartAt", "Each"}, {"States", json::Value::object({{"Each", each.build()}})}});
}

// A task that fails until whoever watches has redriven the execution often enough.
inline std::string fragile_flow() {
  return R"({"StartAt":"Fragile","States":{"Fragile":{"Type":"Task","End":true,"ResultPath":"$.mended",
    "Resource":"arn:aws:lambda:us-east-1:123456789012:function:f",
    "Parameters":{"n.$":"$.n","mark.$":"$.mark"}}}})";
}
inline json::Value fragile_machine() {
  return *json::parse(R"({"StartAt":"Both","States":{"Both":{"Type":"Parallel","ResultPath":"$.both",
    "Next":"After","Branches":[{"StartAt":"Steady","States":{
      "Steady":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken",
        "TimeoutSeconds":90000,"Parameters":{"FunctionName":"f","n.$":"$.n"},"ResultPath":"$.steady",
        "Next":"Beside"},
      "Beside":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f",
        "Parameters":{"n.$":"$.n"},"ResultPath":"$.task","End":true}}},)" +
                      fragile_flow() + R"(]},"After":{"Type":"Pass","End":true}}})");
}

}  // namespace sortie::simulation
