// Map runs that are redriven: the same run, its items once more from the beginning, each child as it needs.
//
// The run's *life* is counted by its redrives. A child says in its row in which life it last began
// (map_life), an EXPRESS child by its name, too; so after a crash in the middle of a redrive what has begun
// is told apart from what an earlier life has left. Source: AWS, "Redriving Map Runs in Step Functions
// executions".
#include "json/text.h"
#include "runtime/map_run_state.h"
#include "runtime/shard.h"

namespace sortie::runtime {
namespace map_redrive {

// One child less of those that an earlier life has left. How an unsuccessful one had ended is not known any
// more.
void take_from(std::int64_t& count, std::int64_t& wanted) {
  const std::int64_t taken = std::min(count, wanted);
  count -= taken;
  wanted -= taken;
}

}  // namespace map_redrive

void MapRuns::Counts::take(bool succeeded_before, std::int64_t count) {
  using map_redrive::take_from;
  if (succeeded_before) return take_from(succeeded, count);
  for (std::int64_t* kind : {&failed, &timed_out, &aborted}) take_from(*kind, count);
}

void MapRuns::redrive(const LiveExecution& parent, const engine::AttemptId& attempt,
                      const store::ExecutionRow& row, const json::Value& progress) {
  const engine::InMapRun* phase = engine::find_map_run(parent.state, attempt);
  if (phase == nullptr) return;
  auto run = std::make_unique<Run>();
  read_progress(progress, *run);
  run->no = row.no;
  run->arn = row.arn;
  run->parent = parent.no;
  run->attempt = attempt;
  run->started_at = row.started_at;
  run->is_new = true;
  run->redrives = phase->redrives;
  run->redriven_at = shard_.wiring_.loop.now();
  run->left_executions = std::exchange(run->executions, {});
  run->left_items = std::exchange(run->items, {});
  run->failed_for_good = run->failed_items_for_good = 0;
  run->children_total = std::max(run->children_total, run->next_child);
  run->next_child = run->durable_child = run->asked_child = run->next_item = 0;
  run->results_written = 0;
  run->outcome = store::ExecutionStatus::kRunning;
  run->error.clear();
  run->cause.clear();
  run->catchable = true;
  run->verify_until = UINT64_MAX;
  Run& owned = *run;
  runs_.emplace(owned.no, std::move(run));
  attach(owned, parent);
  open(owned);
}

std::string MapRuns::latest_child_arn(const Run& run, store::Store& store, std::uint64_t child) {
  for (std::int64_t life = run.express ? run.redrives : 0; life > 0; --life) {
    std::string arn = run.child_arn(child, life);
    const auto row = store.find_execution(arn);
    if (!row || *row) return arn;  // Whoever reads it next finds out what is wrong.
  }
  return run.child_arn(child, 0);
}

bool MapRuns::awaits_redrive(const store::ExecutionRow& row) const {
  const bool failed =
      row.status != store::ExecutionStatus::kRunning && row.status != store::ExecutionStatus::kSucceeded;
  const bool is_redriven = std::any_of(runs_.begin(), runs_.end(), [&row](const auto& entry) {
    return entry.second->redrives > 0 && entry.second->arn == row.state_machine_arn;
  });
  if (!failed || !is_redriven) return false;
  const Result<engine::ExecutionImage> image = engine::decode_execution(row.image);
  if (!image) return false;
  const Extra extra = decode_extra(image->extra);
  const auto found = extra.map_child ? runs_.find(extra.map_child->run) : runs_.end();
  if (found == runs_.end()) return false;
  const Run& run = *found->second;
  const bool is_open = run.stage == Stage::kRunning || run.stage == Stage::kOpening;
  const std::uint64_t child = extra.map_child->number;
  if (!is_open || extra.map_life >= run.redrives || child < run.next_child) return false;
  if (run.express) return latest_child_arn(run, shard_.wiring_.store, child) == row.arn;
  return !redrive_obstacle(row, *image, shard_.wiring_.loop.now(), RedrivenBy::kMapRun);
}

MapRuns::Existing MapRuns::take_earlier(Run& run, std::uint64_t child, std::uint32_t items) {
  const auto leave = [&](bool succeeded) {
    if (child >= run.children_total) return;  // No earlier life knew it.
    run.left_executions.take(succeeded, 1);
    run.left_items.take(succeeded, items);
  };
  if (const store::ExecutionNo no = shard_.find_beginning(run.child_arn(child, run.redrives)); no != 0) {
    leave(false);
    run.open[child] = {no, items};
    return Existing::kYes;
  }
  const std::string arn = latest_child_arn(run, shard_.wiring_.store, child);
  const Result<std::optional<store::ExecutionRow>> row = shard_.wiring_.store.find_execution(arn);
  if (!row) return Existing::kUnreadable;
  if (!*row) return leave(false), Existing::kNo;
  const Result<engine::ExecutionImage> image = engine::decode_execution((*row)->image);
  if (!image) return Existing::kUnreadable;
  const bool is_of_this_life = decode_extra(image->extra).map_life == run.redrives;
  const bool succeeded = (*row)->status == store::ExecutionStatus::kSucceeded;
  leave(succeeded && !is_of_this_life);
  if ((*row)->status == store::ExecutionStatus::kRunning) {
    run.open[child] = {(*row)->no, items};
  } else if (succeeded || is_of_this_life) {
    note_end(run, child, items, (*row)->status);
  } else {
    return run.express ? Existing::kNo : redrive_child(run, child, items, **row);
  }
  return Existing::kYes;
}

MapRuns::Existing MapRuns::redrive_child(Run& run, std::uint64_t child, std::uint32_t items,
                                         const store::ExecutionRow& row) {
  // Its end is in the store, and has yet to be told here.
  if (shard_.is_in_memory(row.no)) return Existing::kUnreadable;
  auto live = load_left_behind(
      shard_.wiring_.store, row, shard_.wiring_.loop.now(),
      [this](const std::string& key) { return shard_.wiring_.definitions.machine(key); },
      RedrivenBy::kMapRun);
  if (!live) {
    if (live.error().code != "ExecutionNotRedrivable") return Existing::kUnreadable;
    run.failed_for_good += 1;
    run.failed_items_for_good += items;
    note_end(run, child, items, row.status);
    return Existing::kYes;
  }
  (*live)->state.region = shard_.wiring_.options.region;
  Extra extra = decode_extra((*live)->image.extra);
  extra.map_life = run.redrives;
  (*live)->image.extra = encode_extra(extra);
  run.open[child] = {row.no, items};
  hand_over(run, *std::move(live), engine::Redrive{});
  return Existing::kYes;
}

}  // namespace sortie::runtime
