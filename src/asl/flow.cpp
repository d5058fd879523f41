// One StartAt + States group: names first, then the states, then which of them can be reached.
#include "asl/states/states.h"
#include "base/text.h"

namespace sortie::asl {
namespace {

constexpr FieldSpec kFlowFields[] = {
    {.name = "Comment", .kind = FieldKind::kString},
    {.name = "StartAt", .kind = FieldKind::kString, .required = true},
    {.name = "States", .kind = FieldKind::kObject, .required = true},
    {.name = "QueryLanguage", .kind = FieldKind::kString},
};

StateNames index_states(Build& build, const json::Value& states, const Where& where) {
  StateNames names;
  names.reserve(states.size());
  for (const json::Member& member : states.members()) {
    const std::string_view name = member.key.as_string();
    const Where place = where.member(name);
    names.emplace(name, static_cast<StateIndex>(names.size()));
    if (!build.state_names.insert(name).second) {
      build.diagnostics.error(kDuplicateName, place, "Duplicate State name: " + std::string(name));
    }
    if (name.empty() || count_code_points(name) > kStateNameCharactersMax) {
      build.diagnostics.schema(
          place, "State name must have 1 to " + std::to_string(kStateNameCharactersMax) + " characters");
    }
  }
  return names;
}

// The state's own QueryLanguage, or the machine's. A JSONata machine cannot go back to JSONPath.
QueryLanguage state_language(Build& build, const json::Value& state, const Where& where) {
  const json::Value* written = state.find("QueryLanguage");
  if (written == nullptr || !written->is_string()) return build.language;
  if (written->as_string() == "JSONata") return QueryLanguage::kJsonata;
  if (written->as_string() != "JSONPath") {
    build.diagnostics.schema(where.member("QueryLanguage"), "Value must be one of: [JSONPath, JSONata]");
  } else if (build.language == QueryLanguage::kJsonata) {
    build.diagnostics.schema(
        where, "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine");
  }
  return QueryLanguage::kJsonPath;
}

void compile_transition(StateBuild& in) {
  const bool is_end = in.fields.is_true("End");
  const bool has_next = in.fields.is_written("Next");
  if (is_end == has_next) {
    in.diagnostics().schema(in.fields.where(), "Exactly one of these fields is required: [Next, End]");
  }
  in.state.is_end = is_end;
  if (const json::Value* next = in.fields.find("Next")) {
    in.state.next = compile_target(in, *next, in.fields.at("Next"), "Next");
  }
}

void compile_shared(StateBuild& in, const StateKind& kind) {
  in.state.input_path = compile_select_path(in, "InputPath");
  in.state.output_path = compile_select_path(in, "OutputPath");
  in.state.result_path = compile_result_path(in.diagnostics(), in.fields);
  in.state.result_selector = compile_template(in.diagnostics(), in.fields, "ResultSelector");
  const bool makes_result = kind.has_result;  // Task, Parallel, Map: the others have their input only.
  const StatesMembers available = makes_result ? kStatesResult : StatesMembers{0};
  if (in.is_jsonata()) {
    in.state.parameters = compile_query(in.diagnostics(), in.fields, "Arguments");
    in.state.output = compile_query(in.diagnostics(), in.fields, "Output", available);
  } else if (kind.type != StateType::kMap) {
    in.state.parameters = compile_template(in.diagnostics(), in.fields, "Parameters");
  }
  in.state.assign = compile_assign(in.diagnostics(), in.fields, available);
  if (kind.has_errors) {
    compile_retry(in);
    compile_catch(in);
  }
}

struct StatePlace {
  FlowIndex flow;
  StateIndex index;
  const StateNames& names;
};

State compile_state(Build& build, const json::Member& member, const Where& where, const StatePlace& place) {
  State state;
  state.name = member.key.to_std_string();
  state.is_end = true;
  const json::Value* type = member.value.find("Type");
  if (type == nullptr || !type->is_string()) {
    // Reports what is missing or wrong; without a type no table says more.
    const Fields fields(build.diagnostics, member.value.is_object() ? member.value : json::Value(), where,
                        {});
    if (member.value.is_object()) build.diagnostics.schema(where, "These fields are required: [Type]");
    return state;
  }
  const StateKind* kind = find_state_kind(type->as_string());
  if (kind == nullptr) {
    build.diagnostics.schema(
        where.member("Type"),
        "Value must be one of: [Task, Pass, Choice, Wait, Succeed, Fail, Parallel, Map]");
    return state;
  }
  state.type = kind->type;
  state.query_language = state_language(build, member.value, where);
  constexpr FieldTable kNone;
  const Fields fields(build.diagnostics, member.value, where,
                      {kStateFields, kind->fields, kind->has_transition ? kTransitionFields : kNone,
                       kind->has_select ? kSelectFields : kNone, kind->has_assign ? kAssignFields : kNone,
                       kind->has_result ? kResultFields : kNone, kind->has_errors ? kErrorFields : kNone},
                      state.query_language);
  state.is_end = false;
  StateBuild in{build, place.names, place.flow, place.index, fields, state};
  if (kind->has_transition) compile_transition(in);
  compile_shared(in, *kind);
  kind->compile(in);
  return state;
}

void append_targets(const State& state, std::vector<StateIndex>& out) {
  out.push_back(state.next);
  for (const Catcher& catcher : state.catchers) out.push_back(catcher.next);
  if (const auto* choice = std::get_if<Choice>(&state.body)) {
    out.push_back(choice->default_next);
    for (const ChoiceRule& rule : choice->rules) out.push_back(rule.next);
  }
}

// AWS refuses states that nothing leads to.
void check_reachable(Build& build, const Flow& flow, const Where& states) {
  std::vector<bool> is_reached(flow.states.size());
  std::vector<StateIndex> open{flow.start};
  while (!open.empty()) {
    const StateIndex index = open.back();
    open.pop_back();
    if (index == kNoState || is_reached[index]) continue;
    is_reached[index] = true;
    append_targets(flow.states[index], open);
  }
  for (std::size_t i = 0; i < is_reached.size(); ++i) {
    if (is_reached[i]) continue;
    const std::string& name = flow.states[i].name;
    build.diagnostics.error(kMissingTarget, states.member(name), "State \"" + name + "\" is not reachable.");
  }
}

}  // namespace

FlowIndex compile_flow(Build& build, const json::Value& value, const Where& where, FieldTable extra,
                       FlowIndex parent_flow, StateIndex parent_state) {
  const auto index = static_cast<FlowIndex>(build.machine.flows.size());
  build.machine.flows.emplace_back();  // Takes its number before the flows inside it do.
  if (index >= kFlowsMax) {
    build.diagnostics.schema(where, "A state machine has at most " + std::to_string(kFlowsMax) + " branches");
    return index;
  }
  const Fields fields(build.diagnostics, value, where, {kFlowFields, extra});
  const Where states_place = fields.at("States");
  Flow flow;
  flow.parent_flow = parent_flow;
  flow.parent_state = parent_state;
  const json::Value* states = fields.find("States");
  if (states == nullptr) return index;
  if (states->empty()) {
    build.diagnostics.schema(states_place, "Map must contain at least 1 item");
    return index;
  }
  const StateNames names = index_states(build, *states, states_place);
  flow.states.reserve(states->size());
  for (const json::Member& member : states->members()) {
    const auto position = static_cast<StateIndex>(flow.states.size());
    flow.states.push_back(
        compile_state(build, member, states_place.member(member.key.as_string()), {index, position, names}));
  }
  if (const json::Value* start = fields.find("StartAt")) {
    const auto found = names.find(start->as_string());
    if (found != names.end()) {
      flow.start = found->second;
      check_reachable(build, flow, states_place);
    } else {
      build.diagnostics.error(kMissingTarget, fields.at("StartAt"),
                              "Missing 'StartAt' target: " + start->to_std_string());
    }
  }
  build.machine.flows[index] = std::move(flow);
  return index;
}

}  // namespace sortie::asl
