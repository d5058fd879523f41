// Reader's look-ups by terms. Each condition is a stream of numbers, newest first: runs are read only when
// the stream has come down to their numbers, so a page of what is frequent reads the newest runs, and what is
// rare costs one look into each run. Several conditions go down together, each to the lowest of the others;
// one of them is what rows say, read out of the index over machines and statuses.
#include <algorithm>

#include "store/matching.h"
#include "store/sqlite/reader.h"

namespace sortie::store::sqlite {

namespace reader_terms {

class Stream {
 public:
  // `found`: what the overlay knows. `runs`: by their last number, the highest last.
  Stream(Connection& db, const TermRuns& runs, std::vector<KeyRange> ranges, std::vector<ExecutionNo> found)
      : db_(db), runs_(runs), ranges_(std::move(ranges)), found_(std::move(found)) {
    std::sort(found_.begin(), found_.end());
  }

  // The highest number that is not above `most` and not below `least`; 0: there is none. `most` never grows.
  Result<ExecutionNo> next(ExecutionNo most, ExecutionNo least) {
    for (;;) {
      while (!found_.empty() && found_.back() > most) found_.pop_back();
      const ExecutionNo best = std::max(found_.empty() ? 0 : found_.back(), least > 0 ? least - 1 : 0);
      if (runs_.empty() || runs_.back()->last <= best) {
        return found_.empty() || found_.back() < least ? 0 : found_.back();
      }
      const std::shared_ptr<const TermRun> run = std::move(runs_.back());
      runs_.pop_back();
      if (run->first > most) continue;
      for (const KeyRange& range : ranges_) SORTIE_TRY_STATUS(collect(db_, *run, range, &found_));
      std::sort(found_.begin(), found_.end());
    }
  }

 private:
  Connection& db_;
  TermRuns runs_;
  const std::vector<KeyRange> ranges_;
  std::vector<ExecutionNo> found_;  // Ascending.
};

// One condition: what the overlay has of it is copied under the lock, and what runs may have of it.
struct Condition {
  std::vector<KeyRange> ranges;
  std::vector<ExecutionNo> in_overlay;
};

std::vector<Condition> conditions_of(const TermQuery& query, const Overlay& overlay) {
  std::vector<Condition> conditions;
  const Generation* generations[] = {overlay.active.get(), overlay.frozen.get()};
  for (const std::vector<std::uint32_t>& any : query.terms) {
    Condition condition;
    for (const std::uint32_t term : any) {
      condition.ranges.push_back(range_of_term(term));
      for (const Generation* generation : generations) {
        if (generation != nullptr) generation->find_term(term, &condition.in_overlay);
      }
    }
    conditions.push_back(std::move(condition));
  }
  if (!query.name.empty()) {
    Condition condition{{range_of_name(query.name, query.name_is_prefix)}, {}};
    for (const Generation* generation : generations) {
      if (generation != nullptr) {
        generation->find_name(query.name, query.name_is_prefix, &condition.in_overlay);
      }
    }
    conditions.push_back(std::move(condition));
  }
  return conditions;
}

const char* const kOfStatus =
    "SELECT no FROM execution INDEXED BY execution_by_status WHERE status=?2 AND no <= ?1 ORDER BY no DESC";
const char* const kOfMachine =
    "SELECT no FROM execution INDEXED BY execution_by_machine WHERE machine=?3 AND status=?2 AND no <= ?1"
    " ORDER BY no DESC";

// The numbers of one range of rows as the tables have them, out of an index, in pieces.
class IndexRange {
 public:
  // Without a machine: of all.
  IndexRange(Connection& db, std::optional<std::int64_t> machine, std::int64_t status)
      : db_(db), machine_(machine), status_(status) {}

  // The highest that is not above `most`; 0: there is none. `most` never grows.
  Result<ExecutionNo> floor(ExecutionNo most) {
    while (at_ < piece_.size() && piece_[at_] > most) ++at_;
    if (at_ < piece_.size()) return piece_[at_];
    if (is_last_) return 0;
    // Twice as many as before where the search walks, few where it has jumped.
    const bool walks = !piece_.empty() && most + kPieceMax >= piece_.back();
    size_ = walks ? std::min(2 * size_, kPieceMax) : kPieceMin;
    SORTIE_TRY_STATUS(load(most));
    return piece_.empty() ? 0 : piece_.front();
  }

 private:
  static constexpr std::size_t kPieceMin = 8, kPieceMax = 512;

  Status load(ExecutionNo most) {
    piece_.clear();
    at_ = 0;
    Query q = db_.query(machine_ ? kOfMachine : kOfStatus);
    q.bind(1, static_cast<std::int64_t>(std::min<ExecutionNo>(most, INT64_MAX))).bind(2, status_);
    if (machine_) q.bind(3, *machine_);
    while (piece_.size() < size_) {
      SORTIE_TRY(const bool more, q.step());
      is_last_ = !more;
      if (!more) break;
      piece_.push_back(static_cast<ExecutionNo>(q.integer(0)));
    }
    return {};
  }

  Connection& db_;
  const std::optional<std::int64_t> machine_;
  const std::int64_t status_;
  std::vector<ExecutionNo> piece_;  // Descending.
  std::size_t at_ = 0, size_ = kPieceMin;
  bool is_last_ = false;
};

// The condition that a row is of certain machines and statuses. It goes down with the streams, so that no row
// is read that cannot be meant: what is rare says where the others have to look next.
class RowFilter {
 public:
  // `overlay` shares its generations with the view, whose lock guards the active one.
  RowFilter(const TermQuery& query, View& view, Overlay overlay)
      : query_(query), view_(view), overlay_(std::move(overlay)) {}

  Status open(Connection& db) {
    for (const TermQuery::RowRange& range : query_.rows) {
      std::optional<std::int64_t> machine;
      if (!range.state_machine_arn.empty()) {
        Query q = db.query("SELECT id FROM word WHERE value=?");
        q.bind_text(1, range.state_machine_arn);
        SORTIE_TRY(const bool known, q.step());
        if (!known) continue;  // Not in the tables yet.
        machine = q.integer(0);
      }
      is_open_ = is_open_ || (!machine && !range.status);
      for (std::int64_t status = 0; status < kStatuses; ++status) {
        if (!range.status || *range.status == static_cast<ExecutionStatus>(status))
          ranges_.emplace_back(db, machine, status);
      }
    }
    is_open_ = is_open_ || query_.rows.empty();
    return {};
  }

  // `most` itself where its row is wanted; else a lower number that none between is.
  Result<ExecutionNo> bound(ExecutionNo most) {
    if (is_open_) return most;
    ExecutionNo best = 0;
    {
      std::shared_lock lock(view_.mutex);
      if (const ExecutionView* row = overlay_.find_execution(most))
        return matches_rows(query_, row->state_machine_arn, row->status) ? most : most - 1;
      best = overlay_.previous_with_row(most);
    }
    for (IndexRange& range : ranges_) {
      SORTIE_TRY(const ExecutionNo found, range.floor(most));
      best = std::max(best, found);
    }
    return best;
  }

 private:
  static constexpr std::int64_t kStatuses = 5;

  const TermQuery& query_;
  View& view_;
  const Overlay overlay_;
  std::vector<IndexRange> ranges_;
  bool is_open_ = false;
};

}  // namespace reader_terms

Result<std::vector<ExecutionNo>> Reader::find_by_terms(const TermQuery& query) {
  std::vector<ExecutionNo> result;
  if (query.before == 0) return result;
  SORTIE_TRY(Lease db, lease());
  TermRuns runs;
  Overlay overlay;
  std::vector<reader_terms::Condition> conditions;
  {
    std::shared_lock lock(view_.mutex);
    SORTIE_TRY_STATUS(db.settle());
    runs = view_.runs;
    overlay = view_.overlay;
    conditions = reader_terms::conditions_of(query, overlay);
  }
  if (conditions.empty() && query.rows.empty())
    return Error{"InvalidQuery", "a search by terms needs one", "", ""};
  std::sort(runs.begin(), runs.end(), [](const auto& a, const auto& b) { return a->last < b->last; });
  std::vector<reader_terms::Stream> streams;
  for (reader_terms::Condition& condition : conditions) {
    streams.emplace_back(*db, runs, std::move(condition.ranges), std::move(condition.in_overlay));
  }
  reader_terms::RowFilter filter(query, view_, std::move(overlay));
  SORTIE_TRY_STATUS(filter.open(*db));
  ExecutionNo most = query.before - 1;
  while (result.size() < query.limit && most > 0) {
    ExecutionNo candidate = most;
    bool agreed = false;
    while (!agreed && candidate > 0) {
      SORTIE_TRY(const ExecutionNo bound, filter.bound(candidate));
      agreed = bound == candidate;
      candidate = bound;
      for (reader_terms::Stream& stream : streams) {
        if (candidate == 0) break;
        SORTIE_TRY(const ExecutionNo found, stream.next(candidate, std::max<ExecutionNo>(query.from, 1)));
        agreed = agreed && found == candidate;
        candidate = found;
      }
    }
    if (candidate == 0 || candidate < query.from) break;
    result.push_back(candidate);
    most = candidate - 1;
  }
  return result;
}

}  // namespace sortie::store::sqlite
