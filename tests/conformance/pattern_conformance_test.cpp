// Event patterns against the recorded answers of EventBridge and of event-ruler, the library inside it.
#include <set>

#include "base/text.h"
#include "events_corpus.h"
#include "expr/pattern/rule_set.h"

namespace sortie::pattern {
namespace {

using test::corpus_path;
using test::json_files;
using test::load_rows;
using test::Tally;

// "match", "no match", or the error's message.
std::string answer(std::string_view pattern_text, std::string_view event_text, Mode mode) {
  auto pattern = Pattern::compile(pattern_text, mode);
  if (!pattern) return pattern.error().message;
  auto matches = pattern->matches(event_text);
  if (!matches) return matches.error().code;
  return *matches ? "match" : "no match";
}

std::string describe(const json::Value& row, const std::string& got) {
  return json::to_text(row.get("id")) + " pattern " + json::to_text(row.get("pattern")) + " event " +
         std::string(truncate_utf8(json::to_text(row.get("event")), 300)) + " gave: " + got;
}

void check_matches(const std::filesystem::path& file) {
  Tally tally(file.filename().string());
  for (const json::Value& row : load_rows(file)) {
    const std::string got =
        answer(row.get("pattern").to_std_string(), row.get("event").to_std_string(), Mode::kStandard);
    tally.row(got == (row.get("match").as_bool() ? "match" : "no match"), describe(row, got));
  }
}

TEST(PatternConformance, MatchesWhatEventRulerMatches) {
  SORTIE_NEED_CORPUS("events-ruler");
  for (const auto& file : json_files(corpus_path("events-ruler"), "match-")) check_matches(file);
  check_matches(corpus_path("events-ruler/quamina-wildcard.json"));
  check_matches(corpus_path("events-ruler/quamina-arrays.json"));
}

TEST(PatternConformance, AnswersTheProbesThatAreNoQuirks) {
  SORTIE_NEED_CORPUS("events-ruler");
  Tally tally("probes");
  for (const json::Value& row : load_rows(corpus_path("events-ruler/probes.json"))) {
    if (row.has("quirk")) continue;
    const std::string got =
        answer(row.get("pattern").to_std_string(), row.get("event").to_std_string(), Mode::kStandard);
    if (row.has("match")) {
      tally.row(got == (row.get("match").as_bool() ? "match" : "no match"), describe(row, got));
    } else if (row.has("event_error")) {
      tally.row(got == "InvalidEvent", describe(row, got));
    } else {
      const std::string want = "Event pattern is not valid. Reason: " + row.get("error").to_std_string();
      tally.row(got == want || got.starts_with(want + "\n at "), describe(row, got));
    }
  }
}

TEST(PatternConformance, AcceptsAndRefusesPatternsWithTheSameWords) {
  SORTIE_NEED_CORPUS("events-ruler");
  for (const char* name : {"validity", "quamina-validity"}) {
    Tally tally(name);
    for (const json::Value& row : load_rows(corpus_path(std::string("events-ruler/") + name + ".json"))) {
      if (row.has("duplicate_paths_allowed")) continue;  // A switch that EventBridge does not use.
      auto pattern = Pattern::compile(row.get("pattern").to_std_string(), Mode::kStandard);
      const std::string got = pattern ? "valid" : pattern.error().message;
      bool passed = pattern.ok() == row.get("valid").as_bool();
      if (row.has("message")) {
        passed = passed &&
                 got.starts_with("Event pattern is not valid. Reason: " + row.get("message").to_std_string());
      }
      tally.row(passed, describe(row, got));
    }
  }
}

TEST(PatternConformance, FindsExactlyTheLiveRulesOfEachScenario) {
  SORTIE_NEED_CORPUS("events-ruler");
  Tally tally("scenarios");
  for (const json::Value& row : load_rows(corpus_path("events-ruler/scenarios.json"))) {
    RuleSet rules;
    MatchScratch scratch;
    std::vector<std::pair<std::string, std::string>> live;  // A rule's place is its id.
    std::string wrong;
    for (const json::Value& op : row.get("ops").items()) {
      if (op.get("op") == json::Value("event")) {
        const auto matches = rules.match(op.get("event").as_string(), scratch);
        ASSERT_TRUE(matches.ok());
        std::set<std::string> found;
        for (const RuleId id : *matches) found.insert(live[id].first);
        std::set<std::string> want;
        for (const json::Value& rule : op.get("rules").items()) want.insert(rule.to_std_string());
        if (found != want) {
          wrong += json::to_text(op) + " found " +
                   join(std::vector<std::string>(found.begin(), found.end()), ",") + "; ";
        }
        continue;
      }
      const std::pair<std::string, std::string> rule(op.get("rule").to_std_string(),
                                                     op.get("pattern").to_std_string());
      if (op.get("op") == json::Value("add")) {
        ASSERT_TRUE(rules.add(live.size(), *Pattern::compile(rule.second, Mode::kStandard)).ok());
        live.push_back(rule);
        continue;
      }
      bool known = false;
      for (std::size_t id = 0; id < live.size(); ++id) {
        if (live[id] == rule) known = rules.remove(id) || known;
      }
      if (!known) {
        wrong.clear();  // A deletion of a part of a pattern: event-ruler can, rules cannot.
        break;
      }
    }
    tally.row(wrong.empty(), row.get("id").to_std_string() + ": " + wrong);
  }
}

// Recordings replace what differs between accounts.
std::string with_tokens_replaced(std::string text) {
  text = replace_all(text, "<partition>", "aws");
  return replace_all(text, "<region>", "us-east-1");
}

TEST(PatternConformance, AnswersTestEventPatternAsAwsDid) {
  SORTIE_NEED_CORPUS("events-aws");
  Tally tally("events-aws");
  for (const json::Value& row : load_rows(corpus_path("events-aws/test-event-pattern.json"))) {
    const std::string got =
        answer(row.get("pattern").to_std_string(), row.get("event").to_std_string(), Mode::kAws);
    if (row.has("match")) {
      tally.row(got == (row.get("match").as_bool() ? "match" : "no match"), describe(row, got));
    } else if (row.get("error").get("code") == json::Value("InvalidEventPatternException")) {
      tally.row(got == with_tokens_replaced(row.get("message_raw").to_std_string()), describe(row, got));
    }
  }
}

TEST(PatternConformance, AnswersTheRecordedChecksWithAwsTexts) {
  SORTIE_NEED_CORPUS("events");
  Tally tally("events/patterns");
  for (const auto& file : json_files(corpus_path("events/patterns"), "")) {
    for (const json::Value& row : load_rows(file, "checks")) {
      const std::string got = answer(row.get("pattern_string").to_std_string(),
                                     row.get("event_string").to_std_string(), Mode::kAws);
      const json::Value& expected = row.get("expected");
      const std::string where = file.filename().string() + " gave: " + got;
      if (expected.has("match")) {
        tally.row(got == (expected.get("match").as_bool() ? "match" : "no match"), where);
      } else if (expected.has("error_message_raw")) {
        tally.row(got == with_tokens_replaced(expected.get("error_message_raw").to_std_string()), where);
      }
    }
  }
}

}  // namespace
}  // namespace sortie::pattern
