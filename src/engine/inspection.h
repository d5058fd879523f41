#pragma once
// What one state made of its data on the way, and what became of its error: the inspectionData of TestState.
// Members that the state does not have, or did not come to, are absent.
#include <cstdint>
#include <optional>
#include <string>

#include "json/value.h"

namespace sortie::engine {

struct Inspection {
  // JSONPath states only, but for after_arguments, which JSONata states have, and what becomes of a Map's
  // items from the pointer, the selector and the batcher.
  std::optional<json::Value> after_input_path, after_parameters, after_arguments;
  std::optional<json::Value> result, after_result_selector, after_result_path;
  std::optional<json::Value> after_items_path, after_items_pointer, after_item_selector, after_item_batcher;
  std::optional<double> max_concurrency, tolerated_failure_count, tolerated_failure_percentage;
  // The error that the state met, whatever became of it.
  bool failed = false;
  std::optional<std::string> error, cause;
  std::optional<std::size_t> retry_index, catch_index;  // Which retrier or catcher knows the error.
  std::optional<std::int64_t> retry_delay_seconds;      // Absent: the retrier has had its attempts.
};

}  // namespace sortie::engine
