#include "runtime/live.h"

#include "engine/map_run.h"
#include "json/members.h"
#include "json/text.h"
#include "store/search_terms.h"

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

void put_next_payload(std::string& image, std::uint32_t next_payload) {
  for (std::size_t i = 0; i < kFrameHeadroom; ++i) {
    image[i] = static_cast<char>(next_payload >> (8 * i) & 0xFF);
  }
}

Result<SplitImage> split_frame_image(std::string_view image) {
  if (image.size() < kFrameHeadroom) return Error{"StoreCorrupt", "a stored frame is too short", "", ""};
  SplitImage split;
  split.next_payload = 0;
  for (int i = 3; i >= 0; --i) {
    split.next_payload =
        split.next_payload << 8 | static_cast<unsigned char>(image[static_cast<std::size_t>(i)]);
  }
  split.engine_image = image.substr(kFrameHeadroom);
  return split;
}

namespace {

using MachineOf = std::function<Result<std::shared_ptr<const asl::StateMachine>>(const std::string&)>;

// Everything of an execution but its frames.
Result<std::unique_ptr<LiveExecution>> read_row(const store::ExecutionRow& row, const MachineOf& machine_of) {
  auto live = std::make_unique<LiveExecution>();
  live->no = row.no;
  SORTIE_TRY(live->image, engine::decode_execution(row.image));
  const Extra extra = decode_extra(live->image.extra);
  live->actor = extra.actor;
  live->test_case = extra.test_case;
  engine::Execution& state = live->state;
  SORTIE_TRY(state.machine, machine_of(live->image.definition_key));
  state.arn = row.arn;
  state.name = row.name;
  state.state_machine_arn = row.state_machine_arn;
  if (extra.map_child) {
    live->map_child = extra.map_child;
    live->listed_under = row.state_machine_arn;
    state.state_machine_arn = engine::map_child_machine_arn(live->listed_under);
    state.root_flow = extra.map_child->flow;
    if (state.root_flow >= state.machine->flows.size()) {
      return Error{"StoreCorrupt", row.arn + " runs a part of its definition that is not there", "", ""};
    }
  }
  state.version_arn = extra.version_arn;
  state.alias_arn = extra.alias_arn;
  state.role_arn = live->image.role_arn;
  state.started_at = row.started_at;
  state.deadline = live->image.deadline;
  state.redrive_count = live->image.redrive_count;
  state.redriven_at = live->image.redriven_at;
  SORTIE_TRY(state.input, json::parse(live->image.input_text));
  return live;
}

Status read_frame(LiveExecution& live, std::string_view image, engine::PayloadSource& payloads,
                  std::map<engine::FrameNo, engine::Frame>* frames) {
  engine::Execution& state = live.state;
  SORTIE_TRY(const SplitImage split, split_frame_image(image));
  SORTIE_TRY(engine::DecodedFrame decoded, engine::decode_frame(split.engine_image, payloads));
  const auto& flows = state.machine->flows;
  if (decoded.frame.flow >= flows.size() || decoded.frame.state >= flows[decoded.frame.flow].states.size()) {
    return Error{"StoreCorrupt", "a frame of " + state.arn + " names a state that its definition lacks", "",
                 ""};
  }
  live.payloads.raise_next(split.next_payload);
  state.last_event_id = std::max(state.last_event_id, decoded.last_event_id);
  state.next_frame = std::max(state.next_frame, decoded.next_frame);
  frames->emplace(decoded.frame.no, std::move(decoded.frame));
  return {};
}

constexpr std::size_t kLengthBytes = 4;
constexpr std::int64_t kRedrivableMs = 14LL * 24 * 3600 * 1000;  // AWS: 14 days after the end.
constexpr std::int64_t kRedrivableEventsMax = 24'999;
constexpr std::int64_t kRedrivesMax = 1'000;
constexpr std::size_t kRedriveTokensMax = 10;
constexpr std::int64_t kRedriveTokenMs = 15 * 60 * 1000;

}  // namespace

Result<std::unique_ptr<LiveExecution>> load_live(store::Store& store, store::ExecutionNo no,
                                                 const MachineOf& machine_of) {
  SORTIE_TRY(const std::optional<store::LoadedExecution> loaded, store.load_execution(no));
  if (!loaded || loaded->row.status != store::ExecutionStatus::kRunning) {
    return Error{"ExecutionDoesNotExist", "execution " + std::to_string(no) + " is not running", "", ""};
  }
  SORTIE_TRY(std::unique_ptr<LiveExecution> live, read_row(loaded->row, machine_of));
  live->started = true;
  StoredPayloads payloads(store, no, &live->payloads);
  for (const store::FrameRow& frame : loaded->frames) {
    SORTIE_TRY_STATUS(read_frame(*live, frame.image, payloads, &live->state.frames));
  }
  if (live->state.frames.empty()) {
    return Error{"StoreCorrupt", loaded->row.arn + " is running but has no frame", "", ""};
  }
  return live;
}

void add_terms(const LiveExecution& live, store::Batch& batch) {
  const engine::Execution& state = live.state;
  store::TermRow row{live.no, "", {}};
  if (!live.started) {
    row.name = state.name;
    row.terms = store::terms_at_start(state.input, live.actor);
  }
  if (state.error || state.cause) {
    const std::vector<std::uint32_t> more =
        store::terms_at_end(state.error.value_or(""), state.cause.value_or(""));
    row.terms.insert(row.terms.end(), more.begin(), more.end());
  }
  if (!row.name.empty() || !row.terms.empty()) batch.terms.push_back(std::move(row));
}

Result<std::unique_ptr<LiveExecution>> load_unbegun(const store::ExecutionRow& row,
                                                    const MachineOf& machine_of) {
  SORTIE_TRY(std::unique_ptr<LiveExecution> live, read_row(row, machine_of));
  if (json::to_text(live->state.input) != live->image.input_text) {
    live->state.input_text = live->image.input_text;
  }
  return live;
}

std::string encode_left_behind(LiveExecution& live) {
  std::vector<std::string> images;
  std::size_t bytes = 0;
  for (const auto& [no, frame] : live.state.left_behind) {
    images.push_back(engine::encode_frame(live.state, frame, live.payloads, kFrameHeadroom));
    bytes += images.back().size();
    if (bytes > kLeftBehindBytesMax) return "";
  }
  std::string out;
  for (std::string& whole : images) {
    put_next_payload(whole, live.payloads.next());
    for (std::size_t i = 0; i < kLengthBytes; ++i) out += static_cast<char>(whole.size() >> (8 * i) & 0xFF);
    out += whole;
  }
  return out;
}

std::optional<std::string> redrive_obstacle(const store::ExecutionRow& row,
                                            const engine::ExecutionImage& image, Timestamp now,
                                            RedrivenBy by) {
  if (row.status == store::ExecutionStatus::kRunning) return "Execution is RUNNING and cannot be redriven";
  if (row.status == store::ExecutionStatus::kSucceeded) {
    return "Execution is SUCCEEDED and cannot be redriven";
  }
  if (by == RedrivenBy::kCaller && row.state_machine_arn.find(":mapRun:") != std::string::npos) {
    return "Execution was started by a Map Run and is redriven with it only";
  }
  if (image.last_event_id >= kRedrivableEventsMax) return "Execution history event limit exceeded";
  if (image.redrive_count >= kRedrivesMax) return "Execution redrive limit exceeded";
  if (now.ms - row.stopped_at.ms > kRedrivableMs)
    return "Execution exceeded the redrivable period of 14 days";
  if (image.left_behind.empty()) return "Execution left too much behind to be redriven";
  return std::nullopt;
}

Result<std::unique_ptr<LiveExecution>> load_left_behind(store::Store& store, const store::ExecutionRow& row,
                                                        Timestamp now, const MachineOf& machine_of,
                                                        RedrivenBy by) {
  SORTIE_TRY(std::unique_ptr<LiveExecution> live, read_row(row, machine_of));
  if (const auto obstacle = redrive_obstacle(row, live->image, now, by)) {
    return Error{"ExecutionNotRedrivable", *obstacle, "", ""};
  }
  StoredPayloads payloads(store, row.no, &live->payloads);
  std::string_view rest = live->image.left_behind;
  while (!rest.empty()) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < kLengthBytes && i < rest.size(); ++i) {
      length |= static_cast<std::size_t>(static_cast<unsigned char>(rest[i])) << (8 * i);
    }
    if (rest.size() < kLengthBytes || length > rest.size() - kLengthBytes) {
      return Error{"StoreCorrupt", "what " + row.arn + " left behind cannot be read", "", ""};
    }
    SORTIE_TRY_STATUS(
        read_frame(*live, rest.substr(kLengthBytes, length), payloads, &live->state.left_behind));
    rest.remove_prefix(kLengthBytes + length);
  }
  engine::Execution& state = live->state;
  state.last_event_id = live->image.last_event_id;
  state.stopped_at = row.stopped_at;
  state.error = live->image.error;
  state.cause = live->image.cause;
  state.outcome = row.status == store::ExecutionStatus::kFailed     ? engine::Outcome::kFailed
                  : row.status == store::ExecutionStatus::kTimedOut ? engine::Outcome::kTimedOut
                                                                    : engine::Outcome::kAborted;
  live->image.left_behind.clear();
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
  if (!extra.test_case.empty()) out.append("test_case", extra.test_case);
  if (!extra.redrive_tokens.empty()) {
    std::vector<json::Value> tokens;
    for (const Extra::RedriveToken& redrive : extra.redrive_tokens) {
      tokens.push_back(json::Value::object({{"token", redrive.token}, {"at", redrive.at.ms}}));
    }
    out.append("redrives", json::Value::array(std::move(tokens)));
  }
  if (extra.map_life > 0) out.append("map_life", extra.map_life);
  if (extra.map_child) {
    const auto number = [](std::uint64_t value) { return json::Value(static_cast<std::int64_t>(value)); };
    const MapChild& child = *extra.map_child;
    out.append("map", json::Value::array({number(child.run), number(child.number), number(child.items),
                                          number(child.flow)}));
  }
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
  extra.test_case = member("test_case");
  for (const json::Value& redrive : value->get("redrives").items()) {
    const json::Value& at = redrive.get("at");
    extra.redrive_tokens.push_back(
        {json::text_member(redrive, "token"), {at.is_integer() ? at.as_integer() : 0}});
  }
  if (value->get("map_life").is_integer()) extra.map_life = value->get("map_life").as_integer();
  const json::Value& map = value->get("map");
  std::uint64_t numbers[4] = {};
  for (std::size_t i = 0; i < 4; ++i) {
    if (!map[i].is_integer()) return extra;
    numbers[i] = static_cast<std::uint64_t>(map[i].as_integer());
  }
  extra.map_child = MapChild{numbers[0], numbers[1], static_cast<std::uint32_t>(numbers[2]),
                             static_cast<asl::FlowIndex>(numbers[3])};
  return extra;
}

void Extra::remember_redrive(std::string token, Timestamp now) {
  if (token.empty()) return;
  redrive_tokens.push_back({std::move(token), now});
  if (redrive_tokens.size() > kRedriveTokensMax) redrive_tokens.erase(redrive_tokens.begin());
}

std::optional<Timestamp> Extra::find_redrive(std::string_view token, Timestamp now) const {
  for (const RedriveToken& redrive : redrive_tokens) {
    if (redrive.token == token && now.ms - redrive.at.ms < kRedriveTokenMs) return redrive.at;
  }
  return std::nullopt;
}

ExecutionDescription describe_over(const LiveExecution& live) {
  const engine::Execution& state = live.state;
  ExecutionDescription out;
  out.arn = state.arn;
  out.name = state.name;
  out.state_machine_arn = state.state_machine_arn;
  out.role_arn = state.role_arn;
  out.status = status_of(state.outcome);
  out.started_at = state.started_at;
  out.stopped_at = state.stopped_at;
  out.input_text = live.image.input_text;
  if (state.outcome == engine::Outcome::kSucceeded) out.output_text = json::to_text(state.output);
  out.error = state.error;
  out.cause = state.cause;
  out.actor = live.actor;
  out.no = live.no;
  return out;
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
