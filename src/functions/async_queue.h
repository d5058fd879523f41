#pragma once
// Asynchronous invocations: accepted once they are on disk, run when a worker is free, tried again after an
// error (twice on AWS, after one and two minutes), given up after that. The request id stays the same over
// the attempts. Throttling does not count as an attempt.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "functions/function_service.h"
#include "functions/function_store.h"

namespace sortie::functions {

class AsyncQueue {
 public:
  using Run = std::function<void(InvokeRequest request, const std::string& request_id, InvokeCallback done)>;

  // `store` may be null: nothing survives then. Entries that a predecessor accepted are run from the loop.
  AsyncQueue(io::EventLoop& loop, FunctionStore* store, std::vector<std::int64_t> retry_delays_ms,
             std::size_t queue_max, Run run);
  ~AsyncQueue();

  // Errors: "TooManyRequestsException" when full, "ServiceException" when it cannot be written.
  Status accept(InvokeRequest request, const std::string& request_id);
  std::size_t size() const { return entries_.size(); }
  void stop();  // Starts nothing any more; what is on disk is taken up by the next server.

 private:
  struct Entry {
    InvokeRequest request;
    std::size_t failures = 0;
    Timestamp accepted_at;
    Loop::TimerId timer = 0;
  };
  void schedule(const std::string& id, std::int64_t delay_ms);
  void run(const std::string& id);
  void done(const std::string& id, const InvokeResult& result);
  void load();

  io::EventLoop& loop_;
  FunctionStore* store_;
  std::vector<std::int64_t> retry_delays_ms_;
  std::size_t queue_max_;
  Run run_;
  bool stopped_ = false;
  std::map<std::string, Entry> entries_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sortie::functions
