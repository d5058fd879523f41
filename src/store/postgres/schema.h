#pragma once
// The tables of a PostgreSQL store, in a schema of their own, and how an earlier version is brought up to
// date.
//
//   node            one row a running process: its address, whether it takes shards, until when it is
//   believed
//                   to be alive (by the database's clock), and the number of its last group: after a broken
//                   connection this row says whether the group in flight was committed
//   shard           who owns it, under which epoch
//   execution, frame, history, payload, document, log    plain rows, as store.h describes them
//   execution_count, execution_change   rows of `execution` by machine and status: the sum over both
//   word            ids of state machine ARNs
//   store_state     one row: the last numbers given. Whoever writes log lines holds its lock until the
//   commit,
//                   so sequences become visible in their order, whichever node writes.
//
// There is no journal and no overlay here, as SQLite has them: every node reads what every other one wrote,
// and PostgreSQL's own log already is the one sequential write of a commit.
//
// Texts are bytea: they sort by bytes, and no text that a client can send is refused by the database. Indexes
// over texts of any length hold their first kIndexedBytes only.
//
// Fencing: every group begins with fence(). It renews the node's lease and takes a share lock on the rows of
// its shards, which must be the node's own under the epochs that the group names; acquire() needs the same
// rows alone. So a group is before the change of owner or refused, whatever clocks say. A node that loses one
// shard because its lease ran out loses its own row with it: nothing of what it owned is written by it any
// more. SQLSTATEs: SF001 a stale epoch, SF003 the node is not registered under this generation (any more).
#include "store/postgres/connection.h"

namespace sortie::store::postgres {

inline constexpr std::int64_t kSchemaVersion = 2;
inline constexpr std::size_t kIndexedBytes = 200;
inline constexpr std::size_t kKeyBytesMax =
    2'000;  // Of what is indexed whole: ARNs, kinds and keys together.

// Makes or migrates the schema; safe when several nodes begin at once. Errors: "StoreTooNew" and those of
// connection.h.
Status prepare_schema(Connection& connection, const std::string& schema);

}  // namespace sortie::store::postgres
