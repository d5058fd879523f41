#include "asl/lint/rules.h"

#include <algorithm>

namespace sortie::asl::analysis {
namespace {

bool catches_all(const State& state) {
  return std::any_of(state.catchers.begin(), state.catchers.end(), [](const Catcher& catcher) {
    return std::find(catcher.error_equals.begin(), catcher.error_equals.end(), "States.ALL") !=
           catcher.error_equals.end();
  });
}

struct FlowTraits {
  bool can_fail = false;
  bool has_effects = false;
};

// Recursion is as deep as flows are nested, which compile() has bounded.
FlowTraits traits_of(const Survey& survey, FlowIndex index) {
  FlowTraits out;
  const auto add = [&](FlowIndex inner, bool is_caught) {
    const FlowTraits traits = traits_of(survey, inner);
    out.can_fail = out.can_fail || (traits.can_fail && !is_caught);
    out.has_effects = out.has_effects || traits.has_effects;
  };
  const Flow& flow = survey.machine->flows[index];
  for (std::size_t i = 0; i < flow.states.size(); ++i) {
    const State& state = flow.states[i];
    const bool is_caught = catches_all(state);
    if (state.type == StateType::kFail) out.can_fail = true;
    if (state.type == StateType::kTask) {
      out.can_fail = out.can_fail || !is_caught;
      const bool reads = survey.of(index, static_cast<StateIndex>(i)).task.is_read_only;
      out.has_effects = out.has_effects || !reads;
    } else if (const auto* parallel = std::get_if<Parallel>(&state.body)) {
      for (const FlowIndex branch : parallel->branches) add(branch, is_caught);
    } else if (const auto* map = std::get_if<Map>(&state.body)) {
      add(map->processor, is_caught);
    }
  }
  return out;
}

void check_parallel(const Survey& survey, std::size_t number, Notebook& notebook) {
  const State& state = *survey.states[number].state;
  const auto& branches = std::get<Parallel>(state.body).branches;
  if (!state.catchers.empty() || branches.size() < 2) return;
  bool has_effects = false;
  std::vector<std::string> failing;
  for (const FlowIndex branch : branches) {
    const FlowTraits traits = traits_of(survey, branch);
    has_effects = has_effects || traits.has_effects;
    const Flow& flow = survey.machine->flows[branch];
    if (traits.can_fail) failing.push_back(flow.states[flow.start].name);
  }
  if (!has_effects) return;
  for (const std::string& name : failing) notebook.note("A05", number, name);
}

void check_task(const SurveyedState& in, std::size_t number, const LintKnowledge& knowledge,
                Notebook& notebook) {
  const auto& task = std::get<Task>(in.state->body);
  const TaskTraits& traits = in.task;
  if (traits.is_callback && !task.timeout_seconds.is_set() && !task.heartbeat_seconds.is_set()) {
    notebook.note("A02", number, "");
  }
  if (!in.definition.has("Retry") && !knowledge.has_default_retry) notebook.note("A06", number, "");
  if (task.resource.is_bare_topic || task.resource.is_bare_queue) {
    const std::string what = task.resource.is_bare_topic ? "a topic" : "a queue";
    notebook.note("A08", number, "the Resource is " + what + ", no action, and no message is given",
                  in.at("Resource"));
  }
  const bool is_listed = knowledge.functions.find(traits.function) != knowledge.functions.end();
  if (!traits.function.empty() && knowledge.has_all_functions && !is_listed) {
    notebook.note("A08", number, "there is no function named " + traits.function,
                  task.resource.is_lambda_arn ? in.at("Resource") : in.at(in.parameters_name()));
  }
  if (!traits.facts.is_idempotent.value_or(true)) {
    notebook.note("A11", number, traits.function + " is not idempotent, and a Task may run more than once");
  }
  if (!traits.facts.records_undo.value_or(true)) {
    notebook.note("A11", number, traits.function + " keeps no record of what it changed");
  }
}

}  // namespace

void check_states(const Survey& survey, const LintKnowledge& knowledge, Notebook& notebook) {
  for (std::size_t i = 0; i < survey.states.size(); ++i) {
    const SurveyedState& in = survey.states[i];
    check_handlers(in, i, notebook);
    check_texts(in, i, notebook);
    if (in.state->type == StateType::kTask) check_task(in, i, knowledge, notebook);
    if (in.state->type == StateType::kParallel) check_parallel(survey, i, notebook);
    if (in.state->type == StateType::kChoice) check_choice(in, i, notebook);
  }
  check_ends(survey, notebook);
  check_variables(survey, notebook);
}

}  // namespace sortie::asl::analysis
