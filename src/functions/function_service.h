#pragma once
// Lambda functions for the other floors: invoke them, manage them, read their logs, and tell who a worker is.
//
// Functions are run by warm worker processes behind a Lambda Runtime API of our own (worker_pool.h). The
// service keeps them by account and name. Those of the project's functions/ folder belong to the main account
// and are read from there (load_folder, then rescan for hot reload); those created by the API are kept below
// `<data>/functions/` and survive a restart; changing one replaces its workers, while invocations in flight
// end on the old ones.
//
// Everything runs on the loop's thread; callbacks run from the loop, once, never inside the call that was
// given them. Nothing throws.
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "functions/function.h"
#include "io/event_loop.h"

namespace sortie::functions {

enum class InvocationType { kRequestResponse, kEvent, kDryRun };

struct InvokeRequest {
  std::string function;   // Anything parse_function_reference takes.
  std::string qualifier;  // Beside the one in `function`, if any.
  std::string account;    // The caller's; "" means the main account.
  std::string payload;    // JSON text; "" means null for the handler ({} on AWS's console, null on its API).
  InvocationType type = InvocationType::kRequestResponse;
  std::string client_context;  // JSON text, already base64-decoded.
  std::string trace_id;        // X-Ray header; "" makes one.
  // Two invocations with the same key get the same request id, so a handler (and whoever reads its log) sees
  // a repeated attempt as the same one. "" makes a fresh request id.
  std::string idempotency_key;
  std::string task_token;       // A task token that the payload carries: the function may complete it.
  Timestamp deadline = kNever;  // The caller waits no longer; only trims the wait for a free worker.
};

struct InvokeResult {
  // An answer of the API instead of the function: "ResourceNotFoundException", "TooManyRequestsException",
  // "RequestTooLargeException", "InvalidRequestContentException", "InvalidRuntimeException",
  // "ServiceException", ...; "" where the function was run (or accepted, for Event and DryRun).
  std::string error_code;
  std::string error_message;
  int status_code = 200;  // 200, 202 (Event), 204 (DryRun), or the error's HTTP status.

  // "" when the handler returned; "Unhandled" when it failed. Then the payload is AWS's error object:
  // {"errorType", "errorMessage", ...}.
  std::string function_error;
  std::string payload;          // What the handler returned: JSON text, unless payload_is_json says no.
  bool payload_is_json = true;  // A provided runtime may return any bytes; Invoke passes them on as they are.
  std::string executed_version = "$LATEST";
  std::string request_id;
  std::string log_tail;  // The last 4 KiB of this invocation's log (not base64).
  std::int64_t duration_ms = 0;
};

using InvokeCallback = std::function<void(InvokeResult)>;

// The one thing that integrations and rules need.
class FunctionInvoker {
 public:
  virtual ~FunctionInvoker() = default;
  virtual void invoke(InvokeRequest request, InvokeCallback done) = 0;
};

struct InvocationLog {
  std::string request_id;
  std::string function;
  Timestamp started_at;
  std::int64_t duration_ms = 0;
  std::string outcome;  // "running", "succeeded", or the error type ("Runtime.ExitError", "KeyError", ...).
  std::string cold_start;  // "" or "112.33 ms".
  std::string text;        // START, the handler's output, END, REPORT; bounded, says where it was cut.
};

// Who holds an access key that we handed to a worker.
struct WorkerIdentity {
  std::string account;
  std::string function;
  std::string function_arn;
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;      // "" if there is none.
  std::set<std::string> actions;  // function.yaml's list.

  // Exact ("states:StartExecution"), by service ("states:*") or everything ("*").
  bool may_call(std::string_view action) const;
};

struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;
  Timestamp expires_at = kNever;
};

// Where a worker's credentials for the AWS account come from: usually AssumeRole with a session policy.
// Answers nothing where no role can be assumed; the worker then gets a key that Sortie mints.
class CredentialSource {
 public:
  virtual ~CredentialSource() = default;
  virtual void credentials_for(const FunctionConfig& function,
                               std::function<void(std::optional<Credentials>)> done) = 0;
};
// Passes on AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN of the given environment, if they
// are there. All functions then share one key, so on Sortie's own APIs it counts as a function only while a
// single function holds it.
std::unique_ptr<CredentialSource> make_shared_credential_source(Credentials credentials);

enum class SandboxMode { kRequired, kPreferred, kOff };

// What of the network functions have (worker_network.h).
struct NetworkOptions {
  enum class Mode {
    kPrivate,   // A network of their own with a way out, without the instance's metadata.
    kIsolated,  // The same without the way out.
    kHost,      // This machine's, as it is.
  };
  Mode mode = Mode::kPrivate;
  bool whole_loopback = true;      // Everything that listens on this machine's loopback; else what is listed:
  std::vector<std::string> allow;  // HOST:PORT or URL, on loopback; others need no listing and are ignored.
};

struct FunctionServiceOptions {
  std::string account = "123456789012";
  std::string region = "us-east-1";
  std::set<std::string> further_accounts;
  std::string data_folder;       // <data>/functions is ours; "" keeps nothing (tests).
  std::string server_url;        // Sortie itself, for AWS_ENDPOINT_URL_SFN, _EVENTBRIDGE, _LAMBDA.
  std::string aws_endpoint_url;  // The account that handlers act on; "" is real AWS.
  std::string python;            // An interpreter that has awslambdaric: build/venv/bin/python.
  std::string node;              // The node program; "" looks in PATH.
  std::string node_runtime;      // node.mjs, our runtime client for Node.
  SandboxMode sandbox = SandboxMode::kPreferred;
  NetworkOptions network;
  std::vector<std::string> hidden_folders;  // Never visible in a sandbox: data folder, project folder.
  int workers_max = 64;                     // Processes over all functions.
  int function_concurrency_max = 32;        // For functions without a reserved concurrency; more wait.
  std::size_t queue_max = 10'000;           // Waiting invocations, synchronous and asynchronous each.
  std::int64_t idle_ms = 10 * 60 * 1000;    // An idle worker ends after this.
  std::int64_t init_ms = 10'000;            // Time to load the handler, at least.
  std::vector<std::int64_t> async_retry_delays_ms = {60'000, 120'000};
  std::int64_t second_ms = 1'000;  // How long a second of a function's timeout is; tests shorten it.
  std::string cgroup_folder;       // A delegated cgroup v2 folder; "" finds out; "none" watches instead.
};

struct CodeUpdate {
  std::string zip;  // The package's bytes.
  bool dry_run = false;
  std::string expected_revision_id;  // "": any.
};

class FunctionService : public FunctionInvoker {
 public:
  using ConfigCallback = std::function<void(Result<FunctionConfig>)>;

  // Probes the sandbox (a moment, blocking) and kills what a predecessor on the same data folder left behind.
  // Errors: "SandboxUnavailable" where it is required and cannot be had, and file errors of the data folder.
  static Result<std::unique_ptr<FunctionService>> make(io::EventLoop& loop, Random& random,
                                                       FunctionServiceOptions options,
                                                       std::unique_ptr<CredentialSource> credentials);

  // What the sandbox does here and what the kernel refuses, one sentence each; for start-up and doctor.
  virtual std::vector<std::string> sandbox_report() const = 0;
  virtual bool sandbox_is_complete() const = 0;
  // Kept functions that could not be read at start; they are left on disk as they are.
  virtual std::vector<Error> startup_problems() const { return {}; }
  // Once the server knows its own address (port 0), before the first invocation.
  virtual void set_server_url(std::string url) = 0;

  // Reads (again) every folder DIR/NAME as function NAME of the main account. One that is broken is kept as a
  // function with a `problem` and the rest goes on; the problems are returned, too. A function that was read
  // before and is gone is removed. Only what changed gets new workers.
  virtual std::vector<Error> load_folder(const std::string& folder) = 0;
  // Looks every `interval_ms` whether files changed, and reads what did. `changed` gets the names and the
  // problems of each round that found something.
  virtual void watch_folder(const std::string& folder, std::int64_t interval_ms,
                            std::function<void(std::vector<std::string>, std::vector<Error>)> changed) = 0;

  // The Lambda API. Errors carry its exception names. `account` "" is the main account.
  virtual void create_function(FunctionConfig config, std::string zip, ConfigCallback done) = 0;
  virtual void update_code(std::string account, std::string function, CodeUpdate update,
                           ConfigCallback done) = 0;
  // `change` gets a copy to edit; what it leaves is checked and kept.
  virtual void update_configuration(std::string account, std::string function,
                                    std::string expected_revision_id,
                                    std::function<void(FunctionConfig&)> change, ConfigCallback done) = 0;
  virtual Status delete_function(std::string_view account, std::string_view function) = 0;
  virtual Result<FunctionConfig> get_function(std::string_view account, std::string_view function) const = 0;
  virtual std::vector<FunctionConfig> list_functions(std::string_view account) const = 0;  // By name.

  // Newest last. `request_id` "" means all; `since` {0} means all that is kept.
  virtual std::vector<InvocationLog> logs(std::string_view account, std::string_view function,
                                          Timestamp since, std::string_view request_id) const = 0;

  // Who this key is; nothing if we did not hand it out, or to more than one function.
  virtual std::optional<WorkerIdentity> find_worker(std::string_view access_key_id) const = 0;
  // The function was handed this task token in an event.
  virtual bool was_handed(std::string_view account, std::string_view function,
                          std::string_view task_token) const = 0;

  struct Figures {
    std::size_t functions = 0, workers = 0, busy_workers = 0, waiting = 0, async_waiting = 0;
    std::uint64_t invocations = 0, errors = 0, throttles = 0, cold_starts = 0, timeouts = 0, crashes = 0;
  };
  virtual Figures figures() const = 0;

  // Takes no new invocations, lets those in flight end within `deadline_ms`, then ends every worker.
  virtual void drain(std::int64_t deadline_ms, std::function<void()> done) = 0;
};

}  // namespace sortie::functions
