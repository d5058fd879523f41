// Commands that need no server: init, check, backup, restore, doctor, version.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/exit_code.h"
#include "cli/function_options.h"
#include "cli/installation.h"
#include "cli/project.h"
#include "functions/function_service.h"
#include "io/event_loop.h"
#include "io/file.h"
#include "json/text.h"
#include "runtime/check.h"
#include "store/postgres/postgres_store.h"
#include "store/sqlite/sqlite_store.h"

namespace sortie::cli {
namespace {

int print_findings(const std::vector<std::string>& findings, const OutputOptions& output) {
  if (output.format == "json" || output.format == "jsonl") {
    std::vector<json::Value> list(findings.begin(), findings.end());
    print_line(json::to_text(json::Value::object({{"findings", json::Value::array(std::move(list))}})));
  } else {
    for (const std::string& finding : findings) print_line(shown(finding));
    if (findings.empty()) print_line("every invariant holds");
  }
  return findings.empty() ? kOk : kFailed;
}

struct OpenedStore {
  std::unique_ptr<io::EventLoop> loop;
  std::unique_ptr<store::Store> store;
};

Result<OpenedStore> open_store(const std::string& folder) {
  if (!io::path_exists(folder + "/sortie.db")) {
    return Error{"NotFound", folder + " holds no store (sortie.db is missing)", "404",
                 "name the data folder by --data"};
  }
  OpenedStore opened;
  opened.loop = std::make_unique<io::EventLoop>();
  store::SqliteOptions options;
  options.folder = folder;
  options.loop = opened.loop.get();
  SORTIE_TRY(opened.store, store::open_sqlite_store(std::move(options)));
  return opened;
}

// Another store than that of a data folder; a server may be running on it.
int check_postgres(const std::string& url, const OutputOptions& output) {
  io::EventLoop loop;
  store::PostgresOptions options;
  const Result<std::string> resolved = resolve_store_url(url, "");
  if (!resolved) return report(resolved.error());
  options.url = *resolved;
  options.loop = &loop;
  const auto opened = store::open_postgres_store(std::move(options));
  if (!opened) return report(opened.error());
  const auto findings = runtime::check_store(**opened);
  return findings ? print_findings(*findings, output) : report(findings.error());
}

// What the server that holds the folder answers; without sortie.db it may be one that keeps its executions in
// another store. `refused` says why the store was not opened here, and stands when there is no server to ask.
Result<json::Value> ask_holder(const Error& refused, const std::string& folder,
                               const std::function<Result<json::Value>(const Client&)>& call) {
  const bool held = refused.code == "StoreInUse";
  if (!held && refused.code != "NotFound") return refused;
  const Result<Client> client = Client::connect({"", folder});
  if (!client) return held ? client.error() : refused;
  return call(*client);
}

bool write_new(const std::string& path, const std::string& text) {
  const Status status = io::write_file_atomically(path, text, 0644);
  if (!status) report(status.error());
  return status.ok();
}

}  // namespace

int check(const Common& common, const std::string& store_url) {
  if (!store_url.empty()) return check_postgres(store_url, common.output);
  const std::string folder = data_folder_of(common.client.data_folder);
  Result<OpenedStore> opened = open_store(folder);
  if (opened) {
    const auto findings = runtime::check_store(*opened->store);
    return findings ? print_findings(*findings, common.output) : report(findings.error());
  }
  const Result<json::Value> answer = ask_holder(
      opened.error(), folder, [](const Client& server) { return server.get("/v1/operator/check"); });
  if (!answer) return report(answer.error());
  std::vector<std::string> findings;
  for (const json::Value& finding : answer->get("findings").items())
    findings.push_back(finding.to_std_string());
  return print_findings(findings, common.output);
}

int backup(const Common& common, const std::string& file) {
  const std::string folder = data_folder_of(common.client.data_folder);
  std::error_code unknown;
  const std::string path = std::filesystem::absolute(file, unknown);  // The server is somewhere else.
  if (unknown) return report({"NotFound", "the current folder cannot be found", "", "name FILE from / on"});
  Result<OpenedStore> opened = open_store(folder);
  if (opened) {
    const Status status = opened->store->backup(path);
    if (!status) return report(status.error());
  } else {
    const Result<json::Value> done = ask_holder(opened.error(), folder, [&path](const Client& server) {
      return server.post("/v1/operator/backup", json::Value::object({{"file", path}}));
    });
    if (!done) return report(done.error());
  }
  print_line(path);
  return kOk;
}

int restore(const Common& common, const std::string& file) {
  const std::string folder = data_folder_of(common.client.data_folder);
  for (const char* ending : {"", "-wal", "-shm"}) {
    if (!io::path_exists(folder + "/sortie.db" + ending)) continue;
    return report({"AlreadyExists", folder + " already holds a store", "",
                   "move sortie.db (and -wal, -shm) away first; nothing is overwritten"});
  }
  std::ifstream backup(file, std::ios::binary);
  std::string head(16, '\0');
  if (!backup) return report(io::errno_error(errno, "cannot read", file));
  backup.read(head.data(), static_cast<std::streamsize>(head.size()));
  if (!head.starts_with("SQLite format 3")) {
    return report(
        {"StoreCorrupt", file + " is no backup of a store", "", "make one with `sortie backup FILE`"});
  }
  if (const Status status = store::restore_sqlite_folder(file, folder); !status) {
    return report(status.error());
  }
  Result<OpenedStore> opened = open_store(folder);
  if (!opened) return report(opened.error());
  const auto findings = runtime::check_store(*opened->store);
  if (!findings) return report(findings.error());
  if (!findings->empty()) return print_findings(*findings, common.output);
  print_line(folder);
  return kOk;
}

int doctor(const std::string& project, const std::string& data_folder) {
  int problems = 0;
  const auto say = [&problems](bool fine, const std::string& what) {
    if (!fine) ++problems;
    print_line((fine ? "ok    " : "wrong ") + what);
  };
  const Installation installation = find_installation();
  say(!installation.share.empty(),
      "the program's files: " +
          (installation.share.empty() ? "missing, run `make build`" : installation.share));
  say(!installation.python.empty(),
      "the Python environment: " +
          (installation.python.empty() ? "missing, run `make build`" : installation.python));
  say(std::system("node --version >/dev/null 2>&1") == 0, "node, for functions of the nodejs runtimes");
  const LoadedConfig loaded = load_config(project);
  for (const Error& problem : loaded.problems) say(false, to_text(problem));
  if (!project.empty()) {
    const Project read = load_project(loaded.config);
    for (const Error& problem : read.problems) say(false, to_text(problem));
    say(true, std::to_string(read.playbooks.size()) + " playbooks and " + std::to_string(read.rules.size()) +
                  " rules can be used");
  }
  say(true, loaded.config.endpoint_url.empty() ? "tasks act on real AWS"
                                               : "tasks act on " + loaded.config.endpoint_url);
  io::EventLoop loop;
  io::SystemRandom random;
  const auto where = parse_listen(loaded.config.listen);
  auto service = functions::FunctionService::make(
      loop, random, function_options(loaded.config, installation, where && where->is_loopback()),
      functions::make_shared_credential_source({}));
  if (!service) {
    say(false, to_text(service.error()));
  } else {
    for (const std::string& line : (*service)->sandbox_report())
      say((*service)->sandbox_is_complete(), "sandbox: " + line);
  }
  const std::string folder = data_folder_of(data_folder);
  if (io::path_exists(folder + "/server.json")) {
    const Result<Client> client = Client::connect({"", folder});
    const bool up = client.ok() && client->get("/v1/whoami").ok();
    print_line(up ? "ok    a server answers at " + client->url() : "note  no server answers for " + folder);
  }
  return problems == 0 ? kOk : kFailed;
}

int version() {
  print_line(std::string("sortie ") + kVersion);
  return kOk;
}

constexpr const char* kInitialConfiguration =
    "# Sortie's configuration. Every key may be left out; what stands here is the default.\n"
    "aws:\n"
    "  account: \"123456789012\"   # ARNs of this folder are made of it\n"
    "  region: us-east-1\n"
    "  # endpoint_url: http://127.0.0.1:5000   # a stand-in account; unset means real AWS\n"
    "# accounts: [\"210987654321\"]           # further accounts, each with keys of its own\n"
    "listen: 127.0.0.1:8420\n"
    "compatibility: default               # strict: refuse whatever AWS would refuse\n"
    "functions:\n"
    "  sandbox: preferred                 # required, preferred, off\n"
    "  network:\n"
    "    mode: private                    # own network without instance metadata; isolated, host\n"
    "    loopback: open                   # what they reach of this machine's loopback; listed: only\n"
    "    allow: []                        # these, e.g. [127.0.0.1:5432, env:SLACK_WEBHOOK_URL]\n"
    "# defaults: {retry: [{ErrorEquals: [Lambda.ServiceException], MaxAttempts: 6}]}   # of Tasks without "
    "Retry\n"
    "# http_tasks: {private_hosts: [intranet.example]}   # where HTTP tasks may go besides public addresses\n"
    "approvals:\n"
    "  queues:                            # messages to these queues are approvals\n"
    "    - {queue: approvals, policy: default}\n"
    "retention:\n"
    "  executions: 90d\n"
    "  events: 90d\n";

int init_project(const std::string& folder) {
  if (io::path_exists(folder + "/sortie.yaml")) {
    return report({"AlreadyExists", folder + "/sortie.yaml is already there", "", "choose another folder"});
  }
  for (const char* part : {"/playbooks", "/functions/Greet", "/rules", "/policies", "/tests"}) {
    if (const Status status = io::make_directories(folder + part); !status) return report(status.error());
  }
  const bool written =
      write_new(folder + "/sortie.yaml", kInitialConfiguration) &&
      write_new(folder + "/playbooks/hello.asl.json",
                "{\n"
                "  \"Comment\": \"Greets whoever the event names.\",\n"
                "  \"StartAt\": \"Greet\",\n"
                "  \"States\": {\n"
                "    \"Greet\": {\n"
                "      \"Type\": \"Task\",\n"
                "      \"Resource\": \"arn:aws:lambda:us-east-1:123456789012:function:Greet\",\n"
                "      \"Retry\": [{\"ErrorEquals\": [\"States.ALL\"], \"IntervalSeconds\": 1, "
                "\"MaxAttempts\": 2}],\n"
                "      \"End\": true\n"
                "    }\n"
                "  }\n"
                "}\n") &&
      write_new(folder + "/functions/Greet/function.yaml",
                "description: Says hello\nruntime: python3.11\nhandler: handler.lambda_handler\ntimeout: "
                "10\nmemory: 128\n"
                "actions: []   # what it may call, e.g. [ec2:DescribeInstances]\n") &&
      write_new(folder + "/functions/Greet/handler.py",
                "def lambda_handler(event, context):\n"
                "    return {\"greeting\": f\"Hello, {event.get('name', 'world')}!\"}\n") &&
      write_new(folder + "/rules/hello.yaml",
                "# Starts the playbook for every event with this source.\n"
                "EventPattern:\n  source: [my.app]\n"
                "Targets:\n  - Id: hello\n    Arn: arn:aws:states:us-east-1:123456789012:stateMachine:hello\n"
                "    InputPath: $.detail\n") &&
      write_new(folder + "/tests/hello.test.yaml",
                "# What the playbook has to do; run with: sortie test\n"
                "playbook: hello\n"
                "tests:\n"
                "  - name: greets by name\n"
                "    input: {name: Ada}\n"
                "    mock:\n      Greet: [{return: {greeting: \"Hello, Ada!\"}}]\n"
                "    expect:\n      status: SUCCEEDED\n      output: {greeting: \"Hello, Ada!\"}\n      "
                "path: [Greet]\n") &&
      write_new(folder + "/.gitignore", ".sortie/\n");
  if (!written) return kFailed;
  std::fprintf(
      stderr,
      "made %s; now:\n  cd %s && sortie dev\n  sortie run start hello --wait      (in another terminal)\n"
      "  sortie library list                (playbooks and functions to add)\n",
      folder.c_str(), folder.c_str());
  return kOk;
}

}  // namespace sortie::cli
