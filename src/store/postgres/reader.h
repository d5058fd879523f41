#pragma once
// The reading half of the PostgreSQL store: connections for any number of threads, each used by one at a
// time. Every read is one statement, so it is of one moment; listings that filter by text go in chunks, each
// of its own moment.
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "store/postgres/connection.h"
#include "store/postgres/postgres_store.h"

namespace sortie::store::postgres {

class Reader final : public Reads {
 public:
  explicit Reader(const PostgresOptions& options);

  Result<std::optional<ExecutionRow>> find_execution(std::string_view arn) override;
  Result<std::optional<ExecutionRow>> find_execution(ExecutionNo no) override;
  Result<std::vector<ExecutionRow>> list_executions(const ExecutionQuery& query) override;
  Result<StatusCounts> count_executions(std::string_view state_machine_arn) override;
  Result<std::map<std::string, std::uint64_t>> count_running() override;
  Result<ExecutionNo> last_execution_no() override;
  Result<std::optional<FrameRow>> find_frame(FrameKey key) override;
  Result<std::vector<FrameRow>> list_frames(ExecutionNo execution) override;
  Result<std::vector<FrameRow>> scan_frames(FrameKey after, std::size_t limit) override;
  Result<std::vector<HistoryChunk>> load_history(ExecutionNo execution, std::int64_t first_event_id,
                                                 std::int64_t count) override;
  Result<std::optional<PayloadRow>> find_payload(ExecutionNo execution, PayloadNo payload) override;
  Result<std::optional<std::string>> find_document(std::string_view kind, std::string_view key) override;
  Result<std::vector<Document>> list_documents(std::string_view kind, std::string_view after_key,
                                               std::size_t limit) override;
  Result<std::vector<LogLine>> search_log(const LogQuery& query) override;
  Result<std::vector<std::string>> check() override;
  // As Sharing.
  Result<Standing> standing(std::int64_t node);
  Result<std::vector<FrameRow>> scan_frames_of(ShardNo shard, ExecutionNo above, FrameKey after,
                                               std::size_t limit);
  Result<std::size_t> delete_ended_before(Timestamp time, std::size_t limit);
  Result<std::size_t> delete_log_before(std::string_view stream, Timestamp time, std::size_t limit);

 private:
  // A connection that is this caller's until it goes.
  class Lease {
   public:
    Lease(Reader& reader, std::unique_ptr<Connection> connection)
        : reader_(&reader), connection_(std::move(connection)) {}
    Lease(Lease&& other) noexcept
        : reader_(std::exchange(other.reader_, nullptr)), connection_(std::move(other.connection_)) {}
    ~Lease();
    Connection& operator*() { return *connection_; }
    Connection* operator->() { return connection_.get(); }
    std::unique_ptr<Connection>& connection() { return connection_; }

   private:
    Reader* reader_;
    std::unique_ptr<Connection> connection_;
  };

  Result<Lease> lease();
  Result<std::unique_ptr<Connection>> open();
  // Runs the statement; on a broken connection once more on a new one.
  Result<Answer> ask(const char* sql, const Params& params);
  Result<Answer> repeat(const char* sql, const Params& params);
  Result<Answer> ask_once(const std::string& sql, const Params& params);
  template <typename Run>
  Result<Answer> run(Run run);

  const PostgresOptions options_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Connection>> idle_;
  std::size_t connections_left_;
  std::int64_t refused_until_ms_ = 0;
  Error refusal_;
};

}  // namespace sortie::store::postgres
