#pragma once
// The one implementation of FunctionService, shared by the files that make it up: function_service.cpp runs
// functions, function_management.cpp makes, changes and removes them. Nobody else includes this.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "functions/async_queue.h"
#include "functions/function_service.h"
#include "functions/function_store.h"
#include "functions/invocation_log.h"
#include "functions/memory_limit.h"
#include "functions/sandbox.h"
#include "functions/worker_identity.h"
#include "functions/worker_pool.h"
#include "io/file.h"

namespace sortie::functions {

// Unpacked code, removed when the last configuration and worker that use it are gone and it was replaced.
class CodeFolder {
 public:
  // Temporary code (a service without a data folder) goes with its last user in any case.
  CodeFolder(io::EventLoop& loop, std::string path, bool is_temporary)
      : loop_(loop), path_(std::move(path)), is_temporary_(is_temporary) {}
  ~CodeFolder() {
    if (is_temporary_) {
      (void)io::remove_tree(path_).ok();
    } else if (is_obsolete) {
      loop_.run_in_background([path = path_] { (void)io::remove_tree(path).ok(); }, [] {});
    }
  }
  CodeFolder(const CodeFolder&) = delete;
  CodeFolder& operator=(const CodeFolder&) = delete;
  bool is_obsolete = false;

 private:
  io::EventLoop& loop_;
  std::string path_;
  bool is_temporary_;
};

inline std::string key_of(std::string_view account, std::string_view name) {
  return std::string(account) + "/" + std::string(name);
}

class Service final : public FunctionService, public WorkerHost {
 public:
  Service(io::EventLoop& loop, Random& random, FunctionServiceOptions options,
          std::unique_ptr<CredentialSource> credentials, Sandbox sandbox,
          std::unique_ptr<WorkerNetwork> network)
      : loop_(loop),
        random_(random),
        options_(std::move(options)),
        credentials_(std::move(credentials)),
        sandbox_(std::move(sandbox)),
        network_(std::move(network)),
        limits_(options_.cgroup_folder),
        root_(options_.data_folder.empty() ? "" : options_.data_folder + "/functions"),
        store_(root_),
        logs_(root_.empty() ? "" : root_ + "/logs"),
        identities_(random),
        tokens_(root_.empty() ? "" : root_ + "/handed-tokens") {}

  ~Service() override {
    *alive_ = false;
    loop_.cancel(watch_timer_);
  }

  Status open();

  void invoke(InvokeRequest request, InvokeCallback done) override;
  std::vector<std::string> sandbox_report() const override {
    std::vector<std::string> report = sandbox_.report();
    for (const std::string& line : network_->report()) report.push_back(line);
    report.push_back(limits_.report());
    return report;
  }
  bool sandbox_is_complete() const override {
    return sandbox_.is_complete() &&
           (network_->is_private() || options_.network.mode == NetworkOptions::Mode::kHost);
  }
  std::vector<Error> startup_problems() const override { return problems_; }
  void set_server_url(std::string url) override {
    network_->allow(url);
    options_.server_url = std::move(url);
  }
  std::vector<Error> load_folder(const std::string& folder) override;
  void watch_folder(const std::string& folder, std::int64_t interval_ms,
                    std::function<void(std::vector<std::string>, std::vector<Error>)> changed) override;

  void create_function(FunctionConfig config, std::string zip, ConfigCallback done) override;
  void update_code(std::string account, std::string function, CodeUpdate update,
                   ConfigCallback done) override;
  void update_configuration(std::string account, std::string function, std::string expected_revision_id,
                            std::function<void(FunctionConfig&)> change, ConfigCallback done) override;
  Status delete_function(std::string_view account, std::string_view function) override;
  Result<FunctionConfig> get_function(std::string_view account, std::string_view function) const override;
  std::vector<FunctionConfig> list_functions(std::string_view account) const override;
  std::vector<InvocationLog> logs(std::string_view account, std::string_view function, Timestamp since,
                                  std::string_view request_id) const override;
  std::optional<WorkerIdentity> find_worker(std::string_view access_key_id) const override {
    return identities_.find(access_key_id);
  }
  bool was_handed(std::string_view account, std::string_view function,
                  std::string_view task_token) const override {
    return tokens_.has(key_of(account.empty() ? options_.account : account, function), task_token);
  }
  Figures figures() const override;
  void drain(std::int64_t deadline_ms, std::function<void()> done) override {
    if (async_) async_->stop();
    loop_.cancel(std::exchange(watch_timer_, 0));
    pool_->drain(deadline_ms, std::move(done));
  }

  void prepare_worker(std::shared_ptr<const FunctionConfig> config, std::uint64_t worker,
                      std::function<void(Result<WorkerOptions>, Timestamp)> done) override;
  void worker_gone(std::uint64_t worker) override {
    identities_.remove(worker);
    limits_.remove(worker);
  }
  void invocation_ended(const std::string& key, InvocationLog log) override {
    logs_.add(key, std::move(log));
  }

 private:
  struct Entry {
    std::shared_ptr<const FunctionConfig> config;
    std::shared_ptr<CodeFolder> code;  // Empty for the project's own folders.
    std::string fingerprint;           // Of a project folder.
    bool is_changing = false;          // An update is on its way.
  };
  using Functions = std::map<std::string, Entry>;

  // Account and name of what a reference names; checks region, account and qualifier.
  Result<FunctionReference> locate(std::string_view account, std::string_view function) const;
  Result<Functions::const_iterator> find(std::string_view account, std::string_view function) const;
  Error not_found(std::string_view account, std::string_view name, std::string_view qualifier = "") const;
  void install(const std::string& key, FunctionConfig config, std::shared_ptr<CodeFolder> code,
               std::string fingerprint);
  void finish_change(FunctionConfig& config);
  void run(const std::shared_ptr<const FunctionConfig>& config, InvokeRequest request,
           const std::string& request_id, InvokeCallback done);
  void answer(InvokeCallback done, InvokeResult result) {
    loop_.post([done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
  }
  void answer(ConfigCallback done, Result<FunctionConfig> result) {
    loop_.post([done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
  }
  void store_code(const std::string& key, FunctionConfig config, std::string zip, bool is_new,
                  ConfigCallback done);
  std::vector<Error> scan(const std::string& folder, std::vector<std::string>& changed);
  void watch_again(std::string folder, std::int64_t interval_ms,
                   std::function<void(std::vector<std::string>, std::vector<Error>)> changed);
  std::map<std::string, std::string> worker_environment(const FunctionConfig& config,
                                                        const Credentials& credentials);
  std::string trace_id();
  bool is_account(std::string_view account) const {
    return account == options_.account || options_.further_accounts.contains(std::string(account));
  }

  io::EventLoop& loop_;
  Random& random_;
  FunctionServiceOptions options_;
  std::unique_ptr<CredentialSource> credentials_;
  Sandbox sandbox_;
  std::unique_ptr<WorkerNetwork> network_;
  MemoryLimits limits_;
  std::string root_, marker_;
  FunctionStore store_;
  LogStore logs_;
  WorkerIdentities identities_;
  HandedTokens tokens_;
  Functions functions_;
  std::vector<Error> problems_;
  std::unique_ptr<WorkerPool> pool_;
  std::unique_ptr<AsyncQueue> async_;
  Loop::TimerId watch_timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sortie::functions
