// Pass, Succeed and Fail.
#include "engine/step.h"
#include "json/text.h"

namespace sortie::engine {

void Step::run_pass(Frame& frame, const asl::State& state) {
  const FrameNo no = frame.no;
  Outcome_<json::Value> input = select(frame, state.input_path, frame.state_input);
  if (auto* failure = std::get_if<Failure>(&input)) return fail(no, std::move(*failure));
  json::Value result = std::get<json::Value>(input);
  const auto& pass = std::get<asl::Pass>(state.body);
  if (pass.result) {
    result = *pass.result;
    inspect(state, &Inspection::result, result);
  } else {
    inspect(state, &Inspection::after_input_path, result);
    inspect(state, &Inspection::after_parameters, result);
  }
  if (!pass.result && state.parameters) {
    Outcome_<json::Value> made = evaluate(frame, *state.parameters, result, "Arguments");
    if (auto* failure = std::get_if<Failure>(&made)) return fail(no, std::move(*failure));
    result = std::get<json::Value>(std::move(made));
    inspect(state, &Inspection::after_parameters, result);
  }
  inspect(state, &Inspection::after_result_selector, result);
  Outcome_<json::Value> placed = place_result(frame, state.result_path, frame.state_input, result);
  if (auto* failure = std::get_if<Failure>(&placed)) return fail(no, std::move(*failure));
  inspect(state, &Inspection::after_result_path, std::get<json::Value>(placed));
  succeed(no, std::get<json::Value>(std::move(placed)), result, exit_of(state));
}

void Step::run_succeed(Frame& frame, const asl::State& state) {
  const FrameNo no = frame.no;
  Outcome_<json::Value> input = select(frame, state.input_path, frame.state_input);
  if (auto* failure = std::get_if<Failure>(&input)) return fail(no, std::move(*failure));
  inspect(state, &Inspection::after_input_path, std::get<json::Value>(input));
  succeed(no, std::get<json::Value>(std::move(input)), frame.state_input,
          {state.assign, state.output, asl::kNoState, true});
}

std::optional<Failure> Step::fail_text(const Frame& frame, const asl::JsonataTemplate& query,
                                       std::string_view field, std::optional<std::string>* out) const {
  Outcome_<json::Value> made = evaluate(frame, query, field);
  if (auto* bad = std::get_if<Failure>(&made)) return std::move(*bad);
  const json::Value& value = std::get<json::Value>(made);
  if (!value.is_string()) return type_failure(frame, query, field, "string", value);
  *out = value.to_std_string();
  return std::nullopt;
}

void Step::run_fail(Frame& frame, const asl::State& state) {
  const auto& body = std::get<asl::Fail>(state.body);
  inspect(state, &Inspection::after_input_path, frame.state_input);
  Failure failure{body.error, body.cause};
  const auto read = [&](const std::optional<intrinsic::Expression>& path, std::string_view field,
                        std::optional<std::string>* out) -> std::optional<Failure> {
    if (!path) return std::nullopt;
    Outcome_<json::Value> value = evaluate(frame, *path, frame.state_input);
    if (auto* bad = std::get_if<Failure>(&value)) {
      if (!path->is_path()) return std::move(*bad);
      return runtime_failure(frame, "The JSONPath '" + path->text() + "' specified for the field '" +
                                        std::string(field) + "' could not be found in the input '" +
                                        json::to_text(frame.state_input) + "'");
    }
    const json::Value& text = std::get<json::Value>(value);
    if (!text.is_string()) {
      return runtime_failure(frame,
                             "The " + std::string(field) + " field has to be a string: " + path->text());
    }
    *out = text.to_std_string();
    return std::nullopt;
  };
  if (body.error_query) {
    if (auto bad = fail_text(frame, *body.error_query, "Error", &failure.error)) {
      return fail_flow(frame.no, *bad);
    }
  }
  if (body.cause_query) {
    if (auto bad = fail_text(frame, *body.cause_query, "Cause", &failure.cause)) {
      return fail_flow(frame.no, *bad);
    }
  }
  if (auto bad = read(body.error_path, "ErrorPath", &failure.error)) return fail_flow(frame.no, *bad);
  if (auto bad = read(body.cause_path, "CausePath", &failure.cause)) return fail_flow(frame.no, *bad);
  fail_flow(frame.no, failure);
}

}  // namespace sortie::engine
