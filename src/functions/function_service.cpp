#include <time.h>

#include <algorithm>
#include <cstdio>

#include "base/hash.h"
#include "base/text.h"
#include "functions/function_folder.h"
#include "functions/function_service_impl.h"
#include "json/text.h"

namespace sortie::functions {

namespace {

constexpr const char* kMarkerName = "SORTIE_WORKER";

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

}  // namespace

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
      auto code = std::make_shared<CodeFolder>(loop_, config.code_folder, false);
      install(key, std::move(config), std::move(code), "");
    }
    problems_ = std::move(loaded.problems);
  }
  marker_ = std::string(kMarkerName) + "=" + instance + "-" + random_hex(random_, 4) + "-";
  pool_ = std::make_unique<WorkerPool>(
      loop_, sandbox_, *this,
      WorkerPoolOptions{.workers_max = options_.workers_max,
                        .function_concurrency_max = options_.function_concurrency_max,
                        .queue_max = options_.queue_max,
                        .idle_ms = options_.idle_ms,
                        .init_ms = options_.init_ms,
                        .second_ms = options_.second_ms});
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
    options.launch.cgroup_procs_file =
        limits_.create(worker, config->memory_mib, config->ephemeral_storage_mib);
    options.network = network_.get();
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

Result<std::unique_ptr<FunctionService>> FunctionService::make(
    io::EventLoop& loop, Random& random, FunctionServiceOptions options,
    std::unique_ptr<CredentialSource> credentials) {
  SORTIE_TRY(Sandbox sandbox, Sandbox::probe({options.sandbox, options.python, options.node,
                                              options.node_runtime, options.hidden_folders}));
  SORTIE_TRY(auto network, WorkerNetwork::make(loop, sandbox, options.network, options.sandbox));
  network->allow(options.aws_endpoint_url);
  auto service = std::make_unique<Service>(loop, random, std::move(options), std::move(credentials),
                                           std::move(sandbox), std::move(network));
  SORTIE_TRY_STATUS(service->open());
  return std::unique_ptr<FunctionService>(std::move(service));
}

}  // namespace sortie::functions
