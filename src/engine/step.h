#pragma once
// Step is the engine's inside: one advance() at work. Private to this folder; states/*.cpp hold what each
// state type does, flow.cpp what all of them share (entering, leaving, failing, joining), data_flow.cpp the
// input and output processing. Frames are found by number again after anything that may add or remove frames.
#include <string>

#include "base/result.h"
#include "engine/engine.h"
#include "expr/intrinsic/intrinsic.h"

namespace sortie::engine {

// Why a state failed. Absent error and cause are absent in events, too.
struct Failure {
  std::optional<std::string> error;
  std::optional<std::string> cause;
  bool catchable = true;    // False: States.Runtime and its kin end the execution at once.
  bool from_task = false;   // States.TaskFailed matches only what a task reported.
  bool evaluation = false;  // An EvaluationFailed event is due: a JSONata field could not be evaluated.
  std::string location;     // Which one: "Output/result"; may be empty.
  std::string also;         // A second name Retry and Catch may know it by ("States.HeartbeatTimeout").
};

// What $states holds besides input and context; null: not there.
struct StatesData {
  const json::Value* result = nullptr;
  const json::Value* error_output = nullptr;
};

// A value or the way the state failed.
template <typename T>
using Outcome_ = std::variant<T, Failure>;

// A list of details that are moved in, with room for the resource of a service.
template <typename... Details>
std::vector<Detail> details_of(Details&&... each) {
  std::vector<Detail> details;
  details.reserve(sizeof...(each) + 2);
  (details.push_back(std::forward<Details>(each)), ...);
  return details;
}

// Remembers the text of a Parallel's result for text_as_given(), where it has one of its own.
void keep_given_text(Execution& execution, const json::Value& result);

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
  void map_run_ended(const MapRunEnded& report);
  void stop(const Stop& request);
  void fail(const Fail& report);
  // A state by itself (state_trial.h): enter it, then tell what the children of a Parallel or Map have made.
  void enter_alone(std::uint32_t retry_count, const std::optional<json::Value>& reader_items);
  void children_made(const json::Value& result, std::int64_t failed);
  void children_failed(const std::string& error, const std::string& cause);
  void redrive();
  // What an item of a Map becomes: ItemSelector's value, or the item as it is.
  Outcome_<json::Value> item_input(const Frame& parent, const asl::Map& map, const json::Value& input,
                                   MapItem item) const;
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
  // `resumed_after`: the event that another attempt follows, where that is not the frame's last one.
  void fail(FrameNo no, Failure failure, std::optional<std::int64_t> resumed_after = std::nullopt);
  bool retry(Frame& frame, const asl::State& state, const Failure& failure);
  bool catch_failure(Frame& frame, const asl::State& state, const Failure& failure);
  void fail_flow(FrameNo no, Failure failure);
  void fail_parent(FrameNo child_no, const Failure& failure);
  void end(Outcome outcome, EventType type, std::vector<Detail> details, std::int64_t previous);
  void remove(FrameNo no);
  void abort_children(FrameNo parent, FrameNo except);
  void cancel_task(const Frame& frame);
  void salvage(FrameNo no);
  std::int64_t emit(Frame& frame, EventType type, std::vector<Detail> details = {});
  std::int64_t emit_beside(std::int64_t previous, EventType type, std::vector<Detail> details = {});
  void emit_evaluation_failed(Frame& frame, Failure& failure);
  void note_failure(const Failure& failure) const;

  // redrive.cpp
  void collect_unfinished(FrameNo no, std::vector<FrameNo>* out);
  void rerun(FrameNo no, std::int64_t previous);

  // data_flow.cpp
  const json::Value* find_variable(const Frame& frame, std::string_view name) const;
  Outcome_<json::Value> evaluate(const Frame& frame, const intrinsic::Expression& expression,
                                 const json::Value& input) const;
  Outcome_<json::Value> evaluate(const Frame& frame, const intrinsic::PayloadTemplate& tree,
                                 const json::Value& input) const;
  Outcome_<json::Value> evaluate(const Frame& frame, const asl::JsonataTemplate& tree, std::string_view field,
                                 const StatesData& data = {}) const;
  // Either language: `input` is what a payload template's "$" means, `field` what a JSONata failure names.
  Outcome_<json::Value> evaluate(const Frame& frame, const asl::Template& tree, const json::Value& input,
                                 std::string_view field, const StatesData& data = {}) const;
  Outcome_<json::Value> select(const Frame& frame, const asl::SelectPath& path,
                               const json::Value& value) const;
  Outcome_<json::Value> place_result(const Frame& frame, const asl::ResultPath& path,
                                     const json::Value& input, json::Value result) const;
  Outcome_<std::optional<double>> number(const Frame& frame, const asl::NumberField& field,
                                         const json::Value& input, std::string_view name) const;
  // Assign, computed all at once from the variables as they were; null when the state assigns nothing.
  Outcome_<json::Value> assign(const Frame& frame, const std::optional<asl::Template>& tree,
                               const json::Value& input, const StatesData& data) const;
  std::optional<Failure> check_variables(const Frame& frame, const json::Value& assigned) const;
  void store_variables(Frame& frame, const json::Value& assigned);
  Failure runtime_failure(const Frame& frame, std::string text) const;
  // States.QueryEvaluationError; `location` names the field, where one is at fault.
  Failure query_failure(const Frame& frame, std::string text, std::string_view location) const;
  // The expression of `field` gave a value of another type than `expected`.
  Failure type_failure(const Frame& frame, const asl::JsonataTemplate& tree, std::string_view field,
                       std::string_view expected, const json::Value& value) const;
  json::Value states_value(const Frame& frame, asl::StatesMembers members, const StatesData& data) const;
  Failure path_failure(const Frame& frame, const intrinsic::Expression& path, const Error& error) const;
  std::optional<Failure> check_size(const Frame& frame, const json::Value& value, std::string_view who) const;
  // ResultSelector, ResultPath, OutputPath, Assign, then on to the next state: the common end of Task,
  // Parallel, Map.
  void succeed_with_result(FrameNo no, const json::Value& result);
  // Where a state that does not fail goes on, and what it makes for that: its own Assign and Output, or those
  // of the Choice rule that holds.
  struct Exit {
    const std::optional<asl::Template>& assign;
    const std::optional<asl::JsonataTemplate>& output;
    asl::StateIndex next;
    bool is_end;
  };
  static Exit exit_of(const asl::State& state) {
    return {state.assign, state.output, state.next, state.is_end};
  }
  // Assign, Output or OutputPath, size, StateExited and on: the end of every state that does not fail.
  // `output` is what it hands on by default, `assign_input` what "$" means in a JSONPath Assign.
  void succeed(FrameNo no, json::Value output, const json::Value& assign_input, const Exit& exit,
               const StatesData& data = {});
  std::string token_of(const Frame& frame) const;
  json::Value context_of(const Frame& frame) const;

  // state_trial.cpp
  void parallel_alone(Frame& frame, const asl::State& state);
  void map_alone(Frame& frame, const asl::State& state, const std::optional<json::Value>& reader_items);
  Outcome_<std::vector<json::Value>> items_alone(Frame& frame, const asl::State& state, const InMapRun& run,
                                                 const std::optional<json::Value>& reader_items);
  std::optional<Failure> limits_alone(const Frame& frame, const asl::Map& map, const json::Value& input);
  void inspect(const asl::State& state, std::optional<json::Value> Inspection::*field,
               const json::Value& value) const;

  // states/*.cpp
  void run_pass(Frame& frame, const asl::State& state);
  void run_choice(Frame& frame, const asl::State& state);
  Outcome_<bool> rule_holds(const Frame& frame, const asl::ChoiceRule& rule, const json::Value& input) const;
  Outcome_<bool> holds(const Frame& frame, const asl::Condition& condition, const json::Value& input) const;
  Outcome_<bool> compare(const Frame& frame, const asl::Comparison& comparison,
                         const json::Value& input) const;
  void run_wait(Frame& frame, const asl::State& state);
  Outcome_<Timestamp> wait_until(const Frame& frame, const asl::Wait& wait, const json::Value& input) const;
  Outcome_<Timestamp> wait_by_query(const Frame& frame, const asl::Wait& wait) const;
  std::optional<Failure> fail_text(const Frame& frame, const asl::JsonataTemplate& query,
                                   std::string_view field, std::optional<std::string>* out) const;
  void run_succeed(Frame& frame, const asl::State& state);
  void run_fail(Frame& frame, const asl::State& state);
  void run_task(Frame& frame, const asl::State& state);
  void task_timed_out(FrameNo no, bool by_heartbeat);
  Frame* find_attempt(const AttemptId& attempt);
  void run_parallel(Frame& frame, const asl::State& state);
  void run_map(Frame& frame, const asl::State& state);
  void start_children(FrameNo parent_no, std::int64_t previous);
  Outcome_<json::Value> map_items(const Frame& frame, const asl::State& state,
                                  const json::Value& input) const;
  void run_distributed_map(Frame& frame, const asl::State& state);
  void redrive_map_run(Frame& frame);
  std::optional<Failure> read_map_limits(const Frame& frame, const asl::Map& map, InMapRun& run) const;
  std::optional<Failure> read_map_parameters(const Frame& frame, const asl::Map& map, InMapRun& run) const;
  void child_finished(FrameNo child_no, json::Value output);
  void join_finished(FrameNo parent_no, std::int64_t last_event);

  Execution& x_;
  const Context& context_;
  Advance& out_;
  void settle();  // Ends an execution that has no events left.

  bool overflowed_ = false;     // An event was left out: the history is full.
  std::vector<FrameNo> queue_;  // Ready frames; those before `next_` have run.
  std::size_t next_ = 0;
  // Children that a failure takes with it, until it is known whether anything catches the failure.
  std::map<FrameNo, Frame> salvaged_;
  // The state entered last, and the event before its own: what an evaluation that fails at once follows.
  struct Entry {
    FrameNo frame = kNoFrame;
    std::int64_t entered_event = 0;
    std::int64_t previous_event = 0;
  };
  Entry entry_;
};

}  // namespace sortie::engine
