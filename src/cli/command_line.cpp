// The words of the command line. Commands are in commands_*.cpp; this file alone sees CLI11, which is heavy.
#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>

#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/exit_code.h"
#include "cli/installation.h"
#include "cli/output.h"
#include "cli/playbook_tests.h"
#include "cli/serve.h"

namespace sortie::cli {
namespace {

class CommandLine {
 public:
  CommandLine()
      : app_("Sortie, a security response platform: detections in, playbooks run, threats contained.",
             "sortie") {
    app_.require_subcommand(1);
    app_.set_version_flag("--version", std::string("sortie ") + kVersion, "the version");
    app_.set_help_all_flag("--help-all", "help of every command");
    add_server_commands();
    add_run_commands();
    add_people_commands();
    add_event_commands();
    add_local_commands();
  }

  int run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() != 0) name_unknown_command(argc, argv);
      const int code = app_.exit(error);
      return printed(code == 0 ? kOk : kUsage);
    }
    return printed(action_ ? action_() : kUsage);
  }

 private:
  using Action = std::function<int()>;

  // What was printed has to have arrived: half an export on a full disk is no export.
  static int printed(int code) {
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
    const int failed = report({"IoError", "the output could not be written", "", "is the disk full?"});
    return code == kOk ? failed : code;
  }

  // The parser only says that a command is missing.
  void name_unknown_command(int argc, char** argv) const {
    const CLI::App* at = &app_;
    for (int i = 1; i < argc && argv[i][0] != '-'; ++i) {
      const auto named = at->get_subcommands([&](const CLI::App* sub) { return sub->get_name() == argv[i]; });
      if (named.empty()) {
        if (at->get_require_subcommand_min() == 0) return;
        std::fprintf(stderr, "sortie: '%s' is no command\n", shown(argv[i]).c_str());
        return;
      }
      at = named.front();
    }
  }

  CLI::App* add(CLI::App* parent, const std::string& name, const std::string& help, Action action) {
    CLI::App* command = parent->add_subcommand(name, help);
    if (action) {
      command->callback([this, action = std::move(action)] { action_ = action; });
    } else {
      command->require_subcommand(1);
    }
    return command;
  }

  // A command that talks to a server and prints.
  CLI::App* add_client(CLI::App* parent, const std::string& name, const std::string& help, Action action) {
    CLI::App* command = add(parent, name, help, std::move(action));
    command->add_option("--server", common_.client.server,
                        "the server's URL (default: SORTIE_SERVER, or the data folder)");
    add_data(command);
    command->add_option("-o,--output", common_.output.format, "text, wide, json, jsonl or name")
        ->check(CLI::IsMember({"text", "wide", "json", "jsonl", "name"}));
    command->add_option("--columns", common_.output.columns, "columns to show")
        ->delimiter(',')
        ->allow_extra_args(false);
    return command;
  }

  void add_data(CLI::App* command) {
    command->add_option("--data", common_.client.data_folder, "the data folder (default: .sortie)");
  }

  void add_server_commands() {
    CLI::App* serve_command =
        add(&app_, "serve", "run the server in the foreground", [this] { return serve(serve_, false); });
    serve_command->add_option("--project", serve_.project, "a project folder; without it an empty server");
    serve_command->add_option("--data", serve_.data_folder,
                              "the data folder (default: .sortie of the project or here)");
    serve_command->add_option("--listen", serve_.listen,
                              "HOST:PORT, default 127.0.0.1:8420; port 0 picks a free one");
    serve_command->add_option(
        "--store", serve_.store_url,
        "postgres://USER@HOST/DATABASE (or env:NAME, file:PATH that hold it) for several"
        " nodes; default: SQLite in the data folder");
    serve_command->add_option("--advertise", serve_.advertise_url,
                              "URL under which other nodes reach this one (default: where it listens)");
    CLI::App* dev = add(&app_, "dev", "serve a project with hot reload", [this] {
      serve_.hot_reload = true;
      if (serve_.project.empty()) serve_.project = ".";
      return serve(serve_, true);
    });
    dev->add_option("DIR", serve_.project, "the project folder (default: here)");
    dev->add_option("--listen", serve_.listen, "HOST:PORT");
    dev->add_option("--data", serve_.data_folder, "the data folder");
    CLI::App* init =
        add(&app_, "init", "a new project folder that works at once", [this] { return init_project(text_); });
    text_ = ".";
    init->add_option("DIR", text_, "the folder (default: here)");
  }

  void add_run_commands() {
    CLI::App* run =
        add(&app_, "run", "executions: start, list, show, watch, stop, redrive, explain", nullptr);
    CLI::App* start =
        add_client(run, "start", "start a playbook", [this] { return run_start(common_, start_); });
    start->add_option("PLAYBOOK", start_.playbook, "its name or ARN")->required();
    start->add_option("--input", start_.input_file, "a JSON file, or - for stdin");
    start->add_option("--name", start_.name, "the execution's name");
    start->add_flag("--wait", start_.wait,
                    "wait for its end; exit 3 if it failed, 5 if it timed out, 6 if people rejected it, 7 "
                    "if --timeout ran out while people are asked");
    start->add_option("--timeout", start_.timeout_s, "seconds to wait at most")->check(CLI::PositiveNumber);
    CLI::App* list =
        add_client(run, "list", "executions, newest first", [this] { return run_list(common_, list_); });
    list->add_option("--status", list_.status, "RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED");
    list->add_option("--playbook", list_.playbook, "only of this playbook");
    list->add_option("--name", list_.name, "names that begin so");
    list->add_option(
        "-q,--search", list_.search,
        "words as the console takes them: status:failed playbook:ir-* started:>-2h has:approval");
    list->add_option("--limit", list_.limit, "how many");
    add_execution(run, "show", "one execution", [this] { return run_show(common_, id_); });
    add_execution(run, "watch", "follow it: a live tree on a terminal, lines elsewhere",
                  [this] { return run_watch(common_, id_); });
    add_execution(run, "stop", "stop it", [this] { return run_stop(common_, id_, reason_); })
        ->add_option("--reason", reason_, "why")
        ->required();
    add_execution(run, "redrive", "run a failed one again from where it failed",
                  [this] { return run_redrive(common_, id_); });
    add_execution(run, "explain", "why it waits, in one sentence",
                  [this] { return run_explain(common_, id_); });
  }

  CLI::App* add_execution(CLI::App* parent, const std::string& name, const std::string& help, Action action) {
    CLI::App* command = add_client(parent, name, help, std::move(action));
    command->add_option("EXECUTION", id_, "its ARN or name, or @latest")->required();
    return command;
  }

  void add_people_commands() {
    CLI::App* approvals = add(&app_, "approvals", "what waits for a person's decision", nullptr);
    add_client(approvals, "list", "approvals, newest first", [this] {
      return approvals_list(common_, text_value_);
    })->add_option("--status", text_value_, "PENDING, APPROVED, REJECTED, EXPIRED, ...");
    add_client(approvals, "show", "one approval with what will be done",
               [this] { return approvals_show(common_, id_); })
        ->add_option("ID", id_, "")
        ->required();
    for (const bool yes : {true, false}) {
      CLI::App* command = add_client(&app_, yes ? "approve" : "reject",
                                     yes ? "approve what is asked" : "reject what is asked",
                                     [this, yes] { return decide(common_, id_, yes, reason_, hash_); });
      command->add_option("ID", id_, "the approval")->required();
      command->add_option("--reason", reason_, "why; it is kept")->required();
      command->add_option("--plan-hash", hash_, "the plan that was reviewed; refused (9) if it has changed");
    }
    CLI::App* user = add(&app_, "user", "people: add, list, remove", nullptr);
    CLI::App* add_user = add_client(user, "add", "add a person; prints a token once",
                                    [this] { return user_add(common_, id_, groups_); });
    add_user->add_option("NAME", id_, "")->required();
    add_user->add_option("--group", groups_, "a group; may be repeated")->allow_extra_args(false);
    add_client(user, "list", "people", [this] { return user_list(common_); });
    add_client(user, "remove", "remove a person", [this] { return user_remove(common_, id_); })
        ->add_option("NAME", id_, "")
        ->required();
    add_client(&app_, "login-link", "a one-time link into the console",
               [this] { return login_link(common_, id_); })
        ->add_option("NAME", id_, "")
        ->required();
    CLI::App* env = add_client(&app_, "env", "export lines that point SDKs at the server",
                               [this] { return print_env(common_, account_, user_); });
    env->add_option("--account", account_, "which account's key");
    env->add_option("--user", user_, "a person's own key");
    CLI::App* audit = add(&app_, "audit", "the audit trail", nullptr);
    add_client(audit, "export", "all of it as JSON Lines", [this] { return audit_export(common_); });
  }

  void add_event_commands() {
    CLI::App* event = add(&app_, "event", "events: send, list, show", nullptr);
    CLI::App* send = add_client(event, "send", "send an event from a file",
                                [this] { return event_send(common_, file_, bus_); });
    send->add_option("FILE", file_, "JSON as EventBridge delivers it, or - for stdin")->required();
    send->add_option("--bus", bus_, "another bus than the default");
    CLI::App* list =
        add_client(event, "list", "events, newest first", [this] { return event_list(common_, events_); });
    list->add_option("--source", events_.source, "a source; a trailing * means prefix");
    list->add_option("--type", events_.type, "a detail type");
    list->add_option("--text", events_.text, "text that occurs in it");
    list->add_option("--limit", events_.limit, "how many");
    add_client(event, "show", "one event and what became of it", [this] { return event_show(common_, id_); })
        ->add_option("ID", id_, "")
        ->required();
    CLI::App* function = add(&app_, "function", "functions: invoke, list, logs", nullptr);
    CLI::App* invoke =
        add_client(function, "invoke", "invoke one", [this] { return function_invoke(common_, id_, file_); });
    invoke->add_option("NAME", id_, "")->required();
    invoke->add_option("--payload", file_, "a JSON file, or - for stdin");
    add_client(function, "list", "functions", [this] { return function_list(common_); });
    CLI::App* logs = add_client(function, "logs", "what they printed",
                                [this] { return function_logs(common_, id_, request_); });
    logs->add_option("NAME", id_, "")->required();
    logs->add_option("--request", request_, "only this invocation");
  }

  void add_local_commands() {
    CLI::App* playbook = add(&app_, "playbook", "definitions: lint, graph, publish, list", nullptr);
    CLI::App* lint = add(playbook, "lint", "what would go wrong; exit 10 with findings",
                         [this] { return playbook_lint(lint_); });
    lint->add_option("FILE", lint_.files, "playbooks")->required();
    lint->add_flag("--fix", lint_.fix, "write defaults.retry of sortie.yaml into Tasks without Retry");
    lint->add_option("-o,--output", lint_.format, "text, json or sarif")
        ->check(CLI::IsMember({"text", "json", "sarif"}));
    CLI::App* graph =
        add(playbook, "graph", "its graph", [this] { return playbook_graph(file_, graph_format_); });
    graph->add_option("FILE", file_, "a playbook")->required();
    graph->add_option("-o,--output", graph_format_, "text, mermaid or dot")
        ->check(CLI::IsMember({"text", "mermaid", "dot"}));
    CLI::App* publish = add_client(playbook, "publish", "put a file in force on a server",
                                   [this] { return playbook_publish(common_, file_, role_); });
    publish->add_option("FILE", file_, "a playbook")->required();
    publish->add_option("--role", role_, "its role's ARN");
    add_client(playbook, "list", "playbooks of a server", [this] { return playbook_list(common_); });
    add_library_commands();
    CLI::App* eval_command =
        add(&app_, "eval", "one expression, or JSON Lines in and out", [this] { return eval(eval_); });
    eval_command->add_option("--language", eval_.language, "jsonpath, intrinsic, jsonata or pattern")
        ->required();
    eval_command->add_option("EXPRESSION", eval_.expression, "without it, lines are read from stdin");
    eval_command->add_option("--input", eval_.input_file, "a JSON file, or - for stdin");
    eval_command->add_option("--mode", eval_.mode, "aws or standard")
        ->check(CLI::IsMember({"aws", "standard"}));
    CLI::App* test = add(&app_, "test", "playbook tests of tests/*.test.yaml; exit 10 if one fails",
                         [this] { return run_playbook_tests(files_); });
    test->add_option("FILE", files_, "test files (default: tests/*.test.yaml)");
    add_client(&app_, "check", "verify every invariant of a store, stopped or running", [this] {
      return check(common_, text_value_);
    })->add_option("--store", text_value_, "a PostgreSQL store, read directly");
    add_client(&app_, "backup", "a consistent copy while running", [this] { return backup(common_, file_); })
        ->add_option("FILE", file_, "")
        ->required();
    add_client(&app_, "restore", "a data folder from a copy", [this] { return restore(common_, file_); })
        ->add_option("FILE", file_, "")
        ->required();
    CLI::App* doctor_command = add(&app_, "doctor", "what is missing or wrong here",
                                   [this] { return doctor(serve_.project, common_.client.data_folder); });
    doctor_command->add_option("--project", serve_.project, "a project folder");
    add_data(doctor_command);
    add(&app_, "version", "the version", [] { return version(); });
    CLI::App* completion = add(&app_, "completion", "shell completion: bash, zsh, fish",
                               [this] { return print_completion(shell_, words()); });
    completion->add_option("SHELL", shell_, "")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  }

  void add_library_commands() {
    CLI::App* library = add(&app_, "library", "playbooks and functions that come with the program", nullptr);
    CLI::App* list = add(library, "list", "what there is", [this] { return library_list(common_.output); });
    list->add_option("-o,--output", common_.output.format, "text, wide, json, jsonl or name")
        ->check(CLI::IsMember({"text", "wide", "json", "jsonl", "name"}));
    CLI::App* take = add(library, "add", "copy some into a project, with what they need",
                         [this] { return library_add(files_, serve_.project); });
    take->add_option("NAME", files_, "playbooks and functions")->required();
    take->add_option("--project", serve_.project, "the project folder (default: here)");
  }

  // Every command with its sub-commands and options, for completion.
  std::vector<CompletionWord> words() {
    std::vector<CompletionWord> out;
    const std::function<void(const CLI::App*, const std::string&)> walk = [&](const CLI::App* command,
                                                                              const std::string& path) {
      CompletionWord word{path, {}, command->get_description()};
      for (const CLI::App* sub : command->get_subcommands([](const CLI::App*) { return true; }))
        word.next.push_back(sub->get_name());
      for (const CLI::Option* option : command->get_options()) {
        for (const std::string& name : option->get_lnames()) word.next.push_back("--" + name);
      }
      out.push_back(std::move(word));
      for (const CLI::App* sub : command->get_subcommands([](const CLI::App*) { return true; })) {
        walk(sub, path.empty() ? sub->get_name() : path + " " + sub->get_name());
      }
    };
    walk(&app_, "");
    return out;
  }

  CLI::App app_;
  Action action_;
  Common common_;
  ServeOptions serve_;
  RunStart start_;
  RunList list_;
  EventList events_;
  Eval eval_;
  std::string text_, text_value_, id_, reason_, hash_, account_, user_, file_, bus_, request_, role_, shell_;
  PlaybookLint lint_;
  std::string graph_format_ = "text";
  std::vector<std::string> groups_, files_;
};

}  // namespace

int run_command_line(int argc, char** argv) { return CommandLine().run(argc, argv); }

}  // namespace sortie::cli
