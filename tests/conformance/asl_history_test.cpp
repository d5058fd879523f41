// The engine against histories that AWS recorded (../shared/corpus/asl): executions that need no service,
// STANDARD. Compared are type, id and previousEventId of every event, names, errors, causes and
// payloads, as far as the recording kept them (it replaces names, dates and ids by tokens: those members are
// left out).
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "engine/testing/driver.h"

namespace sortie::engine::testing {
namespace {

std::filesystem::path corpus() {
  return std::filesystem::path(SORTIE_SOURCE_DIR) / ".." / "shared" / "corpus" / "asl";
}

json::Value load(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::stringstream text;
  text << stream.rdbuf();
  Result<json::Value> value = json::parse(text.str());
  return value.ok() ? *value : json::Value();
}

bool holds_token(const std::string& text) {
  return text.find('<') != std::string::npos || text.find("date") != std::string::npos ||
         text.find("timestamp") != std::string::npos || text.find("snf_role_arn") != std::string::npos;
}

// The recording parsed text that begins with '{'; compare both as text.
std::string plain(const json::Value& value) {
  return value.is_string() ? value.to_std_string() : json::to_text(value);
}

bool same_value(const json::Value& recorded, const std::string& actual) {
  const std::string expected = plain(recorded);
  if (holds_token(expected) || expected == actual) return true;
  const Result<json::Value> a = json::parse(expected);
  const Result<json::Value> b = json::parse(actual);
  return a && b && *a == *b;
}

std::string difference(const json::Value& recorded, const HistoryEvent& event) {
  const std::string at = "event " + std::to_string(event.id) + " " + std::string(event_type_name(event.type));
  const json::Value& details = recorded.get(event_details_name(event.type));
  for (const Field field :
       {Field::kInput, Field::kOutput, Field::kName, Field::kError, Field::kCause, Field::kIndex,
        Field::kLength, Field::kResource, Field::kTimeoutInSeconds, Field::kLocation, Field::kState}) {
    const json::Value* expected = details.find(field_name(field));
    const json::Value* actual = event.find(field);
    if ((expected == nullptr) != (actual == nullptr))
      return at + ": member " + std::string(field_name(field));
    if (expected == nullptr) continue;
    const std::string text = is_payload(field) ? json::to_text(*actual) : plain(*actual);
    if (!same_value(*expected, text)) return at + ": " + std::string(field_name(field)) + " is " + text;
  }
  return "";
}

// Parallel branches have no fixed order: the recording blanked their ids and sorted them.
std::string compare(const json::Value& recorded, const std::vector<HistoryEvent>& events) {
  const auto list = recorded.get("events").items();
  std::multiset<std::string> unordered_expected, unordered_actual;
  bool blanked = false;
  for (const json::Value& event : list) {
    const json::Value& id = event.get("id");
    blanked = blanked || !id.is_integer() || id.as_integer() == 0;
  }
  if (blanked) {
    for (const json::Value& event : list) unordered_expected.insert(event.get("type").to_std_string());
    for (const HistoryEvent& event : events)
      unordered_actual.insert(std::string(event_type_name(event.type)));
    // Its sorting also dropped events of the joining state.
    for (const std::string& type : unordered_expected) {
      if (unordered_actual.count(type) < unordered_expected.count(type)) return "too few " + type;
    }
    return "";
  }
  if (list.size() != events.size()) {
    return "recorded " + std::to_string(list.size()) + " events, made " + std::to_string(events.size());
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    const HistoryEvent& event = events[i];
    const std::string expected = std::to_string(list[i].get("id").as_integer()) + " " +
                                 std::to_string(list[i].get("previousEventId").as_integer()) + " " +
                                 list[i].get("type").to_std_string();
    const std::string actual = std::to_string(event.id) + " " + std::to_string(event.previous_id) + " " +
                               std::string(event_type_name(event.type));
    if (expected != actual) return "recorded '" + expected + "', made '" + actual + "'";
    if (const std::string detail = difference(list[i], event); !detail.empty()) return detail;
  }
  return "";
}

std::string play(const json::Value& test_case, const json::Value& run, bool* unsupported) {
  std::string definition = test_case.get("definition_string").to_std_string();
  if (const json::Value* all = test_case.find("definitions")) {
    definition =
        (*all)[static_cast<std::size_t>(run.get("definition").as_integer())].get("string").to_std_string();
  }
  const Result<json::Value> input =
      json::parse(run.get("input").is_string() ? run.get("input").as_string() : "{}");
  if (!input) return "";
  const json::Value& where = run.get("expected").get("history");
  const json::Value& recorded =
      test_case.get("expected").get(where.get("key").is_string() ? where.get("key").as_string() : "");
  if (!recorded.get("events").is_array()) return "";
  Driver driver(definition, *input, echo);
  if (driver.execution.machine == nullptr) {
    *unsupported = driver.compile_error.find("NOT_SUPPORTED_YET") != std::string::npos;
    return driver.compile_error;
  }
  driver.run();
  for (const auto& [no, frame] : driver.execution.frames) {
    // The run of a distributed Map is the runtime's: there is none here.
    *unsupported = *unsupported || std::holds_alternative<InMapRun>(frame.phase);
  }
  if (*unsupported) return "it waits for a map run";
  return compare(recorded, driver.events);
}

TEST(AslHistory, EqualsWhatAwsRecorded) {
  if (!std::filesystem::exists(corpus())) GTEST_SKIP() << "SKIP: ../shared/corpus/asl is not there";
  int agreed = 0, unsupported = 0;
  std::vector<std::string> wrong;
  const json::Value index = load(corpus() / "index.json");
  const auto cases = index.is_array() ? index.items() : index.get("cases").items();
  for (const json::Value& entry : cases) {
    if (json::to_text(entry.get("needs")) != "[\"none\"]") continue;
    // Random results, and an execution that the test stops by hand.
    const std::string file = entry.get("file").to_std_string();
    if (file.find("math_random") != std::string::npos || file.find("stop_execution") != std::string::npos)
      continue;
    const json::Value test_case = load(corpus() / entry.get("file").to_std_string());
    for (const json::Value& run : test_case.get("runs").items()) {
      if (plain(run.get("type")) != "STANDARD" || run.get("expected").get("history").is_null()) continue;
      bool not_yet = false;
      const std::string problem = play(test_case, run, &not_yet);
      if (not_yet) {
        ++unsupported;
      } else if (problem.empty()) {
        ++agreed;
      } else {
        wrong.push_back(entry.get("file").to_std_string() + ": " + problem.substr(0, 300));
      }
    }
  }
  std::printf("asl histories: %d agree, %zu differ, %d wait for a map run\n", agreed, wrong.size(),
              unsupported);
  for (const std::string& line : wrong) ADD_FAILURE() << line;
  EXPECT_GT(agreed, 50);
}

}  // namespace
}  // namespace sortie::engine::testing
