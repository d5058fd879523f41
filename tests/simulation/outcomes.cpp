#include "outcomes.h"

#include <algorithm>

#include "base/text.h"
#include "json/text.h"

namespace sortie::simulation {
namespace outcomes {

// Without an interpreter's account only the form is looked at.
std::string wrong_with_history(runtime::Runtime& runtime, const store::ExecutionRow& row,
                               const reference::Interpreter::Run* expected) {
  const auto page = runtime.history(row.arn, 1, 5'000, false);
  if (!page) return row.arn + " has no history: " + page.error().message;
  std::int64_t id = 0;
  for (const engine::HistoryEvent& event : page->events) {
    if (event.id != ++id || event.previous_id >= event.id) {
      return row.arn + " has a gap in its history at " + std::to_string(event.id);
    }
  }
  if (expected == nullptr || expected->partial) return "";
  std::vector<std::string> made = reference::lines_of(page->events);
  std::vector<std::string> wanted = expected->events;
  std::sort(made.begin(), made.end());
  std::sort(wanted.begin(), wanted.end());
  return made == wanted ? "" : row.arn + " has another history than the interpreter's";
}

}  // namespace outcomes

reference::Interpreter::Run expected_of(const Machines& machines, const json::Value& machine,
                                        const json::Value& input, const std::string& name) {
  reference::Interpreter interpreter([&machines](const std::string& state, const json::Value& parameters,
                                                 unsigned attempt) -> reference::TaskAnswer {
    if (parameters.find("StateMachineArn") == nullptr) return world_answers(state, parameters, attempt);
    const auto child = expected_of(machines, machines.at("m0"), parameters.get("Input"), "");
    if (!child.succeeded) return {.error = "States.TaskFailed"};
    return {.result = json::Value::object({{"Output", child.output}})};
  });
  interpreter.execution_name = name;
  const auto lines = split(kItemsObject, '\n');
  for (const std::string_view line : lines) {
    if (!line.empty()) interpreter.object_items.push_back(*json::parse(line));
  }
  return interpreter.run(machine, input);
}

std::string wrong_with(const Machines& machines, runtime::Runtime& runtime, const store::ExecutionRow& row,
                       const runtime::ExecutionDescription& described, const json::Value& machine) {
  const bool succeeded = row.status == store::ExecutionStatus::kSucceeded;
  const json::Value output = described.output_text ? *json::parse(*described.output_text) : json::Value();
  const auto expected = expected_of(machines, machine, *json::parse(described.input_text), row.name);
  if (succeeded != expected.succeeded) {
    return row.arn + (succeeded ? " succeeded" : " failed with " + described.error.value_or("")) +
           ", unlike the interpreter";
  }
  if (!succeeded && described.error != expected.error) {
    return row.arn + " failed with " + described.error.value_or("") + " instead of " + expected.error;
  }
  if (succeeded &&
      reference::without_ids(reference::canonical(output)) != reference::canonical(expected.output)) {
    return row.arn + " has the output " + *described.output_text + " instead of " +
           reference::canonical(expected.output);
  }
  return outcomes::wrong_with_history(runtime, row, described.redrive_count == 0 ? &expected : nullptr);
}

}  // namespace sortie::simulation
