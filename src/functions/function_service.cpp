#include "functions/function_service.h"

#include <time.h>

#include <algorithm>
#include <cstdio>

#include "base/hash.h"
#include "base/text.h"
#include "functions/async_queue.h"
#include "functions/code_package.h"
#include "functions/function_folder.h"
#include "functions/function_store.h"
#include "functions/invocation_log.h"
#include "functions/memory_limit.h"
#include "functions/sandbox.h"
#include "functions/worker_identity.h"
#include "functions/worker_pool.h"
#include "io/file.h"
#include "json/text.h"

namespace sortie::functions {

namespace {

constexpr const char* kMarkerName = "SORTIE_WORKER";

// Unpacked code, removed when the last configuration and worker that use it are gone and it was replaced.
class CodeFolder {
 public:
  CodeFolder(io::EventLoop& loop, std::string path) : loop_(loop), path_(std::move(path)) {}
  ~CodeFolder() {
    if (is_obsolete) loop_.run_in_background([path = path_] { (void)io::remove_tree(path).ok(); }, [] {});
  }
  CodeFolder(const CodeFolder&) = delete;
  CodeFolder& operator=(const CodeFolder&) = delete;
  bool is_obsolete = false;

 private:
  io::EventLoop& loop_;
  std::string path_;
};

std::string key_of(std::string_view account, std::string_view name) {
  return std::string(account) + "/" + std::string(name);
}

// The same text gives the same id: a repeated attempt is the same request to the handler.
std::string derived_uuid(std::string_view text) {
  std::string hex = sha256_hex(text).substr(0, 32);
  hex[12] = '4';
  hex[16] = '8';
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" +
         hex.substr(20);
}

InvokeResult api_error(std::string code, std::string message, int status) {
  InvokeResult result;
  result.error_code = std::move(code);
  result.error_message = std::move(message);
  result.status_code = status;
  return result;
}

Error conflict(const std::string& arn) {
  return {"ResourceConflictException",
          "The operation cannot be performed at this time. An update is in progress for resource: " + arn, "",
          ""};
}

class Service final : public FunctionService, public WorkerHost {
 public:
  Service(io::EventLoop& loop, Random& random, FunctionServiceOptions options,
          std::unique_ptr<CredentialSource> credentials, Sandbox sandbox)
      : loop_(loop),
        random_(random),
        options_(std::move(options)),
        credentials_(std::move(credentials)),
        sandbox_(std::move(sandbox)),
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
    report.push_back(limits_.report());
    return report;
  }
  bool sandbox_is_complete() const override { return sandbox_.is_complete(); }
  void set_server_url(std::string url) override { options_.server_url = std::move(url); }
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
  MemoryLimits limits_;
  std::string root_, marker_;
  FunctionStore store_;
  LogStore logs_;
  WorkerIdentities identities_;
  HandedTokens tokens_;
  Functions functions_;
  std::unique_ptr<WorkerPool> pool_;
  std::unique_ptr<AsyncQueue> async_;
  Loop::TimerId watch_timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

Status Service::open() {
  std::string instance = random_hex(random_, 16);
  if (!root_.empty()) {
    SORTIE_TRY(FunctionStore::Loaded loaded, store_.load());
    SORTIE_TRY_STATUS(io::make_private_directory(root_ + "/logs"));
    SORTIE_TRY_STATUS(io::remove_tree(root_ + "/scratch"));
    const auto known = io::read_file(root_ + "/instance", 1024);
    if (known && known->size() == 32) {
      instance = *known;
      io::kill_processes_marked(std::string(kMarkerName) + "=" + instance + "-");
    } else {
      SORTIE_TRY_STATUS(io::write_file_atomically(root_ + "/instance", instance));
    }
    for (FunctionConfig& config : loaded.functions) {
      const std::string key = key_of(config.account, config.name);
      auto code = std::make_shared<CodeFolder>(loop_, config.code_folder);
      install(key, std::move(config), std::move(code), "");
    }
    if (!loaded.problems.empty()) return loaded.problems.front();
  }
  marker_ = std::string(kMarkerName) + "=" + instance + "-" + random_hex(random_, 4) + "-";
  pool_ = std::make_unique<WorkerPool>(
      loop_, sandbox_, *this,
      WorkerPoolOptions{options_.workers_max, options_.function_concurrency_max, options_.queue_max,
                        options_.idle_ms, options_.init_ms, options_.second_ms});
  async_ = std::make_unique<AsyncQueue>(
      loop_, root_.empty() ? nullptr : &store_, options_.async_retry_delays_ms, options_.queue_max,
      [this](InvokeRequest request, const std::string& request_id, InvokeCallback done) {
        const auto found = find(request.account, request.function);
        if (!found) return answer(std::move(done), api_error(found.error().code, found.error().message, 404));
        run((*found)->second.config, std::move(request), request_id, std::move(done));
      });
  return {};
}

Error Service::not_found(std::string_view account, std::string_view name, std::string_view qualifier) const {
  std::string arn = function_arn(options_.region, account, name);
  if (!qualifier.empty()) arn += ":" + std::string(qualifier);
  return {"ResourceNotFoundException", "Function not found: " + arn, "", ""};
}

Result<FunctionReference> Service::locate(std::string_view account, std::string_view function) const {
  SORTIE_TRY(FunctionReference reference, parse_function_reference(function));
  if (reference.account.empty())
    reference.account = account.empty() ? options_.account : std::string(account);
  if (!reference.region.empty() && reference.region != options_.region) {
    return Error{"ResourceNotFoundException", "Function not found: " + std::string(function), "", ""};
  }
  if (!reference.qualifier.empty() && reference.qualifier != "$LATEST") {
    return not_found(reference.account, reference.name, reference.qualifier);
  }
  return reference;
}

Result<Service::Functions::const_iterator> Service::find(std::string_view account,
                                                         std::string_view function) const {
  SORTIE_TRY(const FunctionReference reference, locate(account, function));
  const auto found = functions_.find(key_of(reference.account, reference.name));
  if (found == functions_.end() || found->second.config == nullptr)
    return not_found(reference.account, reference.name);
  return found;
}

void Service::invoke(InvokeRequest request, InvokeCallback done) {
  if (!request.qualifier.empty() && request.qualifier != "$LATEST")
    request.function += ":" + request.qualifier;
  const auto found = find(request.account, request.function);
  if (!found) {
    const bool missing = found.error().code == "ResourceNotFoundException";
    return answer(std::move(done), api_error(found.error().code, found.error().message, missing ? 404 : 400));
  }
  const std::shared_ptr<const FunctionConfig> config = (*found)->second.config;
  const bool is_event = request.type == InvocationType::kEvent;
  const std::size_t limit = is_event ? kAsyncPayloadBytesMax : kPayloadBytesMax;
  if (request.payload.size() > limit) {
    return answer(
        std::move(done),
        api_error("RequestTooLargeException",
                  is_event ? std::to_string(request.payload.size()) +
                                 " byte payload is too large for the Event invocation type (limit " +
                                 std::to_string(limit) + " bytes)"
                           : "Request must be smaller than " + std::to_string(limit) +
                                 " bytes for the InvokeFunction operation",
                  413));
  }
  for (const std::string* text : {&request.payload, &request.client_context}) {
    if (text->empty()) continue;
    if (const auto value = json::parse(*text); !value) {
      return answer(std::move(done), api_error("InvalidRequestContentException",
                                               "Could not parse request body into json: " +
                                                   value.error().message + " (" + value.error().place + ")",
                                               400));
    }
  }
  if (!config->problem.empty())
    return answer(std::move(done), api_error("InvalidRuntimeException", config->problem, 502));
  if (request.type == InvocationType::kDryRun) {
    InvokeResult result;
    result.status_code = 204;
    return answer(std::move(done), std::move(result));
  }
  const std::string request_id = request.idempotency_key.empty()
                                     ? make_uuid(random_)
                                     : derived_uuid(config->arn + "|" + request.idempotency_key);
  if (!is_event) return run(config, std::move(request), request_id, std::move(done));
  InvokeResult result;
  request.function = config->arn;
  if (const Status accepted = async_->accept(std::move(request), request_id); !accepted) {
    result = api_error(accepted.error().code, accepted.error().message,
                       accepted.error().code == "TooManyRequestsException" ? 429 : 500);
  } else {
    result.status_code = 202;
  }
  result.request_id = request_id;
  answer(std::move(done), std::move(result));
}

void Service::run(const std::shared_ptr<const FunctionConfig>& config, InvokeRequest request,
                  const std::string& request_id, InvokeCallback done) {
  const std::string key = key_of(config->account, config->name);
  if (!request.task_token.empty()) tokens_.add(key, request.task_token);
  auto invocation = std::make_shared<Invocation>();
  invocation->request_id = request_id;
  invocation->payload = std::move(request.payload);
  invocation->client_context = std::move(request.client_context);
  invocation->trace_id = request.trace_id.empty() ? trace_id() : std::move(request.trace_id);
  invocation->task_token = std::move(request.task_token);
  invocation->deadline = request.deadline;
  invocation->done = std::move(done);
  pool_->invoke(key, config, std::move(invocation));
}

std::string Service::trace_id() {
  char seconds[16];
  std::snprintf(seconds, sizeof(seconds), "%08llx", static_cast<unsigned long long>(loop_.now().ms / 1000));
  return "Root=1-" + std::string(seconds) + "-" + random_hex(random_, 12) +
         ";Parent=" + random_hex(random_, 8) + ";Sampled=0";
}

void Service::install(const std::string& key, FunctionConfig config, std::shared_ptr<CodeFolder> code,
                      std::string fingerprint) {
  Entry& entry = functions_[key];
  if (entry.code && entry.code != code) entry.code->is_obsolete = true;
  entry.code = code;
  entry.fingerprint = std::move(fingerprint);
  // Whoever holds the configuration holds the code it runs.
  entry.config = std::shared_ptr<const FunctionConfig>(
      new FunctionConfig(std::move(config)),
      [code = std::move(code)](const FunctionConfig* each) { delete each; });
  if (pool_) pool_->replace(key, entry.config);
}

void Service::finish_change(FunctionConfig& config) {
  config.arn = function_arn(options_.region, config.account, config.name);
  config.revision_id = make_uuid(random_);
  config.last_modified = loop_.now();
}

void Service::create_function(FunctionConfig config, std::string zip, ConfigCallback done) {
  const auto reference = parse_function_reference(config.name);
  if (!reference) return answer(std::move(done), reference.error());
  config.name = reference->name;
  if (!reference->account.empty()) config.account = reference->account;
  if (config.account.empty()) config.account = options_.account;
  if (Status status = check_config(config); !status) return answer(std::move(done), status.error());
  if (!is_account(config.account)) {
    return answer(std::move(done),
                  Error{"AccessDeniedException", "this server has no account " + config.account, "", ""});
  }
  if (!config.layers.empty()) {
    return answer(std::move(done), Error{"InvalidParameterValueException",
                                         "layers are not supported yet for functions made by the API; a "
                                         "project folder's function.yaml may name them",
                                         "", ""});
  }
  const std::string key = key_of(config.account, config.name);
  if (functions_.contains(key)) {
    return answer(std::move(done),
                  Error{"ResourceConflictException", "Function already exist: " + config.name, "", ""});
  }
  functions_[key].is_changing = true;
  config.origin = "api";
  store_code(key, std::move(config), std::move(zip), true, std::move(done));
}

// Unpacks beside the loop, then makes the change durable and visible in one step.
void Service::store_code(const std::string& key, FunctionConfig config, std::string zip, bool is_new,
                         ConfigCallback done) {
  struct Job {
    FunctionConfig config;
    std::string zip;
    std::string folder;
    std::optional<Result<CodePackage>> package;
  };
  auto job = std::make_shared<Job>();
  finish_change(config);
  job->config = std::move(config);
  job->zip = std::move(zip);
  const auto give_up = [this, key, is_new](const ConfigCallback& callback, const Error& error) {
    const auto found = functions_.find(key);
    if (found != functions_.end()) {
      found->second.is_changing = false;
      if (is_new) functions_.erase(found);
    }
    callback(error);
  };
  if (root_.empty()) {
    job->folder = "/tmp/sortie-code-" + job->config.revision_id;
  } else {
    auto folder = store_.new_code_folder(job->config.account, job->config.name, job->config.revision_id);
    if (!folder) {
      loop_.post([give_up, done = std::move(done), error = folder.error()] { give_up(done, error); });
      return;
    }
    job->folder = *folder;
  }
  loop_.run_in_background(
      [job] { job->package.emplace(unpack_code(job->zip, job->folder)); },
      [this, alive = alive_, key, job, give_up, done = std::move(done)] {
        if (!*alive) return;
        if (!job->package->ok()) return give_up(done, job->package->error());
        const CodePackage& package = **job->package;
        job->config.code_sha256 = package.sha256_base64;
        job->config.code_size = package.zip_bytes;
        job->config.code_folder = job->folder;
        if (!root_.empty()) {
          if (Status status = store_.save(job->config); !status) {
            (void)io::remove_tree(job->folder).ok();
            return give_up(done, Error{"ServiceException", status.error().message, "", status.error().hint});
          }
        }
        install(key, job->config, std::make_shared<CodeFolder>(loop_, job->folder), "");
        functions_[key].is_changing = false;
        done(job->config);
      });
}

void Service::update_code(std::string account, std::string function, CodeUpdate update, ConfigCallback done) {
  const auto found = find(account, function);
  if (!found) return answer(std::move(done), found.error());
  const auto& [key, entry] = **found;
  const FunctionConfig& config = *entry.config;
  if (entry.is_changing) return answer(std::move(done), conflict(config.arn));
  if (config.origin == "project") {
    return answer(std::move(done), Error{"InvalidParameterValueException",
                                         "the function " + config.name + " comes from the project folder " +
                                             config.code_folder + ": change it there",
                                         "", ""});
  }
  if (!update.expected_revision_id.empty() && update.expected_revision_id != config.revision_id) {
    return answer(std::move(done),
                  Error{"PreconditionFailedException",
                        "The Revision Id provided does not match the latest Revision Id. Call the "
                        "GetFunction/GetAlias API to retrieve the latest Revision Id",
                        "", ""});
  }
  if (update.dry_run) {
    auto package = inspect_code(update.zip);
    if (!package) return answer(std::move(done), package.error());
    FunctionConfig shown = config;
    shown.code_sha256 = package->sha256_base64;
    shown.code_size = package->zip_bytes;
    return answer(std::move(done), std::move(shown));
  }
  functions_[key].is_changing = true;
  store_code(std::string(key), config, std::move(update.zip), false, std::move(done));
}

void Service::update_configuration(std::string account, std::string function,
                                   std::string expected_revision_id,
                                   std::function<void(FunctionConfig&)> change, ConfigCallback done) {
  const auto found = find(account, function);
  if (!found) return answer(std::move(done), found.error());
  const std::string key = (*found)->first;
  Entry& entry = functions_[key];
  if (entry.is_changing) return answer(std::move(done), conflict(entry.config->arn));
  if (entry.config->origin == "project") {
    return answer(std::move(done),
                  Error{"InvalidParameterValueException",
                        "the function " + entry.config->name + " comes from the project folder " +
                            entry.config->code_folder + ": change its function.yaml",
                        "", ""});
  }
  if (!expected_revision_id.empty() && expected_revision_id != entry.config->revision_id) {
    return answer(std::move(done),
                  Error{"PreconditionFailedException",
                        "The Revision Id provided does not match the latest Revision Id. Call the "
                        "GetFunction/GetAlias API to retrieve the latest Revision Id",
                        "", ""});
  }
  FunctionConfig changed = *entry.config;
  change(changed);
  changed.name = entry.config->name;
  changed.account = entry.config->account;
  if (Status status = check_config(changed); !status) return answer(std::move(done), status.error());
  finish_change(changed);
  if (!root_.empty()) {
    if (Status status = store_.save(changed); !status) {
      return answer(std::move(done),
                    Error{"ServiceException", status.error().message, "", status.error().hint});
    }
  }
  install(key, changed, entry.code, "");
  answer(std::move(done), std::move(changed));
}

Status Service::delete_function(std::string_view account, std::string_view function) {
  SORTIE_TRY(const auto found, find(account, function));
  const std::string key = found->first;
  Entry& entry = functions_[key];
  if (entry.is_changing) return conflict(entry.config->arn);
  if (entry.config->origin == "project") {
    return Error{"InvalidParameterValueException",
                 "the function " + entry.config->name + " comes from the project folder " +
                     entry.config->code_folder + ": remove it there",
                 "", ""};
  }
  if (!root_.empty()) SORTIE_TRY_STATUS(store_.remove(entry.config->account, entry.config->name));
  if (entry.code) entry.code->is_obsolete = true;
  functions_.erase(key);
  pool_->replace(key, nullptr);
  logs_.remove(key);
  return {};
}

Result<FunctionConfig> Service::get_function(std::string_view account, std::string_view function) const {
  SORTIE_TRY(const auto found, find(account, function));
  return *found->second.config;
}

std::vector<FunctionConfig> Service::list_functions(std::string_view account) const {
  const std::string prefix = std::string(account.empty() ? options_.account : account) + "/";
  std::vector<FunctionConfig> list;
  for (auto at = functions_.lower_bound(prefix); at != functions_.end() && at->first.starts_with(prefix);
       ++at) {
    if (at->second.config) list.push_back(*at->second.config);
  }
  return list;
}

std::vector<InvocationLog> Service::logs(std::string_view account, std::string_view function, Timestamp since,
                                         std::string_view request_id) const {
  const auto reference = locate(account, function);
  if (!reference) return {};
  return logs_.find(key_of(reference->account, reference->name), since, request_id);
}

FunctionService::Figures Service::figures() const {
  Figures figures = pool_->figures();
  figures.functions = functions_.size();
  figures.async_waiting = async_->size();
  return figures;
}

std::vector<Error> Service::scan(const std::string& folder, std::vector<std::string>& changed) {
  std::vector<Error> problems;
  std::set<std::string> seen;
  const auto entries = io::list_directory(folder);
  if (!entries && entries.error().code != "NotFound") return {entries.error()};
  for (const io::DirectoryEntry& each : entries ? *entries : std::vector<io::DirectoryEntry>()) {
    if (each.name.starts_with('.') || each.name.starts_with("__") ||
        !io::is_directory(folder + "/" + each.name))
      continue;
    const std::string key = key_of(options_.account, each.name);
    const std::string path = folder + "/" + each.name;
    seen.insert(key);
    const auto known = functions_.find(key);
    const std::string fingerprint = folder_fingerprint(path);
    if (known != functions_.end() && known->second.config && known->second.config->origin == "api") {
      problems.push_back({"InvalidFunction", "a function " + each.name + " was already made by the API", path,
                          "delete it there, or rename the folder"});
      continue;
    }
    if (known != functions_.end() && known->second.fingerprint == fingerprint) continue;
    auto config = read_function_folder(path, each.name);
    if (!config) {
      problems.push_back(config.error());
      FunctionConfig broken;
      broken.name = each.name;
      broken.origin = "project";
      broken.problem = to_text(config.error());
      broken.code_folder = path;
      config = std::move(broken);
    }
    config->account = options_.account;
    config->code_sha256 = folder_code_sha256(path, config->code_size);
    finish_change(*config);
    install(key, std::move(*config), nullptr, fingerprint);
    changed.push_back(each.name);
  }
  for (auto at = functions_.begin(); at != functions_.end();) {
    const bool gone =
        at->second.config && at->second.config->origin == "project" && !seen.contains(at->first);
    if (!gone) {
      ++at;
      continue;
    }
    changed.push_back(at->second.config->name);
    const std::string key = at->first;
    at = functions_.erase(at);
    pool_->replace(key, nullptr);
  }
  return problems;
}

std::vector<Error> Service::load_folder(const std::string& folder) {
  std::vector<std::string> changed;
  return scan(folder, changed);
}

void Service::watch_folder(const std::string& folder, std::int64_t interval_ms,
                           std::function<void(std::vector<std::string>, std::vector<Error>)> changed) {
  loop_.cancel(watch_timer_);
  watch_again(folder, interval_ms, std::move(changed));
}

void Service::watch_again(std::string folder, std::int64_t interval_ms,
                          std::function<void(std::vector<std::string>, std::vector<Error>)> changed) {
  watch_timer_ = loop_.call_after(
      interval_ms, [this, folder = std::move(folder), interval_ms, changed = std::move(changed)]() mutable {
        std::vector<std::string> names;
        std::vector<Error> problems = scan(folder, names);
        if (!names.empty()) changed(std::move(names), std::move(problems));
        watch_again(std::move(folder), interval_ms, std::move(changed));
      });
}

std::map<std::string, std::string> Service::worker_environment(const FunctionConfig& config,
                                                               const Credentials& credentials) {
  std::map<std::string, std::string> environment = config.resolved_environment;
  // A function may aim its SDK elsewhere; what tells it who and where it is, it may not.
  if (!options_.aws_endpoint_url.empty()) environment.emplace("AWS_ENDPOINT_URL", options_.aws_endpoint_url);
  for (const char* service : {"SFN", "EVENTBRIDGE", "LAMBDA"}) {
    if (!options_.server_url.empty())
      environment.emplace(std::string("AWS_ENDPOINT_URL_") + service, options_.server_url);
  }
  environment.emplace("AWS_DISABLE_HOST_PREFIX_INJECTION",
                      "true");  // SDKs would put "sync-" before our host.
  environment.emplace("AWS_EC2_METADATA_DISABLED", "true");
  environment["AWS_REGION"] = environment["AWS_DEFAULT_REGION"] = options_.region;
  environment["AWS_ACCESS_KEY_ID"] = credentials.access_key_id;
  environment["AWS_SECRET_ACCESS_KEY"] = credentials.secret_access_key;
  if (!credentials.session_token.empty()) environment["AWS_SESSION_TOKEN"] = credentials.session_token;
  environment["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + config.runtime;
  environment["AWS_LAMBDA_FUNCTION_NAME"] = config.name;
  environment["AWS_LAMBDA_FUNCTION_VERSION"] = config.version;
  environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] = std::to_string(config.memory_mib);
  environment["AWS_LAMBDA_INITIALIZATION_TYPE"] = "on-demand";
  environment["AWS_LAMBDA_LOG_GROUP_NAME"] = "/aws/lambda/" + config.name;
  environment["AWS_LAMBDA_LOG_STREAM_NAME"] = replace_all(to_iso8601(loop_.now()).substr(0, 10), "-", "/") +
                                              "/[" + config.version + "]" + random_hex(random_, 16);
  return environment;
}

void Service::prepare_worker(std::shared_ptr<const FunctionConfig> config, std::uint64_t worker,
                             std::function<void(Result<WorkerOptions>, Timestamp)> done) {
  const auto finish = [this, alive = alive_, config, worker,
                       done = std::move(done)](std::optional<Credentials> given) {
    if (!*alive) return;
    auto resolved = resolve_environment(*config);
    if (!resolved) return done(resolved.error(), kNever);
    const Credentials credentials = given ? std::move(*given) : identities_.mint();
    FunctionConfig full = *config;
    full.resolved_environment = std::move(*resolved);
    WorkerOptions options;
    options.config = config;
    options.init_ms = options_.init_ms;
    options.second_ms = options_.second_ms;
    options.launch.runtime = config->runtime_kind();
    options.launch.code_folder = config->code_folder;
    options.launch.layer_folders = config->layers;
    options.launch.handler = config->handler;
    options.launch.environment = worker_environment(full, credentials);
    options.launch.scratch_bytes = static_cast<std::uint64_t>(config->ephemeral_storage_mib) * 1024 * 1024;
    options.launch.marker = marker_ + std::to_string(worker);
    options.launch.cgroup_procs_file = limits_.create(worker, config->memory_mib);
    options.watch_memory = options.launch.cgroup_procs_file.empty();
    if (!sandbox_.wraps()) {
      options.launch.scratch_folder =
          (root_.empty() ? "/tmp/sortie-scratch-" + random_hex(random_, 8) : root_ + "/scratch/worker") +
          "-" + std::to_string(worker);
      if (Status status = io::make_private_directory(options.launch.scratch_folder); !status)
        return done(status.error(), kNever);
    }
    identities_.add(worker, {config->account,
                             config->name,
                             config->arn,
                             credentials.access_key_id,
                             credentials.secret_access_key,
                             credentials.session_token,
                             {config->actions.begin(), config->actions.end()}});
    done(std::move(options), credentials.expires_at);
  };
  if (!credentials_) {
    loop_.post([finish] { finish(std::nullopt); });
    return;
  }
  credentials_->credentials_for(*config, [this, alive = alive_, finish](std::optional<Credentials> given) {
    if (*alive) loop_.post([finish, given = std::move(given)] { finish(given); });
  });
}

}  // namespace

Result<std::unique_ptr<FunctionService>> FunctionService::make(
    io::EventLoop& loop, Random& random, FunctionServiceOptions options,
    std::unique_ptr<CredentialSource> credentials) {
  SORTIE_TRY(Sandbox sandbox, Sandbox::probe({options.sandbox, options.python, options.node,
                                              options.node_runtime, options.hidden_folders}));
  auto service =
      std::make_unique<Service>(loop, random, std::move(options), std::move(credentials), std::move(sandbox));
  SORTIE_TRY_STATUS(service->open());
  return std::unique_ptr<FunctionService>(std::move(service));
}

}  // namespace sortie::functions
