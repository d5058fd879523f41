#include "api/execution_search.h"

#include <algorithm>
#include <charconv>

#include "api/states_api.h"
#include "base/text.h"

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

Status read_started(std::string_view word, std::string_view value, Timestamp now, ExecutionSearch& out) {
  const bool after = value.starts_with(">"), before = value.starts_with("<");
  if (!after && !before) return invalid(word, "write started:>-2h or started:<2026-11-01T00:00:00Z");
  SORTIE_TRY(const Timestamp time, parse_moment(word, value.substr(1), now));
  if (after) out.started_from = std::max(out.started_from, time);
  if (before) out.started_before = std::min(out.started_before, time);
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

Status read_word(std::string_view word, Timestamp now, ExecutionSearch& out) {
  Term term;
  std::string_view rest = word;
  if (rest.size() > 1 && rest.front() == '-') {
    term.negated = true;
    rest.remove_prefix(1);
  }
  const std::size_t colon = rest.find(':');
  const std::string key = colon == std::string_view::npos ? "" : to_lower_ascii(rest.substr(0, colon));
  std::string_view value = colon == std::string_view::npos ? rest : rest.substr(colon + 1);
  if (key == "started" && !term.negated) return read_started(word, value, now, out);
  if (value.size() > 1 && value.front() == '"' && value.back() == '"')
    value = value.substr(1, value.size() - 2);
  for (const std::string_view part : split(value, ',')) {
    if (!part.empty()) term.values.emplace_back(part);
  }
  if (term.values.empty()) return invalid(word, "something has to stand behind the colon");
  if (key == "status") {
    term.key = Term::Key::kStatus;
    SORTIE_TRY_STATUS(read_statuses(word, term));
  } else if (key == "playbook") {
    term.key = Term::Key::kPlaybook;
  } else if (key == "name") {
    term.key = Term::Key::kName;
  } else if (key == "has" && term.values == std::vector<std::string>{"approval"}) {
    term.key = Term::Key::kApproval;
  } else if (key.empty()) {
    for (std::string& text : term.values) text = "*" + text + "*";
  } else {
    return invalid(word, "known: status: playbook: name: started: has:approval, and words of the name");
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

std::string_view playbook_of(const store::ExecutionRow& row) {
  return std::string_view(row.state_machine_arn).substr(row.state_machine_arn.rfind(':') + 1);
}

bool fits_term(const Term& term, const store::ExecutionRow& row,
               const std::function<bool(const std::string&)>& is_waiting) {
  const auto any = [&](std::string_view text) {
    return std::any_of(term.values.begin(), term.values.end(),
                       [&](const std::string& value) { return fits(value, text); });
  };
  switch (term.key) {
    case Term::Key::kStatus: {
      const bool wants_waiting =
          std::find(term.values.begin(), term.values.end(), "WAITING") != term.values.end();
      if (wants_waiting && row.status == store::ExecutionStatus::kRunning && is_waiting(row.arn)) return true;
      return std::find(term.values.begin(), term.values.end(), status_name(row.status)) != term.values.end();
    }
    case Term::Key::kPlaybook:
      return any(playbook_of(row));
    case Term::Key::kName:
      return any(row.name);
    case Term::Key::kText:
      return any(row.name) || any(playbook_of(row));
    case Term::Key::kApproval:
      return row.status == store::ExecutionStatus::kRunning && is_waiting(row.arn);
  }
  return false;
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

bool matches(const ExecutionSearch& search, const store::ExecutionRow& row,
             const std::function<bool(const std::string& arn)>& is_waiting) {
  return std::all_of(search.terms.begin(), search.terms.end(), [&](const ExecutionSearch::Term& term) {
    return execution_search::fits_term(term, row, is_waiting) != term.negated;
  });
}

}  // namespace sortie::api
