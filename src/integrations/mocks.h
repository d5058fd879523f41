#pragma once
// Mocked service integrations, as Step Functions Local has them: a file (SFN_MOCK_CONFIG, usually
// MockConfigFile.json) names test cases for state machines, and an execution that is started with
// "STATE_MACHINE_ARN#TEST_CASE" gets the responses of that case for the Task states it lists. States that the
// case does not list run as ever.
//
//   {"StateMachines": {MACHINE: {"TestCases": {CASE: {STATE: RESPONSE}}}},
//    "MockedResponses": {RESPONSE: {"0": {"Return": VALUE}, "1-2": {"Throw": {"Error": .., "Cause": ..}}}}}
//
// The numbers are invocations of the state in its flow, from 0: what is retried takes the next one, and so
// does a loop that comes by again; each iteration of a Map counts for itself. A number that the response does
// not have fails the task with States.Runtime, which no Retry and no Catch hides. Numbers live in memory:
// after a restart they go on from the attempt. Source: AWS, "Using mocked service integrations".
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "json/value.h"
#include "runtime/runtime.h"

namespace sortie::integrations {

class MockConfig {
 public:
  // Error "InvalidMockConfig" with the place of what is wrong.
  static Result<MockConfig> parse(std::string_view text);

  struct Response {
    std::uint32_t first = 0, last = 0;  // Invocations, from 0.
    bool throws = false;
    json::Value value;  // What is returned, or {Error, Cause}.
  };
  bool has_case(std::string_view machine, std::string_view test_case) const;
  // The responses for this state; null where it is not mocked.
  const std::vector<Response>* find(std::string_view machine, std::string_view test_case,
                                    std::string_view state) const;

 private:
  using Case = std::map<std::string, std::string, std::less<>>;  // State -> name of the response.
  std::map<std::string, std::map<std::string, Case, std::less<>>, std::less<>> machines_;
  std::map<std::string, std::vector<Response>, std::less<>> responses_;
};

// Answers the mocked tasks itself and hands everything else on.
class MockDispatcher final : public runtime::TaskDispatcher {
 public:
  MockDispatcher(Loop& loop, MockConfig config, runtime::TaskDispatcher& next)
      : loop_(loop), config_(std::move(config)), next_(next) {}
  void attach(runtime::Runtime& runtime);
  const MockConfig& config() const { return config_; }

  void dispatch(runtime::TaskOrder order) override;
  void cancel(const runtime::AttemptKey& key) override { next_.cancel(key); }
  void when_handed_over(const runtime::AttemptKey& key, std::function<void()> go_on) override {
    next_.when_handed_over(key, std::move(go_on));
  }
  bool holds_any(const std::function<bool(store::ExecutionNo)>& is_of) const override {
    return next_.holds_any(is_of);
  }

 private:
  void answer(const runtime::TaskOrder& order, const std::vector<MockConfig::Response>& responses);
  std::uint32_t number_of(const runtime::TaskOrder& order);

  // The attempts of a state in one flow, in the order in which they came; the same one may come again.
  struct Invocations {
    std::uint32_t first = 0;
    std::vector<runtime::AttemptKey> keys;
  };
  static constexpr std::size_t kExecutionsMax = 10'000;
  using OfExecution = std::map<std::pair<store::FrameNo, std::string>, Invocations>;

  Loop& loop_;
  MockConfig config_;
  runtime::TaskDispatcher& next_;
  runtime::Runtime* runtime_ = nullptr;
  std::map<std::string, OfExecution> invocations_;  // By the execution's ARN, until it ends.
  std::shared_ptr<void> subscription_;
};

}  // namespace sortie::integrations
