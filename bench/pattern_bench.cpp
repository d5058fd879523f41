// Event patterns at speed: the same events and rule sets as the reference implementation's benchmark, and how
// the cost behaves as rules are added.
//
//   pattern_bench sets RULES.json EVENTS.jsonl
//     events a second against each set, and all sets together, with the number of matches of each rule
//   pattern_bench disjoint EVENTS
//     one event after the other, EVENTS times, against 10 to 10,000 rules of which at most one matches
//   pattern_bench one RULES EVENTS
//     the same for one number of rules, for counting instructions
//   pattern_bench build RULES
//     how long RULES rules with two random fields take to build, what memory, and what adding one costs
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/hash.h"
#include "expr/pattern/rule_set.h"
#include "measure.h"

namespace {

using namespace sortie;
using namespace sortie::measure;

void add(pattern::RuleSet& rules, pattern::RuleId id, const std::string& text) {
  auto compiled = pattern::Pattern::compile(text, pattern::Mode::kStandard);
  if (!compiled) fail(compiled.error().message);
  if (auto status = rules.add(id, *compiled); !status) fail(status.error().message);
}

// One pass to warm up, then the best of three, as the reference is measured.
void run_set(const std::string& name, const pattern::RuleSet& rules, std::size_t count,
             const std::vector<std::string>& events) {
  pattern::MatchScratch scratch;
  double best = 0;
  std::vector<std::size_t> hits;
  for (int pass = 0; pass < 4; ++pass) {
    hits.assign(count, 0);
    const auto start = cpu_seconds();
    for (const std::string& event : events) {
      const auto found = rules.match(event, scratch);
      if (!found) fail("an event could not be read");
      for (const pattern::RuleId id : *found) ++hits[id];
    }
    if (pass > 0) best = std::max(best, static_cast<double>(events.size()) / (cpu_seconds() - start));
  }
  std::printf(
      "{\"bench\":\"events/"
      "%s\",\"impl\":\"sortie\",\"ops_per_s\":%.0f,\"rules\":%zu,\"events\":%zu,\"matches\":[",
      name.c_str(), best, count, events.size());
  for (std::size_t i = 0; i < hits.size(); ++i) std::printf("%s%zu", i == 0 ? "" : ",", hits[i]);
  std::printf("]}\n");
  std::fflush(stdout);
}

void run_sets(const std::string& rules_file, const std::string& events_file) {
  const json::Value sets = read_json(rules_file);
  std::vector<std::string> events;
  std::ifstream lines(events_file);
  for (std::string line; std::getline(lines, line);) events.push_back(line);
  pattern::RuleSet all;
  std::size_t total = 0;
  for (const json::Value& set : sets.items()) {
    pattern::RuleSet rules;
    std::size_t count = 0;
    for (const json::Value& rule : set.get("rules").items()) {
      add(rules, count++, rule.to_std_string());
      add(all, total++, rule.to_std_string());
    }
    run_set(set.get("set").to_std_string(), rules, count, events);
  }
  run_set("ALL", all, total, events);
}

constexpr const char* kShapes[] = {R"({"source":["app"],"detail":{"id":["id-@"]}})",
                                   R"({"detail":{"name":[{"prefix":"name-@-"}]}})",
                                   R"({"detail":{"path":[{"wildcard":"*/part-@/*"}]}})",
                                   R"({"detail":{"size":[{"numeric":[">=",@,"<",@.5]}]}})",
                                   R"({"detail":{"field-@":["x"]}})",
                                   R"({"detail":{"kind":[{"equals-ignore-case":"KIND-@"}]}})"};

std::string filled(std::string text, std::size_t number) {
  for (auto at = text.find('@'); at != std::string::npos; at = text.find('@')) {
    text.replace(at, 1, std::to_string(number));
  }
  return text;
}

double run_disjoint(std::size_t count, std::size_t events) {
  pattern::RuleSet rules;
  constexpr std::size_t kinds = sizeof kShapes / sizeof kShapes[0];
  for (std::size_t i = 0; i < count; ++i) add(rules, i, filled(kShapes[i % kinds], i));
  pattern::MatchScratch scratch;
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 16; ++i) {
    texts.push_back(filled(
        R"({"version":"0","id":"5c6b01d2","detail-type":"Thing happened","source":"app","account":"123456789012",)"
        R"("time":"2026-11-23T00:00:00Z","region":"us-east-1","resources":["arn:aws:s3:::bucket"],"detail":{)"
        R"("id":"id-@","name":"name-@-x","path":"/some/part-@/of/a/path","size":@.25,"field-@":"x","kind":"Kind-@",)"
        R"("other":{"nested":[{"key":"value","more":[1,2,3]},{"key":"value","more":[4,5,6]}]}}})",
        i % 10));
  }
  std::size_t found = 0;
  const auto start = cpu_seconds();
  for (std::size_t i = 0; i < events; ++i) found += rules.match(texts[i % texts.size()], scratch)->size();
  const double seconds = (cpu_seconds() - start);
  if (found > events * kinds) fail("the rules are not disjoint");
  return static_cast<double>(events) / seconds;
}

long resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::atol(line.c_str() + 6);
  }
  return 0;
}

void run_build(std::size_t count) {
  SeededRandom random(1);
  std::vector<std::string> texts;
  texts.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    texts.push_back(R"({"first":[")" + random_hex(random, 8) + R"("],"second":[")" + random_hex(random, 8) +
                    R"("]})");
  }
  const long before = resident_kib();
  const auto start = cpu_seconds();
  auto rules = std::make_shared<pattern::RuleSet>();
  for (std::size_t i = 0; i < count; ++i) add(*rules, i, texts[i]);
  const double seconds = (cpu_seconds() - start);
  const long grown = resident_kib() - before;
  std::printf(
      "%zu rules built in %.2f s; resident memory grew by %ld MiB (%.0f bytes a rule); bytes() says %zu "
      "MiB\n",
      count, seconds, grown / 1024, 1024.0 * static_cast<double>(grown) / static_cast<double>(count),
      rules->bytes() >> 20);
  // Snapshots: every change copies what is shared.
  constexpr std::size_t kChanges = 2000;
  const auto changes = cpu_seconds();
  std::shared_ptr<const pattern::RuleSet> current = rules;
  rules.reset();
  for (std::size_t i = 0; i < kChanges; ++i) {
    auto next = std::make_shared<pattern::RuleSet>(*current);
    add(*next, count + i, texts[i]);
    current = std::move(next);
  }
  std::printf("adding one rule to a shared snapshot takes %.1f us\n",
              1e6 * (cpu_seconds() - changes) / kChanges);
  pattern::MatchScratch scratch;
  const auto matching = cpu_seconds();
  constexpr std::size_t kEvents = 200'000;
  std::size_t found = 0;
  for (std::size_t i = 0; i < kEvents; ++i) {
    const std::string& text = texts[i * 7919 % count];
    std::string event = text;
    std::erase_if(event, [](char c) { return c == '[' || c == ']'; });
    found += current->match(event, scratch)->size();
  }
  std::printf("%.0f events/s, %zu found\n", kEvents / (cpu_seconds() - matching), found);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto number = [&](std::size_t i) { return std::strtoull(arguments[i].c_str(), nullptr, 10); };
  if (arguments.size() >= 3 && arguments[0] == "sets") {
    run_sets(arguments[1], arguments[2]);
  } else if (arguments.size() == 2 && arguments[0] == "disjoint") {
    for (std::size_t count = 10; count <= 10'000; count *= 10) {
      std::printf("%6zu rules: %.0f events/s\n", count, run_disjoint(count, number(1)));
    }
  } else if (arguments.size() == 3 && arguments[0] == "one") {
    std::printf("%.0f events/s\n", run_disjoint(number(1), number(2)));
  } else if (arguments.size() == 2 && arguments[0] == "build") {
    run_build(number(1));
  } else {
    fail("sets RULES.json EVENTS.jsonl | disjoint EVENTS | one RULES EVENTS | build RULES");
  }
}
