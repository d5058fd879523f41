#pragma once
// What the engine knows of one execution: the part that all frames share, and the frames.
//
// A Frame is the saved position of one running flow: the machine itself (frame 0), one Parallel branch or one
// Map iteration. It is saved whenever it blocks, so recovery is a row read and never a replay. A frame that
// waits has exactly one reason, its Phase. Children of a Parallel or Map have consecutive numbers,
// first_child + slot; a child that has finished keeps its output in its own frame (its results slot) until
// the parent has all of them, so a transition costs the same in a Map of ten items and of a hundred thousand.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "asl/state_machine.h"
#include "base/time.h"
#include "json/value.h"

namespace sortie::engine {

using FrameNo = std::uint32_t;
inline constexpr FrameNo kTopFrame = 0;
inline constexpr FrameNo kNoFrame = UINT32_MAX;

inline constexpr std::size_t kPayloadBytesMax = 262'144;             // States.DataLimitExceeded above.
inline constexpr std::size_t kVariablesBytesMax = 10 * 1024 * 1024;  // Of one scope; likewise.
// The execution fails when it would write more. AWS sets EXPRESS executions no limit; ours bounds what one
// that runs wild in its five minutes can write.
inline constexpr std::int64_t kHistoryEventsMax = 25'000;
inline constexpr std::int64_t kExpressEventsMax = 2'000'000;
inline constexpr std::uint32_t kInlineMapConcurrencyMax = 40;
inline constexpr std::int64_t kTimeoutSecondsMax = 99'999'999;

// --- Why a frame waits. ---

struct Ready {  // Enters state `Frame::state` with `Frame::state_input` at the next chance.
  bool operator==(const Ready&) const = default;
};
struct Sleeping {  // In a Wait state.
  Timestamp until;
};
struct BackingOff {  // Between two attempts of a state that failed.
  Timestamp until;
};
struct InTask {  // One attempt is out in the world.
  json::Value parameters;
  json::Value credentials;  // Null: none.
  Timestamp scheduled_at;
  Timestamp deadline = kNever;            // TimeoutSeconds.
  Timestamp heartbeat_deadline = kNever;  // HeartbeatSeconds since the last sign of life.
  std::int64_t heartbeat_seconds = 0;     // 0: none.
  std::int64_t timeout_seconds = 0;       // 0: none.
  bool submitted = false;  // .waitForTaskToken, .sync: the call was made, its outcome is awaited.
  bool started = false;    // Activities: a worker has taken it.
};
struct Joining {      // In a Parallel or Map, waiting for children.
  json::Value input;  // What branches start with; a Map's effective input for ItemSelector.
  json::Value items;  // A Map's items.
  FrameNo first_child = 0;
  std::uint32_t total = 0;
  std::uint32_t started = 0;
  std::uint32_t succeeded = 0;
  std::uint32_t concurrency = 0;
};
// In a distributed Map: a map run outside this execution works through the items and reports once. All that
// does not change while it runs is here, so the run itself keeps only how far it is.
struct InMapRun {
  std::string run;          // The last part of the map run's ARN, a UUID.
  json::Value input;        // The Map's effective input, for ItemSelector.
  json::Value items;        // Null: an ItemReader reads them.
  json::Value reader;       // What the ItemReader's Parameters made; null: there is none.
  json::Value writer;       // The same of the ResultWriter.
  json::Value batch_input;  // Of the ItemBatcher; null: none.
  json::Value limits;       // MapRunLimits as an object.
  std::uint32_t redrives = 0;
  bool is_over = false;  // It has reported its failure: nobody waits, but a redrive redrives the same run.
};
struct Finished {  // A child that waits to be collected.
  json::Value output;
};

using Phase = std::variant<Ready, Sleeping, BackingOff, InTask, Joining, Finished, InMapRun>;

struct MapItem {
  std::uint32_t index = 0;
  json::Value value;
  // Where it was read from, while an ItemSelector looks at it; null otherwise. Not stored.
  std::shared_ptr<const std::string> source{};
};

struct Frame {
  FrameNo no = kTopFrame;
  FrameNo parent = kNoFrame;
  std::uint32_t slot = 0;  // Which branch or iteration of the parent.
  asl::FlowIndex flow = 0;
  asl::StateIndex state = 0;
  json::Value state_input;          // The state's raw input.
  json::Value variables;            // This scope's own: an object, or null while there are none.
  std::optional<MapItem> map_item;  // Of the nearest enclosing Map iteration.
  std::int64_t previous_event = 0;  // The last event of this frame's chain.
  std::int64_t entered_event = 0;
  Timestamp entered_at;
  std::uint32_t entry = 0;             // Counts state entries, from 1.
  std::uint32_t attempt = 0;           // Counts attempts of this entry, from 1.
  std::uint32_t retry_count = 0;       // Of this entry: $$.State.RetryCount.
  std::vector<std::uint32_t> retries;  // Per retrier of the state.
  Phase phase = Ready{};
  Timestamp waiting_since;
};

enum class Outcome : std::uint8_t { kRunning, kSucceeded, kFailed, kTimedOut, kAborted };

struct Execution {
  std::shared_ptr<const asl::StateMachine> machine;
  asl::FlowIndex root_flow = 0;      // A child of a map run executes the Map's processor.
  std::optional<MapItem> root_item;  // The item it was started for; needed at its start only.
  std::string arn, name, state_machine_arn, role_arn, region;
  Timestamp started_at;
  json::Value input;
  std::string input_text;  // As it was given, where that is not the compact form; else empty.

  Outcome outcome = Outcome::kRunning;
  Timestamp stopped_at;
  Timestamp deadline = kNever;  // TimeoutSeconds of the machine.
  json::Value output;
  std::optional<std::string> error, cause;
  std::int64_t last_event_id = 0;
  FrameNo next_frame = 1;
  // Results of Parallel states that hold the input as it was given, with their text; the latest few. Not
  // stored: after a restart such a result shows its compact form.
  std::vector<std::pair<json::Value, std::string>> given_results;
  json::Value last_variables;  // Of frame 0 when the execution ended; not stored.
  std::map<FrameNo, Frame> frames;

  std::string version_arn, alias_arn;  // Through which it was started; "" if it was not.
  std::int64_t redrive_count = 0;
  Timestamp redriven_at;
  // What an execution that did not succeed left: its frames as they were when it failed, with the children
  // that finished. A redrive goes on from here.
  std::map<FrameNo, Frame> left_behind;

  const asl::State& state_of(const Frame& frame) const { return machine->state(frame.flow, frame.state); }
};

// When a timer of this frame is due; kNever if it has none. Frame 0 carries the execution's own deadline.
Timestamp wake_at(const Execution& execution, const Frame& frame);

}  // namespace sortie::engine
