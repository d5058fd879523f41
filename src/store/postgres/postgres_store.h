#pragma once
// The store for several machines: PostgreSQL, reached through libpq. The same promises as the embedded one
// (store.h), under the same contract suite; schema.h says which tables there are and why they have no
// journal.
//
// Writing. One thread, one connection: whatever queued up while the last group was committed is the next one
// (commit_queue.h), folded row by row (group.h), sent in one pipeline that is one transaction, behind the
// fence that checks the epochs of its shards. A batch of a stale epoch is answered so, the others of its
// group are written.
//
// When the database goes away (a restart, a broken network), nothing fails at once: the group in flight is
// held until a new connection says whether it was committed (the row of this node knows the number of its
// last group), and is sent again if not; what comes meanwhile waits behind it. So nobody is told "not
// written" about something that was. After `outage_ms_max` new batches are answered "StoreUnavailable"; what
// was accepted before still waits. `Done` may therefore take as long as the outage does.
//
// Reading. Any thread, on connections of their own, from the primary. A read that meets a broken connection
// is tried once more on a new one; when that fails too, reads are refused without asking for `kReadPauseMs`,
// so that an event loop does not hang on a database that does not answer.
//
// Nodes. Opening registers this process as a node with a lease of `lease_ms` (the database's clock), which
// every group renews, and idle time too. acquire() takes a shard that nobody holds, or whose holder's lease
// has run out, and waits for that as long as `acquire_ms_max`; then it answers "ShardHeld" with the holder's
// address as the place. An orderly end gives the lease back at once.
// release() gives a shard back. How many shards there are is fixed (kSharedShards): the database has an index
// over it.
// For `settle_ms` after it has connected (again) a node takes no shard whose lease ran out: when the database
// was away, the holder could not renew it and is connecting just as well.
//
// Backups are PostgreSQL's own (pg_dump, base backups): `backup` answers "NotSupported" and says so.
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "store/shared_store.h"
#include "store/store.h"

namespace sortie::store {

inline constexpr ShardNo kSharedShards = 16;  // As runtime/shard_map.h divides.

struct PostgresOptions {
  std::string url;                // postgres://user:password@host:port/database?option=value
  std::string schema = "sortie";  // Letters, digits and '_' (lower case).
  Loop* loop = nullptr;           // Where `Done` callbacks run; must outlive the store.
  std::string address;            // What other nodes are told about this one.

  std::size_t group_batches_max = 1024;
  std::size_t group_bytes_max = 4 * 1024 * 1024;
  std::size_t batch_bytes_max = 64 * 1024 * 1024;   // Beyond it: "LimitExceeded".
  std::size_t queue_bytes_max = 256 * 1024 * 1024;  // The same, for all that waits.
  std::size_t readers_max = 8;                      // Connections; further readers wait for one.
  std::int64_t lease_ms = 1'200;
  std::int64_t settle_ms = 1'200;
  std::int64_t acquire_ms_max = 5'000;
  // Called once, on the loop, when a shard that this store acquired belongs to somebody else: nothing more
  // can be written, and what is held in memory is out of date.
  std::function<void()> on_lost;
  std::int64_t outage_ms_max = 3'000;
  CommitTimer on_commit = {};  // As in SqliteOptions.
};

// True for what --store takes: a URL that begins with postgres:// or postgresql://.
bool is_postgres_url(std::string_view url);
// The URL without its password, for logs and messages.
std::string without_password(std::string_view url);

// Error codes as in store.h.
Result<std::unique_ptr<Store>> open_postgres_store(PostgresOptions options);
// The same store, for a node of several.
Result<SharedStore> open_shared_postgres_store(PostgresOptions options);

}  // namespace sortie::store
