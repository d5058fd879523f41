// The event bus against what EventBridge was recorded doing: PutEvents, rules, targets, input paths and
// transformers, and TestEventPattern through the API.
#include <algorithm>

#include "base/text.h"
#include "events/testing_world.h"
#include "events_corpus.h"
#include "expr/pattern/input_transformer.h"

namespace sortie::events {
namespace {

using test::corpus_path;
using test::json_files;
using test::load_json;
using test::load_rows;
using test::Tally;

constexpr const char* kAccount = "111111111111";

BusOptions recorded_options() {
  BusOptions options;
  options.account = kAccount;
  return options;
}

Actor recorded_actor() {
  Actor actor;
  actor.kind = Actor::Kind::kAccountKey;
  actor.account = kAccount;
  return actor;
}

// True where `got` is `want`, whose tokens stand for values that differ from run to run.
bool same_recorded(const json::Value& want, const json::Value& got, const std::string& key = "") {
  if (want.is_string() && got.is_string()) {
    const std::string text = want.to_std_string();
    if (text.starts_with("<uuid:")) return got.as_string().size() == 36;
    if (text == "<region>") return got.as_string() == "us-east-1";
    if (key == "time" && text == "date") return parse_rfc3339(got.as_string()).ok();
    if (text.find(" time date,") != std::string::npos) {
      const std::string found = got.to_std_string();
      const std::size_t at = text.find("date,");
      return found.starts_with(text.substr(0, at)) && found.ends_with(text.substr(at + 4));
    }
  }
  if (want.is_object() && got.is_object()) {
    if (want.size() != got.size()) return false;
    return std::all_of(want.members().begin(), want.members().end(), [&](const json::Member& member) {
      const json::Value* other = got.find(member.key.as_string());
      return other != nullptr && same_recorded(member.value, *other, member.key.to_std_string());
    });
  }
  return want == got;
}

// A message's body as the recordings show it: parsed where it is a JSON object, else the text.
json::Value shown_body(const std::string& payload) {
  const auto parsed = json::parse(payload);
  return parsed && parsed->is_object() ? *parsed : json::Value(payload);
}

json::Value without_nulls(const json::Value& object) {
  json::ObjectBuilder out;
  for (const json::Member& member : object.members()) {
    if (!member.value.is_null()) out.append(member.key.as_string(), member.value);
  }
  return out.build();
}

const std::map<std::string, std::string> kOperations = {
    {"put_rule", "PutRule"}, {"put_targets", "PutTargets"}, {"put_events", "PutEvents"}};

// Runs one recorded case from an empty world; what went wrong, or nothing.
class RecordedCase {
 public:
  explicit RecordedCase(const json::Value& recorded) : recorded_(recorded), world_(recorded_options()) {}

  std::string run() {
    for (const json::Value& resource : recorded_.get("resources").items()) {
      if (resource.get("kind") != json::Value("event_bus")) continue;
      call("CreateEventBus", json::Value::object({{"Name", resource.get("name")}}));
    }
    for (const json::Value& step : recorded_.get("calls").items()) {
      const std::string op = step.get("op").to_std_string();
      if (op == "put_events_with_filter_to_sqs") {
        put_events_with_filter(step);
      } else if (op == "receive_message") {
        const std::string url = step.get("params").get("QueueUrl").to_std_string();
        compare_messages(step, messages_of(url.substr(url.rfind('/') + 1)));
      } else if (kOperations.contains(op)) {
        const json::Value answer = call(kOperations.at(op), step.get("params"));
        compare_answer(step, answer);
      } else {
        wrong_ += "unknown call " + op + "; ";
      }
    }
    return wrong_;
  }

 private:
  json::Value call(const std::string& operation, const json::Value& request) {
    return world_.call(operation, request, recorded_actor());
  }

  void must(const std::string& operation, const json::Value& request) {
    const json::Value answer = call(operation, request);
    if (answer.has("error")) wrong_ += operation + ": " + json::to_text(answer) + "; ";
  }

  void put_events_with_filter(const json::Value& step) {
    const std::string no = std::to_string(++filters_);
    const json::Value& params = step.get("params");
    must("CreateEventBus", json::Value::object({{"Name", "bus" + no}}));
    must("PutRule", json::Value::object({{"Name", "rule" + no},
                                         {"EventBusName", "bus" + no},
                                         {"EventPattern", json::to_text(params.get("pattern"))}}));
    const std::string queue = "queue" + no;
    const json::Value target = without_nulls(
        json::Value::object({{"Id", "target"},
                             {"Arn", std::string("arn:aws:sqs:us-east-1:") + kAccount + ":" + queue},
                             {"InputPath", params.get("input_path")},
                             {"InputTransformer", params.get("input_transformer")}}));
    must("PutTargets", json::Value::object({{"Rule", "rule" + no},
                                            {"EventBusName", "bus" + no},
                                            {"Targets", json::Value::array({target})}}));
    for (const json::Value& group : params.get("entries").items()) {
      std::vector<json::Value> entries;
      for (const json::Value& entry : group.get("entries").items()) {
        entries.push_back(json::ObjectBuilder(entry).set("EventBusName", "bus" + no).build());
      }
      const std::size_t before = messages_of(queue).size();
      must("PutEvents", json::Value::object({{"Entries", json::Value::array(std::move(entries))}}));
      const bool arrived = messages_of(queue).size() > before;
      if (json::Value(arrived) != group.get("should_match")) {
        wrong_ += std::string("a message ") + (arrived ? "arrived" : "is missing") + "; ";
      }
    }
    compare_messages(step, messages_of(queue));
  }

  std::vector<std::string> messages_of(const std::string& queue) const {
    std::vector<std::string> messages;
    for (const TargetOrder& order : world_.invoker.attempts) {
      if (order.arn.ends_with(":" + queue)) messages.push_back(order.payload);
    }
    return messages;
  }

  void compare_messages(const json::Value& step, const std::vector<std::string>& messages) {
    if (!step.has("expect")) return;
    const json::Value& want = recorded_.get("expected").get(step.get("expect").as_string());
    if (want.size() != messages.size()) {
      wrong_ +=
          "want " + std::to_string(want.size()) + " messages, got " + std::to_string(messages.size()) + "; ";
      return;
    }
    for (std::size_t i = 0; i < messages.size(); ++i) {
      if (!same_recorded(want[i].get("Body"), shown_body(messages[i]))) {
        wrong_ += "want " + json::to_text(want[i].get("Body")) + ", got " + messages[i] + "; ";
      }
    }
  }

  void compare_answer(const json::Value& step, const json::Value& answer) {
    const bool refused = answer.has("error");
    if (refused != (step.get("expect_error") == json::Value(true))) {
      wrong_ += step.get("op").to_std_string() + " gave " + json::to_text(answer) + "; ";
    }
    if (!refused || !step.has("expect")) return;
    const json::Value& want = recorded_.get("expected").get(step.get("expect").as_string()).get("Error");
    std::string message = answer.get("message").to_std_string();
    for (const json::Value& target : step.get("params").get("Targets").items()) {
      message = replace_all(message, target.get("Id").as_string(), "<target-id>");
    }
    if (want.get("Code") != answer.get("error") || want.get("Message") != json::Value(message)) {
      wrong_ += "want " + json::to_text(want) + ", got " + json::to_text(answer) + "; ";
    }
  }

  const json::Value recorded_;
  World world_;
  int filters_ = 0;
  std::string wrong_;
};

TEST(EventsConformance, PutEventsRulesTargetsAndTransformersDoWhatAwsDid) {
  SORTIE_NEED_CORPUS("events");
  Tally tally("events/put_events");
  for (const char* folder : {"events/inputs", "events/patterns"}) {
    for (const auto& file : json_files(corpus_path(folder), "")) {
      const json::Value recorded = load_json(file);
      if (recorded.get("kind") != json::Value("put_events")) continue;
      const std::string wrong = RecordedCase(recorded).run();
      tally.row(wrong.empty(), file.filename().string() + ": " + wrong);
    }
  }
}

TEST(EventsConformance, TestEventPatternAnswersAndRefusesAsAwsDid) {
  SORTIE_NEED_CORPUS("events");
  Tally tally("events/test_event_pattern");
  World world(recorded_options());
  for (const auto& file : json_files(corpus_path("events/patterns"), "")) {
    for (const json::Value& check : load_rows(file, "checks")) {
      const json::Value answer =
          world.call("TestEventPattern",
                     json::Value::object({{"EventPattern", check.get("pattern_string")},
                                          {"Event", check.get("event_string")}}),
                     recorded_actor());
      const json::Value& want = check.get("expected");
      bool passed = false;
      if (want.has("match")) {
        passed = answer.get("Result") == want.get("match");
      } else if (answer.has("error")) {
        const std::string message = answer.get("message").to_std_string();
        // Recorded is the first line, or now and then the whole of it.
        const std::string wanted = want.get("error_message").to_std_string();
        passed = answer.get("error") == want.get("error_code") &&
                 (message == wanted || message.substr(0, message.find('\n')) == wanted);
      }
      tally.row(passed,
                file.filename().string() + ": " + std::string(truncate_utf8(json::to_text(answer), 400)));
    }
  }
}

TEST(EventsConformance, TestEventPatternOfTheSecondRecordingAgrees) {
  SORTIE_NEED_CORPUS("events-aws");
  Tally tally("events-aws/test-event-pattern");
  World world(recorded_options());
  for (const json::Value& row : load_rows(corpus_path("events-aws/test-event-pattern.json"))) {
    const json::Value answer =
        world.call("TestEventPattern",
                   json::Value::object({{"EventPattern", row.get("pattern")}, {"Event", row.get("event")}}),
                   recorded_actor());
    bool passed = row.has("match") && answer.get("Result") == row.get("match");
    if (row.has("error") && answer.has("error")) {
      const std::string message = answer.get("message").to_std_string();
      passed = answer.get("error") == row.get("error").get("code") &&
               message.substr(0, message.find('\n')) == row.get("error").get("message").as_string();
    }
    tally.row(passed, row.get("id").to_std_string() + ": " + json::to_text(answer));
  }
}

TEST(EventsConformance, InputPathsAndTransformersMakeWhatAwsMade) {
  SORTIE_NEED_CORPUS("events-aws");
  Tally tally("events-aws/input-transformer");
  for (const json::Value& row : load_rows(corpus_path("events-aws/input-transformer.json"))) {
    const json::Value& want = row.get("expected");
    std::string got = "not delivered";
    if (row.has("input_path")) {
      auto path = pattern::InputPath::compile(row.get("input_path").as_string());
      const auto value = path ? path->find(row.get("event")) : std::nullopt;
      if (value) got = json::to_text(*value);
    } else {
      pattern::InputTransformer::Paths paths;
      for (const json::Member& member : row.get("input_paths_map").members()) {
        paths.emplace_back(member.key.to_std_string(), member.value.to_std_string());
      }
      auto transformer =
          pattern::InputTransformer::compile(paths, row.get("input_template").as_string(), "<target-id>");
      got =
          transformer ? transformer->render(row.get("event"), {}).value_or(got) : transformer.error().message;
    }
    bool passed = false;
    if (want.has("error")) {
      passed = want.get("error").get("message") == json::Value(got);
    } else if (want.has("body")) {
      const std::string body = want.get("body").to_std_string();
      const auto left = json::parse(body);
      const auto right = json::parse(got);
      passed = left && right ? *left == *right : body == got;
    } else {
      passed = got == "not delivered";
    }
    tally.row(passed, row.get("id").to_std_string() + ": " + got);
  }
}

}  // namespace
}  // namespace sortie::events
