#pragma once
// What bringing a file of an earlier version up to date takes besides SQL.
#include "store/sqlite/database.h"

namespace sortie::store::sqlite {

// Up to this version the journal kept the history and payloads of an execution until it had ended, and
// history_part and payload_ref said where: rows of (group, start, length) in journal.body, those of history
// as varints, each the difference to the one before it.
inline constexpr std::int64_t kHistoryInJournal = 3;

// Writes them as rows of their own. Inside the transaction that then drops those tables.
Status bring_out_of_journal(Connection& db);

}  // namespace sortie::store::sqlite
