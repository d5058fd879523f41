#include <cstdio>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "io/file.h"
#include "json/members.h"
#include "json/text.h"
#include "json/yaml.h"

namespace sortie::cli {
namespace {

int show_list(const Common& common, const std::string& path, const std::string& member,
              const std::vector<Column>& columns, const std::string& name_key) {
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  const Result<json::Value> page = client->get(path);
  if (!page) return report(page.error());
  const auto items = page->get(member).items();
  return print_rows({items.begin(), items.end()}, columns, name_key, common.output);
}

void print_log(const std::string& text) {
  for (const std::string_view line : split(text, '\n')) {
    if (!line.empty()) print_line(shown(line));
  }
}

}  // namespace

int event_send(const Common& common, const std::string& file, const std::string& bus) {
  const Result<std::string> text = read_input(file);
  if (!text) return report(text.error());
  const Result<json::Value> event = json::parse(*text);
  if (!event) {
    Error error = event.error();
    error.message = "the event is no JSON: " + error.message;
    error.place = json::place_in_file(file, error.place);
    return report(error);
  }
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  json::Value body = *event;
  if (!bus.empty() && body.is_object()) body = json::ObjectBuilder(body).set("event-bus", bus).build();
  const Result<json::Value> sent = client->post("/v1/events", body);
  if (!sent) return report(sent.error());
  print_object(*sent, "id", common.output);
  return kOk;
}

int event_list(const Common& common, const EventList& what) {
  std::string path = "/v1/events?limit=" + std::to_string(what.limit);
  if (!what.source.empty()) path += "&source=" + percent_encode(what.source);
  if (!what.type.empty()) path += "&type=" + percent_encode(what.type);
  if (!what.text.empty()) path += "&text=" + percent_encode(what.text);
  return show_list(common, path, "events",
                   {{"id", "ID"},
                    {"time", "TIME"},
                    {"source", "SOURCE"},
                    {"detail_type", "TYPE"},
                    {"rules", "RULES", true},
                    {"executions", "EXECUTIONS", true},
                    {"duplicate_of", "DUPLICATE OF", true}},
                   "id");
}

int event_show(const Common& common, const std::string& id) {
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  const Result<json::Value> event = client->get("/v1/events/" + percent_encode(id));
  if (!event) return report(event.error());
  print_object(*event, "id", common.output);
  return kOk;
}

int function_invoke(const Common& common, const std::string& name, const std::string& payload_file) {
  json::Value payload = json::Value::object(std::vector<json::Member>());
  if (!payload_file.empty()) {
    const Result<std::string> text = read_input(payload_file);
    if (!text) return report(text.error());
    Result<json::Value> parsed = json::parse(*text);
    if (!parsed) return report(parsed.error());
    payload = std::move(parsed).value();
  }
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  const Result<json::Value> answer = client->post("/v1/functions/" + percent_encode(name) + "/invoke",
                                                  json::Value::object({{"payload", std::move(payload)}}));
  if (!answer) return report(answer.error());
  const bool as_text = common.output.format == "text" || common.output.format == "wide";
  if (as_text) {
    print_object(json::ObjectBuilder(*answer).erase("log").build(), "request_id", common.output);
    print_log(json::text_member(*answer, "log"));
  } else {
    print_object(*answer, "request_id", common.output);
  }
  return json::shown_member(*answer, "function_error").empty() ? kOk : kExecutionFailed;
}

int function_list(const Common& common) {
  return show_list(common, "/v1/functions", "functions",
                   {{"name", "NAME"},
                    {"runtime", "RUNTIME"},
                    {"handler", "HANDLER"},
                    {"timeout_s", "TIMEOUT"},
                    {"memory_mib", "MEMORY"},
                    {"problem", "PROBLEM"},
                    {"arn", "ARN", true}},
                   "name");
}

int function_logs(const Common& common, const std::string& name, const std::string& request_id) {
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  const std::string query = request_id.empty() ? "" : "?request_id=" + percent_encode(request_id);
  const Result<json::Value> page = client->get("/v1/functions/" + percent_encode(name) + "/logs" + query);
  if (!page) return report(page.error());
  if (common.output.format == "json" || common.output.format == "jsonl") {
    print_object(*page, "function", common.output);
    return kOk;
  }
  for (const json::Value& invocation : page->get("logs").items()) {
    print_log(json::shown_member(invocation, "text"));
  }
  return kOk;
}

int playbook_list(const Common& common) {
  return show_list(common, "/v1/playbooks", "playbooks",
                   {{"name", "NAME"},
                    {"type", "TYPE"},
                    {"origin", "ORIGIN"},
                    {"updated_at", "UPDATED"},
                    {"arn", "ARN", true}},
                   "name");
}

}  // namespace sortie::cli
