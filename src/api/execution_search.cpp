#include "api/execution_search.h"

#include <algorithm>
#include <charconv>

#include "api/states_api.h"
#include "base/text.h"
#include "json/text.h"
#include "store/search_terms.h"

namespace sortie::api {
namespace execution_search {

using Term = ExecutionSearch::Term;

Error invalid(std::string_view word, std::string hint) {
  return {"InvalidSearch", "'" + std::string(truncate_utf8(word, 80)) + "' cannot be searched for", "",
          std::move(hint)};
}

// "-2h" before now, or a date-time.
Result<Timestamp> parse_moment(std::string_view word, std::string_view text, Timestamp now) {
  if (text.starts_with("-") && text.size() > 2) {
    const std::string_view digits = text.substr(1, text.size() - 2);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    const char unit = text.back();
    const std::int64_t factor = unit == 's'   ? 1'000
                                : unit == 'm' ? 60'000
                                : unit == 'h' ? 3'600'000
                                : unit == 'd' ? 86'400'000
                                              : 0;
    if (error == std::errc() && end == digits.data() + digits.size() && factor > 0 && number >= 0 &&
        number <= 100'000) {
      return now.plus_ms(-number * factor);
    }
  }
  Result<Timestamp> time = parse_rfc3339(text);
  if (time) return time;
  return invalid(word, "write it like started:>-2h or started:<2026-11-01T00:00:00Z");
}

Status read_range(std::string_view word, std::string_view value, Timestamp now, Timestamp& from,
                  Timestamp& until) {
  const bool after = value.starts_with(">"), before = value.starts_with("<");
  if (!after && !before) return invalid(word, "write started:>-2h or started:<2026-11-01T00:00:00Z");
  SORTIE_TRY(const Timestamp time, parse_moment(word, value.substr(1), now));
  if (after) from = std::max(from, time);
  if (before) until = std::min(until, time);
  return {};
}

Status read_statuses(std::string_view word, Term& term) {
  for (std::string& value : term.values) {
    value = replace_all(value, "-", "_");
    for (char& c : value) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    if (value == "WAITING") continue;
    if (!parse_status(value)) {
      return invalid(word, "a status is one of running, waiting, succeeded, failed, timed_out, aborted");
    }
  }
  return {};
}

using Key = Term::Key;
constexpr std::pair<std::string_view, Key> kKeys[] = {
    {"status", Key::kStatus}, {"playbook", Key::kPlaybook}, {"name", Key::kName},
    {"error", Key::kError},   {"state", Key::kState},       {"sev", Key::kSeverity},
    {"actor", Key::kActor},   {"resource", Key::kResource}, {"label", Key::kLabel},
};

Result<Key> read_key(std::string_view word, const std::string& key, const Term& term) {
  if (key.empty()) return Key::kText;
  if (key == "has" && term.values == std::vector<std::string>{"approval"}) return Key::kApproval;
  for (const auto& [name, found] : kKeys) {
    if (name == key) return found;
  }
  return invalid(
      word,
      "known: status: playbook: name: started: stopped: error: state: sev: resource: actor: label: "
      "has:approval, and words of the name");
}

Status read_word(std::string_view word, Timestamp now, ExecutionSearch& out) {
  Term term;
  std::string_view rest = word;
  if (rest.size() > 1 && rest.front() == '-') {
    term.negated = true;
    rest.remove_prefix(1);
  }
  const std::size_t colon = rest.front() == '"' ? std::string_view::npos : rest.find(':');
  const std::string key = colon == std::string_view::npos ? "" : to_lower_ascii(rest.substr(0, colon));
  std::string_view value = colon == std::string_view::npos ? rest : rest.substr(colon + 1);
  if (key == "started" && !term.negated) {
    return read_range(word, value, now, out.started_from, out.started_before);
  }
  if (key == "stopped" && !term.negated) {
    return read_range(word, value, now, out.stopped_from, out.stopped_before);
  }
  if (value.size() > 1 && value.front() == '"' && value.back() == '"') {
    term.values.emplace_back(value.substr(1, value.size() - 2));
  } else {
    for (const std::string_view part : split(value, ',')) {
      if (!part.empty()) term.values.emplace_back(part);
    }
  }
  if (term.values.empty()) return invalid(word, "something has to stand behind the colon");
  SORTIE_TRY(term.key, read_key(word, key, term));
  if (term.key == Key::kStatus) SORTIE_TRY_STATUS(read_statuses(word, term));
  if (term.key == Key::kText) {
    for (std::string& text : term.values) text = "*" + text + "*";
  }
  out.terms.push_back(std::move(term));
  return {};
}

// Words are separated by blanks outside of quotes.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool quoted = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (!quoted && (c == ' ' || c == '\t')) {
      if (!word.empty()) words.push_back(std::move(word));
      word.clear();
    } else {
      word += c;
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

// From arn:aws:states:REGION:ACCOUNT:execution:PLAYBOOK:NAME; of a map run's child it is PLAYBOOK/LABEL.
std::string_view playbook_of(const store::ExecutionRow& row) {
  const std::vector<std::string_view> parts = split(row.arn, ':');
  return parts.size() > 6 ? parts[6] : std::string_view();
}

bool fits_any(const Term& term, std::string_view text) {
  return std::any_of(term.values.begin(), term.values.end(),
                     [&](const std::string& value) { return fits(value, text); });
}

bool is_waiting(const store::ExecutionRow& row, const ExecutionFacts& facts) {
  return row.status == store::ExecutionStatus::kRunning && facts.is_waiting && facts.is_waiting(row);
}

bool fits_label(const Term& term, const json::Value& tags) {
  for (const json::Value& tag : tags.items()) {
    const json::Value& key = tag.get("key");
    const json::Value& value = tag.get("value");
    const std::string name = key.is_string() ? key.to_std_string() : "";
    const std::string text = value.is_string() ? value.to_std_string() : "";
    if (fits_any(term, name) || fits_any(term, text) || fits_any(term, name + "=" + text)) return true;
  }
  return false;
}

bool fits_row(const Term& term, const store::ExecutionRow& row, const ExecutionFacts& facts) {
  switch (term.key) {
    case Key::kStatus: {
      const bool wants_waiting =
          std::find(term.values.begin(), term.values.end(), "WAITING") != term.values.end();
      if (wants_waiting && is_waiting(row, facts)) return true;
      return std::find(term.values.begin(), term.values.end(), status_name(row.status)) != term.values.end();
    }
    case Key::kPlaybook:
      return fits_any(term, playbook_of(row));
    case Key::kName:
      return fits_any(term, row.name);
    case Key::kText:
      return fits_any(term, row.name) || fits_any(term, playbook_of(row));
    case Key::kApproval:
      return is_waiting(row, facts);
    case Key::kLabel:
      return facts.tags && fits_label(term, facts.tags(row));
    default:
      return false;
  }
}

// Some text of the value, at most so deep; what is deeper is not looked at.
bool has_text(const json::Value& value, const Term& term, int depth = 0) {
  if (value.is_string()) return fits_any(term, value.to_std_string());
  if (depth > 50) return false;
  if (value.is_array()) {
    for (const json::Value& item : value.items()) {
      if (has_text(item, term, depth + 1)) return true;
    }
  }
  if (value.is_object()) {
    for (const json::Member& member : value.members()) {
      if (has_text(member.value, term, depth + 1)) return true;
    }
  }
  return false;
}

bool fits_inside(const Term& term, const runtime::ExecutionDescription& execution, const json::Value& input) {
  switch (term.key) {
    case Key::kError: {
      if (execution.error && fits_any(term, *execution.error)) return true;
      return execution.cause && std::any_of(term.values.begin(), term.values.end(), [&](const auto& value) {
               return fits("*" + value + "*", *execution.cause);
             });
    }
    case Key::kSeverity: {
      const std::string severity = store::severity_of(input);
      return !severity.empty() && fits_any(term, severity);
    }
    case Key::kResource:
      return has_text(input, term);
    case Key::kActor:
      return fits_any(term, execution.actor.name) || fits_any(term, to_text(execution.actor)) ||
             (!execution.actor.on_behalf_of.empty() && fits_any(term, execution.actor.on_behalf_of));
    default:
      return false;
  }
}

}  // namespace execution_search

bool fits(std::string_view pattern, std::string_view text) {
  const auto same = [](char a, char b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return lower(a) == lower(b);
  };
  std::size_t p = 0, t = 0, star = std::string_view::npos, back = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      back = t;
    } else if (p < pattern.size() && same(pattern[p], text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++back;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Result<ExecutionSearch> parse_execution_search(std::string_view text, Timestamp now) {
  if (text.size() > kSearchBytesMax) {
    return Error{"InvalidSearch", "the search is too long", "", "at most 1000 bytes"};
  }
  ExecutionSearch out;
  for (const std::string& word : execution_search::words_of(text)) {
    SORTIE_TRY_STATUS(execution_search::read_word(word, now, out));
  }
  return out;
}

bool ExecutionSearch::looks_inside() const {
  return std::any_of(terms.begin(), terms.end(), [](const Term& term) { return term.looks_inside(); });
}

bool ExecutionSearch::fits_times(const store::ExecutionRow& row) const {
  if (row.started_at < started_from || row.started_at >= started_before) return false;
  if (stopped_from.ms == INT64_MIN && stopped_before == kNever) return true;
  return row.status != store::ExecutionStatus::kRunning && row.stopped_at >= stopped_from &&
         row.stopped_at < stopped_before;
}

bool matches_row(const ExecutionSearch& search, const store::ExecutionRow& row, const ExecutionFacts& facts) {
  const bool may_have_failed =
      row.status != store::ExecutionStatus::kRunning && row.status != store::ExecutionStatus::kSucceeded;
  return std::all_of(search.terms.begin(), search.terms.end(), [&](const ExecutionSearch::Term& term) {
    // Only what failed has an error; the others need no look.
    if (term.key == ExecutionSearch::Term::Key::kError && !may_have_failed) return term.negated;
    return term.looks_inside() || execution_search::fits_row(term, row, facts) != term.negated;
  });
}

bool matches_inside(const ExecutionSearch& search, const store::ExecutionRow& row,
                    const ExecutionFacts& facts) {
  using Key = ExecutionSearch::Term::Key;
  std::optional<runtime::ExecutionDescription> execution;
  json::Value input;
  for (const ExecutionSearch::Term& term : search.terms) {
    if (!term.looks_inside()) continue;
    bool fits = false;
    if (term.key == Key::kState) {
      for (const std::string& state : facts.states ? facts.states(row) : std::vector<std::string>()) {
        fits = fits || execution_search::fits_any(term, state);
      }
    } else {
      if (!execution) {
        if (!facts.describe) return false;
        Result<runtime::ExecutionDescription> found = facts.describe(row);
        if (!found) return false;  // Deleted since.
        execution = *std::move(found);
        if (const Result<json::Value> parsed = json::parse(execution->input_text)) input = *parsed;
      }
      fits = execution_search::fits_inside(term, *execution, input);
    }
    if (fits == term.negated) return false;
  }
  return true;
}

}  // namespace sortie::api
