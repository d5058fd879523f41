#pragma once
// Step is the engine's inside: one advance() at work. Private to this folder; states/*.cpp hold what each
// state type does, flow.cpp what all of them share (entering, leaving, failing, joining), data_flow.cpp the
// input and output processing. Frames are found by number again after anything that may add or remove frames.
#include <deque>
#include <string>

#include "base/result.h"
#include "engine/engine.h"
#include "expr/intrinsic/intrinsic.h"

namespace sortie::engine {

// Why a state failed. Absent error and cause are absent in events, too.
struct Failure {
  std::optional<std::string> error;
  std::optional<std::string> cause;
  bool catchable = true;   // False: States.Runtime and its kin end the execution at once.
  bool from_task = false;  // States.TaskFailed matches only what a task reported.
  std::string also;        // A second name Retry and Catch may know it by ("States.HeartbeatTimeout").
};

// A value or the way the state failed.
template <typename T>
using Outcome_ = std::variant<T, Failure>;

class Step {
 public:
  Step(Execution& execution, const Context& context, Advance& out)
      : x_(execution), context_(context), out_(out) {}

  void start();
  void resume(const std::vector<FrameNo>& frames);
  void timer_fired(FrameNo no);
  void task_submitted(const TaskSubmitted& report);
  void task_succeeded(const TaskSucceeded& report);
  void task_failed(const TaskFailed& report);
  void heartbeat(const TaskHeartbeat& report);
  void activity_taken(const ActivityTaken& report);
  void stop(const Stop& request);
  // Runs ready frames until all block, the execution ends or the budget is spent.
  void run();

 private:
  // flow.cpp
  Frame& frame(FrameNo no) { return x_.frames.at(no); }
  void touch(const Frame& frame) { out_.touched.insert(frame.no); }
  void make_ready(Frame& frame, asl::StateIndex state, json::Value input);
  void enter(Frame& frame);
  void execute(Frame& frame);
  void leave(FrameNo no, json::Value output, asl::StateIndex next, bool is_end, const json::Value& assigned);
  void finish_flow(FrameNo no, json::Value output);
  void fail(FrameNo no, Failure failure);
  bool retry(Frame& frame, const asl::State& state, const Failure& failure);
  bool catch_failure(Frame& frame, const asl::State& state, const Failure& failure);
  void fail_flow(FrameNo no, const Failure& failure);
  void fail_parent(FrameNo child_no, const Failure& failure);
  void end(Outcome outcome, EventType type, std::vector<Detail> details, std::int64_t previous);
  void remove(FrameNo no);
  void abort_children(FrameNo parent, FrameNo except);
  void cancel_task(const Frame& frame);
  std::int64_t emit(Frame& frame, EventType type, std::vector<Detail> details = {});
  std::int64_t emit_beside(std::int64_t previous, EventType type, std::vector<Detail> details = {});
  bool limit_reached(FrameNo no);

  // data_flow.cpp
  const json::Value* find_variable(const Frame& frame, std::string_view name) const;
  Outcome_<json::Value> evaluate(const Frame& frame, const intrinsic::Expression& expression,
                                 const json::Value& input) const;
  Outcome_<json::Value> evaluate(const Frame& frame, const intrinsic::PayloadTemplate& tree,
                                 const json::Value& input) const;
  Outcome_<json::Value> select(const Frame& frame, const asl::SelectPath& path,
                               const json::Value& value) const;
  Outcome_<json::Value> place_result(const Frame& frame, const asl::ResultPath& path,
                                     const json::Value& input, json::Value result) const;
  Outcome_<std::optional<double>> number(const Frame& frame, const asl::NumberField& field,
                                         const json::Value& input, std::string_view name) const;
  // Assign, computed all at once from the variables as they were; null when the state assigns nothing.
  Outcome_<json::Value> assign(const Frame& frame, const std::optional<intrinsic::PayloadTemplate>& tree,
                               const json::Value& input) const;
  void store_variables(Frame& frame, const json::Value& assigned);
  Failure runtime_failure(const Frame& frame, std::string text) const;
  Failure path_failure(const Frame& frame, const intrinsic::Expression& path, const Error& error) const;
  std::optional<Failure> check_size(const Frame& frame, const json::Value& value, std::string_view who) const;
  // ResultSelector, ResultPath, OutputPath, Assign, then on to the next state: the common end of Task,
  // Parallel, Map.
  void succeed_with_result(FrameNo no, const json::Value& result);
  // OutputPath, size, Assign, StateExited and on: the end of every state that does not fail.
  void succeed(FrameNo no, json::Value output, const std::optional<intrinsic::PayloadTemplate>& assign_tree,
               const json::Value& assign_input, asl::StateIndex next, bool is_end);
  std::string token_of(const Frame& frame) const;

  // states/*.cpp
  void run_pass(Frame& frame, const asl::State& state);
  void run_choice(Frame& frame, const asl::State& state);
  Outcome_<bool> holds(const Frame& frame, const asl::Condition& condition, const json::Value& input) const;
  Outcome_<bool> compare(const Frame& frame, const asl::Comparison& comparison,
                         const json::Value& input) const;
  void run_wait(Frame& frame, const asl::State& state);
  Outcome_<Timestamp> wait_until(const Frame& frame, const asl::Wait& wait, const json::Value& input) const;
  void run_succeed(Frame& frame, const asl::State& state);
  void run_fail(Frame& frame, const asl::State& state);
  void run_task(Frame& frame, const asl::State& state);
  void task_timed_out(FrameNo no, bool by_heartbeat);
  Frame* find_attempt(const AttemptId& attempt);
  void run_parallel(Frame& frame, const asl::State& state);
  void run_map(Frame& frame, const asl::State& state);
  void start_children(FrameNo parent_no, std::int64_t previous);
  Outcome_<json::Value> item_input(const Frame& parent, const asl::Map& map, const Joining& join,
                                   std::uint32_t index) const;
  void child_finished(FrameNo child_no, json::Value output);
  void join_finished(FrameNo parent_no, std::int64_t last_event);

  Execution& x_;
  const Context& context_;
  Advance& out_;
  std::deque<FrameNo> queue_;
};

}  // namespace sortie::engine
