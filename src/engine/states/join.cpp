// Parallel and Map: children that run as frames of their own, and the join that waits for them.
#include "engine/step.h"
#include "json/text.h"

namespace sortie::engine {

void Step::run_parallel(Frame& frame, const asl::State& state) {
  const FrameNo no = frame.no;
  const auto& body = std::get<asl::Parallel>(state.body);
  Outcome_<json::Value> input = select(frame, state.input_path, frame.state_input);
  if (auto* failure = std::get_if<Failure>(&input)) return fail(no, std::move(*failure));
  Joining join;
  join.input = std::get<json::Value>(input);
  if (state.parameters) {
    Outcome_<json::Value> made = evaluate(frame, *state.parameters, join.input, "Arguments");
    if (auto* failure = std::get_if<Failure>(&made)) return fail(no, std::move(*failure));
    join.input = std::get<json::Value>(std::move(made));
  }
  join.total = static_cast<std::uint32_t>(body.branches.size());
  join.concurrency = join.total;
  join.first_child = x_.next_frame;
  x_.next_frame += join.total;
  frame.phase = std::move(join);
  frame.waiting_since = context_.now;
  const std::int64_t started = emit(frame, EventType::kParallelStateStarted);
  start_children(no, started);
}

Outcome_<json::Value> Step::map_items(const Frame& frame, const asl::State& state,
                                      const json::Value& input) const {
  const auto& body = std::get<asl::Map>(state.body);
  if (state.query_language == asl::QueryLanguage::kJsonata) {
    if (!body.items) {
      if (input.is_array()) return input;
      return query_failure(frame, "Map state input must be an array but was: " + json::to_text(input), "");
    }
    Outcome_<json::Value> made = evaluate(frame, *body.items, "Items");
    const auto* value = std::get_if<json::Value>(&made);
    if (value == nullptr || value->is_array()) return made;
    return type_failure(frame, *body.items, "Items", "array", *value);
  }
  Outcome_<json::Value> items = select(frame, body.items_path, input);
  const auto* value = std::get_if<json::Value>(&items);
  if (value == nullptr || value->is_array()) return items;
  const std::string path = body.items_path.path ? body.items_path.path->text() : "$";
  return runtime_failure(frame, "Reference path \"" + path + "\" must point to array.");
}

void Step::run_map(Frame& frame, const asl::State& state) {
  const FrameNo no = frame.no;
  const auto& body = std::get<asl::Map>(state.body);
  if (body.distributed) return run_distributed_map(frame, state);
  Outcome_<json::Value> selected = select(frame, state.input_path, frame.state_input);
  if (auto* failure = std::get_if<Failure>(&selected)) return fail(no, std::move(*failure));
  Joining join;
  join.input = std::get<json::Value>(selected);
  Outcome_<json::Value> items = map_items(frame, state, join.input);
  if (auto* failure = std::get_if<Failure>(&items)) return fail(no, std::move(*failure));
  join.items = std::get<json::Value>(items);
  Outcome_<std::optional<double>> wanted =
      number(frame, body.max_concurrency, join.input, "MaxConcurrencyPath");
  if (auto* failure = std::get_if<Failure>(&wanted)) return fail(no, std::move(*failure));
  const double concurrency = std::get<std::optional<double>>(wanted).value_or(0);
  if (concurrency < 0) return fail(no, runtime_failure(frame, "MaxConcurrency cannot be negative."));
  join.total = static_cast<std::uint32_t>(join.items.size());
  join.concurrency = concurrency < 1 || concurrency > kInlineMapConcurrencyMax
                         ? kInlineMapConcurrencyMax
                         : static_cast<std::uint32_t>(concurrency);
  join.first_child = x_.next_frame;
  x_.next_frame += join.total;
  const auto length = static_cast<std::int64_t>(join.total);
  frame.phase = std::move(join);
  frame.waiting_since = context_.now;
  const std::int64_t started = emit(frame, EventType::kMapStateStarted, {{Field::kLength, length}});
  if (length == 0) return join_finished(no, started);
  start_children(no, started);
}

Outcome_<json::Value> Step::item_input(const Frame& parent, const asl::Map& map, const json::Value& input,
                                       MapItem item) const {
  if (!map.item_selector) return std::move(item.value);
  Frame seen = parent;  // As the parent sees the world, with this item in $$.Map.Item.
  seen.map_item = std::move(item);
  if (seen.map_item->source == nullptr) {
    seen.map_item->source = std::make_shared<const std::string>("STATE_DATA");
  }
  return evaluate(seen, *map.item_selector, input, "ItemSelector");
}

// Starts as many children as the concurrency allows; `previous` is the event they follow.
void Step::start_children(FrameNo parent_no, std::int64_t previous) {
  while (true) {
    Frame& parent = frame(parent_no);
    auto& join = std::get<Joining>(parent.phase);
    const std::uint32_t running = join.started - join.succeeded;
    if (join.started == join.total || running >= join.concurrency) return;
    if (overflowed_) return;
    const asl::State& state = x_.state_of(parent);
    Frame child;
    child.no = join.first_child + join.started;
    child.parent = parent_no;
    child.slot = join.started++;
    child.map_item = parent.map_item;
    child.previous_event = previous;
    child.waiting_since = context_.now;
    touch(parent);
    if (const auto* map = std::get_if<asl::Map>(&state.body)) {
      child.flow = map->processor;
      child.map_item = MapItem{child.slot, join.items[child.slot]};
      child.previous_event =
          emit_beside(previous, EventType::kMapIterationStarted,
                      {{Field::kName, state.name}, {Field::kIndex, static_cast<std::int64_t>(child.slot)}});
      Outcome_<json::Value> input = item_input(parent, *map, join.input, *child.map_item);
      if (auto* failure = std::get_if<Failure>(&input)) {
        const FrameNo no = child.no;
        x_.frames.emplace(no, std::move(child));
        return fail_parent(no, std::move(*failure));
      }
      child.state_input = std::get<json::Value>(std::move(input));
    } else {
      child.flow = std::get<asl::Parallel>(state.body).branches[child.slot];
      child.state_input = join.input;
    }
    child.state = x_.machine->flows[child.flow].start;
    touch(child);
    queue_.push_back(child.no);
    x_.frames.emplace(child.no, std::move(child));
  }
}

void Step::child_finished(FrameNo child_no, json::Value output) {
  Frame& child = frame(child_no);
  const FrameNo parent_no = child.parent;
  Frame& parent = frame(parent_no);
  const std::int64_t last = child.previous_event;
  auto& join = std::get<Joining>(parent.phase);
  const asl::State& state = x_.state_of(parent);
  ++join.succeeded;
  child.phase = Finished{std::move(output)};
  child.state_input = json::Value();
  child.waiting_since = context_.now;
  touch(child);
  touch(parent);
  std::int64_t joined = last;
  if (state.type == asl::StateType::kMap) {
    joined =
        emit_beside(last, EventType::kMapIterationSucceeded,
                    {{Field::kName, state.name}, {Field::kIndex, static_cast<std::int64_t>(child.slot)}});
  }
  if (join.succeeded == join.total) return join_finished(parent_no, joined);
  start_children(parent_no, last);
}

void Step::join_finished(FrameNo parent_no, std::int64_t last_event) {
  Frame& parent = frame(parent_no);
  auto& join = std::get<Joining>(parent.phase);
  std::vector<json::Value> outputs;
  outputs.reserve(join.total);
  for (FrameNo no = join.first_child; no < join.first_child + join.total; ++no) {
    outputs.push_back(std::move(std::get<Finished>(frame(no).phase).output));
    remove(no);
  }
  const asl::State& state = x_.state_of(parent);
  const json::Value result = json::Value::array(std::move(outputs));
  if (state.type == asl::StateType::kParallel) keep_given_text(x_, result);
  parent.previous_event = last_event;
  parent.phase = Ready{};
  emit_beside(last_event, state.type == asl::StateType::kMap ? EventType::kMapStateSucceeded
                                                             : EventType::kParallelStateSucceeded);
  if (auto failure = check_size(parent, result, state.name)) return fail(parent_no, std::move(*failure));
  succeed_with_result(parent_no, result);
}

}  // namespace sortie::engine
