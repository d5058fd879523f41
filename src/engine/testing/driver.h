#pragma once
// Runs one execution in memory on virtual time, for tests: tasks are answered by a function of the test's
// own.
#include <functional>
#include <string>

#include "asl/compile.h"
#include "base/hash.h"
#include "engine/engine.h"
#include "json/text.h"

namespace sortie::engine::testing {

struct TaskCall {
  std::string state_name;
  const asl::Task* task = nullptr;
  json::Value parameters;
  AttemptId attempt;
};
// What the world answers to one attempt; nothing: it never answers.
using World = std::function<std::optional<Stimulus>(const TaskCall&)>;

class Driver {
 public:
  Driver(const std::string& definition, const json::Value& input, World world)
      : world_(std::move(world)), random_(7) {
    const asl::Compilation made = asl::compile(definition);
    if (!made.ok()) {
      compile_error = made.error_text();
      return;
    }
    execution.machine = made.machine;
    execution.arn = "arn:aws:states:us-east-1:123456789012:execution:m:x";
    execution.name = "x";
    execution.state_machine_arn = "arn:aws:states:us-east-1:123456789012:stateMachine:m";
    execution.role_arn = "arn:aws:iam::123456789012:role/r";
    execution.region = "us-east-1";
    execution.started_at = now;
    execution.input = input;
  }

  // Until the execution has ended or waits for something that never comes.
  void run() {
    if (execution.machine == nullptr) return;  // compile_error says why.
    send(Start{});
    go_on();
  }
  void go_on() {
    for (int i = 0; i < 100'000 && execution.outcome == Outcome::kRunning; ++i) {
      if (!pending_.empty()) {
        const Stimulus next = pending_.front();
        pending_.erase(pending_.begin());
        send(next);
        continue;
      }
      FrameNo due_frame = kNoFrame;
      Timestamp due = kNever;
      for (const auto& [no, frame] : execution.frames) {
        if (wake_at(execution, frame) < due) {
          due = wake_at(execution, frame);
          due_frame = no;
        }
      }
      if (due_frame == kNoFrame) return;
      now = std::max(now, due);
      send(TimerFired{due_frame});
    }
  }

  Advance send(const Stimulus& stimulus) {
    SORTIE_CHECK(execution.machine != nullptr);
    const Context context{now, &random_, [](const AttemptId& attempt) {
                            return "token-" + std::to_string(attempt.frame) + "-" +
                                   std::to_string(attempt.entry) + "-" + std::to_string(attempt.attempt);
                          }};
    Advance step = advance(execution, stimulus, context);
    events.insert(events.end(), step.events.begin(), step.events.end());
    if (!step.ready.empty()) pending_.insert(pending_.begin(), Continue{step.ready});
    for (const Command& command : step.commands) {
      const auto* invoke = std::get_if<InvokeTask>(&command);
      if (invoke == nullptr) continue;
      const auto found = execution.frames.find(invoke->attempt.frame);
      if (found == execution.frames.end() || waiting_attempt(found->second) != invoke->attempt) continue;
      const asl::State& state = execution.state_of(found->second);
      TaskCall call{state.name, &std::get<asl::Task>(state.body),
                    std::get<InTask>(found->second.phase).parameters, invoke->attempt};
      if (auto answer = world_(call)) pending_.push_back(std::move(*answer));
    }
    if (after_each) after_each(execution);
    return step;
  }

  // "1 0 ExecutionStarted", one line an event.
  std::string lines() const {
    std::string out;
    for (const HistoryEvent& event : events) {
      out += std::to_string(event.id) + " " + std::to_string(event.previous_id) + " " +
             std::string(event_type_name(event.type)) + "\n";
    }
    return out;
  }

  Execution execution;
  std::vector<HistoryEvent> events;
  std::string compile_error;
  std::function<void(Execution&)> after_each;  // Called when a stimulus was applied, e.g. to crash there.
  Timestamp now{1'800'000'000'000};

 private:
  World world_;
  SeededRandom random_;
  std::vector<Stimulus> pending_;
};

inline std::optional<Stimulus> echo(const TaskCall& call) {
  return Stimulus(TaskSucceeded{call.attempt, call.parameters});
}

}  // namespace sortie::engine::testing
