// A Map in DISTRIBUTED mode: everything that is read once is read here, then a map run takes over.
#include <algorithm>
#include <cmath>

#include "base/hash.h"
#include "base/text.h"
#include "engine/map_run.h"
#include "engine/step.h"
#include "json/members.h"
#include "json/text.h"

namespace sortie::engine {
namespace distributed {

// A name that is the same for the same seed; in the shape of a UUID, because AWS's labels have it.
std::string uuid_of(const std::string& seed) {
  const std::string hex = sha256_hex(seed);
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-3" + hex.substr(13, 3) + "-a" + hex.substr(17, 3) +
         "-" + hex.substr(20, 12);
}

// Recordings of AWS disagree about what MapStateExited follows: MapRunSucceeded in all recordings up to the
// middle of 2024, MapRunStarted in all from November 2024 on. The shapes recorded then and now do not
// overlap: the later ones have the Map as second state of its flow. Each shape follows its own recordings.
bool exit_follows_start(const Frame& frame) { return frame.entry == 2; }

}  // namespace distributed

json::Value to_json(const MapRunLimits& limits) {
  json::ObjectBuilder out;
  out.append("concurrency", limits.max_concurrency);
  if (limits.tolerated_count) out.append("count", *limits.tolerated_count);
  if (limits.tolerated_percentage) out.append("percentage", *limits.tolerated_percentage);
  out.append("items", limits.max_items).append("batch", limits.max_items_per_batch);
  out.append("bytes", limits.max_input_bytes_per_batch);
  return out.build();
}

MapRunLimits map_run_limits(const json::Value& value) {
  const auto whole = [&](std::string_view name, std::int64_t fallback) {
    const json::Value& member = value.get(name);
    return member.is_integer() ? member.as_integer() : fallback;
  };
  MapRunLimits limits;
  limits.max_concurrency = whole("concurrency", 0);
  if (value.get("count").is_integer()) limits.tolerated_count = value.get("count").as_integer();
  if (value.get("percentage").is_number()) limits.tolerated_percentage = value.get("percentage").as_double();
  limits.max_items = whole("items", 0);
  limits.max_items_per_batch = whole("batch", 0);
  limits.max_input_bytes_per_batch = whole("bytes", kBatchBytesMax);
  return limits;
}

std::string item_source_name(const json::Value& reader_parameters) {
  const std::string key = json::text_member(reader_parameters, "Key");
  return "S3://" + json::text_member(reader_parameters, "Bucket") + (key.empty() ? "" : "/" + key);
}

json::Value batch_of(const json::Value& batch_input, std::vector<json::Value> items) {
  json::ObjectBuilder whole;
  if (!batch_input.is_null()) whole.append("BatchInput", batch_input);
  whole.append("Items", json::Value::array(std::move(items)));
  return whole.build();
}

std::size_t batch_item_bytes_max(const MapRunLimits& limits, const json::Value& batch_input) {
  std::size_t around = 12;  // {"Items":[]}
  if (!batch_input.is_null()) around += 14 + json::to_text(batch_input).size();
  const auto most = static_cast<std::size_t>(limits.max_input_bytes_per_batch);
  return most - std::min(most, around);
}

std::string map_run_label(const Execution& execution, const Frame& frame) {
  const asl::State& state = execution.state_of(frame);
  const auto& body = std::get<asl::Map>(state.body);
  if (body.distributed && !body.distributed->label.empty()) return body.distributed->label;
  const std::string& machine = execution.state_machine_arn;
  return distributed::uuid_of("label of " + machine.substr(0, machine.find('/')) + " " + state.name);
}

std::string map_run_arn(const Execution& execution, const Frame& frame, std::string_view run) {
  const std::string& machine = execution.state_machine_arn;
  const std::string own = machine.substr(0, machine.find('/'));
  return replace_all(own, ":stateMachine:", ":mapRun:") + "/" + map_run_label(execution, frame) + ":" +
         std::string(run);
}

std::string map_child_machine_arn(std::string_view map_run_arn) {
  return replace_all(map_run_arn.substr(0, map_run_arn.rfind(':')), ":mapRun:", ":stateMachine:");
}

std::string map_child_name(std::string_view map_run_arn, std::uint64_t number, std::int64_t life) {
  std::string seed = std::string(map_run_arn) + " " + std::to_string(number);
  if (life > 0) seed += " " + std::to_string(life);
  return distributed::uuid_of(seed);
}

std::string map_child_arn(std::string_view map_run_arn, std::string_view name, bool express) {
  const std::string_view stem = map_run_arn.substr(0, map_run_arn.rfind(':'));
  if (!express) return replace_all(stem, ":mapRun:", ":execution:") + ":" + std::string(name);
  return replace_all(stem, ":mapRun:", ":express:") + ":" + std::string(name) + ":" +
         distributed::uuid_of("express " + std::string(map_run_arn) + " " + std::string(name));
}

const InMapRun* find_map_run(const Execution& execution, const AttemptId& attempt) {
  const auto found = execution.frames.find(attempt.frame);
  if (found == execution.frames.end()) return nullptr;
  const Frame& frame = found->second;
  if (frame.entry != attempt.entry || frame.attempt != attempt.attempt) return nullptr;
  return std::get_if<InMapRun>(&frame.phase);
}

const asl::Map& map_of(const Execution& execution, const AttemptId& attempt) {
  return std::get<asl::Map>(execution.state_of(execution.frames.at(attempt.frame)).body);
}

std::variant<json::Value, MapRunFault> map_item_input(const Execution& execution, const AttemptId& attempt,
                                                      MapItem item, const Context& context) {
  const InMapRun& run = *find_map_run(execution, attempt);
  const asl::Map& map = map_of(execution, attempt);
  if (!map.item_selector) return std::move(item.value);
  Advance nothing;
  // Step only reads the execution here: item_input is const.
  const Step step(const_cast<Execution&>(execution), context, nothing);
  Outcome_<json::Value> made =
      step.item_input(execution.frames.at(attempt.frame), map, run.input, std::move(item));
  if (auto* failure = std::get_if<Failure>(&made)) {
    return MapRunFault{failure->error.value_or(""), failure->cause.value_or(""), failure->catchable};
  }
  return std::get<json::Value>(std::move(made));
}

void Step::run_distributed_map(Frame& frame, const asl::State& state) {
  const FrameNo no = frame.no;
  const auto& body = std::get<asl::Map>(state.body);
  ++frame.attempt;
  Outcome_<json::Value> selected = select(frame, state.input_path, frame.state_input);
  if (auto* failure = std::get_if<Failure>(&selected)) return fail(no, std::move(*failure));
  InMapRun run;
  run.input = std::get<json::Value>(selected);
  if (!body.distributed->reader) {  // With a reader, ItemsPath means nothing.
    Outcome_<json::Value> items = map_items(frame, state, run.input);
    if (auto* failure = std::get_if<Failure>(&items)) return fail(no, std::move(*failure));
    run.items = std::get<json::Value>(items);
  }
  emit(frame, EventType::kMapStateStarted, {{Field::kLength, static_cast<std::int64_t>(run.items.size())}});
  if (auto bad = read_map_limits(frame, body, run)) return fail(no, std::move(*bad));
  if (auto bad = read_map_parameters(frame, body, run)) return fail(no, std::move(*bad));
  run.run = context_.random != nullptr ? make_uuid(*context_.random)
                                       : distributed::uuid_of(x_.arn + std::to_string(x_.last_event_id));
  emit(frame, EventType::kMapRunStarted, {{Field::kMapRunArn, map_run_arn(x_, frame, run.run)}});
  frame.phase = std::move(run);
  frame.waiting_since = context_.now;
  touch(frame);
  out_.commands.push_back(StartMapRun{{no, frame.entry, frame.attempt}});
}

// The same run goes on, for another attempt: what its children have done stays done.
void Step::redrive_map_run(Frame& frame) {
  auto& run = std::get<InMapRun>(frame.phase);
  ++frame.attempt;
  ++run.redrives;
  run.is_over = false;
  emit(frame, EventType::kMapRunRedriven,
       {{Field::kMapRunArn, map_run_arn(x_, frame, run.run)},
        {Field::kRedriveCount, static_cast<std::int64_t>(run.redrives)}});
  out_.commands.push_back(StartMapRun{{frame.no, frame.entry, frame.attempt}});
}

std::optional<Failure> Step::read_map_limits(const Frame& frame, const asl::Map& map, InMapRun& run) const {
  const asl::DistributedMap& distributed = *map.distributed;
  MapRunLimits limits;
  const auto whole = [&](const asl::NumberField& field, std::string_view name,
                         std::int64_t* out) -> std::optional<Failure> {
    Outcome_<std::optional<double>> value = number(frame, field, run.input, name);
    if (auto* failure = std::get_if<Failure>(&value)) return std::move(*failure);
    const auto found = std::get<std::optional<double>>(value);
    if (found) *out = static_cast<std::int64_t>(std::clamp(*found, -9e15, 9e15));
    return std::nullopt;
  };
  std::int64_t count = 0;
  if (auto bad = whole(map.max_concurrency, "MaxConcurrencyPath", &limits.max_concurrency)) return bad;
  if (limits.max_concurrency < 0) return runtime_failure(frame, "MaxConcurrency cannot be negative.");
  if (auto bad = whole(map.tolerated_failure_count, "ToleratedFailureCountPath", &count)) return bad;
  if (count < 0) return runtime_failure(frame, "ToleratedFailureCount cannot be negative.");
  if (map.tolerated_failure_count.is_set()) limits.tolerated_count = count;
  Outcome_<std::optional<double>> percentage =
      number(frame, map.tolerated_failure_percentage, run.input, "ToleratedFailurePercentagePath");
  if (auto* failure = std::get_if<Failure>(&percentage)) return std::move(*failure);
  limits.tolerated_percentage = std::get<std::optional<double>>(percentage);
  const double percent = limits.tolerated_percentage.value_or(0);
  if (!(percent >= 0 && percent <= 100)) {
    return runtime_failure(frame, "ToleratedFailurePercentage must be between 0 and 100.");
  }
  if (distributed.reader) {
    if (auto bad = whole(distributed.reader->max_items, "MaxItemsPath", &limits.max_items)) return bad;
  }
  if (distributed.batcher) {
    const asl::ItemBatcher& batcher = *distributed.batcher;
    if (auto bad = whole(batcher.max_items, "MaxItemsPerBatchPath", &limits.max_items_per_batch)) return bad;
    if (auto bad =
            whole(batcher.max_input_bytes, "MaxInputBytesPerBatchPath", &limits.max_input_bytes_per_batch)) {
      return bad;
    }
    if (batcher.max_items.is_set() && limits.max_items_per_batch < 1) {
      return runtime_failure(frame, "MaxItemsPerBatch must be positive.");
    }
    if (limits.max_input_bytes_per_batch < 1 || limits.max_input_bytes_per_batch > kBatchBytesMax) {
      return runtime_failure(frame, "MaxInputBytesPerBatch must be between 1 and 262144.");
    }
  }
  run.limits = to_json(limits);
  return std::nullopt;
}

std::optional<Failure> Step::read_map_parameters(const Frame& frame, const asl::Map& map,
                                                 InMapRun& run) const {
  const asl::DistributedMap& distributed = *map.distributed;
  const auto read = [&](const std::optional<asl::Template>& tree, std::string_view field,
                        json::Value* out) -> std::optional<Failure> {
    if (!tree) return std::nullopt;
    Outcome_<json::Value> made = evaluate(frame, *tree, run.input, field);
    if (auto* failure = std::get_if<Failure>(&made)) return std::move(*failure);
    *out = std::get<json::Value>(std::move(made));
    return std::nullopt;
  };
  if (distributed.reader) {
    if (auto bad = read(distributed.reader->parameters, "ItemReader/Arguments", &run.reader)) return bad;
  }
  if (distributed.batcher) {
    if (auto bad = read(distributed.batcher->batch_input, "ItemBatcher/BatchInput", &run.batch_input))
      return bad;
  }
  if (distributed.writer) {
    if (auto bad = read(distributed.writer->parameters, "ResultWriter/Arguments", &run.writer)) return bad;
  }
  return std::nullopt;
}

void Step::map_run_ended(const MapRunEnded& report) {
  const InMapRun* run = find_map_run(x_, report.attempt);
  out_.applied = run != nullptr && !run->is_over;
  if (!out_.applied) return;
  Frame& parent = frame(report.attempt.frame);
  touch(parent);
  if (report.error) {
    Failure failure{*report.error, report.cause, report.catchable};
    emit(parent, EventType::kMapRunFailed, {{Field::kError, *report.error}, {Field::kCause, report.cause}});
    return fail(parent.no, std::move(failure));
  }
  const std::int64_t started = parent.previous_event;
  const std::int64_t ended = emit(parent, EventType::kMapRunSucceeded);
  parent.phase = Ready{};
  emit_beside(ended, EventType::kMapStateSucceeded);
  if (distributed::exit_follows_start(parent)) parent.previous_event = started;
  const asl::State& state = x_.state_of(parent);
  if (auto failure = check_size(parent, report.output, state.name))
    return fail(parent.no, std::move(*failure));
  succeed_with_result(parent.no, report.output);
}

}  // namespace sortie::engine
