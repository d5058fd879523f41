#pragma once
// One state run by itself, as the TestState API does: no execution, no store, no history.
//
// A StateTrial enters the state with the given input, variables and context and goes on until it needs
// something: the result of a Task, of a Parallel or of a Map (their branches and items are not run: the
// caller supplies what they would have made), or the time a Wait waits for. Then it has an outcome: the state
// succeeded, failed, would be retried, or its error was caught. What the data looked like on the way is the
// Inspection. Retry delays are not waited for.
//
// Pure like the engine, of which it uses everything: time and chance are arguments.
// Source: TestState in the Step Functions API Reference, and answers recorded from AWS.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "engine/engine.h"
#include "engine/inspection.h"

namespace sortie::engine {

struct StatePlace {
  asl::FlowIndex flow = 0;
  asl::StateIndex state = 0;
};

// The state of that name, in whichever flow it is.
std::optional<StatePlace> find_state(const asl::StateMachine& machine, std::string_view name);

struct StateTrialSetup {
  std::shared_ptr<const asl::StateMachine> machine;
  StatePlace place;
  json::Value input;
  json::Value variables;  // An object, or null.
  json::Value context;    // The context object as the state sees it.
  std::string region;
  std::uint32_t retry_count = 0;            // How often each retrier has tried already.
  std::optional<json::Value> reader_items;  // What a Map's ItemReader reads.
  std::int64_t failed_iterations = 0;       // Of a Map, held against its tolerated failures.
};

enum class StateTrialStatus : std::uint8_t { kSucceeded, kFailed, kRetriable, kCaughtError };

struct StateTrialResult {
  StateTrialStatus status = StateTrialStatus::kFailed;
  json::Value output;  // kSucceeded, kCaughtError
  std::optional<std::string> error, cause;
  std::string next_state;  // Empty: none.
  json::Value variables;   // As they are after the state; null while there are none.
  Inspection inspection;
};

class StateTrial {
 public:
  // What the state waits for.
  struct ForResult {};  // Of a Parallel or Map.
  struct ForTask {
    const asl::TaskResource* resource = nullptr;  // Lives as long as the machine.
    json::Value parameters, credentials;
    std::int64_t timeout_seconds = 0;  // 0: none.
  };
  struct ForTime {
    Timestamp until;
  };
  using Need = std::variant<std::monostate, ForResult, ForTask, ForTime>;  // monostate: it is over.

  explicit StateTrial(StateTrialSetup setup);

  Need start(Timestamp now, Random& random);
  void succeed(const json::Value& result, Timestamp now, Random& random);
  void fail(const std::string& error, const std::string& cause, Timestamp now, Random& random);
  void wake(Timestamp now, Random& random);  // A Wait's time has come.
  StateTrialResult result() const;           // Once nothing is needed any more.

 private:
  Context context(Timestamp now, Random& random);
  Need need() const;
  void take_result(const json::Value& result, const Context& context);

  StateTrialSetup setup_;
  Execution execution_;
  Inspection inspection_;
};

}  // namespace sortie::engine
