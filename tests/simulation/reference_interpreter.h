#pragma once
// The States Language a second time: slow, recursive, straight from the definition's JSON, without frames,
// stimuli, compiled expressions or time. The property test holds the engine against it.
//
// It knows what random_machine.h writes and no more: a few paths, a few expressions, tasks that answer by a
// function of (state, parameters, attempt). Where branches run beside each other and one fails, the moment of
// its failure decides what the others got done; the interpreter knows no moments, so it says that its list of
// events is `partial`, or that with two failures even the outcome is `ambiguous`.
#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "json/text.h"

namespace sortie::reference {

using json::Value;

// Objects with their members in order of name: equal values, equal texts.
inline std::string canonical(const Value& value) {
  if (value.is_array()) {
    std::string out = "[";
    for (const Value& item : value.items()) out += (out.size() > 1 ? "," : "") + canonical(item);
    return out + "]";
  }
  if (!value.is_object()) return json::to_text(value);
  std::map<std::string, std::string> members;
  for (const json::Member& member : value.members()) {
    members[member.key.to_std_string()] = canonical(member.value);
  }
  std::string out = "{";
  for (const auto& [key, text] : members) out += (out.size() > 1 ? "," : "") + key + ":" + text;
  return out + "}";
}

struct Failed {
  std::string error, cause;
  bool from_task = false;
};
// What a task answers: a value, or an error.
struct TaskAnswer {
  Value result;
  std::string error;
  std::string cause = "why";
  bool timed_out = false;  // Then no error of the task itself: "States.TaskFailed" does not mean it.
};
using Tasks = std::function<TaskAnswer(const std::string& state, const Value& parameters, unsigned attempt)>;

class Interpreter {
 public:
  explicit Interpreter(Tasks tasks) : tasks_(std::move(tasks)) {}

  std::string execution_name;
  std::vector<Value> object_items;  // What an ItemReader reads.

  struct Run {
    bool succeeded = false;
    Value output;
    std::string error;
    std::vector<std::string> events;  // "PassStateEntered A {n:1}", in no particular order of branches.
    bool partial = false, ambiguous = false;
  };

  Run run(const Value& machine, const Value& input) {
    out_ = {};
    Scope scope;
    const Flow end = run_flow(machine, input, scope, Value());
    out_.succeeded = !end.failed;
    out_.output = end.value;
    out_.error = end.failure.error;
    return out_;
  }

 private:
  struct Scope {
    std::map<std::string, Value> variables;
    const Scope* outer = nullptr;
    const Value* find(const std::string& name) const {
      const auto found = variables.find(name);
      if (found != variables.end()) return &found->second;
      return outer == nullptr ? nullptr : outer->find(name);
    }
  };
  struct Flow {
    bool failed = false;
    Value value;
    Failed failure;
  };
  struct Sight {  // What an expression sees.
    const Value& input;
    const Scope& scope;
    const Value* result = nullptr;
    const Value* error = nullptr;
    const Value* item = nullptr;
  };

  static bool is_jsonata(const Value& state) { return state.get("QueryLanguage") == Value("JSONata"); }

  // --- Data ---

  // Nothing: undefined.
  std::optional<Value> expression(const std::string& text, const Sight& see) {
    const std::string input_n = "$states.input.n";
    if (text == "$states.input") return see.input;
    if (text == input_n) return see.input.get("n");
    if (text == "$states.input.list") return see.input.get("list");
    if (text == "$states.result") return *see.result;
    if (text == "$states.result.Output") return see.result->get("Output");
    if (text == "$states.context.Execution.Name") return Value(execution_name);
    if (text == "$states.errorOutput.Error") return see.error->get("Error");
    if (text == "$states.context.Map.Item.Value") return *see.item;
    if (text == "$exists($v) ? $v : 0") {
      const Value* found = see.scope.find("v");
      return found == nullptr ? Value(0) : *found;
    }
    if (text.starts_with(input_n + " + ")) {
      return Value(static_cast<std::int64_t>(see.input.get("n").as_integer() +
                                             std::stoll(text.substr(input_n.size() + 3))));
    }
    if (text.starts_with(input_n + " < ")) {
      return Value(see.input.get("n").as_integer() < std::stoll(text.substr(input_n.size() + 3)));
    }
    return std::nullopt;
  }

  struct Undefined {
    std::string expression, place;
  };

  Value query(const Value& tree, const Sight& see, const std::string& place) {
    if (tree.is_object()) {
      json::ObjectBuilder out;
      for (const json::Member& member : tree.members()) {
        out.append(member.key.as_string(),
                   query(member.value, see, place + "/" + member.key.to_std_string()));
      }
      return out.build();
    }
    if (!tree.is_string() || !tree.as_string().starts_with("{%")) return tree;
    const std::string text = tree.to_std_string().substr(3, tree.as_string().size() - 6);
    if (std::optional<Value> value = expression(text, see)) return *value;
    throw Undefined{text, place};
  }

  Value path(const std::string& text, const Sight& see) {
    if (text == "$") return see.input;
    if (text == "$v") return see.scope.find("v") == nullptr ? Value() : *see.scope.find("v");
    if (text == "$$.Map.Item.Value") return *see.item;
    return see.input.get(text.substr(2));
  }

  Value payload(const Value& tree, const Sight& see) {
    json::ObjectBuilder out;
    for (const json::Member& member : tree.members()) {
      const std::string key = member.key.to_std_string();
      if (!key.ends_with(".$")) {
        out.append(key, member.value);
      } else {
        out.append(key.substr(0, key.size() - 2), path(member.value.to_std_string(), see));
      }
    }
    return out.build();
  }

  Value shaped(const Value& state, const std::string& field, const Value& tree, const Sight& see) {
    return is_jsonata(state) ? query(tree, see, field) : payload(tree, see);
  }

  static Value placed(const Value& owner, const Value& input, const Value& result) {
    const Value& path = owner.get("ResultPath");
    if (!path.is_string()) return result;
    return json::ObjectBuilder(input).set(path.to_std_string().substr(2), result).build();
  }

  void note(const Value& state, const std::string& moment, const std::string& name, const Value& data) {
    out_.events.push_back(state.get("Type").to_std_string() + "State" + moment + " " + name + " " +
                          canonical(data));
  }

  // --- Control ---

  Flow run_flow(const Value& flow, Value input, Scope& scope, const Value& item) {
    std::string name = flow.get("StartAt").to_std_string();
    while (true) {
      const Value& state = flow.get("States").get(name);
      note(state, "Entered", name, input);
      Step step = run_state(name, state, input, scope, item);
      if (step.failed) return {true, {}, step.failure};
      note(state, "Exited", name, step.output);
      if (step.next.empty()) return {false, step.output, {}};
      input = step.output;
      name = step.next;
    }
  }

  struct Step {
    bool failed = false;
    Failed failure;
    Value output;
    std::string next;  // Empty: the flow ends.
  };

  static bool matches(const Value& names, const Failed& failure) {
    for (const Value& name : names.items()) {
      if (name == Value(failure.error) || name == Value("States.ALL")) return true;
      if (name == Value("States.TaskFailed") && failure.from_task) return true;
    }
    return false;
  }

  Step run_state(const std::string& name, const Value& state, const Value& input, Scope& scope,
                 const Value& item) {
    std::map<std::size_t, std::int64_t> tried;
    for (unsigned attempt = 1;; ++attempt) {
      Failed failure;
      try {
        Step step;
        if (work(name, state, input, scope, item, attempt, &step, &failure)) return step;
      } catch (const Undefined& wrong) {
        failure = {"States.QueryEvaluationError",
                   "An error occurred while executing the state '" + name +
                       "' (entered at the event id #N). The JSONata expression '" + wrong.expression +
                       "' specified for the field '" + wrong.place + "' returned nothing (undefined).",
                   false};
      }
      bool again = false;
      const auto retriers = state.get("Retry").items();
      for (std::size_t i = 0; i < retriers.size(); ++i) {
        if (!matches(retriers[i].get("ErrorEquals"), failure)) continue;
        again = tried[i]++ < retriers[i].get("MaxAttempts").as_integer();
        break;
      }
      if (!again) return rescue(state, input, scope, item, failure);
    }
  }

  Step rescue(const Value& state, const Value& input, Scope& scope, const Value& item,
              const Failed& failure) {
    for (const Value& catcher : state.get("Catch").items()) {
      if (!matches(catcher.get("ErrorEquals"), failure)) continue;
      const Value error = Value::object({{"Error", failure.error}, {"Cause", failure.cause}});
      const Sight see{input, scope, nullptr, &error, &item};
      Value output = is_jsonata(state) ? error : placed(catcher, input, error);
      if (const Value* made = catcher.find("Output")) output = query(*made, see, "Output");
      return {false, {}, output, catcher.get("Next").to_std_string()};
    }
    return {true, failure, {}, {}};
  }

  // False: it failed.
  bool work(const std::string& name, const Value& state, const Value& input, Scope& scope, const Value& item,
            unsigned attempt, Step* step, Failed* failure) {
    const std::string type = state.get("Type").to_std_string();
    const Sight see{input, scope, nullptr, nullptr, &item};
    if (type == "Fail") {
      *failure = {state.get("Error").to_std_string(), state.get("Cause").to_std_string(), false};
      return false;
    }
    if (type == "Choice") {
      *step = {false, {}, input, state.get("Default").to_std_string()};
      for (const Value& rule : state.get("Choices").items()) {
        const bool holds = is_jsonata(state) ? query(rule.get("Condition"), see, "Condition").as_bool()
                                             : path(rule.get("Variable").to_std_string(), see).as_integer() <
                                                   rule.get("NumericLessThan").as_integer();
        if (holds) {
          step->next = rule.get("Next").to_std_string();
          break;
        }
      }
      return true;
    }
    Value result = input;
    if (type == "Task") {
      const char* field = is_jsonata(state) ? "Arguments" : "Parameters";
      const Value parameters = shaped(state, field, state.get(field), see);
      const TaskAnswer answer = tasks_(name, parameters, attempt);
      if (!answer.error.empty()) {
        *failure = {answer.error, answer.cause, !answer.timed_out};
        return false;
      }
      result = answer.result;
    } else if (type == "Parallel") {
      if (!parallel(state, input, scope, item, &result, failure)) return false;
    } else if (type == "Map") {
      if (!map(name, state, input, scope, item, &result, failure)) return false;
    } else if (const Value* made = state.find("Parameters")) {
      result = payload(*made, see);
    }
    finish(state, input, scope, item, result, step);
    return true;
  }

  void finish(const Value& state, const Value& input, Scope& scope, const Value& item, const Value& result,
              Step* step) {
    const Sight after{input, scope, &result, nullptr, &item};
    std::map<std::string, Value> assigned;
    if (const Value* assign = state.find("Assign")) {
      const Sight of_result{result, scope, nullptr, nullptr, &item};
      const Value made = is_jsonata(state) ? query(*assign, after, "Assign") : payload(*assign, of_result);
      for (const json::Member& member : made.members()) assigned[member.key.to_std_string()] = member.value;
    }
    step->output = is_jsonata(state) ? result : placed(state, input, result);
    if (const Value* made = state.find("Output")) step->output = query(*made, after, "Output");
    if (state.get("Next").is_string()) step->next = state.get("Next").to_std_string();
    for (auto& [key, value] : assigned) scope.variables[key] = value;
  }

  bool parallel(const Value& state, const Value& input, Scope& scope, const Value& item, Value* result,
                Failed* failure) {
    std::vector<Value> outputs;
    std::size_t failures = 0;
    for (const Value& branch : state.get("Branches").items()) {
      Scope own{{}, &scope};
      Flow end = run_flow(branch, input, own, item);
      if (end.failed && failures++ == 0) *failure = end.failure;
      outputs.push_back(end.value);
    }
    if (failures > 0) out_.partial = out_.partial || outputs.size() > 1;
    if (failures > 1) out_.ambiguous = true;
    *result = Value::array(std::move(outputs));
    return failures == 0;
  }

  // Each item is an execution of its own, with a history of its own.
  bool map_run(const Value& state, const Value& input, Scope& scope, Value* result, Failed* failure) {
    const Value in_state = state.find("ItemReader") != nullptr
                               ? Value::array(object_items)
                               : path(state.get("ItemsPath").to_std_string(), {input, scope});
    std::vector<Value> outputs;
    for (const Value& each : in_state.items()) {
      const Sight see{input, scope, nullptr, nullptr, &each};
      Interpreter child(tasks_);
      const Run run = child.run(state.get("ItemProcessor"),
                                shaped(state, "ItemSelector", state.get("ItemSelector"), see));
      out_.ambiguous = out_.ambiguous || run.ambiguous;
      if (run.succeeded) outputs.push_back(run.output);
    }
    const bool failed = outputs.size() < in_state.items().size();
    if (failed && state.get("ToleratedFailurePercentage") != Value(100)) {
      *failure = {"States.ExceedToleratedFailureThreshold", "", false};
      return false;
    }
    *result = Value::array(std::move(outputs));
    return true;
  }

  bool map(const std::string& name, const Value& state, const Value& input, Scope& scope, const Value& item,
           Value* result, Failed* failure) {
    if (state.get("ItemProcessor").get("ProcessorConfig").get("Mode") == Value("DISTRIBUTED")) {
      return map_run(state, input, scope, result, failure);
    }
    const Value items = is_jsonata(state)
                            ? query(state.get("Items"), {input, scope, nullptr, nullptr, &item}, "Items")
                            : path(state.get("ItemsPath").to_std_string(), {input, scope});
    const bool one_by_one = state.get("MaxConcurrency") == Value(1);
    std::vector<Value> outputs;
    std::size_t failures = 0;
    for (const Value& each : items.items()) {
      const Sight see{input, scope, nullptr, nullptr, &each};
      const Value start = shaped(state, "ItemSelector", state.get("ItemSelector"), see);
      out_.events.push_back("MapIterationStarted " + name);
      Scope own{{}, &scope};
      Flow end = run_flow(state.get("ItemProcessor"), start, own, each);
      out_.events.push_back((end.failed ? "MapIterationFailed " : "MapIterationSucceeded ") + name);
      if (end.failed && failures++ == 0) *failure = end.failure;
      if (end.failed && one_by_one) return false;
      outputs.push_back(end.value);
    }
    if (failures > 0) out_.partial = true;
    if (failures > 1) out_.ambiguous = true;
    *result = Value::array(std::move(outputs));
    return failures == 0;
  }

  Tasks tasks_;
  Run out_;
};

}  // namespace sortie::reference
