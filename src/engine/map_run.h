#pragma once
// What a map run has to know of the Map state it works for. The state waits in phase InMapRun; the run itself
// (items, children, results) is the runtime's, one transaction at a time, outside the execution. So a
// distributed Map over a million items is one small frame here.
//
// Names, as AWS makes them, for a Map state of machine M with label L (its Label, else one made from machine
// and state) and run R:
//   map run     arn:..:mapRun:M/L:R
//   children    arn:..:stateMachine:M/L, executions arn:..:execution:M/L:NAME, or arn:..:express:M/L:NAME:ID
// A Map inside a child of a map run stands under M, too.
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace sortie::engine {

inline constexpr std::int64_t kBatchBytesMax = 262'144;

// Limits as they were when the state was entered; UpdateMapRun changes the run's own copy.
struct MapRunLimits {
  std::int64_t max_concurrency = 0;             // 0: as many as there may be.
  std::optional<std::int64_t> tolerated_count;  // Items that may fail.
  std::optional<double> tolerated_percentage;   // The same in percent, 0 to 100.
  std::int64_t max_items = 0;                   // 0: all; below 0: an error of the reader.
  std::int64_t max_items_per_batch = 0;         // 0: no limit.
  std::int64_t max_input_bytes_per_batch = kBatchBytesMax;
};
json::Value to_json(const MapRunLimits& limits);
MapRunLimits map_run_limits(const json::Value& value);

std::string map_run_label(const Execution& execution, const Frame& frame);
std::string map_run_arn(const Execution& execution, const Frame& frame, std::string_view run);
// arn:..:mapRun:M/L:R -> arn:..:stateMachine:M/L
std::string map_child_machine_arn(std::string_view map_run_arn);
// The name of a run's child by its number, from 0: the same whenever it is asked for. An EXPRESS child that
// is started anew by a redrive of its run is another execution: `life` counts the run's redrives.
std::string map_child_name(std::string_view map_run_arn, std::uint64_t number, std::int64_t life = 0);
// The execution ARN of a child.
std::string map_child_arn(std::string_view map_run_arn, std::string_view name, bool express);

// The frame's phase, where it waits for exactly this attempt's map run; else nullptr.
const InMapRun* find_map_run(const Execution& execution, const AttemptId& attempt);
const asl::Map& map_of(const Execution& execution, const AttemptId& attempt);

// What a child gets for one item, or how the run fails.
struct MapRunFault {
  std::string error, cause;
  bool catchable = true;
};
std::variant<json::Value, MapRunFault> map_item_input(const Execution& execution, const AttemptId& attempt,
                                                      MapItem item, const Context& context);

// As the context object names what an ItemReader with these parameters reads, in $$.Map.Item.Source.
std::string item_source_name(const json::Value& reader_parameters);

// A child of a Map with an ItemBatcher gets {"BatchInput", "Items"}; `batch_input` is null where there is
// none. An item takes the bytes of its text and one more.
json::Value batch_of(const json::Value& batch_input, std::vector<json::Value> items);
std::size_t batch_item_bytes_max(const MapRunLimits& limits, const json::Value& batch_input);

}  // namespace sortie::engine
