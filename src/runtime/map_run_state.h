#pragma once
// One map run in memory. Private to map_runs*.cpp; see map_runs.h for what it means.
#include <deque>

#include "runtime/map_results.h"
#include "runtime/map_runs.h"

namespace sortie::runtime {

struct MapRuns::Run {
  // Who it is.
  store::ExecutionNo no = 0;
  std::uint64_t serial = 0;  // Of this object: callbacks of an earlier one are for nobody.
  std::string arn, execution_arn;
  store::ExecutionNo parent = 0;
  engine::AttemptId attempt;
  Timestamp started_at;
  bool is_new = false;        // Its row has yet to be written, for the first time or anew.
  std::int64_t redrives = 0;  // How often it was redriven: which of its lives this is.
  Timestamp redriven_at;

  // What the parent's frame and definition say.
  bool parent_waits = false;
  std::shared_ptr<const asl::StateMachine> machine;
  const asl::Map* map = nullptr;
  std::string definition_key, role_arn;
  std::string state_name;
  bool express = false;
  Actor actor;
  json::Value batch_input, destination;
  std::unique_ptr<ItemSource> source;

  // How far it is: this is what progress saves.
  Stage stage = Stage::kOpening;
  engine::MapRunLimits limits;
  std::uint64_t next_child = 0;  // The number of the next child...
  std::uint64_t next_item = 0;   // ... and its first item.
  std::map<std::uint64_t, OpenChild> open;
  std::deque<Mark> marks;  // The first is of the slice that holds next_item.
  Counts executions, items;
  // What earlier lives left that this one has not come by yet, and of what failed there what stays failed.
  Counts left_executions, left_items;
  std::int64_t failed_for_good = 0, failed_items_for_good = 0;
  std::uint64_t children_total = 0;  // As many as earlier lives knew.
  std::int64_t items_total = -1;     // -1: not known yet.
  std::int64_t results_written = 0;
  store::ExecutionStatus outcome = store::ExecutionStatus::kRunning;  // kFailed, kAborted once it is decided.
  std::string error, cause;
  bool catchable = true;

  // Reading ahead.
  struct BufferedItem {
    json::Value value;
    std::shared_ptr<const std::string> source;  // Null: it was given.
  };
  std::deque<BufferedItem> buffer;  // From item next_item + batch.size() on.
  std::uint64_t next_read = 0;      // The item that the next slice begins with.
  std::uint64_t skip = 0;           // Items of the next slice that are done with.
  json::Value next_position;
  bool reading = false, exhausted = false;

  // The child that is being put together.
  std::vector<json::Value> batch;
  std::size_t batch_bytes = 0;
  json::Value selected_item;  // Of a child of one item: what ItemSelector made its input from.

  std::uint64_t durable_child = 0;  // Children below it are in the progress that is written...
  std::uint64_t asked_child = 0;    // ... or is being written.
  std::uint64_t verify_until = 0;   // Children below it may have been started before.
  // Of a run that was loaded: children below it, from next_child on, may have been started by whoever had it
  // before. A run that ends early has to find and stop them, too; 0: there is nothing to look for.
  std::uint64_t unseen_until = 0;
  bool stops_told = false;  // While it is stopping: every child that is open has been told to stop.
  bool writing = false, scheduled = false, adding_pending = false;
  std::vector<std::function<void(const Status&)>> waiting_for_progress;
  std::unique_ptr<MapResults> results;

  // STANDARD children keep their names when they are redriven.
  std::string child_arn(std::uint64_t child, std::int64_t life) const {
    return engine::map_child_arn(arn, engine::map_child_name(arn, child, express ? life : 0), express);
  }
};

}  // namespace sortie::runtime
