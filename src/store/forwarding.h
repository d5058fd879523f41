#pragma once
// Stores made of others. ForwardingReads is a Store whose reads another object answers: what a store with a
// Reader of its own derives from. ForwardingStore hands everything on: what counts, delays or falsifies one
// call derives from it and overrides that call. Both borrow what is below, which outlives them.
#include "store/store.h"

namespace sortie::store {

class ForwardingReads : public Store {
 public:
  explicit ForwardingReads(Reads& below) : below_(below) {}

  Result<std::optional<ExecutionRow>> find_execution(std::string_view arn) override {
    return below_.find_execution(arn);
  }
  Result<std::optional<ExecutionRow>> find_execution(ExecutionNo no) override {
    return below_.find_execution(no);
  }
  Result<std::vector<ExecutionRow>> list_executions(const ExecutionQuery& query) override {
    return below_.list_executions(query);
  }
  Result<std::vector<ExecutionRow>> find_executions(const std::vector<ExecutionNo>& numbers) override {
    return below_.find_executions(numbers);
  }
  Result<StatusCounts> count_executions(std::string_view state_machine_arn) override {
    return below_.count_executions(state_machine_arn);
  }
  Result<std::map<std::string, std::uint64_t>> count_running() override { return below_.count_running(); }
  Result<ExecutionNo> last_execution_no() override { return below_.last_execution_no(); }
  Result<std::vector<ExecutionNo>> find_by_terms(const TermQuery& query) override {
    return below_.find_by_terms(query);
  }
  bool keeps_terms() const override { return below_.keeps_terms(); }
  Result<std::optional<FrameRow>> find_frame(FrameKey key) override { return below_.find_frame(key); }
  Result<std::vector<FrameRow>> list_frames(ExecutionNo execution) override {
    return below_.list_frames(execution);
  }
  Result<std::optional<LoadedExecution>> load_execution(ExecutionNo no) override {
    return below_.load_execution(no);
  }
  Result<std::vector<FrameRow>> scan_frames(FrameKey after, std::size_t limit) override {
    return below_.scan_frames(after, limit);
  }
  Result<std::vector<HistoryChunk>> load_history(ExecutionNo execution, std::int64_t first_event_id,
                                                 std::int64_t count) override {
    return below_.load_history(execution, first_event_id, count);
  }
  Result<std::optional<PayloadRow>> find_payload(ExecutionNo execution, PayloadNo payload) override {
    return below_.find_payload(execution, payload);
  }
  Result<std::optional<std::string>> find_document(std::string_view kind, std::string_view key) override {
    return below_.find_document(kind, key);
  }
  Result<std::vector<Document>> list_documents(std::string_view kind, std::string_view after_key,
                                               std::size_t limit) override {
    return below_.list_documents(kind, after_key, limit);
  }
  Result<std::vector<LogLine>> search_log(const LogQuery& query) override { return below_.search_log(query); }
  Result<std::vector<std::string>> check() override { return below_.check(); }

 private:
  Reads& below_;
};

class ForwardingStore : public ForwardingReads {
 public:
  explicit ForwardingStore(Store& below) : ForwardingReads(below), below_(below) {}

  Result<Epoch> acquire(ShardNo shard) override { return below_.acquire(shard); }
  void append(Batch batch, Done done) override { below_.append(std::move(batch), std::move(done)); }
  Result<std::size_t> delete_ended_before(Timestamp time, std::size_t limit) override {
    return below_.delete_ended_before(time, limit);
  }
  Result<std::size_t> delete_log_before(std::string_view stream, Timestamp time, std::size_t limit) override {
    return below_.delete_log_before(stream, time, limit);
  }
  Status backup(const std::string& file) override { return below_.backup(file); }
  StoreFigures figures() override { return below_.figures(); }

 private:
  Store& below_;
};

}  // namespace sortie::store
