// A18, A19, A20: flows that cannot end, Choices that may match nothing, variables that nobody reads.
#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "asl/lint/conditions.h"
#include "asl/lint/rules.h"
#include "asl/variable_references.h"
#include "json/text.h"

namespace sortie::asl::analysis {
namespace ways {

// Two comparisons of the same operands one of which always holds.
constexpr std::string_view kOpposites[][2] = {
    {"LessThan", "GreaterThanEquals"},
    {"LessThanEquals", "GreaterThan"},
};

json::Value opposite_of(const json::Value& rule) {
  if (const json::Value* inner = rule.find("Not")) return *inner;
  json::ObjectBuilder out;
  for (const json::Member& member : rule.members()) {
    std::string name = member.key.to_std_string();
    json::Value value = member.value;
    if (value.is_bool() && (name == "BooleanEquals" || name.starts_with("Is"))) {
      value = !value.as_bool();
    } else {
      for (const auto& [left, right] : kOpposites) {
        for (const char* kind : {"Numeric", "String", "Timestamp"}) {
          for (const char* path : {"", "Path"}) {
            const std::string a = kind + std::string(left) + path, b = kind + std::string(right) + path;
            name = name == a ? b : (name == b ? a : name);
            if (name != member.key.as_string()) break;
          }
          if (name != member.key.as_string()) break;
        }
        if (name != member.key.as_string()) break;
      }
    }
    out.append(name, std::move(value));
  }
  return out.build();
}

// The rule alone: without where it leads and what it assigns.
json::Value condition_of(const json::Value& rule) {
  json::ObjectBuilder out(rule);
  for (const char* field : {"Next", "Assign", "Comment", "Output"}) out.erase(field);
  return out.build();
}

// The sign of LT, EQ, GT of one kind over the same operands; empty: another rule.
std::string sign_of(const json::Value& condition, std::string* operands) {
  for (const json::Member& member : condition.members()) {
    const std::string_view name = member.key.as_string();
    for (const std::string_view sign : {"LessThan", "GreaterThan", "Equals"}) {
      if (name == "Numeric" + std::string(sign)) {
        *operands = json::to_text(member.value) + " " + json::to_text(condition.get("Variable"));
        return std::string(sign);
      }
    }
  }
  return "";
}

bool is_exhaustive(const std::vector<json::Value>& conditions) {
  std::map<std::string, std::set<std::string>> signs;
  for (const json::Value& condition : conditions) {
    if (condition.is_null()) continue;
    const json::Value opposite = opposite_of(condition);
    const json::Value refused = json::Value::object({{"Not", condition}});
    for (const json::Value& other : conditions) {
      if (&other != &condition && (other == opposite || other == refused)) return true;
    }
    std::string operands;
    if (std::string sign = sign_of(condition, &operands); !sign.empty()) signs[operands].insert(sign);
  }
  return std::any_of(signs.begin(), signs.end(), [](const auto& entry) { return entry.second.size() == 3; });
}

std::vector<StateIndex> targets_of(const State& state) {
  std::vector<StateIndex> out;
  if (state.next != kNoState) out.push_back(state.next);
  for (const Catcher& catcher : state.catchers) out.push_back(catcher.next);
  if (const auto* choice = std::get_if<Choice>(&state.body)) {
    for (const ChoiceRule& rule : choice->rules) out.push_back(rule.next);
    if (choice->default_next != kNoState) out.push_back(choice->default_next);
  }
  return out;
}

// The first state of a flow from which no end can be reached; all of them are reached from the start.
std::optional<StateIndex> endless_state(const Flow& flow) {
  std::vector<std::vector<StateIndex>> sources(flow.states.size());
  std::vector<StateIndex> open;
  std::vector<bool> ends(flow.states.size(), false);
  for (StateIndex i = 0; i < flow.states.size(); ++i) {
    const State& state = flow.states[i];
    for (const StateIndex target : targets_of(state)) {
      if (target < sources.size()) sources[target].push_back(i);
    }
    if (state.is_end || state.type == StateType::kSucceed || state.type == StateType::kFail) {
      ends[i] = true;
      open.push_back(i);
    }
  }
  while (!open.empty()) {
    const StateIndex at = open.back();
    open.pop_back();
    for (const StateIndex source : sources[at]) {
      if (ends[source]) continue;
      ends[source] = true;
      open.push_back(source);
    }
  }
  const auto found = std::find(ends.begin(), ends.end(), false);
  if (found == ends.end()) return std::nullopt;
  return static_cast<StateIndex>(found - ends.begin());
}

void collect_assigned(const json::Value& holder, const std::string& pointer,
                      std::vector<std::pair<std::string, std::string>>& out) {
  for (const json::Member& member : holder.get("Assign").members()) {
    std::string name = member.key.to_std_string();
    const std::string place = pointer + "/Assign/" + escape_pointer(name);
    if (name.ends_with(".$")) name.resize(name.size() - 2);
    out.emplace_back(std::move(name), place);
  }
}

}  // namespace ways

void check_choice(const SurveyedState& in, std::size_t number, Notebook& notebook) {
  if (in.definition.has("Default")) return;
  std::vector<json::Value> conditions;
  for (const json::Value& rule : in.definition.get("Choices").items()) {
    if (rule.get("Condition") == json::Value(true)) return;
    conditions.push_back(in.is_jsonata() ? rule_of_condition(rule.get("Condition"), true)
                                         : ways::condition_of(rule));
  }
  if (!ways::is_exhaustive(conditions)) notebook.note("A19", number, "");
}

void check_ends(const Survey& survey, Notebook& notebook) {
  for (FlowIndex flow = 0; flow < survey.machine->flows.size(); ++flow) {
    const auto state = ways::endless_state(survey.machine->flows[flow]);
    if (state) notebook.note("A18", survey.numbers[flow][*state], "");
  }
}

void check_variables(const Survey& survey, Notebook& notebook) {
  std::set<std::string> read;
  for (const auto& [state, names] : variable_references(*survey.machine))
    read.insert(names.begin(), names.end());
  for (std::size_t i = 0; i < survey.states.size(); ++i) {
    const SurveyedState& in = survey.states[i];
    std::vector<std::pair<std::string, std::string>> assigned;
    ways::collect_assigned(in.definition, in.pointer, assigned);
    for (const char* list : {"Catch", "Choices"}) {
      const json::Value& parts = in.definition.get(list);
      for (std::size_t part = 0; part < parts.items().size(); ++part) {
        ways::collect_assigned(parts.items()[part], in.at(list) + "/" + std::to_string(part), assigned);
      }
    }
    for (const auto& [name, place] : assigned) {
      if (!read.contains(name)) notebook.note("A20", i, "$" + name, place);
    }
  }
}

}  // namespace sortie::asl::analysis
