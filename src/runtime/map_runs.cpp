// Map runs: how they begin, are loaded, told about and closed. The children are in map_run_children.cpp.
#include "runtime/map_runs.h"

#include <algorithm>

#include "json/members.h"
#include "json/text.h"
#include "runtime/map_run_state.h"
#include "runtime/shard.h"

namespace sortie::runtime {
namespace map_runs {

constexpr std::int64_t kRetryMs = 500;
constexpr std::uint32_t kProgressMark = UINT32_MAX;  // Where an engine's frame has its next payload.

json::Value number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

std::uint64_t whole(const json::Value& value) {
  return value.is_integer() && value.as_integer() > 0 ? static_cast<std::uint64_t>(value.as_integer()) : 0;
}

json::Value attempt_json(store::ExecutionNo parent, const engine::AttemptId& attempt) {
  return json::Value::array(
      {number(parent), number(attempt.frame), number(attempt.entry), number(attempt.attempt)});
}

engine::AttemptId attempt_of(const json::Value& waits) {
  return {static_cast<engine::FrameNo>(whole(waits[1])), static_cast<std::uint32_t>(whole(waits[2])),
          static_cast<std::uint32_t>(whole(waits[3]))};
}

Error no_such_run(std::string_view arn) {
  return {"ResourceNotFound", "Resource not found: '" + std::string(arn) + "'", "", ""};
}

}  // namespace map_runs

std::string map_run_image(const json::Value& progress) {
  std::string image(kFrameHeadroom, '\0');
  put_next_payload(image, map_runs::kProgressMark);
  json::append_text(image, progress);
  return image;
}

bool is_map_run_image(const SplitImage& image) { return image.next_payload == map_runs::kProgressMark; }

MapRuns::MapRuns(Shard& shard) : shard_(shard) {}
MapRuns::~MapRuns() = default;

MapRuns::Run* MapRuns::find(store::ExecutionNo no) {
  const auto found = runs_.find(no);
  return found == runs_.end() ? nullptr : found->second.get();
}

void MapRuns::start(const LiveExecution& parent, const engine::AttemptId& attempt) {
  const engine::InMapRun* phase = engine::find_map_run(parent.state, attempt);
  if (phase == nullptr) return;
  const std::string arn =
      engine::map_run_arn(parent.state, parent.state.frames.at(attempt.frame), phase->run);
  for (const auto& [no, open] : runs_) {
    if (open->arn != arn) continue;
    if (open->attempt != attempt) start_later(parent.no, attempt);  // It has yet to end its earlier life.
    return;
  }
  const Result<std::optional<store::ExecutionRow>> row = shard_.wiring_.store.find_execution(arn);
  if (!row) return start_later(parent.no, attempt);
  if (*row) return start_again(parent, attempt, **row);
  auto run = std::make_unique<Run>();
  run->no = shard_.next_no();
  run->arn = arn;
  run->parent = parent.no;
  run->attempt = attempt;
  run->started_at = shard_.wiring_.loop.now();
  run->is_new = true;
  run->limits = engine::map_run_limits(phase->limits);
  Run& owned = *run;
  runs_.emplace(owned.no, std::move(run));
  attach(owned, parent);
  open(owned);
}

// The run has a row. Of the same attempt: after a restart it goes on, or its outcome has yet to be told. Of
// an earlier one: it is redriven, as soon as that is over.
void MapRuns::start_again(const LiveExecution& parent, const engine::AttemptId& attempt,
                          const store::ExecutionRow& row) {
  const Result<engine::ExecutionImage> image = engine::decode_execution(row.image);
  const Result<json::Value> progress = image ? json::parse(image->extra) : Result<json::Value>(image.error());
  const json::Value waits = progress ? progress->get("waits") : json::Value();
  const bool is_same = !waits.is_array() || map_runs::attempt_of(waits) == attempt;
  if (row.status == store::ExecutionStatus::kRunning) {
    recover(row.no);
    if (!is_same) start_later(parent.no, attempt);
  } else if (is_same) {
    deliver(parent.no, attempt, row);
  } else {
    redrive(parent, attempt, row, *progress);
  }
}

void MapRuns::start_later(store::ExecutionNo parent, const engine::AttemptId& attempt) {
  Loop& loop = shard_.wiring_.loop;
  loop.call_at(loop.now().plus_ms(map_runs::kRetryMs),
               [this, parent, attempt, alive = std::weak_ptr<int>(alive_)] {
                 if (alive.expired()) return;
                 Error error;
                 const LiveExecution* live = shard_.find_or_load(parent, &error);
                 if (live != nullptr) return start(*live, attempt);
                 if (error.code != "ExecutionDoesNotExist") start_later(parent, attempt);
               });
}

// Takes from the parent what does not change; a parent that waits for something else is none.
void MapRuns::attach(Run& run, const LiveExecution& parent) {
  const engine::InMapRun* phase = engine::find_map_run(parent.state, run.attempt);
  run.parent_waits = phase != nullptr && run.arn.ends_with(":" + phase->run);
  run.execution_arn = parent.state.arn;
  if (!run.parent_waits) return;
  run.serial = ++last_serial_;
  run.machine = parent.state.machine;
  run.map = &engine::map_of(parent.state, run.attempt);
  run.definition_key = parent.image.definition_key;
  run.role_arn = parent.state.role_arn;
  run.actor = parent.actor;
  run.state_name = parent.state.state_of(parent.state.frames.at(run.attempt.frame)).name;
  run.express = run.map->distributed->express;
  run.batch_input = phase->batch_input;
  run.destination = phase->writer;
  const asl::DistributedMap& distributed = *run.map->distributed;
  if (!distributed.reader) {
    run.source = make_array_source(shard_.wiring_.loop, phase->items);
    run.items_total = static_cast<std::int64_t>(phase->items.size());
  } else {
    run.source = make_object_source(shard_.wiring_.loop, shard_.wiring_.options.objects,
                                    {run.role_arn, parent.state.name}, *distributed.reader, phase->reader);
  }
  if (run.marks.empty()) run.marks.push_back({});
}

void MapRuns::open(Run& run) {
  write_progress(run, [this, no = run.no, parent = run.parent, attempt = run.attempt](const Status& status) {
    Run* opened = find(no);
    if (opened == nullptr) return;
    if (!status) {
      runs_.erase(no);
      return start_later(parent, attempt);
    }
    if (opened->stage == Stage::kOpening) {
      opened->stage = Stage::kRunning;
      if (opened->limits.max_items < 0) {
        fail(*opened, "States.ItemReaderFailed", "field MaxItems must be positive");
      }
    }
    schedule(*opened);
  });
}

json::Value MapRuns::progress_json(const Run& run, bool with_position) const {
  using map_runs::number;
  const auto counts = [](const Counts& c) {
    return json::Value::array({c.succeeded, c.failed, c.timed_out, c.aborted});
  };
  json::ObjectBuilder out;
  out.append("limits", engine::to_json(run.limits));
  out.append("executions", counts(run.executions)).append("items", counts(run.items));
  out.append("total", run.items_total).append("written", run.results_written);
  out.append("child", number(run.next_child)).append("item", number(run.next_item));
  out.append("parent", run.execution_arn).append("express", run.express);
  out.append("waits", map_runs::attempt_json(run.parent, run.attempt));
  if (run.redrives > 0) {
    out.append("redrives", run.redrives).append("redriven_at", run.redriven_at.ms);
    out.append("left", counts(run.left_executions)).append("left_items", counts(run.left_items));
    out.append("for_good", json::Value::array({run.failed_for_good, run.failed_items_for_good}));
    out.append("children", number(run.children_total));
  }
  if (!with_position) return out.build();
  if (!run.marks.empty()) {
    out.append("first", number(run.marks.front().first_item));
    out.append("position", run.marks.front().position);
  }
  std::vector<json::Value> open;
  for (const auto& [child, kept] : run.open) {
    open.push_back(number(child));
    open.push_back(number(kept.items));
  }
  out.append("open", json::Value::array(std::move(open)));
  if (run.outcome != store::ExecutionStatus::kRunning) {
    out.append("outcome", static_cast<std::int64_t>(run.outcome));
    out.append("error", run.error).append("cause", run.cause).append("catchable", run.catchable);
  }
  return out.build();
}

void MapRuns::read_progress(const json::Value& progress, Run& run) {
  using map_runs::whole;
  const auto counts = [](const json::Value& value) {
    const auto at = [&](std::size_t i) { return static_cast<std::int64_t>(whole(value[i])); };
    return Counts{at(0), at(1), at(2), at(3)};
  };
  run.limits = engine::map_run_limits(progress.get("limits"));
  run.executions = counts(progress.get("executions"));
  run.items = counts(progress.get("items"));
  run.items_total = progress.get("total").is_integer() ? progress.get("total").as_integer() : -1;
  run.results_written = static_cast<std::int64_t>(whole(progress.get("written")));
  run.next_child = run.durable_child = run.asked_child = whole(progress.get("child"));
  run.next_item = whole(progress.get("item"));
  run.execution_arn = json::text_member(progress, "parent");
  run.express = progress.get("express").is_bool() && progress.get("express").as_bool();
  const json::Value& waits = progress.get("waits");
  run.parent = whole(waits[0]);
  run.attempt = map_runs::attempt_of(waits);
  run.redrives = static_cast<std::int64_t>(whole(progress.get("redrives")));
  run.redriven_at = Timestamp{static_cast<std::int64_t>(whole(progress.get("redriven_at")))};
  run.left_executions = counts(progress.get("left"));
  run.left_items = counts(progress.get("left_items"));
  run.failed_for_good = static_cast<std::int64_t>(whole(progress.get("for_good")[0]));
  run.failed_items_for_good = static_cast<std::int64_t>(whole(progress.get("for_good")[1]));
  run.children_total = whole(progress.get("children"));
  run.marks.push_back({whole(progress.get("first")), progress.get("position")});
  const json::Value& open = progress.get("open");
  for (std::size_t i = 0; i + 1 < open.size(); i += 2) {
    run.open[whole(open[i])] = {0, static_cast<std::uint32_t>(whole(open[i + 1]))};
  }
  run.outcome =
      static_cast<store::ExecutionStatus>(std::min<std::uint64_t>(whole(progress.get("outcome")), 4));
  run.error = json::text_member(progress, "error");
  run.cause = json::text_member(progress, "cause");
  run.catchable = !progress.get("catchable").is_bool() || progress.get("catchable").as_bool();
}

std::string MapRuns::row_image(const Run& run) const {
  engine::ExecutionImage image;
  image.role_arn = run.role_arn;
  image.extra = json::to_text(progress_json(run, false));
  if (run.outcome != store::ExecutionStatus::kRunning) {
    image.error = run.error;
    image.cause = run.cause;
  }
  return engine::encode_execution(image);
}

void MapRuns::write_progress(Run& run, std::function<void(const Status&)> done) {
  if (done) run.waiting_for_progress.push_back(std::move(done));
  if (run.writing || run.stage == Stage::kClosing) return;
  run.writing = true;
  const std::uint64_t child = run.asked_child = run.next_child;
  store::Batch batch;
  if (run.is_new) {
    batch.executions.push_back({run.no, run.arn, run.execution_arn, run.arn.substr(run.arn.rfind(':') + 1),
                                store::ExecutionStatus::kRunning, run.started_at, Timestamp{0},
                                row_image(run)});
  }
  while (run.marks.size() > 1 && run.marks[1].first_item <= run.next_item) run.marks.pop_front();
  batch.frames.push_back({{run.no, 0}, kNever, map_run_image(progress_json(run, true))});
  auto told = std::make_shared<std::vector<std::function<void(const Status&)>>>(
      std::exchange(run.waiting_for_progress, {}));
  shard_.append(std::move(batch),
                [this, no = run.no, serial = run.serial, child, told](const Status& status) {
                  if (Run* kept = find(no); kept != nullptr && kept->serial == serial) {
                    kept->writing = false;
                    if (status) {
                      kept->is_new = false;
                      kept->durable_child = child;
                      if (!kept->waiting_for_progress.empty()) write_progress(*kept);
                      schedule(*kept);
                    } else {
                      kept->asked_child = kept->durable_child;
                      schedule_later(*kept);
                    }
                  }
                  for (const auto& callback : *told) callback(status);
                });
}

Result<std::unique_ptr<MapRuns::Run>> MapRuns::load(store::ExecutionNo no) {
  SORTIE_TRY(const std::optional<store::ExecutionRow> row, shard_.wiring_.store.find_execution(no));
  SORTIE_TRY(const std::optional<store::FrameRow> frame, shard_.wiring_.store.find_frame({no, 0}));
  if (!row || !frame) return std::unique_ptr<Run>();
  SORTIE_TRY(const SplitImage split, split_frame_image(frame->image));
  const Result<json::Value> progress = json::parse(split.engine_image);
  if (!progress || !is_map_run_image(split)) {
    return Error{"StoreCorrupt", "the progress of " + row->arn + " cannot be read", "",
                 "restore a backup of the data folder"};
  }
  auto run = std::make_unique<Run>();
  run->no = no;
  run->arn = row->arn;
  run->started_at = row->started_at;
  run->stage = Stage::kRunning;
  read_progress(*progress, *run);
  run->unseen_until = run->durable_child + kStartWindow;
  run->verify_until = run->redrives > 0 ? UINT64_MAX : run->unseen_until;
  run->next_read = run->marks.front().first_item;
  run->next_position = run->marks.front().position;
  run->skip = run->next_item - std::min(run->next_item, run->next_read);
  return run;
}

Status MapRuns::take_up(store::ExecutionNo no) {
  if (find(no) != nullptr) return {};
  SORTIE_TRY(std::unique_ptr<Run> loaded, load(no));
  if (loaded == nullptr) return {};  // It has ended.
  Run& run = *loaded;
  Error error;
  const LiveExecution* parent = shard_.find_or_load(run.parent, &error);
  if (parent == nullptr && error.code != "ExecutionDoesNotExist") return error;
  run.serial = ++last_serial_;
  if (parent != nullptr) attach(run, *parent);
  SORTIE_TRY_STATUS(find_open(run));
  runs_.emplace(no, std::move(loaded));
  if (!run.parent_waits) {
    abort(run);
  } else if (run.outcome != store::ExecutionStatus::kRunning) {
    run.stage = Stage::kStopping;
  }
  schedule(run);
  return {};
}

bool MapRuns::works_for(const store::FrameKey& parent) const {
  return std::any_of(runs_.begin(), runs_.end(), [&](const auto& each) {
    return each.second->parent == parent.execution && each.second->attempt.frame == parent.frame;
  });
}

void MapRuns::recover(store::ExecutionNo no) {
  if (!take_up(no)) restart_later(no);
}

void MapRuns::recover_parent(const LiveExecution& parent, engine::FrameNo frame) {
  const auto found = parent.state.frames.find(frame);
  if (found != parent.state.frames.end()) {
    start(parent, {frame, found->second.entry, found->second.attempt});
  }
}

void MapRuns::restart(Run& run) {
  restart_later(run.no);
  runs_.erase(run.no);
}

void MapRuns::restart_later(store::ExecutionNo no) {
  Loop& loop = shard_.wiring_.loop;
  loop.call_at(loop.now().plus_ms(map_runs::kRetryMs), [this, no, alive = std::weak_ptr<int>(alive_)] {
    if (alive.expired() || find(no) != nullptr) return;
    if (!take_up(no)) restart_later(no);
  });
}

void MapRuns::schedule(Run& run) {
  if (run.scheduled) return;
  run.scheduled = true;
  shard_.wiring_.loop.post([this, no = run.no, serial = run.serial, alive = std::weak_ptr<int>(alive_)] {
    if (alive.expired()) return;
    Run* due = find(no);
    if (due == nullptr || due->serial != serial) return;
    due->scheduled = false;
    pump(*due);
  });
}

void MapRuns::schedule_later(Run& run) {
  Loop& loop = shard_.wiring_.loop;
  loop.call_at(loop.now().plus_ms(map_runs::kRetryMs),
               [this, no = run.no, serial = run.serial, alive = std::weak_ptr<int>(alive_)] {
                 if (alive.expired()) return;
                 Run* due = find(no);
                 if (due != nullptr && due->serial == serial) schedule(*due);
               });
}

void MapRuns::stop(store::ExecutionNo parent, const engine::AttemptId& attempt) {
  for (const auto& [no, run] : runs_) {
    if (run->parent == parent && run->attempt == attempt) return abort(*run);
  }
  // A run that is being loaded again finds out by itself that nobody waits.
}

void MapRuns::close(Run& run, store::ExecutionStatus status, const json::Value& output) {
  run.stage = Stage::kClosing;
  run.outcome = status;
  // What this life never came by is as earlier ones left it.
  run.executions.add(std::exchange(run.left_executions, {}));
  run.items.add(std::exchange(run.left_items, {}));
  run.results_written = run.executions.sum();
  engine::ExecutionImage image;
  image.role_arn = run.role_arn;
  image.extra = json::to_text(progress_json(run, false));
  if (status == store::ExecutionStatus::kSucceeded) {
    image.output_text = json::to_text(output);
  } else {
    image.error = run.error;
    image.cause = run.cause;
    if (!run.catchable) image.definition_key = "not catchable";
  }
  const store::ExecutionRow row{
      run.no, run.arn,        run.execution_arn,         run.arn.substr(run.arn.rfind(':') + 1),
      status, run.started_at, shard_.wiring_.loop.now(), engine::encode_execution(image)};
  store::Batch batch;
  batch.executions.push_back(row);
  batch.ended.push_back(run.no);
  shard_.append(std::move(batch),
                [this, row, parent = run.parent, attempt = run.attempt](const Status& done) {
                  Run* closed = find(row.no);
                  if (closed == nullptr) return;
                  if (!done) return restart(*closed);
                  const auto told = std::exchange(closed->waiting_for_progress, {});
                  runs_.erase(row.no);
                  for (const auto& callback : told) callback(Status());
                  deliver(parent, attempt, row);
                });
}

// Tells the Map state. An aborted run has nobody to tell.
void MapRuns::deliver(store::ExecutionNo parent, const engine::AttemptId& attempt,
                      const store::ExecutionRow& row) {
  if (row.status == store::ExecutionStatus::kAborted) return;
  const Result<engine::ExecutionImage> image = engine::decode_execution(row.image);
  engine::MapRunEnded ended{attempt, {}, std::nullopt, "", true};
  if (!image) {
    ended.error = "States.Runtime";
    ended.cause = image.error().message;
  } else if (row.status == store::ExecutionStatus::kSucceeded) {
    if (Result<json::Value> output = json::parse(image->output_text.value_or("null"))) ended.output = *output;
  } else {
    ended.error = image->error.value_or("");
    ended.cause = image->cause.value_or("");
    ended.catchable = image->definition_key.empty();
  }
  shard_.post(parent, {std::move(ended), {}, nullptr});
}

MapRunDescription MapRuns::description(const Run& run) const {
  MapRunDescription out;
  out.arn = run.arn;
  out.state_machine_arn = engine::map_child_machine_arn(run.arn);
  out.execution_arn = run.execution_arn;
  out.started_at = run.started_at;
  out.no = run.no;
  out.max_concurrency = run.limits.max_concurrency;
  out.tolerated_failure_count = run.limits.tolerated_count.value_or(0);
  out.tolerated_failure_percentage = run.limits.tolerated_percentage.value_or(0);
  out.redrive_count = run.redrives;
  out.redriven_at = run.redriven_at;
  const auto fill = [&](const Counts& from, const Counts& left, std::int64_t running, std::int64_t total,
                        MapRunCounts& to) {
    to.succeeded = from.succeeded + left.succeeded;
    to.failed = from.failed;
    to.timed_out = from.timed_out;
    to.aborted = from.aborted;
    to.pending_redrive = left.unsuccessful();
    to.running = running;
    to.total = total;
    to.pending = std::max<std::int64_t>(total - running - from.sum() - left.sum(), 0);
  };
  std::int64_t open_items = 0;
  for (const auto& [child, kept] : run.open) open_items += kept.items;
  const auto known = static_cast<std::int64_t>(std::max(run.next_read, run.next_item));
  fill(run.items, run.left_items, open_items, run.items_total >= 0 ? run.items_total : known, out.items);
  auto executions = static_cast<std::int64_t>(std::max(run.next_child, run.children_total));
  if (run.map != nullptr && !run.map->distributed->batcher) executions = out.items.total;
  fill(run.executions, run.left_executions, static_cast<std::int64_t>(run.open.size()), executions,
       out.executions);
  out.executions.failures_not_redrivable = run.failed_for_good;
  out.items.failures_not_redrivable = run.failed_items_for_good;
  if (run.results_written > 0) {
    out.executions.results_written = run.results_written;
    out.items.results_written = run.items.sum();
  }
  return out;
}

Result<MapRunDescription> MapRuns::describe(std::string_view arn) {
  for (const auto& [no, run] : runs_) {
    if (run->arn == arn) return description(*run);
  }
  SORTIE_TRY(const std::optional<store::ExecutionRow> row, shard_.wiring_.store.find_execution(arn));
  if (!row || arn.find(":mapRun:") == std::string_view::npos) return map_runs::no_such_run(arn);
  SORTIE_TRY(const engine::ExecutionImage image, engine::decode_execution(row->image));
  SORTIE_TRY(const json::Value progress, json::parse(image.extra));
  Run run;
  read_progress(progress, run);
  run.open.clear();
  run.no = row->no;
  run.arn = row->arn;
  run.started_at = row->started_at;
  MapRunDescription out = description(run);
  out.status = row->status;
  out.stopped_at = row->stopped_at;
  return out;
}

Result<std::vector<MapRunDescription>> MapRuns::list(std::string_view execution_arn, std::uint64_t before,
                                                     std::size_t limit) {
  store::ExecutionQuery query;
  query.state_machine_arn = execution_arn;
  query.before = before;
  query.limit = limit;
  SORTIE_TRY(const std::vector<store::ExecutionRow> rows, shard_.wiring_.store.list_executions(query));
  std::vector<MapRunDescription> out;
  for (const store::ExecutionRow& row : rows) {
    MapRunDescription item;
    item.arn = row.arn;
    item.state_machine_arn = engine::map_child_machine_arn(row.arn);
    item.execution_arn = execution_arn;
    item.status = row.status;
    item.started_at = row.started_at;
    item.stopped_at = row.stopped_at;
    item.no = row.no;
    out.push_back(std::move(item));
  }
  return out;
}

void MapRuns::update(std::string_view arn, MapRunChange change, std::function<void(Result<Unit>)> done) {
  Loop& loop = shard_.wiring_.loop;
  Run* found = nullptr;
  for (const auto& [no, run] : runs_) {
    if (run->arn == arn) found = run.get();
  }
  if (found == nullptr) {
    const Result<MapRunDescription> ended = describe(arn);
    if (!ended) return loop.post([done, error = ended.error()] { done(error); });
    const Error over{"ValidationException", "Map Run is not running: '" + std::string(arn) + "'", "", ""};
    return loop.post([done, over] { done(over); });
  }
  if (change.max_concurrency) found->limits.max_concurrency = *change.max_concurrency;
  if (change.tolerated_failure_count) found->limits.tolerated_count = change.tolerated_failure_count;
  if (change.tolerated_failure_percentage) {
    found->limits.tolerated_percentage = change.tolerated_failure_percentage;
  }
  write_progress(*found, [done](const Status& status) {
    if (status) return done(Unit{});
    done(Error{"ServiceUnavailable", "the change could not be written: " + status.error().message, "", ""});
  });
  schedule(*found);
}

}  // namespace sortie::runtime
