#pragma once
// The server, wired together: store, runtime, functions, integrations, events, approvals and the HTTP API on
// one loop.
//
// Start-up order matters and is written down in make() and begin(): listen (so that workers know our
// address), read what is durable, then let executions and deliveries go on, then put the project's files in
// force, then say that we are ready. On a store that several nodes share, all but the leader stop before what
// is the leader's alone: they own shards and run executions (fleet.h), and hand calls on (standby.h).
#include <memory>
#include <mutex>
#include <string>

#include "api/console_assets.h"
#include "api/execution_log.h"
#include "api/rest.h"
#include "api/states_api.h"
#include "api/stream.h"
#include "api/waiting_watch.h"
#include "cli/adapters.h"
#include "cli/config.h"
#include "cli/fleet.h"
#include "cli/installation.h"
#include "cli/project.h"
#include "cli/slack_connector.h"
#include "cli/standby.h"
#include "cli/status_events.h"
#include "cli/telemetry.h"
#include "events/webhook.h"
#include "integrations/aws.h"
#include "integrations/dispatcher.h"
#include "integrations/lambda.h"
#include "integrations/mocks.h"
#include "integrations/role_credentials.h"
#include "integrations/s3_objects.h"
#include "integrations/states.h"
#include "io/http_server.h"
#include "response/approvals.h"
#include "response/sessions.h"
#include "store/sqlite/folder_lock.h"

namespace sortie::cli {

struct ServeOptions {
  std::string project;  // Empty: an empty server that the APIs fill.
  std::string data_folder;
  std::string listen;  // Empty: as configured.
  bool hot_reload = false;
  std::string store_url;      // postgres://... or env:NAME that holds one; empty: SQLite in the data folder.
  std::string advertise_url;  // How other nodes reach this one; empty: where it listens.
};

class ServerApp {
 public:
  // Errors name what is in the way: a broken configuration, a port in use, a data folder that is locked or
  // too new.
  static Result<std::unique_ptr<ServerApp>> make(io::EventLoop& loop, const ServeOptions& options);
  ~ServerApp();

  // Calls back when the server is ready to serve; the loop has to run.
  void start(std::function<void(Status)> ready);
  const std::string& url() const { return url_; }
  const std::string& data_folder() const { return data_folder_; }
  response::People& people() { return *people_; }
  // Reads the project's files again and puts in force what has changed.
  void reload();
  // Stops taking work, lets what runs finish for a moment, then calls back.
  void drain(std::function<void()> done);
  // Another node owns the store now: nothing of this object is of use any more. Called at most once.
  void on_lost(std::function<void()> callback) { lost_ = std::move(callback); }

 private:
  ServerApp(io::EventLoop& loop, ServeOptions options, Config config);
  // server_store.cpp: which store, and who owns it.
  bool uses_postgres() const { return !options_.store_url.empty(); }
  void answer(io::HttpRequest request, std::shared_ptr<io::Responder> responder);
  Status open_data_folder();
  store::CommitTimer commit_timer();
  Status open_sqlite();
  Status open_postgres();
  void make_fleet(runtime::TaskDispatcher& below);
  bool needs_leader(const runtime::TaskOrder& order) const;
  void stand_by(std::function<void(Status)> ready);
  void take_over(store::Epoch epoch);
  void probe_leader();
  Status join_fleet();
  Status begin_fleet();
  std::string shared_operator_token();

  Status build();  // Everything, without reading or beginning anything.
  void begin(std::function<void(Status)> ready);
  Status make_functions();
  Status make_mocks();
  void make_execution_log();
  void make_integrations();
  void make_runtime();
  Status listen();
  void make_routes();
  api::StatesServices states_services();
  void add_plain_routes();
  void add_operator_routes();
  void add_event_routes();
  void take_hook(api::RouteCall call);
  void add_metrics();
  void add_console_routes(const api::HostPolicy& hosts);
  void add_slack();
  std::string console_url() const { return config_.public_url.empty() ? url_ : config_.public_url; }
  Result<json::Value> overview(const Actor& caller);
  Result<json::Value> validate(const json::Value& definition);
  Status read_durable();
  void write_access_files(const std::vector<response::AccessKey>& keys);
  void apply_project(Project project, std::function<void()> done);
  using Steps = std::vector<std::function<void(std::function<void()>)>>;
  void add_removals(const Project& project, const Actor& actor, Steps& steps);
  void watch_project();
  void watch_files();
  void read_project_again();
  void read_hooks();
  void read_sources();
  std::vector<events::TrustedSource> trusted_sources() const;
  void answer_ready(const api::RouteCall& call) const;
  void keep_retention(bool has_more = false);
  void watch_commits(std::uint64_t failures_told);
  void tell(const std::vector<Error>& problems) const;
  std::vector<std::string> all_accounts() const;
  Actor operator_actor() const;

  io::EventLoop& loop_;
  ServeOptions options_;
  Config config_;
  Installation installation_;
  std::string data_folder_, url_, operator_token_;
  io::SystemRandom random_;
  bool ready_ = false;
  Timestamp started_at_;

  std::unique_ptr<store::sqlite::FolderLock> folder_lock_;
  std::unique_ptr<store::Store> store_;
  // For what the background thread does with the store; null before it serves and after our end.
  struct StoreReach {
    std::mutex mutex;
    store::Store* store = nullptr;
  };
  std::shared_ptr<StoreReach> store_reach_ = std::make_shared<StoreReach>();
  store::Epoch epoch_ = 0;             // Of shard 0.
  store::Sharing* sharing_ = nullptr;  // Null where the store is ours alone.
  std::unique_ptr<Standby> standby_;   // Null: this node leads.
  std::unique_ptr<io::HttpClient> probe_;
  std::function<void(Status)> when_ready_;        // Of a node that does not lead yet.
  std::vector<response::AccessKey> shared_keys_;  // Of the accounts, while this node does not lead.
  bool is_looking_ = false;                       // The fleet.
  std::function<void()> lost_;
  std::unique_ptr<response::Audit> audit_;
  std::unique_ptr<response::People> people_;
  std::unique_ptr<response::Sessions> sessions_;
  std::unique_ptr<response::Approvals> approvals_;
  std::unique_ptr<SlackConnector> slack_;
  std::unique_ptr<integrations::SdkPool> pool_;
  std::unique_ptr<integrations::SdkPool> http_pool_;  // Of HTTP tasks; its workers start with the first.
  std::unique_ptr<functions::FunctionService> functions_;
  std::unique_ptr<integrations::Dispatcher> dispatcher_;
  std::unique_ptr<integrations::MockDispatcher> mocks_;  // Null without SFN_MOCK_CONFIG.
  std::unique_ptr<Fleet> fleet_;                         // Null where the store is ours alone.
  std::unique_ptr<runtime::Runtime> runtime_;
  std::unique_ptr<integrations::LambdaIntegration> lambda_integration_;
  std::unique_ptr<integrations::Jobs> jobs_;
  std::unique_ptr<integrations::AwsIntegration> aws_;
  std::unique_ptr<integrations::S3Objects> s3_objects_;
  std::unique_ptr<integrations::StatesIntegration> states_integration_;
  std::unique_ptr<BusSink> bus_sink_;
  std::unique_ptr<integrations::EventsIntegration> events_integration_;
  std::unique_ptr<Targets> targets_;
  std::unique_ptr<events::EventBus> bus_;
  std::unique_ptr<StatusEvents> status_events_;
  std::unique_ptr<SdkQueues> queues_;
  std::unique_ptr<events::QueueIntake> intake_;

  std::unique_ptr<Keys> keys_;
  api::ConsoleAssets console_;
  std::unique_ptr<api::Server> api_;
  std::unique_ptr<api::StatesApi> states_api_;
  std::unique_ptr<api::ExecutionLog> execution_log_;
  std::unique_ptr<EventsService> events_service_;
  std::unique_ptr<LambdaApi> lambda_api_;
  std::unique_ptr<api::RestDoor> rest_;
  std::unique_ptr<api::StreamHub> stream_;
  std::unique_ptr<api::WaitingWatch> waiting_watch_;
  std::unique_ptr<io::HttpServer> http_;
  std::map<std::string, events::Hook, std::less<>> hooks_;
  std::vector<events::QueueSource> sources_;
  Project project_;  // As it was read at start-up, until it is in force.
  std::string fingerprint_;
  std::vector<Error> project_problems_;  // Of its files, as they were read last.
  std::shared_ptr<void> approval_observer_, execution_observer_, event_observer_;
  std::unique_ptr<TraceExporter> traces_;
  std::unique_ptr<Telemetry> telemetry_;
};

}  // namespace sortie::cli
