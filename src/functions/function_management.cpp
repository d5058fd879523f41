#include <set>

#include "base/hash.h"
#include "functions/code_package.h"
#include "functions/function_folder.h"
#include "functions/function_service_impl.h"

namespace sortie::functions {

namespace {

Error conflict(const std::string& arn) {
  return {"ResourceConflictException",
          "The operation cannot be performed at this time. An update is in progress for resource: " + arn, "",
          ""};
}

Error project_owned(const FunctionConfig& config, const std::string& cure) {
  return {
      "InvalidParameterValueException",
      "the function " + config.name + " comes from the project folder " + config.code_folder + ": " + cure,
      "", ""};
}

Error stale_revision() {
  return {
      "PreconditionFailedException",
      "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to "
      "retrieve the latest Revision Id",
      "", ""};
}

}  // namespace

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
        install(key, job->config, std::make_shared<CodeFolder>(loop_, job->folder, root_.empty()), "");
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
    return answer(std::move(done), project_owned(config, "change it there"));
  }
  if (!update.expected_revision_id.empty() && update.expected_revision_id != config.revision_id) {
    return answer(std::move(done), stale_revision());
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
    return answer(std::move(done), project_owned(*entry.config, "change its function.yaml"));
  }
  if (!expected_revision_id.empty() && expected_revision_id != entry.config->revision_id) {
    return answer(std::move(done), stale_revision());
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
    return project_owned(*entry.config, "remove it there");
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

}  // namespace sortie::functions
