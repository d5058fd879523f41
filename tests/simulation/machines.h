#pragma once
// What the server simulation runs: random machines whose every task waits in one of two ways (a function's
// answer, or a task token), the input and the outcome of each, and what the world answers to an attempt. An
// answer depends on state, parameters and attempt alone, so whatever fails, a run has one right outcome, and
// the reference interpreter knows it.
#include <functional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "history_lines.h"
#include "random_machine.h"
#include "reference_interpreter.h"

namespace sortie::simulation {

inline constexpr std::int64_t kTaskTimeoutSeconds = 90'000;

// An attempt that is lost is never answered in time; it ends as its timeout does.
inline reference::TaskAnswer world_answers(const std::string& state, const json::Value& parameters,
                                           unsigned attempt) {
  const std::size_t dice =
      std::hash<std::string>{}(state + reference::canonical(parameters) + std::to_string(attempt));
  if (dice / 64 % 24 == 0) return {.error = "States.Timeout", .cause = "", .timed_out = true};
  if (dice % 3 == 0) return {.error = "E" + std::to_string(dice / 3 % 2)};
  return {.result = json::Value::object({{"got", static_cast<std::int64_t>(dice % 7)}})};
}

namespace machines {

inline json::Value waiting(const json::Value& tree, Random& random);

inline json::Value waiting_task(const json::Value& state, Random& random) {
  json::ObjectBuilder out(state);
  out.set("TimeoutSeconds", kTaskTimeoutSeconds);
  if (random.next() % 3 == 0) {
    const char* field = state.find("Arguments") != nullptr ? "Arguments" : "Parameters";
    out.set("Resource", "arn:aws:states:::lambda:invoke.waitForTaskToken");
    out.set(field, json::ObjectBuilder(state.get(field)).set("FunctionName", "f").build());
  }
  return out.build();
}

// The same machine with a timeout for every task, and task tokens for some.
inline json::Value waiting(const json::Value& tree, Random& random) {
  if (tree.is_array()) {
    std::vector<json::Value> items;
    for (const json::Value& item : tree.items()) items.push_back(waiting(item, random));
    return json::Value::array(std::move(items));
  }
  if (!tree.is_object()) return tree;
  json::ObjectBuilder out;
  for (const json::Member& member : tree.members()) {
    out.append(member.key.as_string(), waiting(member.value, random));
  }
  const json::Value made = out.build();
  return made.get("Type") == json::Value("Task") ? waiting_task(made, random) : made;
}

}  // namespace machines

// One that ends in one way only, whatever is slow and whatever is fast.
inline json::Value make_machine(Random& random, const json::Value& input) {
  for (;;) {
    const json::Value machine = machines::waiting(reference::RandomMachine(random).make(), random);
    const auto run = reference::Interpreter(world_answers).run(machine, input);
    if (!run.ambiguous && run.events.size() > 5 && run.events.size() < 150) return machine;
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

}  // namespace sortie::simulation
