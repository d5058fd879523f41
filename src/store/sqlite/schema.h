#pragma once
// The tables of sortie.db, and how a file of an earlier version is brought up to date.
//
//   journal(no, body)             one row a group commit: the encoded images and history of its batches,
//                                 until they are in the tables
//   journal_state                 one row: how far the tables are (applied_group), the generation that is
//   being
//                                 folded into them (frozen_group, stage, cursor), and the last numbers given
//   execution, frame              the last folded images; execution_hash finds an execution by its ARN. Most
//                                 have one frame, the top one, and a small row: it rides in the row
//                                 (top_image not null), so that going on with one reads and changes one page
//   hash_gone                     rows of execution_hash that retention will take out (gone_hashes.h)
//   execution_count               rows of `execution` by machine and status
//   history, payload              what was folded of an execution at one time is a row (history_writer.h)
//   term_run, term_part           what executions are found by besides their rows (term_run.h)
//   word                          texts that repeat (state machine ARNs, prefixes of execution ARNs)
//   document, log, shard          plain tables, written by the group's own transaction
//
// A new file has pages of 4 KiB: in a large store most pages that are read or changed are so for one row, and
// the journal, whose rows are long, costs the same with any size. Files made before have pages of 16 KiB.
#include "store/sqlite/database.h"

namespace sortie::store::sqlite {

inline constexpr std::int64_t kSchemaVersion = 4;

// Makes the tables in an empty file, migrates an older one, refuses a newer one (code "StoreTooNew") and a
// file of somebody else ("StoreCorrupt"). The connection must be writable.
Status prepare_schema(Connection& connection);

// The same questions without writing, for read-only users of a file. One of an earlier version: false, or the
// error "StoreUnavailable".
Result<bool> is_up_to_date(Connection& connection);
Status verify_schema(Connection& connection);

}  // namespace sortie::store::sqlite
