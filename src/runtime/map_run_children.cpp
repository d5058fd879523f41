// The children of a map run: reading items, forming batches, starting, counting, stopping, results.
#include <algorithm>

#include "json/text.h"
#include "runtime/map_run_state.h"
#include "runtime/shard.h"

namespace sortie::runtime {
namespace map_children {

constexpr int kStartsPerTurn = 128;
constexpr std::size_t kSlice = 1'000;               // Fewer items than this read ahead: read on.
constexpr std::int64_t kExpressMs = 5 * 60 * 1000;  // An EXPRESS execution may take five minutes.

}  // namespace map_children

void MapRuns::pump(Run& run) {
  if (draining_ || run.stage == Stage::kOpening || run.stage == Stage::kCollecting ||
      run.stage == Stage::kClosing)
    return;
  if (run.stage == Stage::kRunning && is_exceeded(run)) {
    fail(run, "States.ExceedToleratedFailureThreshold",
         "The specified tolerated failure threshold was exceeded");
  }
  if (run.stage == Stage::kStopping) {
    if (!run.stops_told && !stop_children(run)) return schedule_later(run);
    if (run.open.empty()) all_ended(run);
    return;
  }
  const store::ExecutionNo no = run.no;
  for (int i = 0; i < map_children::kStartsPerTurn; ++i) {
    if (!may_start(run) || !next_batch(run)) break;
    start_batch(run);
    if (find(no) != &run) return;  // It had to be loaded again.
    if (run.stage != Stage::kRunning && run.stage != Stage::kPending) return schedule(run);
    if (i + 1 == map_children::kStartsPerTurn) schedule(run);
  }
  // After a restart the children that were come by may have failed, all of them, before the run was there.
  if (run.stage == Stage::kRunning && is_exceeded(run)) return schedule(run);
  if (run.stage == Stage::kRunning && run.next_child - run.asked_child >= kProgressEvery) write_progress(run);
  if (run.buffer.size() < map_children::kSlice && !run.exhausted && !run.adding_pending) read_slice(run);
  const bool done = run.exhausted && run.buffer.empty() && run.batch.empty() && !run.adding_pending;
  if (done && (run.open.empty() || run.stage == Stage::kPending)) all_ended(run);
}

bool MapRuns::may_start(Run& run) const {
  if (run.adding_pending) return false;
  if (run.stage == Stage::kPending) return true;
  const std::int64_t wanted = run.limits.max_concurrency;
  const std::int64_t most = wanted == 0 ? kConcurrencyDefault : std::min(wanted, kConcurrencyMax);
  if (static_cast<std::int64_t>(run.open.size()) >= most) return false;
  return run.next_child < run.durable_child + kStartWindow;
}

// Adds items to the child that is being put together until it is whole. False: more items are needed first.
bool MapRuns::next_batch(Run& run) {
  const bool batched = run.map != nullptr && run.map->distributed->batcher.has_value();
  const auto count_max =
      batched ? static_cast<std::size_t>(std::max<std::int64_t>(run.limits.max_items_per_batch, 0)) : 1;
  const std::size_t bytes_max = batched ? engine::batch_item_bytes_max(run.limits, run.batch_input) : 0;
  while (!run.buffer.empty()) {
    json::Value input = run.buffer.front().value;
    if (run.parent_waits && run.map->item_selector) {
      const std::uint64_t index = run.next_item + run.batch.size();
      Error error;
      const LiveExecution* parent = shard_.find_or_load(run.parent, &error);
      if (parent == nullptr && error.code != "ExecutionDoesNotExist") return schedule_later(run), false;
      if (parent == nullptr || engine::find_map_run(parent->state, run.attempt) == nullptr) {
        return abort(run), false;
      }
      auto made = engine::map_item_input(
          parent->state, run.attempt,
          {static_cast<std::uint32_t>(index), std::move(input), run.buffer.front().source},
          shard_.context(*parent));
      if (const auto* fault = std::get_if<engine::MapRunFault>(&made)) {
        fail(run, fault->error, fault->cause, fault->catchable);
        return false;
      }
      input = std::get<json::Value>(std::move(made));
    }
    const std::size_t bytes = batched ? json::to_text(input).size() + 1 : 0;
    if (batched && !run.batch.empty() && run.batch_bytes + bytes > bytes_max) return true;
    run.batch.push_back(std::move(input));
    run.batch_bytes += bytes;
    if (batched || run.map == nullptr || !run.map->item_selector) {
      run.buffer.pop_front();
    } else {
      run.selected_item = std::move(run.buffer.front().value);
      run.buffer.pop_front();
    }
    if (count_max != 0 && run.batch.size() >= count_max) return true;
  }
  return run.exhausted && !run.batch.empty();
}

void MapRuns::read_slice(Run& run) {
  if (run.reading || run.source == nullptr) {
    if (run.source == nullptr) run.exhausted = true;  // The parent is gone, and what it said with it.
    return;
  }
  run.reading = true;
  run.source->read(run.next_position, [this, no = run.no, serial = run.serial,
                                       alive = std::weak_ptr<int>(alive_)](Result<ItemSlice> slice) {
    if (alive.expired()) return;
    Run* reader = find(no);
    if (reader == nullptr || reader->serial != serial) return;
    reader->reading = false;
    if (slice) {
      take_slice(*reader, *std::move(slice));
    } else if (reader->stage == Stage::kRunning) {
      fail(*reader, slice.error().code, slice.error().message);
    } else {
      reader->exhausted = true;
    }
    schedule(*reader);
  });
}

void MapRuns::take_slice(Run& run, ItemSlice slice) {
  const std::uint64_t first = run.next_read;
  std::vector<json::Value>& items = slice.items;
  const auto most = static_cast<std::uint64_t>(std::max<std::int64_t>(run.limits.max_items, 0));
  if (most != 0 && first + items.size() >= most) {
    items.resize(most - std::min(first, most));
    slice.at_end = true;
  }
  if (run.marks.back().first_item != first) run.marks.push_back({first, run.next_position});
  run.next_read = first + items.size();
  run.next_position = std::move(slice.next);
  const std::uint64_t skipped = std::min<std::uint64_t>(run.skip, items.size());
  run.skip -= skipped;
  std::shared_ptr<const std::string> source;
  if (!slice.source.empty()) source = std::make_shared<const std::string>(std::move(slice.source));
  for (std::uint64_t i = skipped; i < items.size(); ++i) run.buffer.push_back({std::move(items[i]), source});
  if (!slice.at_end) return;
  run.exhausted = true;
  run.items_total = static_cast<std::int64_t>(run.next_read);
}

void MapRuns::start_batch(Run& run) {
  const std::uint64_t child = run.next_child;
  const auto items = static_cast<std::uint32_t>(run.batch.size());
  std::vector<json::Value> batch = std::exchange(run.batch, {});
  run.batch_bytes = 0;
  json::Value input = batch.front();
  std::optional<engine::MapItem> item;
  if (run.map != nullptr && run.map->distributed->batcher) {
    input = engine::batch_of(run.batch_input, std::move(batch));
  } else {
    const bool selected = run.map != nullptr && run.map->item_selector;
    item = engine::MapItem{static_cast<std::uint32_t>(run.next_item), selected ? run.selected_item : input};
  }
  if (run.stage == Stage::kPending) {
    run.next_child += 1;
    run.next_item += items;
    if (child < run.children_total) return;  // An earlier life began it.
    run.adding_pending = true;
    return run.results->add_pending(child, json::to_text(input), [this, no = run.no](const Status& status) {
      Run* listed = find(no);
      if (listed == nullptr) return;
      listed->adding_pending = false;
      if (!status) listed->exhausted = true;
      schedule(*listed);
    });
  }
  std::string text = json::to_text(input);
  if (text.size() > engine::kPayloadBytesMax) {
    return fail(run, "States.DataLimitExceeded",
                "The input of a child execution exceeds the maximum number of bytes service limit.");
  }
  const std::string name = engine::map_child_name(run.arn, child, run.express ? run.redrives : 0);
  const std::string arn = run.child_arn(child, run.redrives);
  if (child < run.verify_until) {
    const Existing known =
        run.redrives > 0 ? take_earlier(run, child, items) : take_existing(run, child, arn, items);
    if (known == Existing::kUnreadable) return restart(run);
    if (known == Existing::kYes) {
      run.next_child += 1;
      run.next_item += items;
      return;
    }
  }
  run.next_child += 1;
  run.next_item += items;
  begin_child(run, {child, items, name, arn, std::move(input), std::move(text), std::move(item)});
}

// Looks for a child that an earlier life of the run may have started.
MapRuns::Existing MapRuns::take_existing(Run& run, std::uint64_t child, const std::string& arn,
                                         std::uint32_t items) {
  if (const store::ExecutionNo beginning = shard_.find_beginning(arn); beginning != 0) {
    run.open[child] = {beginning, items};
    return Existing::kYes;
  }
  const Result<std::optional<store::ExecutionRow>> row = shard_.wiring_.store.find_execution(arn);
  if (!row) return Existing::kUnreadable;
  if (!*row) return Existing::kNo;
  if ((*row)->status == store::ExecutionStatus::kRunning) {
    run.open[child] = {(*row)->no, items};
  } else {
    note_end(run, child, items, (*row)->status);
  }
  return Existing::kYes;
}

void MapRuns::begin_child(Run& run, NewChild child) {
  auto live = std::make_unique<LiveExecution>();
  live->no = shard_.next_no();
  live->map_child = MapChild{run.no, child.number, child.items, run.map->processor};
  live->listed_under = run.arn;
  live->actor = run.actor;
  engine::Execution& state = live->state;
  state.machine = run.machine;
  state.root_flow = run.map->processor;
  state.root_item = std::move(child.item);
  state.name = child.name;
  state.arn = child.arn;
  state.state_machine_arn = engine::map_child_machine_arn(run.arn);
  state.role_arn = run.role_arn;
  state.region = shard_.wiring_.options.region;
  state.started_at = shard_.wiring_.loop.now();
  state.input = std::move(child.input);
  if (run.express) state.deadline = state.started_at.plus_ms(map_children::kExpressMs);
  live->image.definition_key = run.definition_key;
  live->image.role_arn = run.role_arn;
  live->image.input_text = std::move(child.input_text);
  live->image.extra =
      encode_extra({.actor = run.actor, .map_life = run.redrives, .map_child = live->map_child});
  run.open[child.number] = {live->no, child.items};
  hand_over(run, std::move(live), engine::Start{});
}

// A child whose first commit fails takes the run back to its progress: the one that began it, or the one that
// was loaded meanwhile and waits for it.
void MapRuns::hand_over(Run& run, std::unique_ptr<LiveExecution> child, engine::Stimulus first) {
  Mail mail{std::move(first), {}, nullptr};
  mail.reply = [this, no = run.no, number = child->map_child->number, begun = child->no](const Status& status,
                                                                                         bool) {
    if (status) return;
    Run* waits = find(no);
    if (waits == nullptr) return;
    const auto open = waits->open.find(number);
    if (open != waits->open.end() && open->second.no == begun) restart(*waits);
  };
  shard_.begin(std::move(child), std::move(mail));
}

void MapRuns::child_ended(const MapChild& child, store::ExecutionStatus status) {
  Run* run = find(child.run);
  if (run == nullptr || !run->open.contains(child.number)) return;  // It will be looked up.
  note_end(*run, child.number, child.items, status);
  schedule(*run);
}

void MapRuns::note_end(Run& run, std::uint64_t child, std::uint32_t items, store::ExecutionStatus status) {
  run.open.erase(child);
  run.executions.add(status, 1);
  run.items.add(status, items);
}

void MapRuns::Counts::add(store::ExecutionStatus status, std::int64_t count) {
  if (status == store::ExecutionStatus::kSucceeded) succeeded += count;
  if (status == store::ExecutionStatus::kFailed) failed += count;
  if (status == store::ExecutionStatus::kTimedOut) timed_out += count;
  if (status == store::ExecutionStatus::kAborted) aborted += count;
}

void MapRuns::Counts::add(const Counts& other) {
  succeeded += other.succeeded;
  failed += other.failed;
  timed_out += other.timed_out;
  aborted += other.aborted;
}

// A batch that fails fails all its items. Without any tolerance the first failure is one too many.
bool MapRuns::is_exceeded(const Run& run) const {
  const std::int64_t failed = run.items.failed + run.items.timed_out;
  if (failed == 0) return false;
  const auto& [count, percentage] = std::pair(run.limits.tolerated_count, run.limits.tolerated_percentage);
  if (!count && !percentage) return true;
  if (count && failed > *count) return true;
  if (!percentage || run.items_total < 0) return false;
  return static_cast<double>(failed) * 100 > *percentage * static_cast<double>(run.items_total);
}

void MapRuns::fail(Run& run, std::string error, std::string cause, bool catchable) {
  if (run.stage != Stage::kRunning) return;
  run.stage = Stage::kStopping;
  run.outcome = store::ExecutionStatus::kFailed;
  run.error = std::move(error);
  run.cause = std::move(cause);
  run.catchable = catchable;
  write_progress(run);
  schedule(run);
}

void MapRuns::abort(Run& run) {
  if (run.stage == Stage::kClosing || run.outcome == store::ExecutionStatus::kAborted) return;
  run.parent_waits = false;
  run.outcome = store::ExecutionStatus::kAborted;
  const bool ended = run.stage == Stage::kPending || run.stage == Stage::kCollecting;
  run.stage = Stage::kStopping;
  if (ended) run.results.reset();
  if (!ended) write_progress(run);
  schedule(run);
}

Status MapRuns::stop_children(Run& run) {
  SORTIE_TRY_STATUS(find_unseen(run));
  run.stops_told = true;
  // A stop may end a child at once, which is told later; the list does not change under this loop.
  for (const auto& [child, kept] : run.open) shard_.post(kept.no, {engine::Stop{}, {}, nullptr});
  return {};
}

// After a restart: what became of the children that progress knows as open. Their rows are in the store: a
// child is appended before the progress that names it.
Status MapRuns::find_open(Run& run) {
  const std::map<std::uint64_t, OpenChild> open = std::exchange(run.open, {});
  for (const auto& [child, kept] : open) {
    const std::string arn = run.child_arn(child, run.redrives);
    const Existing known = take_existing(run, child, arn, kept.items);
    if (known == Existing::kUnreadable) return Error{"StoreUnavailable", arn + " cannot be read", "", ""};
    if (known == Existing::kNo) note_end(run, child, kept.items, store::ExecutionStatus::kAborted);
  }
  return {};
}

// Of a run that was loaded and will start nothing more: the children that were started after its progress was
// written and that it has not come by.
Status MapRuns::find_unseen(Run& run) {
  for (std::uint64_t child = run.next_child; child < run.unseen_until; ++child) {
    const std::string arn = run.child_arn(child, run.redrives);
    std::uint32_t items = 1;
    if (const store::ExecutionNo no = shard_.find_beginning(arn); no != 0) {
      Error error;
      const LiveExecution* beginning = shard_.find_or_load(no, &error);
      if (beginning != nullptr && beginning->map_child) items = beginning->map_child->items;
    } else {
      SORTIE_TRY(const std::optional<store::ExecutionRow> row, shard_.wiring_.store.find_execution(arn));
      if (!row) continue;
      SORTIE_TRY(const engine::ExecutionImage image, engine::decode_execution(row->image));
      const Extra extra = decode_extra(image.extra);
      if (extra.map_life != run.redrives) continue;  // This life has not come by.
      if (extra.map_child) items = extra.map_child->items;
    }
    const Existing known =
        run.redrives > 0 ? take_earlier(run, child, items) : take_existing(run, child, arn, items);
    if (known == Existing::kUnreadable) return Error{"StoreUnavailable", arn + " cannot be read", "", ""};
    run.next_child = child + 1;
    run.next_item += items;
  }
  run.unseen_until = 0;
  return {};
}

// Nothing runs any more. What comes next depends on how it went and where the results go.
void MapRuns::all_ended(Run& run) {
  const bool failed = run.outcome != store::ExecutionStatus::kRunning;
  const bool has_files =
      run.map != nullptr && run.map->distributed->writer && run.map->distributed->writer->to_s3;
  if (failed && (!has_files || run.outcome == store::ExecutionStatus::kAborted)) {
    return close(run, run.outcome, {});
  }
  if (run.results == nullptr) {
    MapResults::Plan plan;
    plan.map_run_arn = run.arn;
    plan.children = std::max(run.next_child, run.children_total);
    plan.arn_of = [this, &run](std::uint64_t child) {  // The run outlives its results.
      return latest_child_arn(run, shard_.wiring_.store, child);
    };
    plan.state_name = run.state_name;
    plan.writer.transformation = asl::ResultTransformation::kCompact;
    if (run.map->distributed->writer) plan.writer = *run.map->distributed->writer;
    plan.destination = run.destination;
    plan.caller = {run.role_arn, "map-run"};
    run.results = std::make_unique<MapResults>(
        MapResults::Wiring{shard_.wiring_.loop, shard_.wiring_.store, shard_.wiring_.options.objects},
        std::move(plan));
  }
  if (failed && run.stage == Stage::kStopping) {
    run.stage = Stage::kPending;
    return schedule(run);
  }
  collect(run);
}

void MapRuns::collect(Run& run) {
  run.stage = Stage::kCollecting;
  run.results->collect([this, no = run.no, serial = run.serial](const Result<json::Value>& output) {
    Run* done = find(no);
    if (done == nullptr || done->serial != serial || done->stage != Stage::kCollecting) return;
    if (done->outcome == store::ExecutionStatus::kFailed) {  // It keeps its own reason.
      return close(*done, store::ExecutionStatus::kFailed, {});
    }
    if (output) return close(*done, store::ExecutionStatus::kSucceeded, *output);
    if (!output.error().code.starts_with("States.")) return restart(*done);  // The store could not be read.
    done->error = output.error().code;
    done->cause = output.error().message;
    close(*done, store::ExecutionStatus::kFailed, {});
  });
}

}  // namespace sortie::runtime
