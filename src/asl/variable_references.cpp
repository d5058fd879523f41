#include "asl/variable_references.h"

namespace sortie::asl {
namespace {

using Names = std::set<std::string>;

void add(const std::optional<Template>& tree, Names& names) {
  if (!tree) return;
  std::visit(
      [&names](const auto& either) {
        for (const std::string& name : either.variable_names()) names.insert(name);
      },
      *tree);
}

// For what is optional and knows its variable_names(): expressions and templates of one language.
template <typename T>
void add(const std::optional<T>& program, Names& names) {
  if (!program) return;
  for (const std::string& name : program->variable_names()) names.insert(name);
}

void add_number(const NumberField& field, Names& names) {
  add(field.path, names);
  add(field.query, names);
}

void add_condition(const Condition& condition, Names& names) {
  add(condition.comparison.variable, names);
  add(condition.comparison.operand_path, names);
  for (const Condition& child : condition.children) add_condition(child, names);
}

struct BodyReader {
  Names& names;

  void operator()(const Task& task) const {
    add_number(task.timeout_seconds, names);
    add_number(task.heartbeat_seconds, names);
    add(task.credentials, names);
  }
  void operator()(const Choice& choice) const {
    for (const ChoiceRule& rule : choice.rules) {
      add_condition(rule.condition, names);
      add(rule.query, names);
      add(rule.assign, names);
      add(rule.output, names);
    }
  }
  void operator()(const Wait& wait) const {
    add(wait.seconds_path, names);
    add(wait.timestamp_path, names);
    add(wait.seconds_query, names);
    add(wait.timestamp_query, names);
  }
  void operator()(const Fail& fail) const {
    add(fail.error_path, names);
    add(fail.cause_path, names);
    add(fail.error_query, names);
    add(fail.cause_query, names);
  }
  void operator()(const Map& map) const {
    add(map.items_path.path, names);
    add(map.items, names);
    add(map.item_selector, names);
    add_number(map.max_concurrency, names);
    add_number(map.tolerated_failure_count, names);
    add_number(map.tolerated_failure_percentage, names);
    if (map.distributed) add_distributed(*map.distributed);
  }
  void add_distributed(const DistributedMap& map) const {
    if (map.reader) {
      add(map.reader->parameters, names);
      add_number(map.reader->max_items, names);
    }
    if (map.batcher) {
      add_number(map.batcher->max_items, names);
      add_number(map.batcher->max_input_bytes, names);
      add(map.batcher->batch_input, names);
    }
    if (map.writer) add(map.writer->parameters, names);
  }
  void operator()(const Pass&) const {}
  void operator()(const Succeed&) const {}
  void operator()(const Parallel&) const {}
};

Names names_of(const State& state) {
  Names names;
  add(state.input_path.path, names);
  add(state.output_path.path, names);
  add(state.parameters, names);
  add(state.result_selector, names);
  add(state.assign, names);
  add(state.output, names);
  for (const Catcher& catcher : state.catchers) {
    add(catcher.assign, names);
    add(catcher.output, names);
  }
  std::visit(BodyReader{names}, state.body);
  return names;
}

}  // namespace

std::map<std::string, std::set<std::string>> variable_references(const StateMachine& machine) {
  std::map<std::string, std::set<std::string>> out;
  for (const Flow& flow : machine.flows) {
    for (const State& state : flow.states) {
      Names names = names_of(state);
      if (!names.empty()) out[state.name] = std::move(names);
    }
  }
  return out;
}

}  // namespace sortie::asl
