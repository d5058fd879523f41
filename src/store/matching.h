#pragma once
// What the filters of ExecutionQuery and LogQuery mean, once for all stores.
#include "store/store.h"

namespace sortie::store {

// Everything but the page cursor and the limit.
bool matches(const ExecutionQuery& query, const ExecutionRow& row);
bool matches(const LogQuery& query, const LogLine& line);

// The last event id of a range, without overflow; below `first` for an empty one.
std::int64_t history_range_end(std::int64_t first_event_id, std::int64_t count);

// Refuses what no store can hold (numbers out of range); code "LimitExceeded".
Status check_batch(const Batch& batch);

}  // namespace sortie::store
