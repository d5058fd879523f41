#include "integrations/events.h"

#include "integrations/results.h"
#include "json/text.h"

namespace sortie::integrations {
namespace events_task {

json::Value make_entry(const json::Value& given, const runtime::TaskOrder& order) {
  json::ObjectBuilder entry(given);
  const json::Value* detail = given.find("Detail");
  if (detail != nullptr && !detail->is_string()) entry.set("Detail", json::to_text(*detail));
  std::vector<json::Value> resources(given.get("Resources").items().begin(),
                                     given.get("Resources").items().end());
  resources.emplace_back(order.origin->state_machine_arn);
  resources.emplace_back(order.origin->execution_arn);
  return entry.set("Resources", json::Value::array(std::move(resources))).build();
}

}  // namespace events_task

EventsIntegration::EventsIntegration(Clock& clock, EventSink& sink) : clock_(clock), sink_(sink) {}

void EventsIntegration::start(const runtime::TaskOrder& order, Report report) {
  std::string wrong = check_parameters(order.parameters, {"Entries"}, {"EndpointId"});
  const json::Value& given = order.parameters.get("Entries");
  bool is_list = given.is_array();
  for (const json::Value& entry : given.items()) is_list = is_list && entry.is_object();
  if (wrong.empty() && !is_list) {
    wrong = "The Parameters '" + json::to_text(order.parameters) +
            "' could not be used to start the Task: [The value for the field 'Entries' must be a list of "
            "objects]";
  }
  if (!wrong.empty()) return report.failed("States.Runtime", wrong);
  std::vector<json::Value> entries;
  for (const json::Value& entry : given.items()) entries.push_back(events_task::make_entry(entry, order));
  const std::string request_id = derived_uuid("request " + order.idempotency_key);
  sink_.put_events(json::Value::array(std::move(entries)), acting_execution(order), order.idempotency_key,
                   [&clock = clock_, report, request_id](const Result<json::Value>& answer) {
                     if (!answer) {
                       const Error& error = answer.error();
                       return report.failed(
                           "EventBridge." + error.code,
                           service_cause(error.message, "AmazonEventBridge", 400, error.code, request_id));
                     }
                     const json::Value& failed = answer->get("FailedEntryCount");
                     if (failed.is_integer() && failed.as_integer() > 0) {
                       return report.failed("EventBridge.FailedEntry", json::to_text(*answer));
                     }
                     json::ObjectBuilder result(*answer);
                     append_sdk_metadata(result,
                                         {{"x-amzn-RequestId", request_id},
                                          {"Content-Length", std::to_string(json::to_text(*answer).size())},
                                          {"Date", http_date(clock.now())},
                                          {"Content-Type", "application/x-amz-json-1.1"}},
                                         200, request_id);
                     report.answered(result.build());
                   });
}

}  // namespace sortie::integrations
