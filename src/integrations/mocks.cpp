#include "integrations/mocks.h"

#include <algorithm>
#include <charconv>

#include "json/text.h"

namespace sortie::integrations {
namespace mock_config {

Error invalid(const std::string& what, const std::string& place) {
  return {"InvalidMockConfig", what, place, ""};
}

bool read_number(std::string_view text, std::uint32_t* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}

// "0" or "1-3"
bool read_range(std::string_view text, MockConfig::Response* out) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) {
    if (!read_number(text, &out->first)) return false;
    out->last = out->first;
    return true;
  }
  return read_number(text.substr(0, dash), &out->first) && read_number(text.substr(dash + 1), &out->last) &&
         out->first <= out->last;
}

Result<MockConfig::Response> read_response(std::string_view key, const json::Value& value,
                                           const std::string& place) {
  MockConfig::Response out;
  if (!read_range(key, &out)) return invalid("'" + std::string(key) + "' is no number and no range", place);
  const json::Value* returned = value.find("Return");
  const json::Value* thrown = value.find("Throw");
  if ((returned == nullptr) == (thrown == nullptr)) {
    return invalid("a mocked response has either Return or Throw", place);
  }
  out.throws = thrown != nullptr;
  out.value = out.throws ? *thrown : *returned;
  if (out.throws && !out.value.get("Error").is_string()) return invalid("Throw needs an Error", place);
  return out;
}

}  // namespace mock_config

Result<MockConfig> MockConfig::parse(std::string_view text) {
  SORTIE_TRY(const json::Value root, json::parse(text));
  MockConfig config;
  if (!root.get("StateMachines").is_object()) return mock_config::invalid("StateMachines is missing", "/");
  for (const json::Member& response : root.get("MockedResponses").members()) {
    const std::string place = "/MockedResponses/" + std::string(response.key.as_string());
    std::vector<Response>& list = config.responses_[std::string(response.key.as_string())];
    for (const json::Member& item : response.value.members()) {
      SORTIE_TRY(Response read, mock_config::read_response(item.key.as_string(), item.value, place));
      list.push_back(std::move(read));
    }
    std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t i = 1; i < list.size(); ++i) {
      if (list[i].first <= list[i - 1].last) return mock_config::invalid("two responses overlap", place);
    }
  }
  for (const json::Member& machine : root.get("StateMachines").members()) {
    const std::string machine_name(machine.key.as_string());
    for (const json::Member& test : machine.value.get("TestCases").members()) {
      Case& states = config.machines_[machine_name][std::string(test.key.as_string())];
      for (const json::Member& state : test.value.members()) {
        const std::string name = state.value.is_string() ? state.value.to_std_string() : "";
        if (!config.responses_.contains(name)) {
          return mock_config::invalid(
              "MockedResponses has no '" + name + "'",
              "/StateMachines/" + machine_name + "/TestCases/" + std::string(test.key.as_string()));
        }
        states[std::string(state.key.as_string())] = name;
      }
    }
  }
  return config;
}

bool MockConfig::has_case(std::string_view machine, std::string_view test_case) const {
  const auto found = machines_.find(machine);
  return found != machines_.end() && found->second.contains(test_case);
}

const std::vector<MockConfig::Response>* MockConfig::find(std::string_view machine,
                                                          std::string_view test_case,
                                                          std::string_view state) const {
  const auto found = machines_.find(machine);
  if (found == machines_.end()) return nullptr;
  const auto test = found->second.find(test_case);
  if (test == found->second.end()) return nullptr;
  const auto name = test->second.find(state);
  return name == test->second.end() ? nullptr : &responses_.find(name->second)->second;
}

void MockDispatcher::attach(runtime::Runtime& runtime) {
  runtime_ = &runtime;
  subscription_ = runtime.observe([this](const runtime::ExecutionChange& change) {
    if (change.status != store::ExecutionStatus::kRunning) invocations_.erase(change.execution_arn);
  });
}

std::uint32_t MockDispatcher::number_of(const runtime::TaskOrder& order) {
  if (invocations_.size() >= kExecutionsMax) invocations_.erase(invocations_.begin());
  Invocations& seen = invocations_[order.origin->execution_arn][{order.key.frame, *order.state_name}];
  if (seen.keys.empty()) seen.first = order.key.attempt - 1;
  auto found = std::find(seen.keys.begin(), seen.keys.end(), order.key);
  if (found == seen.keys.end()) found = seen.keys.insert(found, order.key);
  return seen.first + static_cast<std::uint32_t>(found - seen.keys.begin());
}

void MockDispatcher::dispatch(runtime::TaskOrder order) {
  const std::vector<MockConfig::Response>* responses = nullptr;
  if (!order.origin->test_case.empty()) {
    const std::string machine =
        order.origin->state_machine_arn.substr(order.origin->state_machine_arn.rfind(':') + 1);
    responses = config_.find(machine, order.origin->test_case, *order.state_name);
  }
  if (responses == nullptr) return next_.dispatch(std::move(order));
  answer(order, *responses);
}

void MockDispatcher::answer(const runtime::TaskOrder& order,
                            const std::vector<MockConfig::Response>& responses) {
  const std::uint32_t number = number_of(order);
  const auto found = std::find_if(responses.begin(), responses.end(), [&](const auto& response) {
    return response.first <= number && number <= response.last;
  });
  const bool is_submitted = order.resource->pattern != asl::TaskPattern::kRequestResponse;
  // From the loop, like every other report.
  loop_.post([this, key = order.key, state = *order.state_name, number, is_submitted,
              response = found == responses.end() ? std::optional<MockConfig::Response>() : *found] {
    if (runtime_ == nullptr) return;
    if (!response) {
      return runtime_->task_failed(key, "States.Runtime",
                                   "The mock configuration has no response for invocation " +
                                       std::to_string(number) + " of the state '" + state + "'");
    }
    if (is_submitted) runtime_->task_submitted(key, json::Value::object({}));
    if (!response->throws) return runtime_->task_succeeded(key, response->value);
    const json::Value& cause = response->value.get("Cause");
    runtime_->task_failed(key, response->value.get("Error").to_std_string(),
                          cause.is_string() ? cause.to_std_string() : "");
  });
}

}  // namespace sortie::integrations
