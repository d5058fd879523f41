#pragma once
// SdkPool keeps a few warm processes of the AWS worker (sdk_worker/worker.py: boto3) and shares calls out
// among them. Credentials, signing, regions, retries and service models are the SDK's work.
//
// A call is at least once: when a worker dies, what it was doing is given to another one under the same
// number. A call that was in flight at kDeathsMax deaths is given up, because it may be what kills them. A
// worker that dies at once is restarted with growing delays; calls wait meanwhile, each for its own time
// only.
//
// Bounds: calls and bytes that wait here, calls in flight per worker; beyond them a call is answered
// "States.TaskFailed" at once, so that the playbook's Retry spreads the load. Callers take turns by lane, and
// one lane may fill half of the room: a playbook that makes ten thousand calls delays the others by one. A
// call that is cancelled is forgotten here; AWS may still carry it out, as on Step Functions.
//
// The protocol is in worker.py: frames of 4 bytes big-endian length and JSON, both ways. Everything here runs
// on the loop's thread, answers are never given inside call().
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fair_queue.h"
#include "base/result.h"
#include "json/value.h"

namespace sortie::integrations {

// One running worker process. Destroying it kills the process and ends its events.
class WorkerLink {
 public:
  virtual ~WorkerLink() = default;
  virtual void send(std::string frame) = 0;
};

struct WorkerEvents {
  std::function<void(std::string frame)> on_frame;
  std::function<void(std::string why)> on_closed;  // Once; no frame comes after it.
};

// Events come from the loop, never inside the factory's call or send().
using WorkerFactory = std::function<Result<std::unique_ptr<WorkerLink>>(WorkerEvents)>;

struct SdkCall {
  std::string service;          // As the ARN names it: "dynamodb", "s3", "sqs"
  std::string action;           // "putItem"
  bool is_optimized = false;    // An optimised integration's result and error shapes, else aws-sdk's.
  bool is_object_call = false;  // One of sdk_worker/objects.py.
  json::Value parameters;
  std::string region;
  json::Value credentials;  // {access_key_id, secret_access_key, session_token}; null: the SDK's usual chain.
  std::string role_arn;     // To be assumed first; "" for none.
  std::string role_session_name;
  std::string endpoint_url;  // "" for real AWS.
  std::int64_t timeout_ms = 300'000;
  // "strict" or "present": nothing is called. `parameters` is a result, held against the operation's model;
  // what is wrong with it comes as the error's cause.
  std::string check{};
  // One step of a .sync job (sdk_worker/jobs.py): {"phase": "start", "poll" or "stop", "key", "facts"}.
  json::Value job{};
  std::string trace_parent{};  // For HTTP tasks: W3C trace context; "" for none.
  bool trace = false;          // What an HTTP task sent and got is wanted, too.
  std::string lane{};  // On whose behalf, for taking turns: the state machine; "" for all others together.
};

struct SdkAnswer {
  json::Value result;
  std::string error;  // "" when it went well; else e.g. "S3.NoSuchBucketException".
  std::string cause;
  bool retryable = false;  // The same call may well succeed later.
  json::Value trace;       // {"request", "response"} of an HTTP task, where it was asked for.
  bool ok() const { return error.empty(); }
};

struct SdkPoolOptions {
  std::size_t workers = 2;
  std::size_t in_flight_max = 32;  // Per worker: as many as it has threads.
  std::size_t calls_max = 10'000;
  std::size_t bytes_max = 256 * 1024 * 1024;
  int deaths_max = 3;
  std::int64_t grace_ms = 15'000;  // Beyond a call's own time, before the worker counts as stuck with it.
  std::int64_t restart_ms_min = 200;
  std::int64_t restart_ms_max = 30'000;
};

class SdkPool {
 public:
  using CallNo = std::uint64_t;  // 0 is never a call.
  using Done = std::function<void(SdkAnswer)>;

  SdkPool(Loop& loop, WorkerFactory factory, SdkPoolOptions options = {});
  ~SdkPool();
  SdkPool(const SdkPool&) = delete;
  SdkPool& operator=(const SdkPool&) = delete;

  void start();  // Starts the workers ahead of the first call, which does it otherwise.
  CallNo call(SdkCall call, Done done);
  void cancel(CallNo number);  // Unknown ones are ignored; `done` is not called any more.
  void stop();                 // Ends the workers; what is open is never answered.

  struct Figures {
    std::size_t workers = 0, waiting = 0, in_flight = 0;
    std::uint64_t calls = 0, errors = 0, deaths = 0, rejected = 0, timeouts = 0;
  };
  Figures figures() const;
  // Why the last worker ended or could not be started; "" when none did.
  const std::string& trouble() const { return trouble_; }

 private:
  struct Pending {
    std::string frame;
    Done done;
    Loop::TimerId timer = 0;
    int deaths = 0;
    std::string lane;
  };
  struct Worker {
    std::unique_ptr<WorkerLink> link;
    std::uint64_t generation = 0;  // Events of an earlier process are ignored.
    std::set<CallNo> in_flight;
    std::set<CallNo> abandoned;  // Given up here, still in the process.
    int failures = 0;            // In a row, without an answer in between.
    Loop::TimerId restart_timer = 0;
  };

  void launch(std::size_t index);
  void on_frame(std::size_t index, const std::string& frame);
  void on_closed(std::size_t index, const std::string& why);
  void give_back(Worker& worker, const std::string& why);
  void assign();
  Worker* least_busy();
  Done forget(std::map<CallNo, Pending>::iterator found);
  void abandon(CallNo number);
  void finish(CallNo number, SdkAnswer answer);
  void time_out(CallNo number);
  void reject(Done done, std::string cause);

  Loop& loop_;
  WorkerFactory factory_;
  SdkPoolOptions options_;
  std::vector<Worker> workers_;
  std::map<CallNo, Pending> calls_;
  FairQueue<CallNo> waiting_;
  std::map<std::string, std::size_t> by_lane_;  // How many of calls_.
  std::size_t bytes_ = 0;
  CallNo last_call_ = 0;
  bool running_ = false, stopped_ = false;
  std::string trouble_;  // Why the last worker ended or could not be started.
  Figures figures_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace sortie::integrations
