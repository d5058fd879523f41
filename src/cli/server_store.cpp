// ServerApp's other half: which store it works on, and who owns it.
#include <chrono>
#include <thread>

#include "base/hash.h"
#include "base/text.h"
#include "cli/log.h"
#include "cli/server_app.h"
#include "io/file.h"
#include "store/postgres/postgres_store.h"
#include "store/sqlite/sqlite_store.h"

namespace sortie::cli {

namespace server_store {

constexpr std::int64_t kPredecessorMs = 5'000;  // More than a lease.
constexpr std::int64_t kPollMs = 50;

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

Status ServerApp::open_sqlite() {
  store::SqliteOptions sqlite;
  sqlite.folder = data_folder_;
  sqlite.loop = &loop_;
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
  postgres.address = options_.advertise_url.empty() ? url_ : options_.advertise_url;
  postgres.acquire_ms_max = 0;
  postgres.on_lost = [this] {
    if (lost_) lost_();
  };
  const std::string own = postgres.address;
  SORTIE_TRY(store_, store::open_postgres_store(std::move(postgres)));
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

void ServerApp::stand_by(std::function<void(Status)> ready) {
  log(LogLevel::kInfo, "standing by; the store belongs to " + standby_->owner());
  probe_ = std::make_unique<io::HttpClient>(loop_);
  probe_owner(ready);
  ask_for_store(std::move(ready));
}

// A standby is ready when the owner answers and the command line of this machine can talk to it.
void ServerApp::probe_owner(std::function<void(Status)> ready) {
  io::HttpClientRequest request;
  request.url = standby_->owner() + "/readyz";
  request.timeout_ms = 2'000;
  probe_->fetch(std::move(request), [this, ready = std::move(ready)](const Result<io::HttpResponse>& answer) {
    if (standby_ == nullptr || ready_) return;
    if (answer && answer->status == 200) write_standby_files();
    if (answer && answer->status == 200 && !operator_token_.empty()) {
      ready_ = true;
      return ready(Status());
    }
    loop_.call_after(kTakeOverMs, [this, ready] {
      if (standby_ != nullptr) probe_owner(ready);
    });
  });
}

void ServerApp::ask_for_store(std::function<void(Status)> ready) {
  loop_.call_after(kTakeOverMs, [this, ready = std::move(ready)]() mutable {
    const Result<store::Epoch> epoch = store_->acquire(0);
    if (epoch) return take_over(*epoch, std::move(ready));
    if (epoch.error().code == "ShardHeld" && epoch.error().place != standby_->owner()) {
      standby_->set_owner(epoch.error().place);
      log(LogLevel::kInfo, "the store belongs to " + standby_->owner());
    }
    ask_for_store(std::move(ready));
  });
}

void ServerApp::take_over(store::Epoch epoch, std::function<void(Status)> ready) {
  const bool was_ready = std::exchange(ready_, false);
  epoch_ = epoch;
  standby_.reset();
  log(LogLevel::kInfo, "this node owns the store now");
  if (Status built = build(); !built) return ready(built);
  begin([was_ready, ready = std::move(ready)](const Status& status) {
    if (!was_ready || !status) ready(status);
  });
}

// The command line of this machine talks to this node; the owner, which gets what it says, knows the same
// token.
void ServerApp::write_standby_files() {
  response::Audit audit(loop_, *store_, response::Lease{0, 0});
  response::People people(loop_, random_, *store_, audit);
  if (shared_operator_token().empty() || !people.load() || people.account_keys().empty()) return;
  write_access_files(people.account_keys());
}

// Made of a secret of the store; empty when that cannot be read (yet).
std::string ServerApp::shared_operator_token() {
  const Result<std::optional<std::string>> key = store_->find_document("meta", "token_key");
  if (!key || !*key) return "";
  return to_hex(hmac_sha256(**key, "operator token"));
}

}  // namespace sortie::cli
