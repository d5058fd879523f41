#include "api/execution_log.h"

#include "api/history_json.h"
#include "base/hash.h"
#include "base/text.h"
#include "json/text.h"

namespace sortie::api {
namespace {

constexpr std::size_t kLineBytesMax = 250'000;   // CloudWatch takes 256 KB with its own overhead.
constexpr std::size_t kBatchBytesMax = 800'000;  // PutLogEvents: 1 MiB.
constexpr std::size_t kBatchLinesMax = 1'000;
constexpr std::size_t kLinesMax = 10'000;  // Waiting, for one group.
constexpr std::size_t kBytesMax = 32 * 1024 * 1024;
constexpr int kTriesMax = 4;
constexpr std::int64_t kAgainMs = 2'000;

bool is_final(std::string_view type) {
  return type == "ExecutionFailed" || type == "ExecutionTimedOut" || type == "ExecutionAborted";
}

bool is_logged(std::string_view type, std::string_view level) {
  if (level == "ALL") return true;
  if (level == "FATAL") return is_final(type);
  return type.ends_with("Failed") || type.ends_with("TimedOut") || type.ends_with("Aborted") ||
         type == "FailStateEntered";
}

// arn:aws:logs:REGION:ACCOUNT:log-group:NAME[:*]
struct GroupArn {
  std::string region, name;
};
std::optional<GroupArn> parse_group_arn(std::string_view arn) {
  const std::vector<std::string_view> parts = split(arn, ':');
  if (parts.size() < 7 || parts[2] != "logs" || parts[5] != "log-group" || parts[6].empty())
    return std::nullopt;
  return GroupArn{std::string(parts[3]), std::string(parts[6])};
}

std::string stream_name(const std::string& machine_arn, Timestamp now, Random& random) {
  const std::string time = to_iso8601(now);  // 2026-11-23T04:33:..
  std::string minute = replace_all(time.substr(0, 16), "T", "-");
  return "states/" + machine_arn.substr(machine_arn.rfind(':') + 1) + "/" + replace_all(minute, ":", "-") +
         "/" + random_hex(random, 4);
}

}  // namespace

std::optional<std::string> log_line(const engine::HistoryEvent& event, const std::string& execution_arn,
                                    std::int64_t redrive_count, std::string_view level,
                                    bool include_execution_data) {
  const std::string_view type = engine::event_type_name(event.type);
  if (!is_logged(type, level)) return std::nullopt;
  const json::Value rendered = history_event_json(event, include_execution_data);
  const std::string_view details = engine::event_details_name(event.type);
  json::ObjectBuilder out;
  out.append("id", std::to_string(event.id)).append("type", type);
  out.append("details",
             !details.empty() && rendered.has(details) ? rendered.get(details) : json::Value::object({}));
  out.append("previous_event_id", std::to_string(event.previous_id));
  out.append("event_timestamp", std::to_string(event.time.ms));
  out.append("execution_arn", execution_arn);
  out.append("redrive_count", std::to_string(redrive_count));
  std::string line = json::to_text(out.build());
  if (line.size() <= kLineBytesMax || !include_execution_data) return line;
  return log_line(event, execution_arn, redrive_count, level, false);
}

ExecutionLog::ExecutionLog(Wiring wiring, runtime::Runtime& runtime) : wiring_(std::move(wiring)) {
  subscription_ =
      runtime.observe([this, alive = std::weak_ptr<int>(alive_)](const runtime::ExecutionChange& change) {
        if (!alive.expired() && change.logged != nullptr) take(change);
      });
}

void ExecutionLog::take(const runtime::ExecutionChange& change) {
  const runtime::LoggedEvents& logged = *change.logged;
  const json::Value& configuration = logged.logging_configuration;
  const json::Value& level = configuration.get("level");
  const bool with_data = configuration.get("includeExecutionData") == json::Value(true);
  for (const json::Value& destination : configuration.get("destinations").items()) {
    const json::Value& arn = destination.get("cloudWatchLogsLogGroup").get("logGroupArn");
    const auto parsed = arn.is_string() ? parse_group_arn(arn.as_string()) : std::nullopt;
    if (!parsed || !level.is_string()) continue;
    const std::string key = arn.to_std_string();
    Group& group = groups_[key];
    if (group.name.empty()) {
      group.name = parsed->name;
      group.region = parsed->region;
    }
    if (group.stream.empty()) {
      group.stream = stream_name(logged.state_machine_arn, wiring_.loop.now(), wiring_.random);
    }
    for (const engine::HistoryEvent& event : logged.events) {
      auto line = log_line(event, change.execution_arn, logged.redrive_count, level.as_string(), with_data);
      if (!line) continue;
      if (group.lines.size() >= kLinesMax || group.bytes + line->size() > kBytesMax) {
        ++figures_.dropped;
        continue;
      }
      group.bytes += line->size();
      group.lines.push_back({event.time, *std::move(line)});
    }
    send_next(key);
  }
}

void ExecutionLog::call(const Group& group, std::string action, json::Value parameters, Done done) {
  wiring_.send(
      {std::move(action), group.region.empty() ? wiring_.region : group.region, std::move(parameters)},
      [alive = std::weak_ptr<int>(alive_), done](const std::string& error) {
        if (!alive.expired()) done(error);
      });
}

// A stream is made before its first lines; one that is there already is what was wanted.
void ExecutionLog::send_next(const std::string& arn) {
  Group& group = groups_.at(arn);
  if (group.sending || group.lines.empty()) return;
  group.sending = true;
  if (group.has_stream) return put_lines(arn);
  const json::Value parameters =
      json::Value::object({{"LogGroupName", group.name}, {"LogStreamName", group.stream}});
  call(group, "createLogStream", parameters, [this, arn](const std::string& error) {
    const bool is_there = error.empty() || error.find("AlreadyExists") != std::string::npos;
    if (!is_there) return answered(arn, 0, error);
    groups_.at(arn).has_stream = true;
    put_lines(arn);
  });
}

void ExecutionLog::put_lines(const std::string& arn) {
  Group& group = groups_.at(arn);
  std::vector<json::Value> lines;
  std::size_t bytes = 0;
  for (const Line& line : group.lines) {
    bytes += line.text.size() + 26;  // CloudWatch counts so much for each line besides its text.
    if (!lines.empty() && (lines.size() == kBatchLinesMax || bytes > kBatchBytesMax)) break;
    lines.push_back(json::Value::object({{"Timestamp", line.time.ms}, {"Message", line.text}}));
  }
  const std::size_t count = lines.size();
  call(group, "putLogEvents",
       json::Value::object({{"LogGroupName", group.name},
                            {"LogStreamName", group.stream},
                            {"LogEvents", json::Value::array(std::move(lines))}}),
       [this, arn, count](const std::string& error) { answered(arn, count, error); });
}

void ExecutionLog::answered(const std::string& arn, std::size_t count, const std::string& error) {
  Group& group = groups_.at(arn);
  if (!error.empty()) group.has_stream = false;  // It may have gone with its group.
  const bool give_up = !error.empty() && ++group.failures >= kTriesMax;
  if (error.empty() || give_up) {
    const std::size_t gone = give_up ? group.lines.size() : count;
    (give_up ? figures_.dropped : figures_.delivered) += gone;
    for (std::size_t i = 0; i < gone; ++i) {
      group.bytes -= group.lines.front().text.size();
      group.lines.pop_front();
    }
    group.failures = 0;
    group.sending = false;
    return send_next(arn);
  }
  wiring_.loop.call_at(wiring_.loop.now().plus_ms(kAgainMs << group.failures),
                       [this, arn, alive = std::weak_ptr<int>(alive_)] {
                         if (alive.expired()) return;
                         groups_.at(arn).sending = false;
                         send_next(arn);
                       });
}

}  // namespace sortie::api
