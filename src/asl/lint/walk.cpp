#include "asl/lint/walk.h"

#include <algorithm>
#include <deque>
#include <unordered_map>

namespace sortie::asl::analysis {
namespace {

constexpr int kSearchDepthMax = 4;

// What AWS answers for the integrations whose answer has a fixed form.
struct KnownResult {
  std::string_view service;
  std::string_view action;
  std::initializer_list<std::string_view> members;
};

ShapePtr known_result(const TaskResource& resource) {
  static const KnownResult kResults[] = {
      {"lambda",
       "invoke",
       {"Payload", "StatusCode", "ExecutedVersion", "FunctionError", "LogResult", "SdkHttpMetadata",
        "SdkResponseMetadata"}},
      {"sqs",
       "sendMessage",
       {"MessageId", "MD5OfMessageBody", "MD5OfMessageAttributes", "MD5OfMessageSystemAttributes",
        "SequenceNumber", "SdkHttpMetadata", "SdkResponseMetadata"}},
      {"sns", "publish", {"MessageId", "SequenceNumber", "SdkHttpMetadata", "SdkResponseMetadata"}},
      {"events", "putEvents", {"Entries", "FailedEntryCount", "SdkHttpMetadata", "SdkResponseMetadata"}},
      {"states", "startExecution", {"ExecutionArn", "StartDate", "SdkHttpMetadata", "SdkResponseMetadata"}},
  };
  for (const KnownResult& known : kResults) {
    if (resource.resource_type == known.service && resource.resource == known.action) {
      return closed_object(known.members);
    }
  }
  return unknown_shape();
}

ShapePtr with_sources(const ShapePtr& shape, std::uint64_t sources, std::size_t maker) {
  Shape out = *shape;
  out.sources |= sources;
  out.maker = maker;
  for (auto& [name, member] : out.members) {
    Shape inner = *member;
    inner.sources |= sources;
    member = seal(std::move(inner));
  }
  return seal(std::move(out));
}

// "$" handed on as it is: the function may well give everything back.
bool passes_whole_input(const json::Value& value) {
  if (is_jsonata_expression(value)) return query_text(value.as_string()) == "$states.input";
  for (const json::Member& member : value.members()) {
    if (member.value == json::Value("$") && member.key.as_string().ends_with(".$")) return true;
    if (passes_whole_input(member.value)) return true;
  }
  return false;
}

ShapePtr merged_exit(const std::vector<Frame>& exits) {
  if (exits.empty()) return unknown_shape();
  std::uint64_t sources = 0;
  bool is_same = true;
  for (const Frame& exit : exits) {
    sources |= exit.value->all_sources;
    is_same = is_same && same_shape(exit.value, exits.front().value);
  }
  return is_same ? exits.front().value : unknown_shape(sources);
}

bool are_all_approved(const std::vector<Frame>& exits) {
  return !exits.empty() &&
         std::all_of(exits.begin(), exits.end(), [](const Frame& f) { return f.is_approved; });
}

// A loop or a wide fan-in: from here on nothing is known but whether an approval was given.
Frame widened(const std::vector<Frame>& seen, const Frame& frame) {
  Frame out;
  std::uint64_t sources = frame.value->all_sources;
  out.is_approved = frame.is_approved;
  out.variables = frame.variables;
  out.has_more_variables = frame.has_more_variables;
  for (const Frame& other : seen) {
    sources |= other.value->all_sources;
    out.is_approved = out.is_approved && other.is_approved;
    out.has_more_variables = out.has_more_variables || other.has_more_variables;
    for (const auto& [name, shape] : other.variables) out.variables.emplace(name, shape);
  }
  for (auto& [name, shape] : out.variables) shape = unknown_shape(shape->all_sources);
  out.value = unknown_shape(sources);
  return out;
}

}  // namespace

Walk::Walk(const Survey& survey, Notebook& notebook)
    : survey_(survey), notebook_(notebook), reader_(survey, notebook) {
  for (std::size_t i = 0; i < survey.states.size() && watched_.size() < kWatchedMax; ++i) {
    const TaskTraits& task = survey.states[i].task;
    if (task.is_approval || task.facts.swallows_errors.value_or(false)) watched_.push_back(i);
  }
}

std::uint64_t Walk::bit_of(std::size_t state) const {
  const auto found = std::find(watched_.begin(), watched_.end(), state);
  return found == watched_.end() ? 0 : std::uint64_t{1} << (found - watched_.begin());
}

void Walk::run() {
  run_flow(0, Frame{.value = unknown_shape()});
  for (const std::size_t state : watched_) {
    const std::uint64_t bit = bit_of(state);
    if ((visited_ & bit) == 0 || (tested_ & bit) != 0) continue;
    const TaskTraits& task = survey_.states[state].task;
    if (task.is_approval) notebook_.note("A03", state, "");
    if (task.facts.swallows_errors.value_or(false)) notebook_.note("A10", state, task.function);
  }
}

std::vector<Frame> Walk::run_flow(FlowIndex flow, Frame entry) {
  struct Seen {
    std::vector<Frame> frames;
    int widenings = 0;
  };
  std::unordered_map<StateIndex, Seen> seen;
  std::vector<Frame> exits;
  std::deque<Step> open;
  open.push_back({survey_.machine->flows[flow].start, std::move(entry)});
  while (!open.empty() && work_ < kWorkMax) {
    Step step = std::move(open.front());
    open.pop_front();
    if (step.next == kNoState) {
      if (exits.size() < kFramesPerStateMax) exits.push_back(std::move(step.frame));
      continue;
    }
    Seen& known = seen[step.next];
    if (known.frames.size() >= kFramesPerStateMax) {
      if (known.widenings >= 2) continue;
      step.frame = widened(known.frames, step.frame);
      ++known.widenings;
    }
    const bool is_known = std::any_of(known.frames.begin(), known.frames.end(),
                                      [&](const Frame& frame) { return same_frame(frame, step.frame); });
    if (is_known) continue;
    known.frames.push_back(step.frame);
    const std::size_t state = survey_.numbers[flow][step.next];
    work_ += survey_.states[state].weight + step.frame.variables.size() + step.frame.facts.size();
    for (Step& next : visit(state, step.frame)) open.push_back(std::move(next));
  }
  return exits;
}

Walk::Moves Walk::visit(std::size_t state, const Frame& entry) {
  const State& compiled = *survey_.states[state].state;
  const json::Value& definition = survey_.states[state].definition;
  if (survey_.states[state].is_jsonata()) return visit_jsonata(state, entry);
  Frame frame = entry;
  const bool has_input_path = definition.has("InputPath");
  ShapePtr input = reader_.select("InputPath", state, frame, frame.value);
  ShapePtr result;
  switch (compiled.type) {
    case StateType::kChoice:
      return visit_choice(state, std::move(frame), input);
    case StateType::kFail:
      reader_.read_field("ErrorPath", state, frame, input);
      reader_.read_field("CausePath", state, frame, input);
      return {};
    case StateType::kTask:
      result = visit_task(state, frame, input);
      break;
    case StateType::kParallel:
      result = visit_parallel(state, frame, input);
      break;
    case StateType::kMap:
      result = visit_map(state, frame, input);
      break;
    case StateType::kPass:
    case StateType::kWait:
    case StateType::kSucceed:
      reader_.read_field("SecondsPath", state, frame, input);
      reader_.read_field("TimestampPath", state, frame, input);
      break;
  }
  // What had to be there for the reads to work is there.
  if (!has_input_path) frame.value = input;
  const ShapePtr raw = result ? result : input;
  if (compiled.type == StateType::kPass) {
    visit_pass(state, frame, input);
  } else if (result) {
    if (const json::Value* selector = definition.find("ResultSelector")) {
      result =
          reader_.read_template(*selector, survey_.states[state].at("ResultSelector"), state, frame, result);
    }
    put_result(state, definition, frame, result, may_lose_input(state, result));
  } else if (has_input_path) {
    frame.value = input;
  }
  assign(state, definition, survey_.states[state].pointer, frame, raw);
  if (definition.has("OutputPath")) {
    const ShapePtr before = frame.value;
    Shape out = *reader_.select("OutputPath", state, frame, frame.value);
    if (before->replaced && !out.replaced) out.replaced = before->replaced;
    if (before->replaced) out.maker = before->maker;
    frame.value = seal(std::move(out));
  }
  return moves_of(state, entry, std::move(frame));
}

Walk::Moves Walk::moves_of(std::size_t state, const Frame& entry, Frame exit) {
  const State& compiled = *survey_.states[state].state;
  Moves out;
  add_catches(state, entry, out);
  if (survey_.states[state].task.is_approval) exit.is_approved = true;
  const bool ends = compiled.is_end || compiled.type == StateType::kSucceed;
  out.push_back({ends ? kNoState : compiled.next, std::move(exit)});
  return out;
}

// A function that got the whole input may give it back; everything else stands for something new.
bool Walk::may_lose_input(std::size_t state, const ShapePtr& result) const {
  const SurveyedState& in = survey_.states[state];
  const bool is_chosen = in.definition.has(in.parameters_name()) && !passes_whole_input(in.parameters());
  return in.state->type != StateType::kTask || result->kind == ShapeKind::kObject || is_chosen;
}

Walk::Moves Walk::visit_jsonata(std::size_t state, const Frame& entry) {
  const SurveyedState& in = survey_.states[state];
  Frame frame = entry;
  ShapePtr input = frame.value;
  if (in.state->type == StateType::kChoice) return visit_choice(state, std::move(frame), input);
  for (const std::string_view field : {"Seconds", "Timestamp", "TimeoutSeconds", "HeartbeatSeconds", "Error",
                                       "Cause", "MaxConcurrency", "ToleratedFailureCount"}) {
    const json::Value* value = in.definition.find(field);
    if (value != nullptr) reader_.read_template(*value, in.at(field), state, frame, input);
  }
  QueryData data;
  if (in.state->type == StateType::kFail) return {};
  if (in.state->type == StateType::kTask) data.result = visit_task(state, frame, input);
  if (in.state->type == StateType::kParallel) data.result = visit_parallel(state, frame, input);
  if (in.state->type == StateType::kMap) data.result = visit_map(state, frame, input);
  ShapePtr output = data.result ? replacing(state, data.result, input) : input;
  if (data.result && !may_lose_input(state, data.result)) output = data.result;
  if (const json::Value* written = in.definition.find("Output")) {
    output = reader_.read_template(*written, in.at("Output"), state, frame, input, data);
  }
  assign(state, in.definition, in.pointer, frame, input, data);
  frame.value = std::move(output);
  return moves_of(state, entry, std::move(frame));
}

// A value that takes the place of another.
ShapePtr Walk::replacing(std::size_t state, const ShapePtr& value, const ShapePtr& before) {
  if (value == before) return value;
  Shape out = *value;
  out.maker = state;
  out.replaced = before;
  return seal(std::move(out));
}

void Walk::visit_pass(std::size_t state, Frame& frame, ShapePtr& input) {
  const json::Value& definition = survey_.states[state].definition;
  ShapePtr result = input;
  if (definition.has("Parameters")) {
    result = parameters_of(state, frame, input);
    if (!definition.has("InputPath")) frame.value = input;
  }
  if (const json::Value* literal = definition.find("Result")) result = shape_of(*literal);
  for (const std::string_view field : {"Parameters", "Result"}) {
    for (const json::Member& member : definition.get(field).members()) {
      std::string_view name = member.key.as_string();
      const bool is_read = name.ends_with(".$");
      if (is_read) name.remove_suffix(2);
      const auto fact = frame.facts.find(name);
      if (fact == frame.facts.end()) continue;
      const bool is_same = is_read && member.value.is_string() && last_name(member.value.as_string()) == name;
      if (!is_same) frame.facts.erase(fact);
    }
  }
  put_result(state, definition, frame, result, false);
}

ShapePtr Walk::parameters_of(std::size_t state, const Frame& frame, ShapePtr& input) {
  const SurveyedState& in = survey_.states[state];
  if (!in.definition.has(in.parameters_name())) return input;
  return reader_.read_template(in.parameters(), in.at(in.parameters_name()), state, frame, input);
}

ShapePtr Walk::visit_task(std::size_t state, Frame& frame, ShapePtr& input) {
  const SurveyedState& surveyed = survey_.states[state];
  const auto& task = std::get<Task>(surveyed.state->body);
  if (surveyed.task.is_disruptive && !frame.is_approved) notebook_.note("A04", state, "");
  check_literals(state, surveyed.parameters(), surveyed.at(surveyed.parameters_name()), frame, 0);
  const ShapePtr parameters = parameters_of(state, frame, input);
  for (const std::string_view field : {"TimeoutSecondsPath", "HeartbeatSecondsPath"}) {
    reader_.read_field(field, state, frame, input);
  }
  if (const json::Value* credentials = surveyed.definition.find("Credentials")) {
    reader_.read_template(*credentials, surveyed.at("Credentials"), state, frame, input);
  }
  visited_ |= bit_of(state);
  const std::uint64_t sources = bit_of(state) | parameters->all_sources;
  return with_sources(known_result(task.resource), sources, state);
}

// A literal that the Choice before told apart from the value it found.
void Walk::check_literals(std::size_t state, const json::Value& value, const std::string& pointer,
                          const Frame& frame, int depth) {
  if (depth > kSearchDepthMax) return;
  for (const json::Member& member : value.members()) {
    const std::string_view name = member.key.as_string();
    const std::string place = pointer + "/" + escape_pointer(name);
    const auto fact = frame.facts.find(name);
    if (fact != frame.facts.end() && member.value.is_string()) {
      const std::string literal = member.value.to_std_string();
      if (literal != fact->second.value && fact->second.domain && fact->second.domain->contains(literal)) {
        notebook_.note("A07", state,
                       std::string(name) + " \"" + literal + "\" on the way where a Choice found \"" +
                           fact->second.value + "\"",
                       place);
      }
    }
    check_literals(state, member.value, place, frame, depth + 1);
  }
}

ShapePtr Walk::visit_parallel(std::size_t state, Frame& frame, ShapePtr& input) {
  const auto& parallel = std::get<Parallel>(survey_.states[state].state->body);
  Frame entry = frame;
  entry.value = parameters_of(state, frame, input);
  Shape result;
  result.kind = ShapeKind::kArray;
  result.is_tuple = true;
  result.maker = state;
  for (const FlowIndex branch : parallel.branches) {
    const std::vector<Frame> exits = run_flow(branch, entry);
    result.items.push_back(merged_exit(exits));
    frame.is_approved = frame.is_approved || are_all_approved(exits);
  }
  return seal(std::move(result));
}

// What a Map works through. With an ItemReader ItemsPath means something in what is read.
ShapePtr Walk::items_of(std::size_t state, const Frame& frame, ShapePtr& input) {
  const SurveyedState& in = survey_.states[state];
  const json::Value& definition = in.definition;
  if (definition.has("ItemReader")) return unknown_shape();
  if (in.is_jsonata()) {
    if (!definition.has("Items")) return input;
    return reader_.read_template(definition.get("Items"), in.at("Items"), state, frame, input);
  }
  const ShapePtr items =
      definition.has("ItemsPath") ? reader_.read_field("ItemsPath", state, frame, input) : input;
  if (items->kind == ShapeKind::kScalar) {
    const json::Value& path = definition.get("ItemsPath");
    notebook_.note("A12", state, (path.is_string() ? path.to_std_string() : "$") + " as a list",
                   definition.has("ItemsPath") ? in.at("ItemsPath") : "");
  }
  return items;
}

ShapePtr Walk::visit_map(std::size_t state, Frame& frame, ShapePtr& input) {
  const SurveyedState& surveyed = survey_.states[state];
  const auto& map = std::get<Map>(surveyed.state->body);
  const json::Value& definition = surveyed.definition;
  const ShapePtr items = items_of(state, frame, input);
  for (const std::string_view field :
       {"MaxConcurrencyPath", "ToleratedFailureCountPath", "ToleratedFailurePercentagePath"}) {
    reader_.read_field(field, state, frame, input);
  }
  Frame entry = frame;
  entry.value = items->kind == ShapeKind::kArray && !items->is_tuple && items->element
                    ? items->element
                    : unknown_shape(items->all_sources);
  const std::string_view selector = definition.has("ItemSelector") ? "ItemSelector" : "Parameters";
  if (const json::Value* value = definition.find(selector)) {
    entry.value = reader_.read_template(*value, surveyed.at(selector), state, frame, input);
  }
  if (map.distributed) {  // Its children are executions of their own: they see no variables of this one.
    entry.variables.clear();
    entry.has_more_variables = false;
  }
  const std::vector<Frame> exits = run_flow(map.processor, std::move(entry));
  Shape result = *array_of(merged_exit(exits));
  result.maker = state;
  return seal(std::move(result));
}

void Walk::put_result(std::size_t state, const json::Value& definition, Frame& frame, ShapePtr result,
                      bool may_lose) {
  const json::Value* path = definition.find("ResultPath");
  if (path != nullptr && path->is_null()) return;
  if (path == nullptr || !path->is_string() || path->as_string() == "$") {
    if (!may_lose) {
      frame.value = std::move(result);
      return;
    }
    frame.value = replacing(state, result, frame.value);
    return;
  }
  Result<jsonpath::Path> compiled = jsonpath::Path::compile_reference(path->as_string());
  if (!compiled.ok()) return;
  const std::string name = last_name(path->as_string());
  if (const auto fact = frame.facts.find(name); fact != frame.facts.end()) frame.facts.erase(fact);
  frame.value = store(frame.value, compiled->reference_steps(), std::move(result));
}

void Walk::assign(std::size_t state, const json::Value& definition, const std::string& pointer, Frame& frame,
                  ShapePtr root, const QueryData& data) {
  const json::Value* assigned = definition.find("Assign");
  if (assigned == nullptr) return;
  const ShapePtr shape = reader_.read_template(*assigned, pointer + "/Assign", state, frame, root, data);
  for (const auto& [name, member] : shape->members) {
    const bool is_full = frame.variables.size() >= kVariablesMax && !frame.variables.contains(name);
    if (is_full) {
      frame.has_more_variables = true;
    } else {
      frame.variables[name] = member;
    }
  }
}

void Walk::add_catches(std::size_t state, const Frame& entry, Moves& out) {
  const SurveyedState& surveyed = survey_.states[state];
  const json::Value& list = surveyed.definition.get("Catch");
  for (std::size_t i = 0; i < surveyed.state->catchers.size(); ++i) {
    const std::string pointer = surveyed.at("Catch") + "/" + std::to_string(i);
    const json::Value& catcher = list[i];
    Frame frame = entry;
    const ShapePtr error = closed_object({"Error", "Cause"});
    if (surveyed.is_jsonata()) {
      const QueryData data{nullptr, error};
      ShapePtr input = frame.value;
      const json::Value* written = catcher.find("Output");
      ShapePtr output = written != nullptr
                            ? reader_.read_template(*written, pointer + "/Output", state, frame, input, data)
                            : replacing(state, error, input);
      assign(state, catcher, pointer, frame, input, data);
      frame.value = std::move(output);
    } else {
      assign(state, catcher, pointer, frame, error);
      put_result(state, catcher, frame, error, true);
    }
    out.push_back({surveyed.state->catchers[i].next, std::move(frame)});
  }
}

// The conditions of a Choice, in JSONPath's form.
std::vector<json::Value> Walk::conditions_of(std::size_t state, const Frame& frame, const ShapePtr& input) {
  const SurveyedState& in = survey_.states[state];
  const std::span<const json::Value> rules = in.definition.get("Choices").items();
  if (!in.is_jsonata()) return {rules.begin(), rules.end()};
  std::vector<json::Value> out;
  for (const json::Value& rule : rules) {
    const json::Value& condition = rule.get("Condition");
    // Beyond comparisons of paths, all that it reads counts as tested.
    if (is_jsonata_expression(condition) && rule_of_condition(condition, true).is_null()) {
      Notebook ignored(survey_);  // What is not there compares unequal.
      const ShapePtr read =
          Reader(survey_, ignored).read_query(condition.as_string(), in.pointer, state, frame, input, {});
      tested_ |= read->all_sources;
    }
    out.push_back(rule_of_condition(condition));
  }
  return out;
}

std::uint64_t Walk::sources_of(const Comparison& comparison, std::size_t state, bool tolerates_absence,
                               const Frame& frame, ShapePtr& input) {
  const std::string variable = variable_of(comparison);
  if (!tolerates_absence) {
    return reader_.read(variable, comparison.pointer + "/Variable", state, frame, input)->all_sources;
  }
  if (!variable.starts_with('$')) return 0;
  Notebook ignored(survey_);  // Only where it comes from matters.
  ShapePtr copy = input;
  return Reader(survey_, ignored).read(variable, comparison.pointer, state, frame, copy)->all_sources;
}

Walk::Moves Walk::visit_choice(std::size_t state, Frame frame, ShapePtr& input) {
  const SurveyedState& surveyed = survey_.states[state];
  const auto& choice = std::get<Choice>(surveyed.state->body);
  const std::vector<json::Value> rules = conditions_of(state, frame, input);
  const std::vector<std::string> guarded = guarded_paths(rules);
  std::map<std::string, std::shared_ptr<std::set<std::string>>> domains;
  std::vector<Frame> ways(choice.rules.size() + 1, frame);
  bool approves_by_rule = false;
  for (std::size_t i = 0; i < choice.rules.size(); ++i) {
    const std::string pointer = surveyed.at("Choices") + "/" + std::to_string(i);
    for (const Comparison& comparison : comparisons_of(rules[i], pointer)) {
      const std::string variable = variable_of(comparison);
      const bool tolerates_absence = surveyed.is_jsonata() || is_guarded(guarded, variable);
      const std::uint64_t sources = sources_of(comparison, state, tolerates_absence, frame, input);
      tested_ |= sources;
      const std::string name = last_name(variable);
      const std::optional<std::string> text = equal_text(comparison);
      if (text) {
        auto& domain = domains[name];
        if (!domain) domain = std::make_shared<std::set<std::string>>();
        domain->insert(*text);
      }
      ways.back().facts.erase(name);
      ways[i].facts.erase(name);
      const bool is_fact =
          text && comparison.is_required && !name.empty() && ways[i].facts.size() < kFactsMax;
      if (is_fact) ways[i].facts[name].value = *text;
      const bool is_answer = std::any_of(watched_.begin(), watched_.end(), [&](std::size_t watched) {
        return survey_.states[watched].task.is_approval && (bit_of(watched) & sources) != 0;
      });
      if (!is_answer) continue;
      const Verdict verdict = verdict_of(comparison);
      if (verdict == Verdict::kRejected) ways[i].is_approved = false;
      approves_by_rule = approves_by_rule || verdict == Verdict::kApproved;
    }
  }
  if (approves_by_rule) ways.back().is_approved = false;
  Moves out;
  for (std::size_t i = 0; i < ways.size(); ++i) {
    const bool is_default = i == choice.rules.size();
    const StateIndex next = is_default ? choice.default_next : choice.rules[i].next;
    if (next == kNoState) continue;
    for (auto& [name, fact] : ways[i].facts) {
      if (const auto domain = domains.find(name); domain != domains.end()) fact.domain = domain->second;
    }
    const std::string pointer =
        is_default ? surveyed.pointer : surveyed.at("Choices") + "/" + std::to_string(i);
    const json::Value& written = is_default ? surveyed.definition : surveyed.definition.get("Choices")[i];
    ways[i].value = input;
    if (surveyed.definition.has("OutputPath")) {
      ways[i].value = reader_.select("OutputPath", state, ways[i], ways[i].value);
    }
    if (const json::Value* output = surveyed.is_jsonata() ? written.find("Output") : nullptr) {
      ways[i].value = reader_.read_template(*output, pointer + "/Output", state, ways[i], input);
    }
    assign(state, written, pointer, ways[i], input);
    out.push_back({next, std::move(ways[i])});
  }
  return out;
}

}  // namespace sortie::asl::analysis
