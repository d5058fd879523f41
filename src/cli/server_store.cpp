// ServerApp's other half: which store it works on, and who owns it.
#include <algorithm>
#include <chrono>
#include <thread>

#include "base/hash.h"
#include "base/text.h"
#include "cli/log.h"
#include "cli/server_app.h"
#include "cli/telemetry.h"
#include "integrations/results.h"
#include "io/file.h"
#include "json/members.h"
#include "store/postgres/postgres_store.h"
#include "store/sqlite/sqlite_store.h"

namespace sortie::cli {

namespace server_store {

constexpr std::int64_t kPredecessorMs = 5'000;  // More than a lease.
constexpr std::int64_t kPollMs = 50;
constexpr std::int64_t kProbeMs = 100;

// Whether a function's list of actions lets it call our own APIs; AWS's services look after the rest.
bool may_call_us(const std::vector<std::string>& actions) {
  return std::any_of(actions.begin(), actions.end(), [](const std::string& action) {
    const std::string service = to_lower_ascii(action.substr(0, action.find(':')));
    return service == "states" || service == "events" || service == "lambda" ||
           service.find_first_of("*?") != std::string::npos;
  });
}

}  // namespace server_store

Status ServerApp::open_data_folder() {
  data_folder_ = !options_.data_folder.empty() ? options_.data_folder
                 : !config_.data_folder.empty()
                     ? (config_.data_folder.starts_with("/") ? config_.data_folder
                                                             : config_.folder + "/" + config_.data_folder)
                     : (options_.project.empty() ? ".sortie" : options_.project + "/.sortie");
  SORTIE_TRY_STATUS(io::make_private_directory(data_folder_));
  SORTIE_TRY(data_folder_, io::real_path(data_folder_));
  return {};
}

// The store is opened before there is anybody to tell.
store::CommitTimer ServerApp::commit_timer() {
  return [this](double seconds) {
    if (telemetry_ != nullptr) telemetry_->on_commit(seconds);
  };
}

Status ServerApp::open_sqlite() {
  store::SqliteOptions sqlite;
  sqlite.folder = data_folder_;
  sqlite.loop = &loop_;
  sqlite.on_commit = commit_timer();
  SORTIE_TRY(store_, store::open_sqlite_store(std::move(sqlite)));
  SORTIE_TRY(epoch_, store_->acquire(0));
  return {};
}

Status ServerApp::open_postgres() {
  SORTIE_TRY(options_.store_url, resolve_store_url(options_.store_url, config_.folder));
  // Functions and access files lie in the data folder, whatever the store: it has one server.
  SORTIE_TRY(store::sqlite::FolderLock lock, store::sqlite::FolderLock::take(data_folder_));
  folder_lock_ = std::make_unique<store::sqlite::FolderLock>(std::move(lock));
  store::PostgresOptions postgres;
  postgres.url = options_.store_url;
  postgres.loop = &loop_;
  postgres.on_commit = commit_timer();
  postgres.address = options_.advertise_url.empty() ? url_ : options_.advertise_url;
  postgres.acquire_ms_max = 0;
  postgres.on_lost = [this] {
    if (lost_) lost_();
  };
  const std::string own = postgres.address;
  SORTIE_TRY(store::SharedStore opened, store::open_shared_postgres_store(std::move(postgres)));
  store_ = std::move(opened.store);
  sharing_ = opened.sharing;
  log(LogLevel::kInfo, "the store is " + store::without_password(options_.store_url));
  Result<store::Epoch> epoch = store_->acquire(0);
  // A process that died at this very address: nobody else serves it, so its lease is waited for.
  for (std::int64_t waited = 0; !epoch && epoch.error().code == "ShardHeld" && epoch.error().place == own &&
                                waited < server_store::kPredecessorMs;
       waited += server_store::kPollMs) {
    std::this_thread::sleep_for(std::chrono::milliseconds(server_store::kPollMs));
    epoch = store_->acquire(0);
  }
  if (epoch) {
    epoch_ = *epoch;
    return {};
  }
  if (epoch.error().code != "ShardHeld") return epoch.error();
  standby_ = std::make_unique<Standby>(loop_);
  standby_->set_owner(epoch.error().place);
  return {};
}

void ServerApp::make_fleet(runtime::TaskDispatcher& below) {
  Fleet::Wiring wiring{loop_, *store_, *sharing_, below, {}, {}, {}, {}};
  wiring.needs_leader = [this](const runtime::TaskOrder& order) { return needs_leader(order); };
  wiring.on_lead = [this](store::Epoch epoch) { take_over(epoch); };
  wiring.on_leader = [this](const std::string& url) {
    if (standby_ == nullptr || standby_->owner() == url) return;
    standby_->set_owner(url);
    log(LogLevel::kInfo, "the leader is " + url);
  };
  wiring.on_lost = [this] {
    if (lost_) lost_();
  };
  fleet_ = std::make_unique<Fleet>(std::move(wiring));
}

// What waits for others' work, what starts executions or puts events, and functions that are not here or
// whose calls only the node that runs them can check.
bool ServerApp::needs_leader(const runtime::TaskOrder& order) const {
  const asl::TaskResource& resource = *order.resource;
  if (resource.pattern != asl::TaskPattern::kRequestResponse) return true;
  if (resource.resource_type == "states" || resource.resource_type == "events") return true;
  if (!resource.is_lambda_arn && resource.resource_type != "lambda") return false;
  const std::string name =
      resource.is_lambda_arn ? resource.text : json::text_member(order.parameters, "FunctionName");
  const auto function = functions_->get_function(integrations::account_of(order), name);
  return !function || server_store::may_call_us(function->actions);
}

void ServerApp::stand_by(std::function<void(Status)> ready) {
  log(LogLevel::kInfo, "the leader is " + standby_->owner());
  when_ready_ = std::move(ready);
  is_looking_ = true;
  probe_ = std::make_unique<io::HttpClient>(loop_);
  fleet_->start(false);
  probe_leader();
}

// A node is ready when the leader answers, the command line of this machine can talk to it, and it can work.
void ServerApp::probe_leader() {
  if (standby_ == nullptr || ready_) return;
  io::HttpClientRequest request;
  request.url = standby_->owner() + "/readyz";
  request.timeout_ms = 2'000;
  probe_->fetch(std::move(request), [this](const Result<io::HttpResponse>& answer) {
    if (standby_ == nullptr || ready_) return;
    if (answer && answer->status == 200 && join_fleet()) {
      ready_ = true;
      return std::exchange(when_ready_, nullptr)(Status());
    }
    loop_.call_after(server_store::kProbeMs, [this] { probe_leader(); });
  });
}

// What a node that does not lead needs: functions, the accounts' keys (with them its command line talks to
// this node, and tasks to our own APIs), and its place among the nodes.
Status ServerApp::join_fleet() {
  response::Audit audit(loop_, *store_, response::Lease{0, 0});
  response::People people(loop_, random_, *store_, audit);
  if (shared_operator_token().empty()) return Error{"NotReady", "", "", ""};
  SORTIE_TRY_STATUS(people.load());
  shared_keys_ = people.account_keys();
  if (shared_keys_.empty()) return Error{"NotReady", "", "", ""};
  write_access_files(shared_keys_);
  if (!config_.folder.empty()) tell(functions_->load_folder(config_.folder + "/functions"));
  SORTIE_TRY_STATUS(runtime_->cluster()->join());
  return fleet_->begin_work();
}

Status ServerApp::begin_fleet() {
  if (fleet_ == nullptr) return {};
  SORTIE_TRY_STATUS(fleet_->begin_work());
  if (!std::exchange(is_looking_, true)) fleet_->start(true);
  return {};
}

void ServerApp::take_over(store::Epoch epoch) {
  ready_ = false;
  epoch_ = epoch;
  standby_.reset();
  log(LogLevel::kInfo, "this node leads now");
  audit_->set_lease(response::Lease{0, epoch_});
  runtime_->cluster()->lead(epoch);
  begin([this](const Status& status) {
    const auto ready = std::exchange(when_ready_, nullptr);
    if (ready) return ready(status);
    if (status) return;
    log(LogLevel::kError, "this node cannot lead", status.error());
    if (lost_) lost_();
  });
}

// Made of a secret of the store; empty when that cannot be read (yet).
std::string ServerApp::shared_operator_token() {
  const Result<std::optional<std::string>> key = store_->find_document("meta", "token_key");
  if (!key || !*key) return "";
  return to_hex(hmac_sha256(**key, "operator token"));
}

}  // namespace sortie::cli
