#pragma once
// What each command of the contract does. Every function answers the exit code; data goes to stdout, the rest
// to stderr. command_line.cpp reads the words and calls these.
#include <string>
#include <vector>

#include "cli/client.h"
#include "cli/output.h"

namespace sortie::cli {

struct Common {
  ClientOptions client;
  OutputOptions output;
};

// commands_runs.cpp
struct RunStart {
  std::string playbook, input_file, name;
  bool wait = false;
  int timeout_s = 0;  // With wait; 0: none.
};
int run_start(const Common& common, const RunStart& what);
struct RunList {
  std::string status, playbook, name, search;
  int limit = 50;
};
int run_list(const Common& common, const RunList& what);
int run_show(const Common& common, const std::string& execution);
int run_watch(const Common& common, const std::string& execution);
int run_stop(const Common& common, const std::string& execution, const std::string& reason);
int run_redrive(const Common& common, const std::string& execution);
int run_explain(const Common& common, const std::string& execution);

// commands_people.cpp
int approvals_list(const Common& common, const std::string& status);
int approvals_show(const Common& common, const std::string& id);
int decide(const Common& common, const std::string& id, bool approve, const std::string& reason,
           const std::string& plan_hash);
int user_add(const Common& common, const std::string& name, const std::vector<std::string>& groups);
int user_list(const Common& common);
int user_remove(const Common& common, const std::string& name);
int login_link(const Common& common, const std::string& name);
int print_env(const Common& common, const std::string& account, const std::string& user);
int audit_export(const Common& common);

// commands_events.cpp
int event_send(const Common& common, const std::string& file, const std::string& bus);
struct EventList {
  std::string source, type, text;
  int limit = 50;
};
int event_list(const Common& common, const EventList& what);
int event_show(const Common& common, const std::string& id);
int function_invoke(const Common& common, const std::string& name, const std::string& payload_file);
int function_list(const Common& common);
int function_logs(const Common& common, const std::string& name, const std::string& request_id);
int playbook_list(const Common& common);

// commands_playbooks.cpp
int playbook_publish(const Common& common, const std::string& file, const std::string& role);
struct PlaybookLint {
  std::vector<std::string> files;
  std::string format = "text";  // text, json, sarif
  bool fix = false;             // Writes defaults.retry into the files first.
};
int playbook_lint(const PlaybookLint& what);
int playbook_graph(const std::string& file, const std::string& format);

// commands_library.cpp
int library_list(const OutputOptions& output);
int library_add(const std::vector<std::string>& names, const std::string& project);

// commands_local.cpp
struct Eval {
  std::string language, expression, input_file, mode = "aws";
};
int eval(const Eval& what);
int init_project(const std::string& folder);
int check(const Common& common, const std::string& store_url);
int backup(const Common& common, const std::string& file);
int restore(const Common& common, const std::string& file);
int doctor(const std::string& project, const std::string& data_folder);
int version();

// A file's text; "-" is stdin.
Result<std::string> read_input(const std::string& file);

}  // namespace sortie::cli
