#pragma once
// One warm process of a function, and the Runtime API that it alone may speak to.
//
// The process asks for an event (GET .../invocation/next, held open until there is one), answers it (POST
// .../response or .../error) and asks again. A Worker is: a listener on 127.0.0.1 that takes only connections
// of its own process tree (peer_check.h), the process in its sandbox, and at most one invocation at a time. A
// process that does not answer within the function's timeout, or that uses too much memory, is killed with
// its whole tree; the invocation then fails with AWS's error and the pool starts another worker.
//
// Error names and texts are AWS's: Sandbox.Timedout "RequestId: ID Error: Task timed out after 3.00 seconds",
// Runtime.ExitError "RequestId: ID Error: Runtime exited with error: exit status 1" (or "signal: killed", or
// "Runtime exited without providing a reason"), Function.ResponseSizeTooLarge, Runtime.InvalidEntrypoint, and
// what the runtime itself reports (Runtime.ImportModuleError, ...). The response is taken with 202 even if it
// is too large: AWS's Python client would exit on anything else.
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "functions/function_service.h"
#include "functions/invocation_log.h"
#include "functions/sandbox.h"
#include "functions/worker_network.h"
#include "io/child_process.h"
#include "io/http_server.h"

namespace sortie::functions {

// One event on its way to a worker.
struct Invocation {
  std::string request_id;
  std::string payload;
  std::string client_context;
  std::string trace_id;
  std::string task_token;
  Timestamp deadline = kNever;
  InvokeCallback done;
};

struct InvocationOutcome {
  InvokeResult result;
  InvocationLog log;
  bool cold = false, timed_out = false, crashed = false;
};

struct WorkerOptions {
  std::shared_ptr<const FunctionConfig> config;
  SandboxLaunch launch;  // Everything but the Runtime API's address.
  std::int64_t init_ms = 10'000;
  std::int64_t second_ms = 1'000;    // How long a second of the function's timeout is.
  WorkerNetwork* network = nullptr;  // Outlives the worker. Empty: this machine's network.
};

class Worker {
 public:
  struct Events {
    std::function<void(Worker&)> on_idle;  // Loaded, or done with an event: it may be given one.
    std::function<void(Worker&, std::shared_ptr<Invocation>, InvocationOutcome)> on_outcome;
    std::function<void(Worker&)> on_gone;  // The process has ended; comes after its outcome. Do not destroy
                                           // the Worker inside of these calls.
  };
  enum class State { kStarting, kIdle, kBusy, kFinishing, kGone };

  Worker(io::EventLoop& loop, const Sandbox& sandbox, WorkerOptions options, Events events);
  ~Worker();  // Kills the process; no calls any more.
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Starts the process. What goes wrong is reported as the outcome of the first invocation.
  void start();
  // Only while kStarting (it is handed over as soon as the process asks) or kIdle, one at a time.
  void give(std::shared_ptr<Invocation> invocation);
  bool has_invocation() const { return invocation_ != nullptr; }
  State state() const { return state_; }
  // Ends as soon as nothing is in progress.
  void retire();
  bool is_retiring() const { return retiring_; }
  void kill();
  // Reads how much memory the process tree uses and kills it above the function's limit.
  void check_memory();
  Timestamp idle_since() const { return idle_since_; }  // When it last answered or asked.
  const WorkerOptions& options() const { return options_; }

 private:
  enum class Reason { kNone, kTimeout, kMemory };

  void handle(io::HttpRequest request, std::shared_ptr<io::Responder> responder);
  void handle_next(std::shared_ptr<io::Responder> responder);
  void handle_answer(io::HttpRequest request, std::string_view id, bool is_error,
                     const std::shared_ptr<io::Responder>& responder);
  void handle_init_error(const io::HttpRequest& request, const std::shared_ptr<io::Responder>& responder);
  void deliver();
  void time_out();
  void ended(io::ChildExit exit);
  void fail_start(const Error& error);
  InvokeResult exit_result(const io::ChildExit& exit) const;
  InvokeResult runtime_error(std::string_view type, const std::string& message) const;
  void finish(InvokeResult result, const std::string& status);
  void set_timer(std::int64_t delay_ms, void (Worker::*action)());

  io::EventLoop& loop_;
  const Sandbox& sandbox_;
  WorkerOptions options_;
  Events events_;
  State state_ = State::kStarting;
  bool retiring_ = false, cold_ = true;
  Reason reason_ = Reason::kNone;
  std::string init_error_;
  std::unique_ptr<io::HttpServer> server_;
  std::unique_ptr<io::ChildProcess> child_;
  std::shared_ptr<io::Responder> waiting_;  // The held GET .../next.
  std::shared_ptr<Invocation> invocation_;
  LogText log_;
  Timestamp started_at_{}, idle_since_{};
  std::int64_t spawned_us_ = 0, delivered_us_ = 0, init_us_ = 0;
  std::uint64_t memory_bytes_ = 0, memory_peak_ = 0;
  Loop::TimerId timer_ = 0;
};

// Resident memory of a process tree, in bytes: private pages of each, shared pages once.
std::uint64_t tree_memory(const std::vector<pid_t>& processes);

}  // namespace sortie::functions
