#pragma once
// One process of the simulated server: everything that a kill takes away, wired as the program wires it. The
// store may be shared with another process; what comes back from it reaches only a process that lives.
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/hash.h"
#include "events/event_bus.h"
#include "response/approvals.h"
#include "runtime/runtime.h"
#include "store/store.h"
#include "virtual_loop.h"

namespace sortie::simulation {

inline const std::string kArnPrefix = "arn:aws:states:us-east-1:123456789012:";

// A process's connection to the store. It keeps answers from a process that is paused or gone, and notes when
// the store says that somebody else owns the shard.
class StoreHandle final : public store::Store {
 public:
  StoreHandle(store::Store& store, ProcessLoop& loop) : store_(store), loop_(loop) {}
  ~StoreHandle() override { *alive_ = false; }

  bool lost_the_lease() const { return *lost_; }

  Result<store::Epoch> acquire(store::ShardNo shard) override { return store_.acquire(shard); }
  void append(store::Batch batch, Done done) override {
    store_.append(std::move(batch),
                  [this, alive = alive_, lost = lost_, done = std::move(done)](Status status) {
                    if (!*alive) return;
                    if (!status && status.error().code == "StaleEpoch") *lost = true;
                    if (done) loop_.post([done, status] { done(status); });
                  });
  }
  Result<std::optional<store::ExecutionRow>> find_execution(std::string_view arn) override {
    return store_.find_execution(arn);
  }
  Result<std::optional<store::ExecutionRow>> find_execution(store::ExecutionNo no) override {
    return store_.find_execution(no);
  }
  Result<std::vector<store::ExecutionRow>> list_executions(const store::ExecutionQuery& query) override {
    return store_.list_executions(query);
  }
  Result<store::StatusCounts> count_executions(std::string_view machine) override {
    return store_.count_executions(machine);
  }
  Result<store::ExecutionNo> last_execution_no() override { return store_.last_execution_no(); }
  Result<std::vector<store::ExecutionNo>> find_by_terms(const store::TermQuery& query) override {
    return store_.find_by_terms(query);
  }
  bool keeps_terms() const override { return store_.keeps_terms(); }
  Result<std::optional<store::FrameRow>> find_frame(store::FrameKey key) override {
    return store_.find_frame(key);
  }
  Result<std::vector<store::FrameRow>> list_frames(store::ExecutionNo no) override {
    return store_.list_frames(no);
  }
  Result<std::vector<store::FrameRow>> scan_frames(store::FrameKey after, std::size_t limit) override {
    return store_.scan_frames(after, limit);
  }
  Result<std::vector<store::HistoryChunk>> load_history(store::ExecutionNo no, std::int64_t first,
                                                        std::int64_t count) override {
    return store_.load_history(no, first, count);
  }
  Result<std::optional<store::PayloadRow>> find_payload(store::ExecutionNo no,
                                                        store::PayloadNo payload) override {
    return store_.find_payload(no, payload);
  }
  Result<std::optional<std::string>> find_document(std::string_view kind, std::string_view key) override {
    return store_.find_document(kind, key);
  }
  Result<std::vector<store::Document>> list_documents(std::string_view kind, std::string_view after,
                                                      std::size_t limit) override {
    return store_.list_documents(kind, after, limit);
  }
  Result<std::vector<store::LogLine>> search_log(const store::LogQuery& query) override {
    return store_.search_log(query);
  }
  Result<std::size_t> delete_ended_before(Timestamp time, std::size_t limit) override {
    return store_.delete_ended_before(time, limit);
  }
  Result<std::size_t> delete_log_before(std::string_view stream, Timestamp time, std::size_t limit) override {
    return store_.delete_log_before(stream, time, limit);
  }
  Result<std::vector<std::string>> check() override { return store_.check(); }
  Status backup(const std::string& file) override { return store_.backup(file); }
  store::StoreFigures figures() override { return store_.figures(); }

 private:
  store::Store& store_;
  ProcessLoop& loop_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::shared_ptr<bool> lost_ = std::make_shared<bool>(false);
};

// What the world does with what leaves a process.
class Outside {
 public:
  virtual ~Outside() = default;
  virtual void dispatched(class Node& node, const runtime::TaskOrder& order) = 0;
};

class Node final : public runtime::TaskDispatcher, public events::TargetInvoker {
 public:
  Node(VirtualLoop& world, store::Store& shared, Outside& outside, std::uint64_t seed);

  // Takes the shard and recovers; an error ends the process, as it ends the program.
  Status start();
  bool is_up() const { return up_; }

  ProcessLoop loop;
  StoreHandle store;
  SeededRandom random;
  std::unique_ptr<response::Audit> audit;
  std::unique_ptr<response::People> people;
  std::unique_ptr<response::Approvals> approvals;
  std::unique_ptr<runtime::Runtime> runtime;
  std::unique_ptr<events::EventBus> bus;

 private:
  void dispatch(runtime::TaskOrder order) override { outside_.dispatched(*this, order); }
  void cancel(const runtime::AttemptKey& key) override { approvals->close(key); }
  void deliver(events::TargetOrder order, Callback done) override;

  Outside& outside_;
  bool up_ = false;
};

}  // namespace sortie::simulation
