#pragma once
// What the filters of ExecutionQuery and LogQuery mean, and what is refused, once for all stores.
#include "store/store.h"

namespace sortie::store {

// Everything but the page cursor and the limit.
bool matches(const ExecutionQuery& query, const ExecutionRow& row);
bool matches(const LogQuery& query, const LogLine& line);
// Whether a row of this machine with this status is one of query.rows.
bool matches_rows(const TermQuery& query, std::string_view state_machine_arn, ExecutionStatus status);

// The last event id of a range, without overflow; below `first` for an empty one.
std::int64_t history_range_end(std::int64_t first_event_id, std::int64_t count);

inline constexpr std::size_t kTermNameBytesMax = 1'024;
inline constexpr std::size_t kTermsMax = 4'096;  // Of one row.
// A name as it is compared, with ASCII letters made small.
std::string folded_name(std::string_view name);
bool matches_name(const TermQuery& query, std::string_view folded);

// What a batch is told whose shard has another epoch than it came with; code "StaleEpoch". 0: it has none.
Error stale_epoch(ShardNo shard, Epoch current, Epoch claimed);

// Refuses what no store can hold (numbers out of range); code "LimitExceeded".
Status check_batch(const Batch& batch);

}  // namespace sortie::store
