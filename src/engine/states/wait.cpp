#include <cmath>

#include "engine/step.h"
#include "json/text.h"

namespace sortie::engine {

Outcome_<Timestamp> Step::wait_by_query(const Frame& frame, const asl::Wait& wait) const {
  const bool by_seconds = wait.seconds_query.has_value();
  const asl::JsonataTemplate& query = by_seconds ? *wait.seconds_query : *wait.timestamp_query;
  const std::string_view field = by_seconds ? "Seconds" : "Timestamp";
  Outcome_<json::Value> made = evaluate(frame, query, field);
  if (auto* failure = std::get_if<Failure>(&made)) return std::move(*failure);
  const json::Value& value = std::get<json::Value>(made);
  if (by_seconds) {
    if (!value.is_number()) return type_failure(frame, query, field, "number", value);
    if (!value.is_integer()) return type_failure(frame, query, field, "integer", value);
    if (value.as_integer() < 0 || value.as_integer() > kTimeoutSecondsMax) {
      return query_failure(
          frame, "The Seconds field has to be between 0 and 99999999 but was: " + json::to_text(value),
          field);
    }
    return context_.now.plus_ms(value.as_integer() * 1000);
  }
  if (!value.is_string()) return type_failure(frame, query, field, "string", value);
  const Result<Timestamp> time = parse_rfc3339(value.as_string());
  if (time) return *time;
  return query_failure(frame,
                       "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format "
                       "string: " +
                           value.to_std_string(),
                       field);
}

Outcome_<Timestamp> Step::wait_until(const Frame& frame, const asl::Wait& wait,
                                     const json::Value& input) const {
  const auto plain = [](const json::Value& value) {
    return value.is_string() ? value.to_std_string() : json::to_text(value);
  };
  if (wait.timestamp) return *wait.timestamp;
  if (wait.seconds) return context_.now.plus_ms(*wait.seconds * 1000);
  if (wait.seconds_query || wait.timestamp_query) return wait_by_query(frame, wait);
  const bool by_seconds = wait.seconds_path.has_value();
  const intrinsic::Expression& path = by_seconds ? *wait.seconds_path : *wait.timestamp_path;
  const Outcome_<json::Value> found = evaluate(frame, path, input);
  const std::string field = by_seconds ? "SecondsPath" : "TimestampPath";
  if (std::holds_alternative<Failure>(found)) {
    return runtime_failure(frame,
                           "The " + field + " parameter does not reference an input value: " + path.text());
  }
  const json::Value& value = std::get<json::Value>(found);
  const std::string shown = path.text() + " == " + plain(value);
  if (by_seconds) {
    if (!value.is_integer()) {
      return runtime_failure(frame, "The SecondsPath parameter cannot be parsed as a long value: " + shown);
    }
    if (value.as_integer() < 0) {
      return runtime_failure(frame, "The SecondsPath parameter references a negative value: " + shown);
    }
    if (value.as_integer() > kTimeoutSecondsMax)
      return runtime_failure(frame, "Wait state delay is too long.");
    return context_.now.plus_ms(value.as_integer() * 1000);
  }
  const Result<Timestamp> time = value.is_string() ? parse_rfc3339(value.as_string()) : Error{};
  if (!time) {
    return runtime_failure(frame,
                           "The TimestampPath parameter does not reference a valid ISO-8601 extended offset "
                           "date-time format string: " +
                               shown);
  }
  return *time;
}

void Step::run_wait(Frame& frame, const asl::State& state) {
  const FrameNo no = frame.no;
  Outcome_<json::Value> input = select(frame, state.input_path, frame.state_input);
  if (auto* failure = std::get_if<Failure>(&input)) return fail(no, std::move(*failure));
  inspect(state, &Inspection::after_input_path, std::get<json::Value>(input));
  Outcome_<Timestamp> until =
      wait_until(frame, std::get<asl::Wait>(state.body), std::get<json::Value>(input));
  if (auto* failure = std::get_if<Failure>(&until)) return fail(no, std::move(*failure));
  frame.phase = Sleeping{std::get<Timestamp>(until)};
  frame.waiting_since = context_.now;
  touch(frame);
  if (std::get<Timestamp>(until) <= context_.now) timer_fired(no);
}

}  // namespace sortie::engine
