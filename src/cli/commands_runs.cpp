#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>
#include <map>
#include <thread>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "json/members.h"
#include "json/text.h"
#include "json/yaml.h"

namespace sortie::cli {
namespace {

const std::vector<Column> kRunColumns = {{"status", "STATUS"},      {"name", "NAME"},
                                         {"playbook", "PLAYBOOK"},  {"started_at", "STARTED"},
                                         {"stopped_at", "STOPPED"}, {"arn", "ARN", true}};

std::string last_part(const std::string& arn) { return arn.substr(arn.rfind(':') + 1); }

// Rows show the playbook's name; the ARN is there with -o wide.
json::Value with_playbook(const json::Value& row) {
  const json::Value& machine = row.get("state_machine");
  return json::ObjectBuilder(row)
      .set("playbook", machine.is_string() ? last_part(machine.to_std_string()) : "")
      .build();
}

// Rows of the listing until `take` wants no more. A search that finds little answers in many short pages.
Status each_run(const Client& client, const std::string& query,
                const std::function<bool(const json::Value&)>& take) {
  for (std::string cursor;;) {
    SORTIE_TRY(const json::Value page, client.get("/v1/executions?" + query + cursor));
    for (const json::Value& row : page.get("executions").items()) {
      if (!take(row)) return {};
    }
    if (!page.get("next").is_string()) return {};
    cursor = "&cursor=" + percent_encode(page.get("next").to_std_string());
  }
}

// An execution's ARN from an ARN, a name, or @latest.
Result<std::string> find_execution(const Client& client, const std::string& text) {
  if (text.starts_with("arn:")) return text;
  const std::string filter = text == "@latest" ? "" : "&name=" + percent_encode(text);
  std::string arn;
  SORTIE_TRY_STATUS(each_run(client, "limit=50" + filter, [&](const json::Value& row) {
    const bool is_it = text == "@latest" || json::text_member(row, "name") == text;
    if (is_it) arn = json::text_member(row, "arn");
    return !is_it;
  }));
  if (!arn.empty()) return arn;
  return Error{"NotFound", "there is no execution named '" + shown(text) + "'", "404",
               "see `sortie run list`"};
}

Result<json::Value> fetch(const Client& client, const std::string& arn) {
  return client.get("/v1/executions/" + percent_encode(arn));
}

int code_of_status(const std::string& status) {
  if (status == "SUCCEEDED") return kOk;
  if (status == "TIMED_OUT") return kTimedOut;
  return status == "RUNNING" ? kStillPending : kExecutionFailed;
}

// One line for an event: what happened to which state.
std::string event_line(const json::Value& event) {
  std::string line = json::text_member(event, "timestamp") + "  " + json::text_member(event, "type");
  for (const json::Member& member : event.members()) {
    if (!member.value.is_object()) continue;
    const std::string name = json::text_member(member.value, "name");
    const std::string error = json::text_member(member.value, "error");
    const std::string resource = json::text_member(member.value, "resource");
    if (!name.empty()) line += "  " + shown(name);
    if (!resource.empty()) line += "  " + shown(resource);
    if (!error.empty()) line += "  " + shown(error);
    const std::string cause = json::text_member(member.value, "cause");
    if (!cause.empty()) line += ": " + shown(truncate_utf8(cause, 200));
  }
  return line;
}

// The live tree: every state that was entered, with what became of it, redrawn in place.
class Tree {
 public:
  void take(const json::Value& event) {
    const std::string type = json::text_member(event, "type");
    const json::Value& entered = event.get("stateEnteredEventDetails");
    const json::Value& exited = event.get("stateExitedEventDetails");
    if (entered.is_object()) {
      states_[json::text_member(entered, "name")] = "running";
      remember(json::text_member(entered, "name"));
    }
    if (exited.is_object()) states_[json::text_member(exited, "name")] = "done";
    if (type.ends_with("Failed") || type.ends_with("TimedOut")) last_failure_ = event_line(event);
  }
  void draw(const std::string& status, const json::Value& waiting) {
    if (lines_ > 0) std::printf("\033[%zuA\033[J", lines_);
    lines_ = 0;
    put(painted(status));
    for (const std::string& name : order_) {
      const bool running = states_[name] == "running" && status == "RUNNING";
      put(std::string(running ? "  > " : "  . ") + shown(name) + (running ? "  ..." : ""));
    }
    if (!last_failure_.empty()) put("  ! " + last_failure_);
    for (const json::Value& sentence : waiting.items()) {
      if (sentence.is_string()) put("    " + shown(sentence.as_string()));
    }
    std::fflush(stdout);
  }

 private:
  void remember(const std::string& name) {
    if (std::find(order_.begin(), order_.end(), name) == order_.end()) order_.push_back(name);
  }
  void put(const std::string& line) {
    print_line(std::string(truncate_utf8(line, 160)));
    ++lines_;
  }

  std::map<std::string, std::string> states_;
  std::vector<std::string> order_;
  std::string last_failure_;
  std::size_t lines_ = 0;
};

// Takes the events after `from` and hands them over; answers the next id.
Result<std::int64_t> follow(const Client& client, const std::string& arn, std::int64_t from,
                            const std::function<void(const json::Value&)>& take) {
  while (true) {
    SORTIE_TRY(const json::Value page, client.get("/v1/executions/" + percent_encode(arn) +
                                                  "/history?limit=500&from=" + std::to_string(from)));
    const json::Value& events = page.get("events");
    for (const json::Value& event : events.items()) {
      take(event);
      if (event.get("id").is_integer()) from = event.get("id").as_integer() + 1;
    }
    if (events.size() < 500) return from;
  }
}

// A wait for a task token may be an approval: who reads that has to know what to do about it.
void tell_approvals(const Client& client, const std::string& arn) {
  const Result<json::Value> page =
      client.get("/v1/approvals?status=pending&execution=" + percent_encode(arn));
  if (!page) return;
  for (const json::Value& approval : page->get("approvals").items()) {
    const std::string id = shown(json::text_member(approval, "id"));
    print_line("it asks people: \"" + shown(json::text_member(approval, "title")) + "\", approval " + id +
               "; see `sortie approvals show " + id + "`, decide with `sortie approve` or `sortie reject`");
  }
}

// Until the execution has ended; `timeout_s` 0 waits for ever.
Result<json::Value> await_end(const Client& client, const std::string& arn, int timeout_s) {
  const auto began = std::chrono::steady_clock::now();
  int pause_ms = 50;
  while (true) {
    SORTIE_TRY(const json::Value now, fetch(client, arn));
    if (json::text_member(now, "status") != "RUNNING") return now;
    if (timeout_s > 0 && std::chrono::steady_clock::now() - began > std::chrono::seconds(timeout_s))
      return now;
    std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
    pause_ms = std::min(pause_ms * 2, 500);
  }
}

bool has_approval(const Client& client, const std::string& arn, const char* status) {
  const Result<json::Value> page =
      client.get("/v1/approvals?status=" + std::string(status) + "&execution=" + percent_encode(arn));
  return page && page->get("approvals").size() > 0;
}

// A script has to know whether a failure was people's decision, and whether people are what it waited for.
int code_after_wait(const Client& client, const std::string& arn, const std::string& status) {
  if (status == "RUNNING") return has_approval(client, arn, "pending") ? kStillPending : kTimedOut;
  const int code = code_of_status(status);
  return code == kExecutionFailed && has_approval(client, arn, "rejected") ? kRejected : code;
}

}  // namespace

Result<std::string> read_input(const std::string& file) {
  std::FILE* in = file == "-" ? stdin : std::fopen(file.c_str(), "rb");
  if (in == nullptr)
    return Error{"NotFound", "the file " + file + " cannot be read", "", "give a path, or - for stdin"};
  std::string text;
  char buffer[65536];
  for (std::size_t got = 0; (got = std::fread(buffer, 1, sizeof buffer, in)) > 0;) text.append(buffer, got);
  const bool bad = std::ferror(in) != 0;
  if (in != stdin) std::fclose(in);
  if (bad) return Error{"IoError", "the file " + file + " cannot be read", "", ""};
  return text;
}

int run_start(const Common& common, const RunStart& what) {
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  json::ObjectBuilder body;
  body.append("playbook", what.playbook);
  if (!what.name.empty()) body.append("name", what.name);
  if (!what.input_file.empty()) {
    const Result<std::string> text = read_input(what.input_file);
    if (!text) return report(text.error());
    Result<json::Value> input = json::parse(*text);
    if (!input) {
      Error error = input.error();
      error.message = "the input is no JSON: " + error.message;
      error.place = json::place_in_file(what.input_file, error.place);
      return report(error);
    }
    body.append("input", std::move(input).value());
  }
  const Result<json::Value> started = client->post("/v1/executions", body.build());
  if (!started) return report(started.error());
  const std::string arn = json::text_member(*started, "arn");
  if (!what.wait) {
    print_object(*started, "arn", common.output);
    return kOk;
  }
  std::fprintf(stderr, "started %s\n", arn.c_str());
  const Result<json::Value> ended = await_end(*client, arn, what.timeout_s);
  if (!ended) return report(ended.error());
  print_object(*ended, "arn", common.output);
  return code_after_wait(*client, arn, json::text_member(*ended, "status"));
}

int run_list(const Common& common, const RunList& what) {
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  std::string query = "limit=" + std::to_string(std::min(what.limit, 1000));
  if (!what.status.empty()) query += "&status=" + percent_encode(what.status);
  if (!what.playbook.empty()) query += "&state_machine=" + percent_encode(what.playbook);
  if (!what.name.empty()) query += "&name=" + percent_encode(what.name);
  if (!what.search.empty()) query += "&q=" + percent_encode(what.search);
  std::vector<json::Value> rows;
  const Status done = each_run(*client, query, [&](const json::Value& row) {
    rows.push_back(with_playbook(row));
    return rows.size() < static_cast<std::size_t>(what.limit);
  });
  if (!done) return report(done.error());
  return print_rows(rows, kRunColumns, "arn", common.output);
}

int run_show(const Common& common, const std::string& execution) {
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  const Result<std::string> arn = find_execution(*client, execution);
  if (!arn) return report(arn.error());
  const Result<json::Value> row = fetch(*client, *arn);
  if (!row) return report(row.error());
  print_object(*row, "arn", common.output);
  return kOk;
}

int run_watch(const Common& common, const std::string& execution) {
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  const Result<std::string> arn = find_execution(*client, execution);
  if (!arn) return report(arn.error());
  const bool tree_wanted = is_terminal_output() && common.output.format == "text";
  Tree tree;
  std::int64_t next = 1;
  while (true) {
    const Result<json::Value> now = fetch(*client, *arn);
    if (!now) return report(now.error());
    const Result<std::int64_t> after = follow(*client, *arn, next, [&](const json::Value& event) {
      tree.take(event);
      if (tree_wanted) return;
      print_line(common.output.format == "text" || common.output.format == "wide" ? event_line(event)
                                                                                  : json::to_text(event));
    });
    if (!after) return report(after.error());
    next = *after;
    const std::string status = json::text_member(*now, "status");
    if (tree_wanted) tree.draw(status, now->get("waiting"));
    std::fflush(stdout);
    if (status != "RUNNING") {
      if (!tree_wanted) std::fprintf(stderr, "%s\n", status.c_str());
      return code_of_status(status);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(tree_wanted ? 300 : 500));
  }
}

int run_stop(const Common& common, const std::string& execution, const std::string& reason) {
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  const Result<std::string> arn = find_execution(*client, execution);
  if (!arn) return report(arn.error());
  const Result<json::Value> done = client->post("/v1/executions/" + percent_encode(*arn) + "/stop",
                                                json::Value::object({{"reason", reason}}));
  if (!done) return report(done.error());
  print_object(*done, "arn", common.output);
  return kOk;
}

int run_redrive(const Common& common, const std::string& execution) {
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  const Result<std::string> arn = find_execution(*client, execution);
  if (!arn) return report(arn.error());
  const Result<json::Value> done = client->post("/v1/executions/" + percent_encode(*arn) + "/redrive",
                                                json::Value::object(std::vector<json::Member>()));
  if (!done) return report(done.error());
  print_object(*done, "arn", common.output);
  return kOk;
}

int run_explain(const Common& common, const std::string& execution) {
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  const Result<std::string> arn = find_execution(*client, execution);
  if (!arn) return report(arn.error());
  const Result<json::Value> why = client->get("/v1/executions/" + percent_encode(*arn) + "/explain");
  if (!why) return report(why.error());
  if (common.output.format == "json" || common.output.format == "jsonl") {
    print_object(*why, "arn", common.output);
    return kOk;
  }
  const json::Value& waiting = why->get("waiting");
  if (waiting.empty()) print_line("it is not waiting: its status is " + json::text_member(*why, "status"));
  for (const json::Value& reason : waiting.items()) {
    print_line(shown(reason.is_string() ? reason.to_std_string() : json::text_member(reason, "sentence")));
  }
  tell_approvals(*client, *arn);
  return kOk;
}

}  // namespace sortie::cli
