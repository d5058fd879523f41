#pragma once
// Which worker gets which event: per function a few warm processes, and a queue when all are busy.
//
// A function with a reserved concurrency is never run more often at once than that; more is refused as on AWS
// (TooManyRequestsException). Others share workers_max processes; what finds none free waits in the queue.
// When the machine is full, the longest idle process of another function makes room; where none is ever idle,
// a function that has more than its share of the processes gives one up after its event for one that waits
// with less, so nobody's queue keeps others from running. New code or a new
// configuration retires the old workers: what they are doing they finish, new events go to new ones.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "functions/worker.h"

namespace sortie::functions {

struct WorkerPoolOptions {
  int workers_max = 64;
  int function_concurrency_max = 32;
  std::size_t queue_max = 10'000;
  std::int64_t idle_ms = 600'000;
  std::int64_t init_ms = 10'000;
  std::int64_t second_ms = 1'000;
  std::size_t starts_max = std::max(2U, std::thread::hardware_concurrency());  // Loading at the same time.
};

// What only the service knows: how to set up a worker, and that one has gone.
class WorkerHost {
 public:
  virtual ~WorkerHost() = default;
  // Calls back, perhaps later, with everything a new worker needs. `worker` names it.
  virtual void prepare_worker(std::shared_ptr<const FunctionConfig> config, std::uint64_t worker,
                              std::function<void(Result<WorkerOptions>, Timestamp expires_at)> done) = 0;
  virtual void worker_gone(std::uint64_t worker) = 0;
  virtual void invocation_ended(const std::string& key, InvocationLog log) = 0;
};

class WorkerPool {
 public:
  WorkerPool(io::EventLoop& loop, const Sandbox& sandbox, WorkerHost& host, WorkerPoolOptions options);
  ~WorkerPool();

  // `key` is ACCOUNT/NAME. The invocation's callback is posted to the loop.
  void invoke(const std::string& key, std::shared_ptr<const FunctionConfig> config,
              std::shared_ptr<Invocation> invocation);
  // From now on new workers are made of `config`; nullptr: the function is gone, queued events are refused.
  void replace(const std::string& key, std::shared_ptr<const FunctionConfig> config);
  void drain(std::int64_t deadline_ms, std::function<void()> done);

  FunctionService::Figures figures() const;

 private:
  struct Slot {
    std::uint64_t id = 0;
    std::unique_ptr<Worker> worker;          // Empty while its credentials are being fetched.
    std::shared_ptr<Invocation> invocation;  // Bound to it until the worker exists.
    std::shared_ptr<const FunctionConfig> config;
    Timestamp expires_at = kNever;
  };
  struct Function {
    std::shared_ptr<const FunctionConfig> config;
    std::vector<std::unique_ptr<Slot>> slots;
    std::deque<std::shared_ptr<Invocation>> queue;
  };

  static void refuse(io::EventLoop& loop, Invocation& invocation, std::string code, std::string message,
                     int status);
  bool place(const std::string& key, Function& function, std::shared_ptr<Invocation>& invocation);
  void start_worker(const std::string& key, Function& function, std::shared_ptr<Invocation> invocation);
  void worker_ready(const std::string& key, std::uint64_t id, Result<WorkerOptions> options,
                    Timestamp expires_at);
  void on_idle(const std::string& key, std::uint64_t id);
  void on_gone(const std::string& key, std::uint64_t id);
  void on_outcome(const std::string& key, const std::shared_ptr<Invocation>& invocation,
                  InvocationOutcome outcome);
  void serve_queues();
  void serve_queue(const std::string& key, Function& function);
  bool owes_a_process(const Function& function) const;
  bool make_room(const Function* except);
  bool is_usable(const Slot& slot, const Function& function) const;
  std::size_t running(const Function& function) const;
  std::size_t starting() const;
  Slot* find_slot(const std::string& key, std::uint64_t id);
  void tick();
  void arm_tick();
  void check_drained();

  io::EventLoop& loop_;
  const Sandbox& sandbox_;
  WorkerHost& host_;
  WorkerPoolOptions options_;
  std::map<std::string, Function> functions_;
  std::uint64_t last_id_ = 0;
  std::size_t slots_ = 0;
  Loop::TimerId tick_timer_ = 0, drain_timer_ = 0;
  int tick_count_ = 0;
  bool draining_ = false;
  std::function<void()> drained_;
  FunctionService::Figures figures_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sortie::functions
