#pragma once
// The states of a machine in one list, each with its place in the definition and what its Task does.
//
// Whether an action is disruptive, only reads, or asks for an approval is taken from LintKnowledge where it
// is known, else guessed from names the way a reader would: "RevokeIAMCredentials" changes the world,
// "DescribeX" does not, a callback through "approval-queue" is an approval.
#include "asl/lint/lint.h"
#include "asl/source.h"
#include "json/value.h"

namespace sortie::asl::analysis {

struct TaskTraits {
  std::string function;  // Name of the Lambda function, empty for other tasks.
  FunctionFacts facts;
  bool is_callback = false;  // Waits for somebody to answer: token or activity.
  bool is_approval = false;
  bool is_disruptive = false;  // Or irreversible.
  bool is_read_only = false;
};

struct SurveyedState {
  FlowIndex flow = 0;
  StateIndex index = 0;
  const State* state = nullptr;
  json::Value definition;
  std::string pointer;
  TaskTraits task;         // Of a Task.
  std::size_t weight = 1;  // How much there is to look at: values in the definition, without inner flows.

  std::string at(std::string_view member) const { return pointer + "/" + std::string(member); }
  bool is_jsonata() const { return state->query_language == QueryLanguage::kJsonata; }
  std::string_view parameters_name() const { return is_jsonata() ? "Arguments" : "Parameters"; }
  const json::Value& parameters() const { return definition.get(parameters_name()); }
};

struct Survey {
  const StateMachine* machine = nullptr;
  std::vector<SurveyedState> states;              // In document order.
  std::vector<std::vector<std::size_t>> numbers;  // [flow][state] -> place in `states`.

  const SurveyedState& of(FlowIndex flow, StateIndex index) const { return states[numbers[flow][index]]; }
};

Survey survey_machine(const StateMachine& machine, const json::Value& definition,
                      const LintKnowledge& knowledge);

}  // namespace sortie::asl::analysis
