#include "store/matching.h"

#include <algorithm>

namespace sortie::store {

namespace matching {

// Numbers stay exact in SQL's signed integers, and sums of two of them cannot overflow.
constexpr std::uint64_t kNumberMax = UINT64_MAX >> 2;

char fold_case(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool contains_ignoring_case(std::string_view text, std::string_view wanted) {
  auto equal = [](char a, char b) { return fold_case(a) == fold_case(b); };
  return std::search(text.begin(), text.end(), wanted.begin(), wanted.end(), equal) != text.end();
}

bool matches_pattern(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return true;
  if (pattern.back() == '*') return text.starts_with(pattern.substr(0, pattern.size() - 1));
  return text == pattern;
}

bool is_number(std::uint64_t value) { return value > 0 && value <= kNumberMax; }

}  // namespace matching

bool matches(const ExecutionQuery& query, const ExecutionRow& row) {
  return (query.state_machine_arn.empty() || query.state_machine_arn == row.state_machine_arn) &&
         (!query.status || *query.status == row.status) && row.name.starts_with(query.name_prefix) &&
         row.started_at >= query.started_from && row.started_at < query.started_before;
}

std::string folded_name(std::string_view name) {
  std::string folded(name);
  for (char& c : folded) c = matching::fold_case(c);
  return folded;
}

bool matches_name(const TermQuery& query, std::string_view folded) {
  if (query.name.empty()) return true;
  const std::string wanted = folded_name(query.name);
  return query.name_is_prefix ? folded.starts_with(wanted) : folded == wanted;
}

bool matches_rows(const TermQuery& query, std::string_view state_machine_arn, ExecutionStatus status) {
  const auto fits = [&](const TermQuery::RowRange& range) {
    return (range.state_machine_arn.empty() || range.state_machine_arn == state_machine_arn) &&
           (!range.status || *range.status == status);
  };
  return query.rows.empty() || std::any_of(query.rows.begin(), query.rows.end(), fits);
}

bool matches(const LogQuery& query, const LogLine& line) {
  return line.stream == query.stream && line.sequence > query.after_sequence &&
         line.sequence < query.before_sequence && line.time >= query.from && line.time < query.before &&
         matching::matches_pattern(query.source, line.source) &&
         matching::matches_pattern(query.type, line.type) &&
         matching::matches_pattern(query.subject, line.subject) &&
         (query.text.empty() || matching::contains_ignoring_case(line.body, query.text));
}

std::int64_t history_range_end(std::int64_t first_event_id, std::int64_t count) {
  if (count <= 0) return INT64_MIN;
  if (first_event_id > 0 && count > INT64_MAX - first_event_id) return INT64_MAX - 1;
  return first_event_id + count - 1;
}

Error stale_epoch(ShardNo shard, Epoch current, Epoch claimed) {
  return {"StaleEpoch",
          "shard " + std::to_string(shard) + " is at epoch " + std::to_string(current) +
              ", the batch came with " + std::to_string(claimed),
          "", ""};
}

Status check_batch(const Batch& batch) {
  auto bad = [](const char* what) {
    return Error{"LimitExceeded", std::string(what) + " is out of range", "", ""};
  };
  for (const ExecutionRow& row : batch.executions) {
    if (!matching::is_number(row.no)) return bad("an execution number");
  }
  for (const FrameRow& row : batch.frames) {
    if (!matching::is_number(row.key.execution)) return bad("the execution number of a frame");
  }
  for (const FrameKey& key : batch.frames_gone) {
    if (!matching::is_number(key.execution)) return bad("the execution number of a frame");
  }
  for (const PayloadRow& row : batch.payloads) {
    if (!matching::is_number(row.execution)) return bad("the execution number of a payload");
  }
  for (const HistoryChunk& chunk : batch.history) {
    if (!matching::is_number(chunk.execution)) return bad("the execution number of a history chunk");
    if (chunk.first_event_id < 1 || !matching::is_number(static_cast<std::uint64_t>(chunk.first_event_id)) ||
        chunk.count < 1) {
      return bad("an event id of a history chunk");
    }
  }
  for (const TermRow& row : batch.terms) {
    if (!matching::is_number(row.execution)) return bad("the execution number of a term");
    if (row.name.size() > kTermNameBytesMax || row.terms.size() > kTermsMax)
      return bad("the number of terms");
  }
  for (ExecutionNo no : batch.ended) {
    if (!matching::is_number(no)) return bad("an ended execution number");
  }
  return {};
}

}  // namespace sortie::store
