// Reader's look-ups by terms. Each condition is a stream of numbers, newest first: runs are read only when
// the stream has come down to their numbers, so a page of what is frequent reads the newest runs, and what is
// rare costs one look into each run. Several conditions go down together, each to the lowest of the others.
#include <algorithm>

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

}  // namespace reader_terms

Result<std::vector<ExecutionNo>> Reader::find_by_terms(const TermQuery& query) {
  std::vector<ExecutionNo> result;
  if (query.before == 0) return result;
  SORTIE_TRY(Lease db, lease());
  Transaction snapshot(*db);
  TermRuns runs;
  std::vector<reader_terms::Condition> conditions;
  {
    std::shared_lock lock(view_.mutex);
    SORTIE_TRY_STATUS(snapshot.begin_read());
    runs = view_.runs;
    conditions = reader_terms::conditions_of(query, view_.overlay);
  }
  if (conditions.empty()) return Error{"InvalidQuery", "a search by terms needs one", "", ""};
  std::sort(runs.begin(), runs.end(), [](const auto& a, const auto& b) { return a->last < b->last; });
  std::vector<reader_terms::Stream> streams;
  for (reader_terms::Condition& condition : conditions) {
    streams.emplace_back(*db, runs, std::move(condition.ranges), std::move(condition.in_overlay));
  }
  ExecutionNo most = query.before - 1;
  while (result.size() < query.limit && most > 0) {
    ExecutionNo candidate = most;
    bool agreed = false;
    while (!agreed && candidate > 0) {
      agreed = true;
      for (reader_terms::Stream& stream : streams) {
        SORTIE_TRY(const ExecutionNo found, stream.next(candidate, std::max<ExecutionNo>(query.from, 1)));
        agreed = agreed && found == candidate;
        candidate = found;
        if (found == 0) break;
      }
    }
    if (candidate == 0) break;
    result.push_back(candidate);
    most = candidate - 1;
  }
  return result;
}

}  // namespace sortie::store::sqlite
