#include "api/history_json.h"

#include "api/aws_call.h"
#include "json/text.h"

namespace sortie::api {
namespace {

const json::Value& not_truncated() {
  static const json::Value value = json::Value::object({{"truncated", false}});
  return value;
}

// Variables are objects of values; the wire wants each value as JSON text.
json::Value variables_as_text(const json::Value& variables) {
  json::ObjectBuilder out;
  for (const json::Member& member : variables.members()) {
    out.append(member.key.as_string(), json::to_text(member.value));
  }
  return out.build();
}

void append_detail(json::ObjectBuilder& out, const engine::Detail& detail, bool include_execution_data) {
  const std::string_view name = engine::field_name(detail.field);
  switch (detail.field) {
    case engine::Field::kInput:
    case engine::Field::kOutput:
      if (!include_execution_data) return;
      out.append(name, engine::payload_text(detail));
      out.append(std::string(name) + "Details", not_truncated());
      return;
    case engine::Field::kParameters:
      if (include_execution_data) out.append(name, engine::payload_text(detail));
      return;
    case engine::Field::kAssignedVariables:
      if (!include_execution_data) return;
      out.append(name, variables_as_text(detail.value));
      out.append("assignedVariablesDetails", not_truncated());
      return;
    default:
      out.append(name, detail.value);
  }
}

}  // namespace

json::Value history_event_json(const engine::HistoryEvent& event, bool include_execution_data) {
  json::ObjectBuilder out;
  out.append("timestamp", epoch_seconds(event.time));
  out.append("type", engine::event_type_name(event.type));
  out.append("id", event.id);
  out.append("previousEventId", event.previous_id);
  const std::string_view details_name = engine::event_details_name(event.type);
  if (!details_name.empty()) {
    json::ObjectBuilder details;
    for (const engine::Detail& detail : event.details) append_detail(details, detail, include_execution_data);
    out.append(details_name, details.build());
  }
  return out.build();
}

}  // namespace sortie::api
