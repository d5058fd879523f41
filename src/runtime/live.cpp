#include "runtime/live.h"

#include "json/text.h"

namespace sortie::runtime {

Result<std::string> StoredPayloads::load_text(std::uint32_t number) {
  SORTIE_TRY(std::optional<store::PayloadRow> row, store_.find_payload(execution_, number));
  if (row) return std::move(row->body);
  return Error{
      "StoreCorrupt",
      "payload " + std::to_string(number) + " of execution " + std::to_string(execution_) + " is missing", "",
      "restore a backup of the data folder"};
}

Result<json::Value> StoredPayloads::load(std::uint32_t number) {
  const auto seen = seen_.find(number);
  if (seen != seen_.end()) return seen->second;
  SORTIE_TRY(const std::string text, load_text(number));
  SORTIE_TRY(json::Value value, json::parse(text));
  seen_.emplace(number, value);
  if (table_ != nullptr) table_->remember(value, number);
  return value;
}

std::string frame_image(std::uint32_t next_payload, std::string engine_image) {
  char prefix[4];
  for (int i = 0; i < 4; ++i) prefix[i] = static_cast<char>(next_payload >> (8 * i) & 0xFF);
  return std::string(prefix, 4) + engine_image;
}

Result<SplitImage> split_frame_image(std::string_view image) {
  if (image.size() < 4) return Error{"StoreCorrupt", "a stored frame is too short", "", ""};
  SplitImage split;
  split.next_payload = 0;
  for (int i = 3; i >= 0; --i) {
    split.next_payload =
        split.next_payload << 8 | static_cast<unsigned char>(image[static_cast<std::size_t>(i)]);
  }
  split.engine_image = image.substr(4);
  return split;
}

Result<std::unique_ptr<LiveExecution>> load_live(
    store::Store& store, store::ExecutionNo no,
    const std::function<Result<std::shared_ptr<const asl::StateMachine>>(const std::string&)>& machine_of) {
  SORTIE_TRY(const std::optional<store::ExecutionRow> row, store.find_execution(no));
  if (!row || row->status != store::ExecutionStatus::kRunning) {
    return Error{"ExecutionDoesNotExist", "execution " + std::to_string(no) + " is not running", "", ""};
  }
  auto live = std::make_unique<LiveExecution>();
  live->no = no;
  live->started = true;
  SORTIE_TRY(live->image, engine::decode_execution(row->image));
  live->actor = decode_extra(live->image.extra).actor;
  engine::Execution& state = live->state;
  SORTIE_TRY(state.machine, machine_of(live->image.definition_key));
  state.arn = row->arn;
  state.name = row->name;
  state.state_machine_arn = row->state_machine_arn;
  state.role_arn = live->image.role_arn;
  state.started_at = row->started_at;
  state.deadline = live->image.deadline;
  SORTIE_TRY(state.input, json::parse(live->image.input_text));
  StoredPayloads payloads(store, no, &live->payloads);
  SORTIE_TRY(const std::vector<store::FrameRow> frames, store.list_frames(no));
  for (const store::FrameRow& frame_row : frames) {
    SORTIE_TRY(const SplitImage split, split_frame_image(frame_row.image));
    SORTIE_TRY(engine::DecodedFrame decoded, engine::decode_frame(split.engine_image, payloads));
    const auto& flows = state.machine->flows;
    if (decoded.frame.flow >= flows.size() ||
        decoded.frame.state >= flows[decoded.frame.flow].states.size()) {
      return Error{"StoreCorrupt", "a frame of " + row->arn + " names a state that its definition lacks", "",
                   ""};
    }
    live->payloads.raise_next(split.next_payload);
    state.last_event_id = std::max(state.last_event_id, decoded.last_event_id);
    state.next_frame = std::max(state.next_frame, decoded.next_frame);
    state.frames.emplace(decoded.frame.no, std::move(decoded.frame));
  }
  if (state.frames.empty()) return Error{"StoreCorrupt", row->arn + " is running but has no frame", "", ""};
  return live;
}

std::string encode_extra(const Extra& extra) {
  json::ObjectBuilder out;
  out.append("actor", to_text(extra.actor));
  out.append("account", extra.actor.account);
  out.append("channel", extra.actor.channel);
  if (!extra.actor.on_behalf_of.empty()) out.append("for", extra.actor.on_behalf_of);
  if (!extra.trace_header.empty()) out.append("trace", extra.trace_header);
  if (!extra.version_arn.empty()) out.append("version", extra.version_arn);
  if (!extra.alias_arn.empty()) out.append("alias", extra.alias_arn);
  return json::to_text(out.build());
}

Extra decode_extra(const std::string& text) {
  Extra extra;
  const Result<json::Value> value = json::parse(text);
  if (!value) return extra;
  const auto member = [&](std::string_view name) {
    const json::Value& found = value->get(name);
    return found.is_string() ? found.to_std_string() : std::string();
  };
  extra.actor = parse_actor(member("actor"));
  extra.actor.account = member("account");
  extra.actor.channel = member("channel");
  extra.actor.on_behalf_of = member("for");
  extra.trace_header = member("trace");
  extra.version_arn = member("version");
  extra.alias_arn = member("alias");
  return extra;
}

store::ExecutionStatus status_of(engine::Outcome outcome) {
  switch (outcome) {
    case engine::Outcome::kRunning:
      return store::ExecutionStatus::kRunning;
    case engine::Outcome::kSucceeded:
      return store::ExecutionStatus::kSucceeded;
    case engine::Outcome::kFailed:
      return store::ExecutionStatus::kFailed;
    case engine::Outcome::kTimedOut:
      return store::ExecutionStatus::kTimedOut;
    case engine::Outcome::kAborted:
      return store::ExecutionStatus::kAborted;
  }
  SORTIE_CHECK(false);
}

}  // namespace sortie::runtime
