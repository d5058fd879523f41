#pragma once
// Runtime is the imperative shell around the engine: it owns a shard's executions, takes stimuli in order,
// lets the pure engine decide, commits what it decided, and only then lets commands and replies out.
//
// Threads: everything here runs on the loop's thread, callbacks too; a callback never runs inside the call
// that was given it. Every reply that a caller gets is true and durable. Error codes are the wire names that
// the AWS API uses: "ExecutionDoesNotExist", "ExecutionAlreadyExists", "StateMachineDoesNotExist",
// "InvalidArn", "InvalidName", "InvalidToken", "TaskDoesNotExist", "TaskTimedOut", "InvalidOutput",
// "InvalidExecutionInput", "ExecutionNotRedrivable", "ThrottlingException", and "ServiceUnavailable" where
// the store could not write.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "asl/compile.h"
#include "base/actor.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/shared.h"
#include "engine/history_event.h"
#include "json/value.h"
#include "store/store.h"

namespace sortie::runtime {

// Names one waiting attempt of one state entry; never reused.
struct AttemptKey {
  store::ExecutionNo execution = 0;
  store::FrameNo frame = 0;
  std::uint32_t entry = 0;    // Which state entry of this frame, from 1.
  std::uint32_t attempt = 0;  // Which attempt of this entry, from 1.
  auto operator<=>(const AttemptKey&) const = default;
};

// What all tasks of an execution have in common.
struct TaskOrigin {
  std::string execution_arn;
  std::string state_machine_arn;
  std::string execution_name;
  std::string role_arn;
  std::string test_case;  // Of the mock configuration; "" for a run in earnest.
  Actor actor;            // Who is behind the execution.
};

// What leaves the process for one attempt of a Task. The same key may be dispatched again after a restart.
struct TaskOrder {
  AttemptKey key;
  std::string idempotency_key;  // Stable text form of key, unique over all stores: hand it to the world.
  Shared<TaskOrigin> origin;
  Shared<std::string> state_name;  // A part of the definition, as the next one.
  Shared<asl::TaskResource> resource;
  json::Value parameters;
  json::Value credentials;  // {"RoleArn": ..} or null.
  std::string task_token;   // "" unless .waitForTaskToken (or an activity).
  Timestamp deadline = kNever;
  std::int64_t redrive_count = 0;
};

// The floor above (integrations/) carries tasks out and reports to the Runtime with the order's key.
class TaskDispatcher {
 public:
  virtual ~TaskDispatcher() = default;
  virtual void dispatch(TaskOrder order) = 0;
  virtual void cancel(const AttemptKey& key) = 0;  // Nobody waits for it any more; may be unknown.
  // Calls `go_on` as soon as the call that hands out this attempt's token has been reported, but not much
  // later than now: whoever got the token may answer before we hear that it was sent, and TaskSubmitted comes
  // first.
  virtual void when_handed_over(const AttemptKey&, std::function<void()> go_on) { go_on(); }
  // Whether an attempt that was dispatched is under way; for the audit. Who cannot tell says yes.
  virtual bool holds(const AttemptKey&) const { return true; }
  // Whether any attempt of the executions that `is_of` says yes to is under way.
  virtual bool holds_any(const std::function<bool(store::ExecutionNo)>& /*is_of*/) const { return false; }
  // The result came another way than by a report from here.
  virtual void answered(const AttemptKey&) {}
};

// A state machine, or one published version of it: then the ARN ends in ":NUMBER", `created_at` and
// `description` are the version's, and nothing of it changes any more.
struct StateMachineRecord {
  std::string arn;
  std::string name;
  std::string definition;
  std::string role_arn;
  std::string type = "STANDARD";
  std::string revision_id;
  std::string description;
  Timestamp created_at;
  Timestamp updated_at;
  json::Value logging_configuration;     // As given; null if none.
  json::Value tracing_configuration;     // As given; null if none.
  json::Value encryption_configuration;  // As given; null if none.
  json::Value tags;                      // Array of {key, value}; null if none.
  std::string origin;                    // "api", or "project" when a file of the project folder made it.
  std::int64_t last_version = 0;         // The highest number ever given to a version of it; never again.
};

// A name for one version of a machine, or for two that share its executions by weight (percent, sum 100).
struct AliasRecord {
  struct Route {
    std::string version_arn;
    std::int64_t weight = 0;
    bool operator==(const Route&) const = default;
  };
  std::string arn;
  std::string name;
  std::string description;
  std::vector<Route> routes;
  Timestamp created_at;
  Timestamp updated_at;
};

// What an ARN of a machine, a version or an alias is made of. Here and not in a .cpp file, because other
// floors know this header only.
struct QualifiedArn {
  std::string machine_arn;
  std::string qualifier;  // "" for the machine itself, digits for a version, else an alias.
  bool is_version() const {
    return !qualifier.empty() && qualifier.find_first_not_of("0123456789") == std::string::npos;
  }
  bool is_alias() const { return !qualifier.empty() && !is_version(); }
};
inline QualifiedArn split_qualified_arn(std::string_view arn) {
  // arn:aws:states:REGION:ACCOUNT:stateMachine:NAME[:QUALIFIER]
  std::size_t end = 0;
  for (int colons = 0; end < arn.size(); ++end) {
    if (arn[end] == ':' && ++colons == 7) break;
  }
  if (end >= arn.size()) return {std::string(arn), ""};
  return {std::string(arn.substr(0, end)), std::string(arn.substr(end + 1))};
}

struct StartRequest {
  std::string state_machine_arn;  // Of the machine, a version or an alias.
  std::string name;               // Empty: a UUID is made.
  std::string input_text;         // JSON; empty means {}.
  Actor actor;
  std::string trace_header;
  std::string test_case;  // Of the mock configuration (integrations/mocks.h).
  // The last part of an EXPRESS execution's ARN, for a start that may be repeated; empty: a UUID is made.
  std::string express_id;
  // Written in the same transaction as the start, e.g. the delivery that caused it.
  store::Batch with;
};

struct StartReply {
  std::string execution_arn;
  Timestamp started_at;
  bool existed = false;  // The same name and input were already running: nothing was started.
};

struct ExecutionDescription {
  std::string arn, name, state_machine_arn, role_arn;
  store::ExecutionStatus status = store::ExecutionStatus::kRunning;
  Timestamp started_at, stopped_at;
  std::string input_text;
  std::optional<std::string> output_text;
  std::optional<std::string> error, cause;
  std::string trace_header;
  Actor actor;
  std::string version_arn, alias_arn;  // Through which it was started; "" if it was not.
  std::string definition;              // The definition it runs on.
  std::int64_t redrive_count = 0;
  Timestamp redriven_at;
  std::optional<std::string> redrive_obstacle;  // Why it cannot be redriven; nothing where it can.
  bool redrivable_by_map_run = false;           // Not by itself, but with the map run that started it.
  bool is_pending_redrive = false;              // Its map run is being redriven and has yet to come by it.
  std::string map_run_arn;                      // Of a map run's child.
  store::ExecutionNo no = 0;
};

// One line of a listing: the row (without its image) and what the listing shows of the image.
struct ExecutionSummary {
  store::ExecutionRow row;
  std::string version_arn, alias_arn;
  std::string map_run_arn;  // Of a map run's child.
  std::int64_t redrive_count = 0;
  Timestamp redriven_at;
  bool is_pending_redrive = false;  // See ExecutionDescription.
};

// A distributed Map at work (runtime/map_runs.h). Counts of items and of the executions they went to.
struct MapRunCounts {
  std::int64_t pending = 0, running = 0, succeeded = 0, failed = 0, timed_out = 0, aborted = 0, total = 0;
  std::int64_t results_written = 0;
  std::int64_t failures_not_redrivable = 0;  // Of those that failed.
  std::int64_t pending_redrive = 0;          // Failed in an earlier life, and due to run again.
};
struct MapRunDescription {
  std::string arn, execution_arn;
  std::string state_machine_arn;  // Of its children: MACHINE/LABEL.
  store::ExecutionStatus status = store::ExecutionStatus::kRunning;
  Timestamp started_at, stopped_at;
  std::int64_t max_concurrency = 0, tolerated_failure_count = 0;
  double tolerated_failure_percentage = 0;
  MapRunCounts items, executions;
  std::int64_t redrive_count = 0;
  Timestamp redriven_at;
  store::ExecutionNo no = 0;
};
struct MapRunChange {  // What is absent stays as it is.
  std::optional<std::int64_t> max_concurrency, tolerated_failure_count;
  std::optional<double> tolerated_failure_percentage;
};

struct HistoryPage {
  std::vector<engine::HistoryEvent> events;
  std::optional<std::int64_t> next_event_id;  // Where the next page begins.
};

// Why an open frame waits, for people: one frame, one reason.
struct WaitingReason {
  store::FrameNo frame = 0;
  std::string state_name;
  std::string kind;  // "timer", "retry", "task", "token", "activity", "children", "ready"
  Timestamp since;
  std::optional<Timestamp> until;
  std::string who;  // Can move it on: "the clock", "lambda:invoke", "whoever has the task token" ..
  std::string
      sentence;  // "WaitForApproval has waited since .. for a task token (sqs:sendMessage), until ..".
};

// History events of one commit, for a machine whose loggingConfiguration asks for logs.
struct LoggedEvents {
  std::string state_machine_arn;
  json::Value logging_configuration;
  std::int64_t redrive_count = 0;
  std::vector<engine::HistoryEvent> events;
};

// Something changed about an execution; for live views. Sent after the commit.
struct ExecutionChange {
  std::string execution_arn;
  store::ExecutionStatus status;
  std::int64_t last_event_id = 0;
  bool began = false;      // This commit started it.
  bool elsewhere = false;  // On another node.
  Timestamp started_at, stopped_at;
  std::int64_t redrive_count = 0;
  Timestamp redriven_at;
  std::shared_ptr<const LoggedEvents> logged;  // Null: nothing of this execution is to be logged.
};

// A decision that begins, redrives or ends an execution; while it is made, not yet durable.
struct StatusChange {
  const std::string& execution_arn;
  const Actor& actor;  // Who is behind the execution.
  store::ExecutionStatus status;
  bool began = false, ended = false;  // Both where it runs through at once.
  std::int64_t redrive_count = 0;
  Timestamp started_at, redriven_at, stopped_at;
  const std::optional<std::string>& error;
  const std::optional<std::string>& cause;
};

struct ActivityTask {
  std::string task_token;  // Empty: nothing to do within the poll's time.
  std::string input_text;
};

// A frame that nothing would have moved on; found by the audit (runtime/audit.h).
struct StuckFrame {
  store::FrameKey frame;
  std::string execution_arn;
  std::string what;        // One sentence, without the name.
  bool set_going = false;  // Armed, continued or called again; false: somebody has to look at it.
};

class ObjectStore;  // object_store.h
class Cluster;      // cluster.h

struct Options {
  ObjectStore* objects = nullptr;  // S3 for distributed Maps; without one, those that need it fail.
  store::Epoch epoch = 0;          // Of shard 0, from whoever acquired it; 0: recover() acquires it.
  std::string account = "123456789012";
  std::string region = "us-east-1";
  bool strict = false;                      // compatibility: strict
  std::size_t recovery_page = 2'000;        // Frames that a slice of the recovery reads.
  std::size_t open_in_memory_max = 20'000;  // Idle executions beyond it are dropped from memory.
  // Stimuli of all executions that are not committed yet, half of it for those of one machine (shard.h); what
  // comes from outside beyond that is answered ThrottlingException.
  std::size_t mailbox_max = 100'000;
  // The audit: how often it takes a step (0: there is none), how long what looks stuck may still be on its
  // way, and the pause between two walks over everything.
  std::int64_t audit_step_ms = 0;
  std::int64_t audit_grace_ms = 10'000;
  std::int64_t audit_pause_ms = 60'000;
  std::function<void(const StuckFrame&)> on_stuck;
  // What it adds to the batch is written in the transaction of the change. Asked again where that fails.
  std::function<void(const StatusChange&, store::Batch&)> on_status_change;
  // Several nodes (cluster.h): whether they share the store, how the frames of one shard are walked (`above`
  // as in shard_map.h), and whom to tell that a note lies in an inbox.
  bool is_shared = false;
  std::function<Result<std::vector<store::FrameRow>>(store::ShardNo shard, store::ExecutionNo above,
                                                     store::FrameKey after, std::size_t limit)>
      scan_frames;
  std::function<void(store::ShardNo shard)> on_note;
};

class Runtime {
 public:
  template <typename T>
  using Callback = std::function<void(Result<T>)>;

  static std::unique_ptr<Runtime> make(Loop& loop, Random& random, store::Store& store,
                                       TaskDispatcher& dispatcher, Options options);
  virtual ~Runtime() = default;

  // Begins to read what is open, re-arms timers and dispatches attempts in flight again: in slices, while
  // work goes on already. What something reaches earlier is recovered then.
  virtual Status recover() = 0;
  // Stops taking work; `done` when nothing is uncommitted.
  virtual void drain(std::function<void()> done) = 0;

  // State machines. `put` creates or replaces (the api floor has compared names and existence already);
  // the definition has to compile: error "InvalidDefinition" otherwise.
  virtual void put_state_machine(StateMachineRecord record, const Actor& actor,
                                 Callback<StateMachineRecord> done) = 0;
  // The same together with a version made from the record; `done` gets the version.
  virtual void publish_version(StateMachineRecord machine, StateMachineRecord version, const Actor& actor,
                               Callback<StateMachineRecord> done) = 0;
  // With a machine go its versions and aliases; a version's ARN deletes that version only.
  virtual void delete_state_machine(std::string_view arn, const Actor& actor, Callback<Unit> done) = 0;
  virtual std::optional<StateMachineRecord> find_state_machine(std::string_view arn) = 0;  // Versions, too.
  virtual std::vector<StateMachineRecord> list_state_machines() = 0;  // By creation date, oldest first.
  virtual std::vector<std::string> state_machine_arns() = 0;          // The same, in no order.
  virtual std::vector<StateMachineRecord> list_versions(std::string_view machine_arn) = 0;  // Newest first.

  virtual void put_alias(AliasRecord alias, const Actor& actor, Callback<Unit> done) = 0;
  virtual void delete_alias(std::string_view arn, const Actor& actor, Callback<Unit> done) = 0;
  virtual std::optional<AliasRecord> find_alias(std::string_view arn) = 0;
  virtual std::vector<AliasRecord> list_aliases(std::string_view machine_arn) = 0;  // By name.

  virtual void start_execution(StartRequest request, Callback<StartReply> done) = 0;
  // EXPRESS machines only: runs in memory, writes nothing, and answers when it is over.
  virtual void start_sync_execution(StartRequest request, Callback<ExecutionDescription> done) = 0;
  // An execution that ended without success goes on with what did not succeed. For 15 minutes the client
  // tokens of its last ten redrives answer the same. Error "ExecutionNotRedrivable".
  virtual void redrive_execution(std::string_view arn, std::string client_token, const Actor& actor,
                                 Callback<Timestamp> done) = 0;
  virtual void stop_execution(std::string_view arn, std::string error, std::string cause, const Actor& actor,
                              Callback<Timestamp> done) = 0;
  virtual Result<ExecutionDescription> describe_execution(std::string_view arn) = 0;
  virtual Result<std::vector<ExecutionSummary>> list_executions(const store::ExecutionQuery& query) = 0;
  // Events from `from` (1 = the first; in reverse order: from the given id downwards, 0 = the last).
  virtual Result<HistoryPage> history(std::string_view arn, std::int64_t from, std::size_t limit,
                                      bool reverse) = 0;
  virtual Result<std::vector<WaitingReason>> explain(std::string_view arn) = 0;
  // Called once when the execution has ended (at once if it has), without its definition; the handle cancels.
  virtual std::shared_ptr<void> when_ended(std::string_view arn,
                                           std::function<void(ExecutionDescription)> done) = 0;

  // Map runs. Errors: "ResourceNotFound".
  virtual Result<MapRunDescription> describe_map_run(std::string_view arn) = 0;
  // Of one execution, newest first, those with a number below `before`.
  virtual Result<std::vector<MapRunDescription>> list_map_runs(std::string_view execution_arn,
                                                               store::ExecutionNo before,
                                                               std::size_t limit) = 0;
  virtual void update_map_run(std::string_view arn, MapRunChange change, Callback<Unit> done) = 0;

  // Reports of the dispatcher. A report for an attempt that nobody waits for is ignored.
  virtual void task_submitted(const AttemptKey& key, json::Value output) = 0;
  virtual void task_succeeded(const AttemptKey& key, json::Value output) = 0;
  virtual void task_failed(const AttemptKey& key, std::string error, std::string cause) = 0;

  // Answers to task tokens. `with` is written in the same transaction as the answer.
  virtual void send_task_success(std::string_view token, std::string_view output_text, const Actor& actor,
                                 store::Batch with, Callback<Unit> done) = 0;
  virtual void send_task_failure(std::string_view token, std::string error, std::string cause,
                                 const Actor& actor, store::Batch with, Callback<Unit> done) = 0;
  virtual void send_task_heartbeat(std::string_view token, Callback<Unit> done) = 0;
  // Which attempt a token names; "InvalidToken" for a forged or foreign one. Says nothing about it still
  // waiting.
  virtual Result<AttemptKey> read_token(std::string_view token) = 0;

  // Activities: ARN and name are documents of kind "activity", managed by the api floor. Answers within
  // `wait_ms`; dropping the handle takes the poll back.
  virtual std::shared_ptr<void> poll_activity(std::string_view activity_arn, std::string worker_name,
                                              std::int64_t wait_ms,
                                              std::function<void(ActivityTask)> done) = 0;

  // Live views. The handle ends the subscription.
  virtual std::shared_ptr<void> observe(std::function<void(const ExecutionChange&)> callback) = 0;

  struct Figures {
    std::uint64_t open_executions = 0, in_memory = 0, transitions = 0, started = 0, ended = 0, timers = 0;
    std::uint64_t commit_failures = 0, mailbox = 0;
    std::uint64_t unreadable_frames = 0;  // Met in recovery; `check` names them.
    // What the audit has looked at and found (runtime/audit.h).
    std::uint64_t frames_audited = 0, audit_cycles = 0, frames_stuck = 0;
  };
  virtual Figures figures() = 0;
  // Null where there is one shard.
  virtual Cluster* cluster() { return nullptr; }
  // Every open frame has exactly one reason to wait; one sentence for each that has not.
  virtual Result<std::vector<std::string>> check() = 0;
};

}  // namespace sortie::runtime
