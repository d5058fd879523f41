#pragma once
// A HistoryEvent in the wire form of GetExecutionHistory: payloads as JSON text with "inputDetails" or
// "outputDetails" ({"truncated": false}) beside them where AWS has them, details under the member that the
// event's type names.
#include "engine/history_event.h"
#include "json/value.h"

namespace sortie::api {

// Without execution data, payloads and their "...Details" are left out, as AWS leaves them out.
json::Value history_event_json(const engine::HistoryEvent& event, bool include_execution_data);

}  // namespace sortie::api
