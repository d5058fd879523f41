// A13, A14, A15: what Retry and Catch say.
#include <algorithm>
#include <cmath>
#include <set>

#include "asl/lint/rules.h"

namespace sortie::asl::analysis {
namespace handlers {

using Names = std::vector<std::string>;

constexpr std::string_view kErrorNames[] = {
    "States.ALL",
    "States.BranchFailed",
    "States.DataLimitExceeded",
    "States.ExceedToleratedFailureThreshold",
    "States.HeartbeatTimeout",
    "States.Http.Socket",
    "States.IntrinsicFailure",
    "States.ItemReaderFailed",
    "States.NoChoiceMatched",
    "States.ParameterPathFailure",
    "States.Permissions",
    "States.QueryEvaluationError",
    "States.ResultPathMatchFailure",
    "States.ResultWriterFailed",
    "States.Runtime",
    "States.TaskFailed",
    "States.Timeout",
};

// "States.Foo" is reserved and "State.ALL" a slip of the pen; both match nothing. HTTP statuses are
// open-ended.
bool is_impossible_error(std::string_view name) {
  if (name.starts_with("State.")) return true;
  if (!name.starts_with("States.") || name.starts_with("States.Http.")) return false;
  return std::find(std::begin(kErrorNames), std::end(kErrorNames), name) == std::end(kErrorNames);
}

void check_names(const SurveyedState& in, std::size_t number, Notebook& notebook) {
  const auto check = [&](const std::vector<std::string>& names, std::string_view list, std::size_t i) {
    for (const std::string& name : names) {
      if (!is_impossible_error(name)) continue;
      notebook.note("A13", number, "no error is ever named \"" + name + "\"",
                    in.at(list) + "/" + std::to_string(i) + "/ErrorEquals");
    }
  };
  for (std::size_t i = 0; i < in.state->retry.size(); ++i) check(in.state->retry[i].error_equals, "Retry", i);
  for (std::size_t i = 0; i < in.state->catchers.size(); ++i) {
    check(in.state->catchers[i].error_equals, "Catch", i);
  }
}

// Whether what is listed before catches the error, too. A Task's States.TaskFailed is every error but the
// language's own.
bool is_caught_before(const std::set<std::string>& before, const std::string& name, bool is_task) {
  const bool is_own = name.starts_with("States.");
  return before.contains(name) || (is_task && !is_own && before.contains("States.TaskFailed"));
}

void check_order(const SurveyedState& in, std::size_t number, std::string_view list,
                 const std::vector<const Names*>& handlers, Notebook& notebook) {
  const bool is_task = in.state->type == StateType::kTask;
  std::set<std::string> before;
  for (std::size_t i = 0; i < handlers.size(); ++i) {
    const Names& names = *handlers[i];
    const bool is_dead =
        !names.empty() && std::all_of(names.begin(), names.end(), [&](const std::string& name) {
          return is_caught_before(before, name, is_task);
        });
    if (is_dead) {
      notebook.note("A14", number, std::string(list) + " for " + names.front(),
                    in.at(list) + "/" + std::to_string(i));
    }
    before.insert(names.begin(), names.end());
  }
}

// Seconds that all attempts of a retrier wait together.
double seconds_of(const Retrier& retrier) {
  double delay = static_cast<double>(retrier.interval_seconds);
  const double most = retrier.max_delay_seconds ? static_cast<double>(*retrier.max_delay_seconds) : 1e12;
  double sum = 0;
  for (std::int64_t done = 0; done < retrier.max_attempts && sum < 1e12; ++done) {
    delay = std::min(delay, most);
    if (retrier.backoff_rate <= 1.001 || delay == most) {
      return sum + delay * static_cast<double>(retrier.max_attempts - done);
    }
    sum += delay;
    delay *= retrier.backoff_rate;
  }
  return sum;
}

}  // namespace handlers

void check_handlers(const SurveyedState& in, std::size_t number, Notebook& notebook) {
  constexpr double kYear = 365.0 * 24 * 3600;  // An execution lasts no longer.
  handlers::check_names(in, number, notebook);
  std::vector<const handlers::Names*> retries, catches;
  for (std::size_t i = 0; i < in.state->retry.size(); ++i) {
    const Retrier& retrier = in.state->retry[i];
    retries.push_back(&retrier.error_equals);
    if (handlers::seconds_of(retrier) <= kYear) continue;
    notebook.note("A15", number, retrier.error_equals.empty() ? "" : retrier.error_equals.front(),
                  in.at("Retry") + "/" + std::to_string(i));
  }
  for (const Catcher& catcher : in.state->catchers) catches.push_back(&catcher.error_equals);
  handlers::check_order(in, number, "Retry", retries, notebook);
  handlers::check_order(in, number, "Catch", catches, notebook);
}

}  // namespace sortie::asl::analysis
