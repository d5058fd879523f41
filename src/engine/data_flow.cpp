#include <cmath>

#include "base/text.h"
#include "engine/step.h"
#include "expr/jsonpath/reference_path.h"
#include "json/text.h"

namespace sortie::engine {
namespace {

// Length of the compact JSON text, without making it.
std::size_t text_bytes(const json::Value& root) {
  std::size_t sum = 0;
  std::vector<const json::Value*> open{&root};
  const auto add_string = [&sum](std::string_view text) {
    sum += 2 + text.size();
    for (const char c : text) {
      if (c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t') sum += 1;
    }
  };
  while (!open.empty() && sum <= kPayloadBytesMax * 2) {
    const json::Value& value = *open.back();
    open.pop_back();
    switch (value.kind()) {
      case json::Kind::kString:
        add_string(value.as_string());
        break;
      case json::Kind::kArray:
        sum += 1 + std::max<std::size_t>(value.size(), 1);
        for (const json::Value& item : value.items()) open.push_back(&item);
        break;
      case json::Kind::kObject:
        sum += 1 + std::max<std::size_t>(value.size(), 1);
        for (const json::Member& member : value.members()) {
          add_string(member.key.as_string());
          ++sum;
          open.push_back(&member.value);
        }
        break;
      case json::Kind::kNull:
        sum += 4;
        break;
      case json::Kind::kBool:
        sum += value.as_bool() ? 4 : 5;
        break;
      default:
        sum += json::to_text(value).size();
    }
  }
  return sum;
}

}  // namespace

std::optional<std::string> text_as_given(const Execution& x, const json::Value& value) {
  if (x.input_text.empty() || value.identity() == nullptr) return std::nullopt;
  if (value.identity() == x.input.identity()) return x.input_text;
  for (const auto& [result, text] : x.given_results) {
    if (result.identity() == value.identity()) return text;
  }
  return std::nullopt;
}

void keep_given_text(Execution& x, const json::Value& result) {
  constexpr std::size_t kGivenResultsMax = 8;
  if (x.input_text.empty() || !result.is_array()) return;
  bool is_given = false;
  std::string text = "[";
  for (const json::Value& item : result.items()) {
    const std::optional<std::string> given = text_as_given(x, item);
    is_given = is_given || given.has_value();
    if (text.size() > 1) text += ',';
    text += given ? *given : json::to_text(item);
  }
  if (!is_given || text.size() > kPayloadBytesMax) return;
  if (x.given_results.size() == kGivenResultsMax) x.given_results.erase(x.given_results.begin());
  x.given_results.emplace_back(result, text + "]");
}

// $$.Map.Item
json::Value context_item(const MapItem& item) {
  json::ObjectBuilder out;
  out.append("Index", static_cast<std::int64_t>(item.index)).append("Value", item.value);
  if (item.source != nullptr) out.append("Source", *item.source);
  return out.build();
}

json::Value context_object(const Execution& x, const Frame& frame, const std::string& task_token) {
  const asl::State& state = x.state_of(frame);
  json::ObjectBuilder execution;
  execution.append("Id", x.arn);
  execution.append("Input", x.input);
  execution.append("StartTime", to_iso8601(x.started_at));
  execution.append("Name", x.name);
  execution.append("RoleArn", x.role_arn);
  execution.append("RedriveCount", x.redrive_count);
  if (x.redrive_count > 0) execution.append("RedriveTime", to_iso8601(x.redriven_at));
  json::ObjectBuilder machine;
  machine.append("Id", x.state_machine_arn);
  machine.append("Name", x.state_machine_arn.substr(x.state_machine_arn.rfind(':') + 1));
  json::ObjectBuilder now;
  now.append("Name", state.name);
  now.append("EnteredTime", to_iso8601(frame.entered_at));
  if (state.type == asl::StateType::kTask || state.type == asl::StateType::kParallel ||
      state.type == asl::StateType::kMap) {
    now.append("RetryCount", static_cast<std::int64_t>(frame.retry_count));
  }
  json::ObjectBuilder context;
  context.append("Execution", execution.build());
  context.append("StateMachine", machine.build());
  context.append("State", now.build());
  if (!task_token.empty()) context.append("Task", json::Value::object({{"Token", task_token}}));
  if (frame.map_item) context.append("Map", json::Value::object({{"Item", context_item(*frame.map_item)}}));
  return context.build();
}

// What the state sees as "$$": made for it, or given with a state that is tried by itself.
json::Value Step::context_of(const Frame& frame) const {
  if (context_.context_object == nullptr) return context_object(x_, frame, token_of(frame));
  if (!frame.map_item) return *context_.context_object;
  return json::ObjectBuilder(*context_.context_object)
      .set("Map", json::Value::object({{"Item", context_item(*frame.map_item)}}))
      .build();
}

std::string Step::token_of(const Frame& frame) const {
  const auto* task = std::get_if<asl::Task>(&x_.state_of(frame).body);
  if (task == nullptr || task->resource.pattern != asl::TaskPattern::kWaitForTaskToken) return "";
  return context_.make_token({frame.no, frame.entry, frame.attempt});
}

const json::Value* Step::find_variable(const Frame& inner, std::string_view name) const {
  const Frame* scope = &inner;
  while (true) {
    if (const json::Value* found = scope->variables.find(name)) return found;
    if (scope->parent == kNoFrame) return nullptr;
    scope = &x_.frames.at(scope->parent);
  }
}

Failure Step::runtime_failure(const Frame& frame, std::string text) const {
  return {"States.Runtime",
          "An error occurred while executing the state '" + x_.state_of(frame).name +
              "' (entered at the event id #" + std::to_string(frame.entered_event) + "). " + text,
          false};
}

Failure Step::path_failure(const Frame& frame, const intrinsic::Expression& path, const Error& error) const {
  return runtime_failure(frame, "Invalid path '" + path.text() + "' : " + error.message);
}

Outcome_<json::Value> Step::evaluate(const Frame& frame, const intrinsic::Expression& expression,
                                     const json::Value& input) const {
  if (expression.kind() == intrinsic::ExpressionKind::kInputPath) {
    const jsonpath::Path& path = *expression.path();
    if (path.is_root()) return input;
    if (const json::Value* found = path.find(input)) return *found;
  }
  const std::function<const json::Value*(std::string_view)> variable = [this, &frame](std::string_view name) {
    return find_variable(frame, name);
  };
  json::Value context;
  if (expression.uses_context()) context = context_of(frame);
  Result<json::Value> value = expression.evaluate({&input, &context, &variable, context_.random});
  if (value) return std::move(value).value();
  if (expression.is_path()) return path_failure(frame, expression, value.error());
  Failure failure = runtime_failure(frame, value.error().message);
  if (value.error().code == intrinsic::kIntrinsicFailure) {
    failure.error = std::string(intrinsic::kIntrinsicFailure);
    failure.catchable = true;
  }
  return failure;
}

Outcome_<json::Value> Step::evaluate(const Frame& frame, const intrinsic::PayloadTemplate& tree,
                                     const json::Value& input) const {
  const std::function<const json::Value*(std::string_view)> variable = [this, &frame](std::string_view name) {
    return find_variable(frame, name);
  };
  json::Value context;
  if (!tree.is_constant()) context = context_of(frame);
  intrinsic::TemplateFailure where;
  Result<json::Value> value = tree.evaluate({&input, &context, &variable, context_.random}, &where);
  if (value) return std::move(value).value();
  if (where.is_path) {
    const bool in_context = where.expression.starts_with("$$");
    const std::string text = "The JSONPath '" + where.expression + "' specified for the field '" +
                             where.field + "' could not be found in the input '" +
                             json::to_text(in_context ? context : input) + "'";
    return runtime_failure(frame, text);
  }
  Failure failure = runtime_failure(frame, value.error().message);
  if (value.error().code == intrinsic::kIntrinsicFailure) {
    failure.error = std::string(intrinsic::kIntrinsicFailure);
    failure.catchable = true;
  }
  return failure;
}

Failure Step::query_failure(const Frame& frame, std::string text, std::string_view location) const {
  Failure failure = runtime_failure(frame, std::move(text));
  failure.error = "States.QueryEvaluationError";
  failure.catchable = true;
  failure.evaluation = true;
  failure.location = location;
  return failure;
}

Failure Step::type_failure(const Frame& frame, const asl::JsonataTemplate& tree, std::string_view field,
                           std::string_view expected, const json::Value& value) const {
  return query_failure(
      frame,
      "The JSONata expression '" + tree.expression() + "' specified for the field '" + std::string(field) +
          "' returned an unexpected result type. Expected '" + std::string(expected) + "', but was '" +
          std::string(json::kind_name(value.kind())) + "' for value: " + json::to_text(value),
      field);
}

json::Value Step::states_value(const Frame& frame, asl::StatesMembers members, const StatesData& data) const {
  json::ObjectBuilder states;
  if ((members & asl::kStatesInput) != 0) states.append("input", frame.state_input);
  if ((members & asl::kStatesContext) != 0) {
    states.append("context", context_of(frame));
  }
  if (data.result != nullptr && (members & asl::kStatesResult) != 0) states.append("result", *data.result);
  if (data.error_output != nullptr && (members & asl::kStatesErrorOutput) != 0) {
    states.append("errorOutput", *data.error_output);
  }
  return states.build();
}

Outcome_<json::Value> Step::evaluate(const Frame& frame, const asl::JsonataTemplate& tree,
                                     std::string_view field, const StatesData& data) const {
  if (tree.is_constant()) return tree.tree();
  const std::function<const json::Value*(std::string_view)> variable = [this, &frame](std::string_view name) {
    return find_variable(frame, name);
  };
  const json::Value states = states_value(frame, tree.states_members(), data);
  std::variant<json::Value, asl::QueryFailure> made =
      tree.evaluate({&states, &variable, context_.now, context_.random});
  if (auto* value = std::get_if<json::Value>(&made)) return std::move(*value);
  const auto& wrong = std::get<asl::QueryFailure>(made);
  const std::string location = std::string(field) + wrong.path;
  std::string text =
      "The JSONata expression '" + wrong.expression + "' specified for the field '" + location + "' ";
  switch (wrong.kind) {
    case asl::QueryFailure::Kind::kThrew:
      text += "threw an error during evaluation. " + wrong.message;
      break;
    case asl::QueryFailure::Kind::kUndefined:
      text += "returned nothing (undefined).";
      break;
    case asl::QueryFailure::Kind::kUnsupported:
      text += "returned an unsupported result type.";
      break;
  }
  return query_failure(frame, std::move(text), location);
}

Outcome_<json::Value> Step::evaluate(const Frame& frame, const asl::Template& tree, const json::Value& input,
                                     std::string_view field, const StatesData& data) const {
  if (const auto* payload = std::get_if<intrinsic::PayloadTemplate>(&tree)) {
    return evaluate(frame, *payload, input);
  }
  return evaluate(frame, std::get<asl::JsonataTemplate>(tree), field, data);
}

Outcome_<json::Value> Step::select(const Frame& frame, const asl::SelectPath& path,
                                   const json::Value& value) const {
  if (path.is_null) return json::Value::object(std::vector<json::Member>());
  if (!path.path) return value;
  return evaluate(frame, *path.path, value);
}

Outcome_<json::Value> Step::place_result(const Frame& frame, const asl::ResultPath& path,
                                         const json::Value& input, json::Value result) const {
  if (path.is_null) return input;
  if (!path.path) return result;
  Result<json::Value> placed = jsonpath::set_at(input, *path.path, std::move(result));
  if (placed) return std::move(placed).value();
  Failure failure = runtime_failure(frame, placed.error().message);
  failure.error = std::string(jsonpath::kResultPathMatchFailure);
  failure.catchable = true;
  return failure;
}

Outcome_<std::optional<double>> Step::number(const Frame& frame, const asl::NumberField& field,
                                             const json::Value& input, std::string_view name) const {
  if (field.literal) return std::optional<double>(*field.literal);
  if (field.query) {
    if (name.ends_with("Path")) name.remove_suffix(4);
    Outcome_<json::Value> made = evaluate(frame, *field.query, name);
    if (auto* failure = std::get_if<Failure>(&made)) return std::move(*failure);
    const json::Value& value = std::get<json::Value>(made);
    if (!value.is_number()) return type_failure(frame, *field.query, name, "number", value);
    const bool is_whole = value.as_double() == std::floor(value.as_double());
    if (!is_whole && name.find("Percentage") == std::string_view::npos) {
      return type_failure(frame, *field.query, name, "integer", value);
    }
    return std::optional<double>(value.as_double());
  }
  if (!field.path) return std::optional<double>();
  Outcome_<json::Value> found = evaluate(frame, *field.path, input);
  if (auto* failure = std::get_if<Failure>(&found)) return std::move(*failure);
  json::Value value = std::get<json::Value>(std::move(found));
  if (value.is_string()) {  // "1" counts as 1 (recorded: MAP_STATE_REFERENCE_IN_MAX_CONCURRENCY_PATH).
    const Result<json::Value> digits = json::parse(value.as_string());
    if (digits && digits->is_number()) value = *digits;
  }
  const bool percentage = name.find("Percentage") != std::string_view::npos;
  const bool fits = value.is_number() &&
                    (percentage || value.is_integer() || value.as_double() == std::floor(value.as_double()));
  if (!fits) {
    return runtime_failure(frame, "The " + std::string(name) + " field refers to value \"" +
                                      (value.is_string() ? value.to_std_string() : json::to_text(value)) +
                                      "\" which is not a valid " + (percentage ? "float" : "integer") + ": " +
                                      field.path->text());
  }
  return std::optional<double>(value.as_double());
}

Outcome_<json::Value> Step::assign(const Frame& frame, const std::optional<asl::Template>& tree,
                                   const json::Value& input, const StatesData& data) const {
  if (!tree) return json::Value();
  return evaluate(frame, *tree, input, "Assign", data);
}

// One Assign, and all variables of a scope together, have limits of their own.
std::optional<Failure> Step::check_variables(const Frame& frame, const json::Value& assigned) const {
  if (!assigned.is_object()) return std::nullopt;
  if (auto failure = check_size(frame, assigned, x_.state_of(frame).name)) return failure;
  std::size_t bytes = text_bytes(assigned);
  for (const json::Member& member : frame.variables.members()) {
    if (!assigned.has(member.key.as_string())) bytes += text_bytes(member.value);
  }
  if (bytes <= kVariablesBytesMax) return std::nullopt;
  Failure failure = runtime_failure(
      frame, "The variables exceed the maximum size of " + std::to_string(kVariablesBytesMax) + " bytes.");
  failure.error = "States.DataLimitExceeded";
  failure.catchable = true;
  return failure;
}

void Step::store_variables(Frame& frame, const json::Value& assigned) {
  json::ObjectBuilder all(frame.variables);
  for (const json::Member& member : assigned.members()) all.set(member.key.as_string(), member.value);
  frame.variables = all.build();
}

std::optional<Failure> Step::check_size(const Frame& frame, const json::Value& value,
                                        std::string_view who) const {
  // What was passed on unchanged was measured when it was made.
  if (value.identity() != nullptr && value.identity() == frame.state_input.identity()) return std::nullopt;
  if (value.depth() <= json::kDepthMax && text_bytes(value) <= kPayloadBytesMax) return std::nullopt;
  return Failure{"States.DataLimitExceeded",
                 "The state/task '" + std::string(who) +
                     "' returned a result with a size exceeding the maximum number of bytes service limit."};
}

void Step::succeed(FrameNo no, json::Value output, const json::Value& assign_input, const Exit& exit,
                   const StatesData& data) {
  Frame& done = frame(no);
  const asl::State& state = x_.state_of(done);
  Outcome_<json::Value> assigned = assign(done, exit.assign, assign_input, data);
  if (auto* failure = std::get_if<Failure>(&assigned)) return fail(no, std::move(*failure));
  if (auto failure = check_variables(done, std::get<json::Value>(assigned))) {
    return fail(no, std::move(*failure));
  }
  Outcome_<json::Value> selected =
      exit.output ? evaluate(done, *exit.output, "Output", data) : select(done, state.output_path, output);
  if (auto* failure = std::get_if<Failure>(&selected)) return fail(no, std::move(*failure));
  if (auto failure = check_size(done, std::get<json::Value>(selected), state.name)) {
    return fail(no, std::move(*failure));
  }
  leave(no, std::get<json::Value>(std::move(selected)), exit.next, exit.is_end,
        std::get<json::Value>(assigned));
}

void Step::succeed_with_result(FrameNo no, const json::Value& raw_result) {
  Frame& done = frame(no);
  const asl::State& state = x_.state_of(done);
  json::Value result = raw_result;
  if (state.result_selector) {
    Outcome_<json::Value> chosen = evaluate(done, *state.result_selector, raw_result);
    if (auto* failure = std::get_if<Failure>(&chosen)) return fail(no, std::move(*failure));
    result = std::get<json::Value>(std::move(chosen));
  }
  inspect(state, &Inspection::after_result_selector, result);
  Outcome_<json::Value> placed = place_result(done, state.result_path, done.state_input, std::move(result));
  if (auto* failure = std::get_if<Failure>(&placed)) return fail(no, std::move(*failure));
  inspect(state, &Inspection::after_result_path, std::get<json::Value>(placed));
  succeed(no, std::get<json::Value>(std::move(placed)), raw_result, exit_of(state), {.result = &raw_result});
}

}  // namespace sortie::engine
