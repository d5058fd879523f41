#pragma once
// The writing half of the PostgreSQL store: everything that happens on the one writer connection, on the
// queue's thread. postgres_store.h says what holds when the database goes away; here is how.
//
// Each group has a number. The fence writes it into this node's row, in the group's own transaction. When the
// connection breaks before the answer, a new one raises the node's `generation`, which waits for a
// transaction that still runs over there and shuts out everything that is still on its way; then the row
// tells whether the group is in.
#include <atomic>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "store/postgres/group.h"
#include "store/postgres/postgres_store.h"

namespace sortie::store::postgres {

struct WriterFigures {
  std::atomic<std::uint64_t> commits{0};
  std::atomic<std::uint64_t> batches{0};
  std::atomic<std::uint64_t> bytes_sent{0};
  std::atomic<std::uint64_t> database_bytes{0};
  std::atomic<std::int64_t> lost_since_ms{0};  // Monotonic; 0: the database answers.
};

std::int64_t monotonic_ms();
ConnectionOptions connection_options(const PostgresOptions& options, const char* role);

class Writer {
 public:
  // `stopping` is asked while a lost database is waited for.
  Writer(const PostgresOptions& options, std::function<bool()> stopping);
  ~Writer();

  Status open();  // Makes or migrates the schema and registers the node.

  // As Committer::commit_group. Waits for a database that is away; an error after that only when the store
  // stops, or for a reason of the database's own (full, damaged, refused).
  Status commit(const std::vector<const Batch*>& batches, std::vector<Status>* results);
  void renew_lease();
  bool has_lost_a_shard() const { return lost_a_shard_; }
  Result<Epoch> acquire(ShardNo shard);
  Status release(ShardNo shard);
  Status announce();                                 // This node takes shards.
  std::int64_t node() const { return registered_; }  // On any thread.
  void measure();

  const WriterFigures& figures() const { return figures_; }

 private:
  using Epochs = std::unordered_map<ShardNo, Epoch>;

  Status connect();        // Once.
  Status connect_again();  // Once, as the same node.
  Status reconnect();      // Until it works or the store stops.
  Status register_node();
  Status load_words(const Group& group);
  Status send(const std::vector<const Batch*>& batches, const Group& group, bool* written);
  Status write_group(const std::vector<const Batch*>& batches);  // Until the outcome is known.
  Result<Epochs> read_epochs();
  Status check_epoch(const Epochs& current, ShardNo shard, Epoch wanted);
  Statement fence(const std::vector<const Batch*>& batches) const;
  Result<Answer> ask(const char* sql, const Params& params);

  const PostgresOptions options_;
  const std::function<bool()> stopping_;
  std::unique_ptr<Connection> db_;
  std::int64_t node_ = 0;
  std::int64_t generation_ = 0;
  std::int64_t last_group_ = 0;
  std::int64_t connected_at_ms_ = 0;
  std::unordered_map<std::string, WordId> words_;
  Epochs owned_;
  bool lost_a_shard_ = false;
  bool works_ = false;
  std::atomic<std::int64_t> registered_{0};  // node_, for other threads.
  WriterFigures figures_;
};

}  // namespace sortie::store::postgres
