#include "store/sqlite/term_run.h"

#include <algorithm>
#include <bit>

#include "store/matching.h"

namespace sortie::store::sqlite {

namespace term_run {

constexpr std::size_t kPartBytes = 1'000;  // Reading one takes a few microseconds.
constexpr std::size_t kMergeAt = 8;        // So many runs of a size become one.
constexpr int kPartBits = 16;

std::int64_t db_int(std::uint64_t value) { return static_cast<std::int64_t>(value); }
std::int64_t part_no(std::int64_t run, std::size_t part) {
  return (run << kPartBits) + static_cast<std::int64_t>(part);
}

// How often the number can be divided by kMergeAt.
int size_class(std::uint64_t entries) { return std::bit_width(entries) / std::bit_width(kMergeAt - 1); }

// Calls `visit(key, no)` with each entry of a part until it answers false; false where the part is damaged.
template <typename Visit>
bool read_part(std::string_view body, const Visit& visit) {
  ByteReader in(body);
  std::string key;
  while (!in.done()) {
    const std::uint64_t shared = in.varint();
    const std::string_view rest = in.bytes();
    const ExecutionNo no = in.varint();
    if (in.failed() || shared > key.size()) return false;
    key.resize(static_cast<std::size_t>(shared));
    key += rest;
    if (!visit(key, no)) return true;
  }
  return !in.failed();
}

class Builder {
 public:
  Builder(Connection& db, std::int64_t id) : db_(db) { run_.id = id; }

  Status add(const TermEntry& entry) {
    if (run_.entries == 0) run_.first = run_.last = entry.no;
    run_.first = std::min(run_.first, entry.no);
    run_.last = std::max(run_.last, entry.no);
    ++run_.entries;
    if (body_.empty()) {
      run_.part_starts.push_back(entry.key);
      before_.clear();
    }
    const auto differ = std::mismatch(before_.begin(), before_.end(), entry.key.begin(), entry.key.end());
    const auto shared = static_cast<std::size_t>(differ.first - before_.begin());
    ByteWriter out(body_);
    out.varint(shared);
    out.bytes(std::string_view(entry.key).substr(shared));
    out.varint(entry.no);
    before_ = entry.key;
    return body_.size() >= kPartBytes ? flush() : Status{};
  }

  Result<std::shared_ptr<const TermRun>> finish() {
    SORTIE_TRY_STATUS(flush());
    std::string starts;
    ByteWriter out(starts);
    for (const std::string& start : run_.part_starts) out.bytes(start);
    SORTIE_TRY_STATUS(db_.query("INSERT INTO term_run VALUES(?, ?, ?, ?, ?)")
                          .bind(1, run_.id)
                          .bind(2, db_int(run_.first))
                          .bind(3, db_int(run_.last))
                          .bind(4, db_int(run_.entries))
                          .bind_blob(5, starts)
                          .run());
    return std::make_shared<const TermRun>(std::move(run_));
  }

 private:
  Status flush() {
    if (body_.empty()) return {};
    const std::string body = std::exchange(body_, {});
    return db_.query("INSERT INTO term_part VALUES(?, ?)")
        .bind(1, part_no(run_.id, run_.part_starts.size() - 1))
        .bind_blob(2, body)
        .run();
  }

  Connection& db_;
  TermRun run_;
  std::string body_, before_;
};

// The part's entries, as they stand.
template <typename Visit>
Status visit_part(Connection& db, const TermRun& run, std::size_t part, const Visit& visit) {
  Query q = db.query("SELECT body FROM term_part WHERE no = ?");
  q.bind(1, part_no(run.id, part));
  SORTIE_TRY(const bool found, q.step());
  if (!found || !read_part(q.bytes(0), visit)) return db.corrupt("term run " + std::to_string(run.id));
  return {};
}

Status drop(Connection& db, const TermRun& run) {
  SORTIE_TRY_STATUS(db.query("DELETE FROM term_part WHERE no >= ? AND no < ?")
                        .bind(1, part_no(run.id, 0))
                        .bind(2, part_no(run.id + 1, 0))
                        .run());
  return db.query("DELETE FROM term_run WHERE id = ?").bind(1, run.id).run();
}

// Copies, so that whoever has the old list keeps it.
std::int64_t next_id(const TermRuns& runs) { return runs.empty() ? 1 : runs.back()->id + 1; }

}  // namespace term_run

std::string term_key(std::uint32_t term) {
  std::string key = "t";
  for (int shift = 24; shift >= 0; shift -= 8) key += static_cast<char>(term >> shift & 0xFF);
  return key;
}

std::string name_key(std::string_view folded_name) { return "n" + std::string(folded_name); }

// No key lies between a key and the key with a zero behind it.
KeyRange range_of_term(std::uint32_t term) {
  std::string key = term_key(term);
  return {key, key + '\0'};
}

KeyRange range_of_name(std::string_view name, bool is_prefix) {
  std::string key = name_key(folded_name(name));
  if (!is_prefix) return {key, key + '\0'};
  std::string to = key;
  while (to.back() == '\xFF') to.pop_back();  // The kind in front is none.
  to.back() = static_cast<char>(static_cast<unsigned char>(to.back()) + 1);
  return {std::move(key), std::move(to)};
}

Result<TermRuns> load_term_runs(Connection& db) {
  TermRuns runs;
  Query q = db.query("SELECT id, first_no, last_no, entries, starts FROM term_run ORDER BY id");
  for (;;) {
    SORTIE_TRY(const bool more, q.step());
    if (!more) return runs;
    TermRun run{q.integer(0),
                static_cast<ExecutionNo>(q.integer(1)),
                static_cast<ExecutionNo>(q.integer(2)),
                static_cast<std::uint64_t>(q.integer(3)),
                {}};
    ByteReader starts(q.bytes(4));
    while (!starts.done()) run.part_starts.emplace_back(starts.bytes());
    if (starts.failed()) return db.corrupt("term run " + std::to_string(run.id));
    runs.push_back(std::make_shared<const TermRun>(std::move(run)));
  }
}

Status write_term_run(Connection& db, std::vector<TermEntry> entries, TermRuns* runs) {
  if (entries.empty()) return {};
  if (!std::is_sorted(entries.begin(), entries.end())) std::sort(entries.begin(), entries.end());
  entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
  term_run::Builder builder(db, term_run::next_id(*runs));
  for (const TermEntry& entry : entries) SORTIE_TRY_STATUS(builder.add(entry));
  SORTIE_TRY(std::shared_ptr<const TermRun> run, builder.finish());
  runs->push_back(std::move(run));
  return {};
}

// Of the runs at the end: as many as are no larger than the class asks for.
Status merge_term_runs(Connection& db, TermRuns* runs) {
  for (int size = 0; size <= term_run::size_class(kRunEntriesMax / term_run::kMergeAt); ++size) {
    std::size_t from = runs->size();
    std::uint64_t sum = 0;
    while (from > 0 && term_run::size_class((*runs)[from - 1]->entries) <= size &&
           sum + (*runs)[from - 1]->entries <= kRunEntriesMax) {
      sum += (*runs)[--from]->entries;
    }
    if (runs->size() - from < term_run::kMergeAt) continue;
    std::vector<TermEntry> entries;
    entries.reserve(static_cast<std::size_t>(sum));
    for (std::size_t at = from; at < runs->size(); ++at) {
      const TermRun& run = *(*runs)[at];
      for (std::size_t part = 0; part < run.part_starts.size(); ++part) {
        SORTIE_TRY_STATUS(term_run::visit_part(db, run, part, [&](const std::string& key, ExecutionNo no) {
          entries.push_back({key, no});
          return true;
        }));
      }
    }
    TermRuns merged(runs->begin(), runs->begin() + static_cast<std::ptrdiff_t>(from));
    TermRuns last{runs->back()};  // For its number.
    SORTIE_TRY_STATUS(write_term_run(db, std::move(entries), &last));
    for (std::size_t at = from; at < runs->size(); ++at) {
      SORTIE_TRY_STATUS(term_run::drop(db, *(*runs)[at]));
    }
    merged.push_back(last.back());
    *runs = std::move(merged);
  }
  return {};
}

Status drop_dead_run(Connection& db, std::size_t at, TermRuns* runs) {
  const TermRun& run = *(*runs)[at];
  {
    Query q = db.query("SELECT 1 FROM execution WHERE no BETWEEN ? AND ? LIMIT 1");
    q.bind(1, term_run::db_int(run.first)).bind(2, term_run::db_int(run.last));
    SORTIE_TRY(const bool lives, q.step());
    if (lives) return {};
  }
  SORTIE_TRY_STATUS(term_run::drop(db, run));
  runs->erase(runs->begin() + static_cast<std::ptrdiff_t>(at));
  return {};
}

Status collect(Connection& db, const TermRun& run, const KeyRange& range, std::vector<ExecutionNo>* found) {
  const auto& starts = run.part_starts;
  auto part =
      static_cast<std::size_t>(std::lower_bound(starts.begin(), starts.end(), range.from) - starts.begin());
  if (part > 0) --part;  // A part before the first that starts at the key may end with it.
  for (; part < starts.size() && starts[part] < range.to; ++part) {
    SORTIE_TRY_STATUS(term_run::visit_part(db, run, part, [&](const std::string& key, ExecutionNo no) {
      if (key >= range.to) return false;
      if (key >= range.from) found->push_back(no);
      return true;
    }));
  }
  return {};
}

Result<bool> is_sound(Connection& db, const TermRun& run) {
  TermRun counted;
  counted.first = UINT64_MAX;
  bool sorted = true;
  TermEntry before;
  for (std::size_t part = 0; part < run.part_starts.size(); ++part) {
    bool at_start = true;
    Status read = term_run::visit_part(db, run, part, [&](const std::string& key, ExecutionNo no) {
      sorted = sorted && before <= TermEntry{key, no} && (!at_start || key == run.part_starts[part]);
      at_start = false;
      before = {key, no};
      counted.first = std::min(counted.first, no);
      counted.last = std::max(counted.last, no);
      ++counted.entries;
      return true;
    });
    if (!read && read.error().code == "StoreCorrupt") return false;
    SORTIE_TRY_STATUS(read);
  }
  return sorted && counted.entries == run.entries && counted.first == run.first && counted.last == run.last;
}

}  // namespace sortie::store::sqlite
