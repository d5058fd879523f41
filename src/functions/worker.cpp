#include "functions/worker.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "functions/peer_check.h"
#include "io/file.h"
#include "json/text.h"

namespace sortie::functions {

namespace {

constexpr std::string_view kPrefix = "/2018-06-01/runtime/";
constexpr std::size_t kErrorHeaderBytesMax = 2 * 1024 * 1024;  // Python sends causes of up to 1 MiB.
constexpr std::size_t kTakenBytesMax = 32 * 1024 * 1024;  // Responses above it end the process, as on AWS.
constexpr std::size_t kInitErrorBytesMax = 1024 * 1024;

std::int64_t steady_us() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000 + time.tv_nsec / 1'000;
}

std::string milliseconds(std::int64_t us) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f ms", static_cast<double>(us) / 1000.0);
  return text;
}

std::string seconds(int whole) { return std::to_string(whole) + ".00 seconds"; }

// As Go's os.Signal names them, because that is what Lambda's own messages show.
std::string signal_name(int number) {
  switch (number) {
    case SIGHUP:
      return "hangup";
    case SIGINT:
      return "interrupt";
    case SIGQUIT:
      return "quit";
    case SIGILL:
      return "illegal instruction";
    case SIGTRAP:
      return "trace/breakpoint trap";
    case SIGABRT:
      return "aborted";
    case SIGBUS:
      return "bus error";
    case SIGFPE:
      return "floating point exception";
    case SIGKILL:
      return "killed";
    case SIGSEGV:
      return "segmentation fault";
    case SIGPIPE:
      return "broken pipe";
    case SIGTERM:
      return "terminated";
    case SIGSYS:
      return "bad system call";
    default:
      return "signal " + std::to_string(number);
  }
}

// bubblewrap reports a signal as 128 + its number; a program may also exit with such a number (Node does with
// 129), so only the signals that end programs count.
bool is_signal_status(int code) {
  switch (code - 128) {
    case SIGINT:
    case SIGQUIT:
    case SIGILL:
    case SIGABRT:
    case SIGBUS:
    case SIGFPE:
    case SIGKILL:
    case SIGSEGV:
    case SIGPIPE:
    case SIGTERM:
    case SIGSYS:
      return true;
    default:
      return false;
  }
}

io::HttpResponse json_answer(int status, std::string body) {
  return {status, {{"Content-Type", "application/json"}}, std::move(body)};
}

std::string error_type_of(const std::string& payload) {
  const auto value = json::parse(payload);
  if (!value || !value->get("errorType").is_string()) return "";
  return value->get("errorType").to_std_string();
}

}  // namespace

std::uint64_t tree_memory(const std::vector<pid_t>& processes) {
  static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::uint64_t private_pages = 0, shared_pages = 0;
  for (const pid_t pid : processes) {
    const auto text = io::read_file("/proc/" + std::to_string(pid) + "/statm", 4096);
    unsigned long size = 0, resident = 0, shared = 0;
    if (!text || std::sscanf(text->c_str(), "%lu %lu %lu", &size, &resident, &shared) != 3) continue;
    private_pages += resident > shared ? resident - shared : 0;
    shared_pages = std::max<std::uint64_t>(shared_pages, shared);
  }
  return (private_pages + shared_pages) * page;
}

Worker::Worker(io::EventLoop& loop, const Sandbox& sandbox, WorkerOptions options, Events events)
    : loop_(loop), sandbox_(sandbox), options_(std::move(options)), events_(std::move(events)) {}

Worker::~Worker() {
  events_ = {};
  loop_.cancel(timer_);
  waiting_ = nullptr;
  child_ = nullptr;
  server_ = nullptr;
  if (!options_.launch.scratch_folder.empty()) (void)io::remove_tree(options_.launch.scratch_folder).ok();
}

void Worker::set_timer(std::int64_t delay_ms, void (Worker::*action)()) {
  loop_.cancel(timer_);
  timer_ = loop_.call_after(delay_ms, [this, action] {
    timer_ = 0;
    (this->*action)();
  });
}

void Worker::start() {
  io::HttpServerOptions options;
  options.header_bytes_max = kErrorHeaderBytesMax;
  options.body_bytes_max = kTakenBytesMax;
  options.idle_timeout_ms = 0;  // A poll may be held for hours.
  options.request_timeout_ms = 0;
  options.connections_max = 64;
  options.accept_peer = [this](const std::string& address, std::uint16_t port) {
    if (!child_ || !server_) return false;
    const std::uint64_t socket = find_loopback_socket(child_->pid(), address, port, server_->port());
    return socket != 0 &&
           (holds_socket(child_->tree(), socket) || holds_socket(child_->complete_tree(), socket));
  };
  if (options_.network != nullptr && options_.network->is_private()) {
    options_.network->follow_loopback();
    options_.launch.network = options_.network->launch();
    const auto listener = options_.network->listen_inside();
    if (!listener) return fail_start(listener.error());
    options.listener = *listener;
  }
  auto server = io::HttpServer::listen(
      loop_, std::move(options), [this](io::HttpRequest request, std::shared_ptr<io::Responder> responder) {
        handle(std::move(request), std::move(responder));
      });
  if (!server) return fail_start(server.error());
  server_ = std::move(*server);
  options_.launch.environment["AWS_LAMBDA_RUNTIME_API"] = "127.0.0.1:" + std::to_string(server_->port());
  auto child_options = sandbox_.prepare(options_.launch);
  if (!child_options) return fail_start(child_options.error());
  child_options->join_output = true;
  spawned_us_ = steady_us();
  auto child = io::ChildProcess::spawn(
      loop_, std::move(*child_options),
      {.on_line = [this](io::ChildOutput, std::string_view line) { log_.append_line(line); },
       .on_exit = [this](io::ChildExit exit) { ended(exit); }});
  if (!child) return fail_start(child.error());
  child_ = std::move(*child);
  const std::int64_t function_ms = options_.config->timeout_s * options_.second_ms;
  set_timer(std::max(options_.init_ms, function_ms), &Worker::time_out);
}

// Nothing was started; the outcome still comes from the loop, as if a process had ended.
void Worker::fail_start(const Error& error) {
  std::string message = error.message;
  if (!error.hint.empty()) message += " (" + error.hint + ")";
  const bool is_lambda_error = error.code.starts_with("Runtime.");
  init_error_ =
      json::to_text(json::Value::object({{"errorType", is_lambda_error ? error.code : "Sandbox.StartFailed"},
                                         {"errorMessage", "RequestId: ID Error: " + message}}));
  log_.append_line(message);
  // The timer belongs to this object, so nothing runs once it is gone.
  loop_.cancel(timer_);
  timer_ = loop_.call_after(0, [this] {
    timer_ = 0;
    ended({false, 1});
  });
}

void Worker::give(std::shared_ptr<Invocation> invocation) {
  SORTIE_CHECK(invocation_ == nullptr && (state_ == State::kStarting || state_ == State::kIdle));
  invocation_ = std::move(invocation);
  if (state_ == State::kIdle) deliver();
}

void Worker::deliver() {
  SORTIE_CHECK(invocation_ != nullptr && waiting_ != nullptr);
  const FunctionConfig& config = *options_.config;
  const std::int64_t timeout_ms = config.timeout_s * options_.second_ms;
  started_at_ = loop_.now();
  io::HttpResponse event;
  event.headers = {{"Content-Type", "application/json"},  // Exactly this, or Python hands over raw bytes.
                   {"Lambda-Runtime-Aws-Request-Id", invocation_->request_id},
                   {"Lambda-Runtime-Deadline-Ms", std::to_string(started_at_.ms + timeout_ms)},
                   {"Lambda-Runtime-Invoked-Function-Arn", config.arn},
                   {"Lambda-Runtime-Trace-Id", invocation_->trace_id}};
  if (!invocation_->client_context.empty())
    event.headers.add("Lambda-Runtime-Client-Context", invocation_->client_context);
  event.body = invocation_->payload.empty() ? "{}" : invocation_->payload;
  log_.append_line("START RequestId: " + invocation_->request_id + " Version: " + config.version);
  if (options_.network != nullptr) options_.network->follow_loopback();
  state_ = State::kBusy;
  set_timer(timeout_ms, &Worker::time_out);
  delivered_us_ = steady_us();
  std::exchange(waiting_, nullptr)->send(std::move(event));
}

void Worker::handle(io::HttpRequest request, std::shared_ptr<io::Responder> responder) {
  std::string_view path = request.path;
  if (state_ == State::kGone || !path.starts_with(kPrefix)) {
    responder->send(
        json_answer(404, R"({"errorType":"NotFound","errorMessage":"no such Runtime API path"})"));
    return;
  }
  path.remove_prefix(kPrefix.size());
  if (request.method == "GET" && path == "invocation/next") return handle_next(std::move(responder));
  if (request.method == "POST" && path == "init/error") return handle_init_error(request, responder);
  if (request.method == "POST" && path.starts_with("invocation/")) {
    path.remove_prefix(std::string_view("invocation/").size());
    const std::size_t slash = path.find('/');
    const std::string_view id = path.substr(0, slash);
    const std::string_view action =
        slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    if (action == "response" || action == "error") {
      const std::string request_id(id);
      const bool is_error = action == "error";
      return handle_answer(std::move(request), request_id, is_error, responder);
    }
  }
  responder->send(json_answer(404, R"({"errorType":"NotFound","errorMessage":"no such Runtime API path"})"));
}

void Worker::handle_next(std::shared_ptr<io::Responder> responder) {
  waiting_ = std::move(responder);
  if (state_ == State::kBusy) return;  // Asked before it answered: it waits, and its time runs.
  if (state_ == State::kStarting) {
    init_us_ = steady_us() - spawned_us_;
    loop_.cancel(std::exchange(timer_, 0));
    check_memory();
  }
  state_ = State::kIdle;
  idle_since_ = loop_.now();
  if (retiring_ && invocation_ == nullptr) return kill();
  if (invocation_ != nullptr) return deliver();
  events_.on_idle(*this);
}

void Worker::handle_init_error(const io::HttpRequest& request,
                               const std::shared_ptr<io::Responder>& responder) {
  if (state_ != State::kStarting) {
    responder->send(
        json_answer(403, R"({"errorType":"InvalidStateTransition","errorMessage":"already initialised"})"));
    return;
  }
  init_error_ = request.body.substr(0, kInitErrorBytesMax);
  if (error_type_of(init_error_).empty()) {
    std::string type(request.headers.get("lambda-runtime-function-error-type"));
    if (type.empty()) type = "Runtime.Unknown";
    init_error_ = json::to_text(
        json::Value::object({{"errorType", type}, {"errorMessage", to_valid_utf8(init_error_)}}));
  }
  responder->send(json_answer(202, R"({"status":"OK"})"));
}

void Worker::handle_answer(io::HttpRequest request, std::string_view id, bool is_error,
                           const std::shared_ptr<io::Responder>& responder) {
  if (state_ != State::kBusy || invocation_ == nullptr || id != invocation_->request_id ||
      reason_ != Reason::kNone) {
    responder->send(
        json_answer(400, R"({"errorType":"InvalidRequestID","errorMessage":"Invalid request ID"})"));
    return;
  }
  // What was printed before the answer lies in the pipe by now.
  child_->read_pending_output();
  InvokeResult result;
  result.payload = std::move(request.body);
  // A streamed response reports a failure in its trailers.
  const std::string_view trailer_type =
      is_error ? std::string_view() : request.headers.get("lambda-runtime-function-error-type");
  if (!trailer_type.empty()) {
    is_error = true;
    result.payload = base64_decode(request.headers.get("lambda-runtime-function-error-body")).ok()
                         ? base64_decode(request.headers.get("lambda-runtime-function-error-body")).value()
                         : std::string();
  }
  std::string status;
  if (result.payload.size() > kResponseBytesMax) {
    result = runtime_error("Function.ResponseSizeTooLarge",
                           "Response payload size (" + std::to_string(result.payload.size()) +
                               " bytes) exceeded maximum allowed payload size (" +
                               std::to_string(kResponseBytesMax) + " bytes).");
    status = "Function.ResponseSizeTooLarge";
  } else if (is_error) {
    result.function_error = "Unhandled";
    status = error_type_of(result.payload);
    if (status.empty()) {
      status = std::string(request.headers.get("lambda-runtime-function-error-type"));
      if (status.empty()) status = "Runtime.Unknown";
      if (const auto value = json::parse(result.payload); !value || !value->is_object()) {
        result.payload = json::to_text(
            json::Value::object({{"errorType", status}, {"errorMessage", to_valid_utf8(result.payload)}}));
      }
    }
  } else {
    result.payload_is_json = json::parse(result.payload).ok();
  }
  loop_.cancel(std::exchange(timer_, 0));
  state_ = State::kFinishing;
  responder->send(json_answer(202, R"({"status":"OK"})"));
  finish(std::move(result), status);
  if (retiring_) kill();
}

InvokeResult Worker::runtime_error(std::string_view type, const std::string& message) const {
  InvokeResult result;
  result.function_error = "Unhandled";
  result.payload = json::to_text(json::Value::object({{"errorType", type}, {"errorMessage", message}}));
  return result;
}

void Worker::time_out() {
  if (state_ == State::kGone || reason_ != Reason::kNone) return;
  reason_ = Reason::kTimeout;
  kill();
}

void Worker::check_memory() {
  if (!child_ || state_ == State::kGone || reason_ != Reason::kNone) return;
  memory_bytes_ = tree_memory(child_->tree());
  memory_peak_ = std::max(memory_peak_, memory_bytes_);
  const auto limit = static_cast<std::uint64_t>(options_.config->memory_mib) * 1024 * 1024;
  if (memory_bytes_ <= limit) return;
  reason_ = Reason::kMemory;
  kill();
}

void Worker::retire() {
  retiring_ = true;
  if (invocation_ == nullptr && state_ != State::kGone) kill();
}

void Worker::kill() {
  if (child_) child_->kill_tree();
}

InvokeResult Worker::exit_result(const io::ChildExit& exit) const {
  const std::string prefix = "RequestId: " + invocation_->request_id + " Error: ";
  if (reason_ == Reason::kTimeout) {
    return runtime_error("Sandbox.Timedout",
                         prefix + "Task timed out after " + seconds(options_.config->timeout_s));
  }
  if (reason_ == Reason::kMemory) {
    return runtime_error("Runtime.ExitError", prefix + "Runtime exited with error: signal: killed");
  }
  if (!init_error_.empty()) {
    InvokeResult result;
    result.function_error = "Unhandled";
    auto value = json::parse(init_error_);
    if (value && value->is_object()) {
      json::ObjectBuilder builder(*value);
      const json::Value& id = value->get("requestId");
      if (value->has("stackTrace") && (id.is_null() || (id.is_string() && id.as_string().empty()))) {
        builder.set("requestId", invocation_->request_id);
      }
      if (const json::Value& text = value->get("errorMessage");
          text.is_string() && text.as_string().starts_with("RequestId: ID ")) {
        builder.set(
            "errorMessage",
            prefix + std::string(text.as_string().substr(std::string_view("RequestId: ID Error: ").size())));
      }
      result.payload = json::to_text(builder.build());
    } else {
      result.payload = init_error_;
    }
    return result;
  }
  bool signalled = exit.signalled;
  int code = exit.code;
  if (sandbox_.wraps() && !signalled && is_signal_status(code)) {
    signalled = true;
    code -= 128;
  }
  if (signalled)
    return runtime_error("Runtime.ExitError",
                         prefix + "Runtime exited with error: signal: " + signal_name(code));
  if (code == 0)
    return runtime_error("Runtime.ExitError", prefix + "Runtime exited without providing a reason");
  return runtime_error("Runtime.ExitError",
                       prefix + "Runtime exited with error: exit status " + std::to_string(code));
}

void Worker::ended(io::ChildExit exit) {
  if (state_ == State::kGone) return;
  loop_.cancel(std::exchange(timer_, 0));
  const bool was_starting = state_ == State::kStarting;
  state_ = State::kGone;
  waiting_ = nullptr;
  if (server_) server_->close();
  if (invocation_ != nullptr) {
    if (was_starting) {
      started_at_ = loop_.now();
      init_us_ = spawned_us_ == 0 ? 0 : steady_us() - spawned_us_;
      delivered_us_ = steady_us();
      log_.append_line("START RequestId: " + invocation_->request_id +
                       " Version: " + options_.config->version);
    }
    InvokeResult result = exit_result(exit);
    std::string type = error_type_of(result.payload);
    if (reason_ == Reason::kTimeout) {
      log_.append_line(to_iso8601(loop_.now()) + " " + invocation_->request_id + " Task timed out after " +
                       seconds(options_.config->timeout_s));
    } else if (init_error_.empty()) {
      const auto value = json::parse(result.payload);
      if (value && value->get("errorMessage").is_string())
        log_.append_line(value->get("errorMessage").as_string());
      log_.append_line(type);
    }
    finish(std::move(result), type);
  }
  events_.on_gone(*this);
}

void Worker::finish(InvokeResult result, const std::string& status) {
  const std::int64_t duration_us = std::max<std::int64_t>(steady_us() - delivered_us_, 0);
  const std::shared_ptr<Invocation> invocation = std::exchange(invocation_, nullptr);
  idle_since_ = loop_.now();
  InvocationOutcome outcome;
  outcome.cold = std::exchange(cold_, false);
  outcome.timed_out = reason_ == Reason::kTimeout;
  outcome.crashed = state_ == State::kGone && !outcome.timed_out;
  log_.append_line("END RequestId: " + invocation->request_id);
  std::string report =
      "REPORT RequestId: " + invocation->request_id + "\tDuration: " + milliseconds(duration_us) +
      "\tBilled Duration: " + std::to_string((duration_us + 999) / 1000) +
      " ms\tMemory Size: " + std::to_string(options_.config->memory_mib) +
      " MB\tMax Memory Used: " + std::to_string((memory_peak_ + 1024 * 1024 - 1) / (1024 * 1024)) + " MB\t";
  if (outcome.cold) report += "Init Duration: " + milliseconds(init_us_) + "\t";
  if (outcome.timed_out) {
    report += "Status: timeout";
  } else if (outcome.crashed) {
    report += "Status: error\tError Type: " + status;
  }
  log_.append_line(report);
  result.request_id = invocation->request_id;
  result.executed_version = options_.config->version;
  result.duration_ms = duration_us / 1000;
  result.log_tail = log_.tail(kLogTailBytesMax);
  outcome.log = {invocation->request_id,
                 options_.config->name,
                 started_at_,
                 duration_us / 1000,
                 status.empty() ? "succeeded" : status,
                 outcome.cold ? milliseconds(init_us_) : "",
                 log_.text()};
  outcome.result = std::move(result);
  log_ = LogText();
  events_.on_outcome(*this, invocation, std::move(outcome));
}

}  // namespace sortie::functions
