#include "cli/server_app.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "api/rest_routes.h"
#include "base/hash.h"
#include "base/text.h"
#include "cli/exit_code.h"
#include "cli/function_options.h"
#include "cli/log.h"
#include "integrations/worker_process.h"
#include "io/file.h"
#include "json/text.h"

namespace sortie::cli {
namespace {

constexpr std::int64_t kProjectWatchMs = 700;
constexpr std::int64_t kAuditStepMs = 100;
constexpr std::size_t kHttpInFlightMax = 128;  // Of each worker for HTTP tasks: they mostly wait.

// What the SDK worker may see of our environment: the ordinary SDK variables and nothing else.
std::vector<std::string> sdk_environment() {
  std::vector<std::string> out;
  for (const char* name :
       {"PATH", "HOME", "LANG", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
        "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE",
        "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"}) {
    if (const char* value = std::getenv(name)) out.push_back(std::string(name) + "=" + value);
  }
  return out;
}

bool has_sdk_credentials() {
  for (const char* name : {"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
                           "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return true;
  }
  return false;
}

// Connections may not use up the descriptors that the store, workers and answers need.
std::size_t connections_max() {
  constexpr std::size_t kReserved = 512, kMost = 4'096, kLeast = 64;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return kLeast;
  const std::size_t descriptors = std::min<rlim_t>(limit.rlim_cur, kReserved + kMost);
  return std::max(kLeast, descriptors > kReserved ? descriptors - kReserved : 0);
}

}  // namespace

ServerApp::ServerApp(io::EventLoop& loop, ServeOptions options, Config config)
    : loop_(loop),
      options_(std::move(options)),
      config_(std::move(config)),
      installation_(find_installation()) {}

ServerApp::~ServerApp() {
  {
    const std::lock_guard lock(store_reach_->mutex);
    store_reach_->store = nullptr;
  }
  if (dispatcher_) dispatcher_->stop();
  if (intake_) intake_->stop();
  if (bus_) bus_->stop();
}

Result<std::unique_ptr<ServerApp>> ServerApp::make(io::EventLoop& loop, const ServeOptions& options) {
  if (!options.project.empty() && !io::is_directory(options.project)) {
    return Error{"NotFound", "there is no project folder " + options.project, "",
                 "name one that is there, or make one with `sortie init`"};
  }
  LoadedConfig loaded = load_config(options.project);
  for (const Error& problem : loaded.problems) log(LogLevel::kError, "configuration", problem);
  if (!loaded.problems.empty() && !options.hot_reload) {
    Error error = loaded.problems.front();
    error.message = "the configuration cannot be used: " + error.message;
    return error;
  }
  auto app = std::unique_ptr<ServerApp>(new ServerApp(loop, options, std::move(loaded.config)));
  SORTIE_TRY_STATUS(app->open_data_folder());
  if (!app->uses_postgres()) SORTIE_TRY_STATUS(app->open_sqlite());
  SORTIE_TRY_STATUS(app->listen());
  if (app->uses_postgres()) SORTIE_TRY_STATUS(app->open_postgres());
  SORTIE_TRY_STATUS(app->build());
  return app;
}

Status ServerApp::build() {
  audit_ = std::make_unique<response::Audit>(loop_, *store_, response::Lease{0, epoch_});
  people_ = std::make_unique<response::People>(loop_, random_, *store_, *audit_);
  sessions_ = std::make_unique<response::Sessions>(loop_, random_, *store_, *audit_, *people_);
  approvals_ = std::make_unique<response::Approvals>(loop_, *store_, *audit_, *people_);
  SORTIE_TRY_STATUS(make_functions());
  dispatcher_ = std::make_unique<integrations::Dispatcher>(loop_);
  SORTIE_TRY_STATUS(make_mocks());
  make_integrations();
  make_routes();
  functions_->set_server_url(url_);
  aws_->set_own_endpoint(url_, [this](std::string_view account) -> json::Value {
    const std::vector<response::AccessKey> keys =
        standby_ == nullptr ? people_->account_keys() : shared_keys_;
    for (const response::AccessKey& key : keys) {
      if (key.account == account || account.empty()) {
        return json::Value::object(
            {{"access_key_id", key.id}, {"secret_access_key", key.secret}, {"session_token", ""}});
      }
    }
    return {};
  });
  return {};
}

Status ServerApp::make_functions() {
  integrations::WorkerProcessOptions worker;
  worker.python = installation_.python;
  worker.script = installation_.sdk_worker;
  worker.environment = sdk_environment();
  worker.environment.push_back("SORTIE_PRIVATE_HOSTS=" + join(config_.private_hosts, ","));
  worker.log = [](std::string_view line) { log(LogLevel::kWarning, "AWS worker: " + std::string(line)); };
  if (installation_.python.empty() || installation_.sdk_worker.empty()) {
    log(LogLevel::kError,
        "the Python environment or the AWS worker is missing beside the program; run `make build`");
  }
  pool_ = std::make_unique<integrations::SdkPool>(loop_, integrations::make_worker_factory(loop_, worker));
  worker.environment.push_back("SORTIE_WORKER_THREADS=" + std::to_string(kHttpInFlightMax));
  http_pool_ = std::make_unique<integrations::SdkPool>(
      loop_, integrations::make_worker_factory(loop_, std::move(worker)),
      integrations::SdkPoolOptions{.in_flight_max = kHttpInFlightMax});
  SORTIE_TRY(const HostPort where, parse_listen(options_.listen.empty() ? config_.listen : options_.listen));
  functions::FunctionServiceOptions options = function_options(config_, installation_, where.is_loopback());
  options.data_folder = data_folder_;
  options.hidden_folders = {data_folder_};
  if (!config_.folder.empty()) options.hidden_folders.push_back(config_.folder);
  integrations::RoleCredentialOptions roles;
  roles.region = config_.region;
  roles.endpoint_url = config_.endpoint_url;
  roles.can_assume = has_sdk_credentials();
  SORTIE_TRY(functions_, functions::FunctionService::make(loop_, random_, std::move(options),
                                                          std::make_unique<integrations::RoleCredentials>(
                                                              loop_, *pool_, std::move(roles))));
  for (const std::string& line : functions_->sandbox_report()) {
    log(functions_->sandbox_is_complete() ? LogLevel::kInfo : LogLevel::kWarning, "sandbox: " + line);
  }
  return {};
}

// As Step Functions Local: a file of mocked responses that the environment names.
Status ServerApp::make_mocks() {
  const char* file = std::getenv("SFN_MOCK_CONFIG");
  if (file == nullptr || *file == '\0') return {};
  SORTIE_TRY(const std::string text, io::read_file(file));
  Result<integrations::MockConfig> config = integrations::MockConfig::parse(text);
  if (!config) {
    return Error{config.error().code, std::string(file) + ": " + config.error().message, config.error().place,
                 config.error().hint};
  }
  log(LogLevel::kWarning, std::string("mocked responses of ") + file + " answer executions with a test case");
  mocks_ = std::make_unique<integrations::MockDispatcher>(loop_, *std::move(config), *dispatcher_);
  return {};
}

void ServerApp::make_integrations() {
  lambda_integration_ = std::make_unique<integrations::LambdaIntegration>(loop_, *functions_);
  integrations::AwsOptions aws;
  aws.region = config_.region;
  aws.endpoint_url = config_.endpoint_url;
  if (!config_.traces_endpoint.empty()) {
    aws.trace_parent = [](const runtime::TaskOrder& order) {
      return trace_parent_of(trace_ids_of(order.origin->execution_arn, order.redrive_count),
                             order.idempotency_key);
    };
  }
  s3_objects_ = std::make_unique<integrations::S3Objects>(loop_, *pool_, aws);
  aws_ = std::make_unique<integrations::AwsIntegration>(loop_, *pool_, std::move(aws), approvals_.get());
  jobs_ = std::make_unique<integrations::Jobs>(loop_, *pool_, *store_,
                                               [this](integrations::SdkCall& call) { aws_->complete(call); });
  aws_->set_jobs(*jobs_);
  aws_->set_http_pool(*http_pool_);
  states_integration_ = std::make_unique<integrations::StatesIntegration>(loop_, *store_);
  bus_sink_ = std::make_unique<BusSink>(loop_);
  events_integration_ = std::make_unique<integrations::EventsIntegration>(loop_, *bus_sink_);
  dispatcher_->add("function", *lambda_integration_);
  dispatcher_->add("lambda", *lambda_integration_);
  dispatcher_->add("states", *states_integration_);
  dispatcher_->add("events", *events_integration_);
  for (const char* kind : {"topic", "queue", "aws-sdk", "*"}) dispatcher_->add(kind, *aws_);
  make_runtime();
  targets_ = std::make_unique<Targets>(Targets::Wiring{loop_, *runtime_, *functions_, *pool_, *approvals_,
                                                       config_.region, config_.endpoint_url});
  events::BusOptions bus;
  bus.account = config_.account;
  bus.region = config_.region;
  bus.accounts = config_.accounts;
  bus.retention_ms = config_.keep_events_ms;
  bus.audit_line = [this](const Actor& actor, std::string action, std::string subject) {
    return audit_->line({{}, actor, actor.channel, std::move(action), std::move(subject), "done", "", {}, 0});
  };
  bus_ = std::make_unique<events::EventBus>(loop_, random_, *store_, *targets_, std::move(bus));
  bus_sink_->attach(*bus_);
  status_events_ = std::make_unique<StatusEvents>(loop_, *store_, *runtime_, *bus_);
  queues_ = std::make_unique<SdkQueues>(
      SdkQueues::Wiring{*pool_, config_.account, config_.region, config_.endpoint_url});
  events::QueueIntake::Options intake;
  intake.account = config_.account;
  intake.on_trouble = [](const std::string& name, const Error& error) {
    log(LogLevel::kError, "source " + name, error);
  };
  intake.on_recovery = [](const std::string& name) {
    log(LogLevel::kInfo, "source " + name + " can be reached again");
  };
  intake_ = std::make_unique<events::QueueIntake>(loop_, *bus_, *queues_, std::move(intake));
}

void ServerApp::make_runtime() {
  runtime::Options options;
  options.account = config_.account;
  options.region = config_.region;
  options.strict = config_.strict;
  options.epoch = epoch_;
  options.objects = s3_objects_.get();
  options.audit_step_ms = kAuditStepMs;
  options.on_stuck = [](const runtime::StuckFrame& found) {
    log(LogLevel::kError, "audit: frame " + std::to_string(found.frame.frame) + " of " + found.execution_arn +
                              " was stuck: " + found.what +
                              (found.set_going ? "; it was set going again" : ""));
  };
  options.on_status_change = [this](const runtime::StatusChange& change, store::Batch& batch) {
    if (status_events_ != nullptr) status_events_->note(change, batch);
  };
  runtime::TaskDispatcher* dispatcher = dispatcher_.get();
  if (mocks_ != nullptr) dispatcher = mocks_.get();
  if (sharing_ != nullptr) {
    make_fleet(*dispatcher);
    dispatcher = fleet_.get();
    options.is_shared = true;
    options.scan_frames = [this](store::ShardNo shard, store::ExecutionNo above, store::FrameKey after,
                                 std::size_t limit) {
      return sharing_->scan_frames_of(shard, above, after, limit);
    };
    options.on_note = [this](store::ShardNo shard) { fleet_->note(shard); };
  }
  runtime_ = runtime::Runtime::make(loop_, random_, *store_, *dispatcher, options);
  if (fleet_ != nullptr) fleet_->attach(*runtime_);
  dispatcher_->attach(*runtime_);
  if (mocks_ != nullptr) mocks_->attach(*runtime_);
}

Status ServerApp::listen() {
  SORTIE_TRY(const HostPort where, parse_listen(options_.listen.empty() ? config_.listen : options_.listen));
  const bool tls = !config_.tls_certificate.empty();
  if (!where.is_loopback() && !tls && !config_.allow_plain_http) {
    return Error{"InsecureListen",
                 "listening on " + where.host + " without TLS would send tokens in the clear", "",
                 "set tls.certificate and tls.key, or allow_plain_http: true behind a proxy that speaks TLS"};
  }
  io::HttpServerOptions options;
  options.host = where.host;
  options.port = where.port;
  options.certificate_file = config_.tls_certificate;
  options.key_file = config_.tls_key;
  options.body_bytes_max_for = &api::Server::body_bytes_max;
  options.connections_max = connections_max();
  SORTIE_TRY(http_, io::HttpServer::listen(
                        loop_, std::move(options),
                        [this](io::HttpRequest request, std::shared_ptr<io::Responder> responder) {
                          answer(std::move(request), std::move(responder));
                        }));
  const bool any = where.host == "0.0.0.0" || where.host == "::";
  const std::string host =
      any ? "127.0.0.1" : (where.host.find(':') != std::string::npos ? "[" + where.host + "]" : where.host);
  url_ = std::string(tls ? "https://" : "http://") + host + ":" + std::to_string(http_->port());
  return {};
}

void ServerApp::answer(io::HttpRequest request, std::shared_ptr<io::Responder> responder) {
  if (fleet_ != nullptr && request.path == kFleetPath && request.method == "POST") {
    return fleet_->handle(request, responder);
  }
  // Its figures are a node's own.
  if (standby_ != nullptr && request.path != "/metrics") {
    return standby_->handle(std::move(request), std::move(responder));
  }
  const bool health = request.path == "/healthz" || request.path == "/readyz";
  if (ready_ || (health && api_ != nullptr)) return api_->handle(std::move(request), std::move(responder));
  responder->send({503, {{"Retry-After", "1"}}, "starting\n"});
}

std::vector<std::string> ServerApp::all_accounts() const {
  std::vector<std::string> accounts{config_.account};
  accounts.insert(accounts.end(), config_.accounts.begin(), config_.accounts.end());
  return accounts;
}

Actor ServerApp::operator_actor() const {
  return {Actor::Kind::kAccountKey, config_.account, config_.account, "cli", ""};
}

Status ServerApp::read_durable() {
  SORTIE_TRY_STATUS(people_->load());
  SORTIE_TRY_STATUS(sessions_->load());
  project_ = load_project(config_);
  tell(project_.problems);
  project_problems_ = project_.problems;
  fingerprint_ = project_.fingerprint;
  people_->set_configured_groups(project_.approvals.groups);
  approvals_->configure(project_.approvals);
  SORTIE_TRY_STATUS(approvals_->load());
  if (!config_.folder.empty()) tell(functions_->load_folder(config_.folder + "/functions"));
  const auto write = [this](store::Batch batch) {
    batch.epoch = epoch_;
    store_->append(std::move(batch), [](const Status&) {});
  };
  states_integration_->attach(*runtime_, write);
  jobs_->attach(*runtime_, write);
  SORTIE_TRY_STATUS(runtime_->recover());
  approvals_->start(*runtime_);
  waiting_watch_ = std::make_unique<api::WaitingWatch>(loop_, *runtime_, *store_);
  if (slack_ != nullptr) SORTIE_TRY_STATUS(slack_->start(console_url()));
  SORTIE_TRY_STATUS(bus_->recover(events::Lease{0, epoch_}));
  status_events_->recover(write);
  return {};
}

void ServerApp::start(std::function<void(Status)> ready) {
  if (standby_ != nullptr) return stand_by(std::move(ready));
  begin(std::move(ready));
}

void ServerApp::begin(std::function<void(Status)> ready) {
  if (Status status = read_durable(); !status) {
    return loop_.post([ready, error = status.error()] { ready(error); });
  }
  people_->ensure_keys(all_accounts(), [this, ready](Result<std::vector<response::AccessKey>> keys) {
    if (!keys) return ready(keys.error());
    write_access_files(*keys);
    apply_project(std::move(project_), [this, ready] {
      ready_ = true;
      started_at_ = loop_.now();
      read_sources();
      if (options_.hot_reload) watch_project();
      store_reach_->store = store_.get();
      keep_retention();
      watch_commits(0);
      ready(begin_fleet());
    });
  });
}

void ServerApp::write_access_files(const std::vector<response::AccessKey>& keys) {
  std::vector<json::Value> list;
  for (const response::AccessKey& key : keys) {
    list.push_back(json::Value::object(
        {{"account", key.account}, {"access_key_id", key.id}, {"secret_access_key", key.secret}}));
  }
  const json::Value file = json::Value::object({{"url", url_},
                                                {"account", config_.account},
                                                {"region", config_.region},
                                                {"keys", json::Value::array(std::move(list))}});
  operator_token_ = uses_postgres() ? shared_operator_token() : "";
  if (operator_token_.empty()) operator_token_ = random_hex(random_, 32);
  const json::Value where =
      json::Value::object({{"url", url_}, {"pid", static_cast<std::int64_t>(getpid())}});
  const std::string token_file = data_folder_ + "/operator.token";
  const Status token_written = io::write_file_atomically(token_file, operator_token_);
  for (const Status& status :
       {io::write_file_atomically(data_folder_ + "/credentials.json", json::to_pretty_text(file)),
        token_written, io::write_file_atomically(data_folder_ + "/server.json", json::to_text(where))}) {
    if (!status) log(LogLevel::kError, "an access file cannot be written", status.error());
  }
  // On a full disk the operator needs a way in more than ever: the token of the last start stays good.
  const Result<std::string> kept = token_written ? Result<std::string>("") : io::read_file(token_file);
  if (kept && kept->size() == operator_token_.size()) operator_token_ = *kept;
}

// Puts what differs in force, one after the other; what a file no longer declares is removed if a file made
// it.
void ServerApp::apply_project(Project project, std::function<void()> done) {
  if (config_.folder.empty()) return loop_.post(std::move(done));
  const Actor actor{Actor::Kind::kSystem, "project", config_.account, "project", ""};
  auto steps = std::make_shared<Steps>();
  const std::string prefix = "arn:aws:states:" + config_.region + ":" + config_.account + ":stateMachine:";
  for (const Playbook& playbook : project.playbooks) {
    const std::string arn = prefix + playbook.name;
    const auto known = runtime_->find_state_machine(arn);
    if (known && known->definition == playbook.definition && known->origin == "project") continue;
    runtime::StateMachineRecord record = known.value_or(runtime::StateMachineRecord{});
    record.arn = arn;
    record.name = playbook.name;
    record.definition = playbook.definition;
    if (record.role_arn.empty())
      record.role_arn = "arn:aws:iam::" + config_.account + ":role/" + playbook.name;
    record.revision_id = make_uuid(random_);
    if (!known) record.created_at = loop_.now();
    record.updated_at = loop_.now();
    record.origin = "project";
    steps->push_back([this, record, actor, file = playbook.file](std::function<void()> next) {
      runtime_->put_state_machine(record, actor,
                                  [file, next](const Result<runtime::StateMachineRecord>& kept) {
                                    if (!kept) log(LogLevel::kError, "playbook " + file, kept.error());
                                    next();
                                  });
    });
  }
  for (const events::Rule& rule : project.rules) {
    const auto known = bus_->find_rule(rule.key());
    if (known && json::to_text(events::to_json(known->rule)) == json::to_text(events::to_json(rule)))
      continue;
    events::Rule fresh = rule;
    fresh.anchor = loop_.now();
    steps->push_back([this, fresh, actor](std::function<void()> next) {
      bus_->replace_rule(fresh, actor, [name = fresh.name, next](const Result<std::string>& kept) {
        if (!kept) log(LogLevel::kError, "rule " + name, kept.error());
        next();
      });
    });
  }
  add_removals(project, actor, *steps);
  auto run = std::make_shared<std::function<void(std::size_t)>>();
  *run = [steps, done = std::move(done), weak = std::weak_ptr(run)](std::size_t index) {
    if (index == steps->size()) return done();
    const auto self = weak.lock();
    (*steps)[index]([self, index] { (*self)(index + 1); });
  };
  loop_.post([run] { (*run)(0); });
}

// What a file declared and no file declares any more goes out of force. Executions that run go on: each holds
// the definition it was started with.
void ServerApp::add_removals(const Project& project, const Actor& actor, Steps& steps) {
  if (!project.is_complete) return;
  const auto has = [](const std::vector<std::string>& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  for (const runtime::StateMachineRecord& known : runtime_->list_state_machines()) {
    const bool declared = std::any_of(project.playbooks.begin(), project.playbooks.end(),
                                      [&](const Playbook& playbook) { return playbook.name == known.name; });
    if (known.origin != "project" || declared || has(project.broken_playbooks, known.name)) continue;
    steps.push_back([this, arn = known.arn, actor](std::function<void()> next) {
      runtime_->delete_state_machine(arn, actor, [arn, next](const Result<Unit>& gone) {
        if (!gone) log(LogLevel::kError, "playbook " + arn, gone.error());
        if (gone) log(LogLevel::kInfo, "playbook " + arn + " is no longer in force: its file is gone");
        next();
      });
    });
  }
  for (const events::Bus& bus : bus_->list_buses(config_.account)) {
    for (const auto& known : bus_->list_rules(config_.account, bus.name)) {
      const std::string key = known->rule.key();
      const bool declared = std::any_of(project.rules.begin(), project.rules.end(),
                                        [&](const events::Rule& rule) { return rule.key() == key; });
      if (known->rule.origin != "project" || declared || has(project.broken_rules, key)) continue;
      steps.push_back([this, key, actor](std::function<void()> next) {
        bus_->delete_rule(key, true, actor, [key, next](const Result<Unit>& gone) {
          if (!gone) log(LogLevel::kError, "rule " + key, gone.error());
          if (gone) log(LogLevel::kInfo, "rule " + key + " is no longer in force: its file is gone");
          next();
        });
      });
    }
  }
}

void ServerApp::watch_project() {
  functions_->watch_folder(config_.folder + "/functions", kProjectWatchMs,
                           [this](const std::vector<std::string>& names, const std::vector<Error>& problems) {
                             tell(problems);
                             for (const std::string& name : names)
                               log(LogLevel::kInfo, "function " + name + " was read again");
                           });
  watch_files();
}

void ServerApp::watch_files() {
  loop_.call_after(kProjectWatchMs, [this] {
    const std::string now = project_fingerprint(config_.folder);
    if (now != fingerprint_) {
      fingerprint_ = now;
      read_project_again();
    }
    watch_files();
  });
}

void ServerApp::reload() {
  if (!ready_ || config_.folder.empty()) return;
  tell(functions_->load_folder(config_.folder + "/functions"));
  if (standby_ != nullptr) return;  // The rest is the leader's.
  read_project_again();
}

void ServerApp::read_project_again() {
  LoadedConfig loaded = load_config(config_.folder);
  tell(loaded.problems);
  if (loaded.problems.empty()) {
    config_.document = loaded.config.document;
    config_.default_retry = loaded.config.default_retry;
  }
  Project project = load_project(config_);
  tell(project.problems);
  project_problems_ = project.problems;
  people_->set_configured_groups(project.approvals.groups);
  approvals_->configure(project.approvals);
  read_sources();
  apply_project(std::move(project), [] { log(LogLevel::kInfo, "the project was read again"); });
}

void ServerApp::read_hooks() {
  hooks_.clear();
  const json::Value& section = config_.document.value.get("hooks");
  for (const json::Member& member : section.members()) {
    const std::string name = member.key.to_std_string();
    Result<events::Hook> hook = events::parse_hook(name, member.value, [this](std::string_view reference) {
      return resolve_secret(std::string(reference), config_.folder);
    });
    if (!hook) {
      Error error = hook.error();
      error.place = config_.place_of("/hooks/" + name + error.place);
      log(LogLevel::kError, "hook " + name, error);
    } else {
      hooks_.emplace(name, std::move(hook).value());
    }
  }
}

// Hooks and queues. An approvals' queue is nobody's source: its messages are read by people.
void ServerApp::read_sources() {
  read_hooks();
  Result<std::vector<events::QueueSource>> read =
      events::parse_queue_sources(config_.document.value.get("sources"));
  if (read) {  // Otherwise those in force stay; load_config told what is wrong.
    sources_.clear();
    for (events::QueueSource& source : *read) {
      if (!approvals_->takes_queue(source.queue)) {
        sources_.push_back(std::move(source));
      } else {
        log(LogLevel::kError, "source " + source.name + ": the queue " + source.queue + " is for approvals");
      }
    }
  }
  bus_->trust(trusted_sources());
  intake_->configure(sources_);
}

std::vector<events::TrustedSource> ServerApp::trusted_sources() const {
  std::vector<events::TrustedSource> out;
  for (const std::string& source : config_.event_sources) {
    for (const std::string& account : all_accounts()) out.push_back({"account:" + account, source});
  }
  for (const auto& [name, hook] : hooks_) {
    if (auto trusted = events::trusted_source(hook)) out.push_back(std::move(*trusted));
  }
  for (const events::QueueSource& source : sources_) {
    for (events::TrustedSource& trusted : events::trusted_sources(source)) out.push_back(std::move(trusted));
  }
  return out;
}

void ServerApp::tell(const std::vector<Error>& problems) const {
  for (const Error& problem : problems) log(LogLevel::kError, "project", problem);
}

void ServerApp::drain(std::function<void()> done) {
  ready_ = false;
  if (fleet_ != nullptr) fleet_->stop();
  dispatcher_->begin_end();
  if (standby_ == nullptr) {
    stream_->close();
    intake_->stop();
    bus_->stop();
  }
  auto left = std::make_shared<int>(3);
  const auto one = [left, done = std::move(done)] {
    if (--*left == 0) done();
  };
  http_->drain(3'000, one);
  functions_->drain(3'000, one);
  runtime_->drain(one);
}

}  // namespace sortie::cli
