#pragma once
// The reading half of the SQLite store: read-only connections for any number of threads, and everything read
// through the overlay, so that everybody sees their own writes. The connections and their snapshots:
// read_pool.h.
//
// A point read asks the overlay and then the tables: what left the overlay in between is in the tables. A
// read of several rows settles its snapshot of the file under the shared lock, so both sides are of one
// moment. Long listings go in chunks, each of its own moment, and never hold the lock for long.
#include <vector>

#include "store/sqlite/read_pool.h"

namespace sortie::store::sqlite {

class Reader final : public Reads {
 public:
  Reader(const SqliteOptions& options, std::string file, View& view);

  Result<std::optional<ExecutionRow>> find_execution(std::string_view arn) override;
  Result<std::optional<ExecutionRow>> find_execution(ExecutionNo no) override;
  Result<std::vector<ExecutionRow>> list_executions(const ExecutionQuery& query) override;
  Result<std::vector<ExecutionRow>> find_executions(const std::vector<ExecutionNo>& numbers) override;
  Result<StatusCounts> count_executions(std::string_view state_machine_arn) override;
  Result<std::map<std::string, std::uint64_t>> count_running() override;
  Result<std::vector<ExecutionNo>> find_by_terms(const TermQuery& query) override;
  bool keeps_terms() const override { return true; }
  Result<ExecutionNo> last_execution_no() override { return view_.last_execution_no.load(); }
  Result<std::optional<FrameRow>> find_frame(FrameKey key) override;
  Result<std::vector<FrameRow>> list_frames(ExecutionNo execution) override;
  Result<std::optional<LoadedExecution>> load_execution(ExecutionNo no) override;
  Result<std::vector<FrameRow>> scan_frames(FrameKey after, std::size_t limit) override;
  Result<std::vector<HistoryChunk>> load_history(ExecutionNo execution, std::int64_t first_event_id,
                                                 std::int64_t count) override;
  Result<std::optional<PayloadRow>> find_payload(ExecutionNo execution, PayloadNo payload) override;
  Result<std::optional<std::string>> find_document(std::string_view kind, std::string_view key) override;
  Result<std::vector<Document>> list_documents(std::string_view kind, std::string_view after_key,
                                               std::size_t limit) override;
  Result<std::vector<LogLine>> search_log(const LogQuery& query) override;
  Result<std::vector<std::string>> check() override;
  Status backup(const std::string& file);
  // Before the write-ahead log is copied or begun anew.
  void release_snapshots() { pool_.release_snapshots(); }

 private:
  static Status judge_backup_target(const std::string& file);
  using Lease = ReadPool::Lease;
  Result<Lease> lease() { return pool_.lease(ReadPool::Use::kBehindOverlay); }
  Result<Lease> lease_plain() { return pool_.lease(ReadPool::Use::kPlainTables); }
  // Appends what one chunk finds; answers the cursor to go on with, 0: nothing is left.
  Result<ExecutionNo> list_chunk(const ExecutionQuery& query, ExecutionNo before,
                                 std::vector<ExecutionRow>* rows);

  View& view_;
  ReadPool pool_;
};

}  // namespace sortie::store::sqlite
