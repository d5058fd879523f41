#include "expr/pattern/consistency.h"

#include <algorithm>

namespace sortie::pattern {

class CandidateMatcher {
 public:
  CandidateMatcher(const Candidate& candidate, MatchState& state) : candidate_(candidate), state_(state) {}

  bool run() {
    // Most candidates fail on a field that is not there: ask that first, it looks at no value.
    for (const Condition& condition : candidate_.conditions) {
      if (state_.newest(condition.place->id) == kNone && !allows_absence(*condition.tests)) return false;
    }
    state_.hits.clear();
    state_.levels.clear();
    const bool all = candidate_.allows_absence && state_.scopes.size() > 1;
    for (const Condition& condition : candidate_.conditions) {
      if (!find_hits(condition, all)) return false;
    }
    return state_.levels.size() <= 1 && !all ? true : search();
  }

 private:
  // False where nothing satisfies the condition. `all`: it becomes a level even if it goes with anything.
  bool find_hits(const Condition& condition, bool all) {
    const auto begin = static_cast<std::uint32_t>(state_.hits.size());
    const std::uint32_t newest = state_.newest(condition.place->id);
    const bool absence = candidate_.allows_absence && allows_absence(*condition.tests);
    for (std::uint32_t i = newest; i != kNone; i = state_.fields[i].next) {
      Field& field = state_.fields[i];
      if (state_.hits.size() > begin && state_.hits.back() == field.scope) continue;
      if (!test_values(*condition.tests, field)) continue;
      if (field.scope == 0 && !all) {
        state_.hits.resize(begin);
        return true;
      }
      state_.hits.push_back(field.scope);
    }
    const auto end = static_cast<std::uint32_t>(state_.hits.size());
    if (begin == end && !absence) return false;
    if (begin == end && !all) return newest == kNone;
    const auto first = state_.hits.begin() + begin;
    std::sort(first, state_.hits.end());
    state_.hits.erase(std::unique(first, state_.hits.end()), state_.hits.end());
    state_.levels.push_back({&condition, begin, static_cast<std::uint32_t>(state_.hits.size()), absence});
    return true;
  }

  bool search() {
    state_.pool.clear();
    state_.sets.assign(1, ScopeSet{});
    for (std::size_t i = 0; i < state_.levels.size(); ++i) {
      state_.next_pool.clear();
      state_.next_sets.clear();
      const bool last = i + 1 == state_.levels.size();
      if (state_.levels[i].absence) list_all_scopes(*state_.levels[i].condition);
      for (const ScopeSet& set : state_.sets) {
        if (advance(set, i) && last) return true;
        if (steps_ > kMatchStepsMax) return false;
      }
      drop_repetitions();
      if (state_.sets.empty()) return false;
    }
    return !state_.sets.empty();
  }

  // Adds what the set can become with this level's condition; whether there is anything.
  bool advance(const ScopeSet& set, std::size_t level) {
    const Level& here = state_.levels[level];
    bool any = false;
    if (here.absence) {
      const auto& scopes = state_.all_scopes;
      const bool there = visit_compatible(set, scopes.data(), scopes.data() + scopes.size(),
                                          [](std::uint32_t) { return true; });
      if (!there && steps_ <= kMatchStepsMax) {
        add_set(set, 0, level);
        any = true;
      }
    }
    const bool last = level + 1 == state_.levels.size();
    const std::uint32_t* hits = state_.hits.data();
    visit_compatible(set, hits + here.begin, hits + here.end, [&](std::uint32_t scope) {
      add_set(set, scope, level);
      any = true;
      return last;
    });
    return any;
  }

  void list_all_scopes(const Condition& condition) {
    state_.all_scopes.clear();
    for (std::uint32_t i = state_.newest(condition.place->id); i != kNone; i = state_.fields[i].next) {
      state_.all_scopes.push_back(state_.fields[i].scope);
    }
    std::sort(state_.all_scopes.begin(), state_.all_scopes.end());
  }

  // Calls `visit` with each of the ascending scopes that goes together with all of the set, until it says
  // true; whether it did. Where the set is not empty, what its first scope rules out is not even looked at.
  template <typename Visit>
  bool visit_compatible(const ScopeSet& set, const std::uint32_t* begin, const std::uint32_t* end,
                        const Visit& visit) {
    if (set.size == 0) return visit_range(set, begin, end, 0, kNone, visit);
    std::uint32_t scope = state_.pool[set.begin];
    if (visit_range(set, begin, end, scope, state_.scopes[scope].last, visit)) return true;
    while (scope != 0) {
      // Of the scope above, all but the elements of the array between the two.
      const ArrayPlace& array = state_.arrays[state_.scopes[scope].array];
      scope = state_.scopes[scope].parent;
      if (visit_range(set, begin, end, scope, array.first - 1, visit)) return true;
      if (visit_range(set, begin, end, array.last + 1, state_.scopes[scope].last, visit)) return true;
    }
    return false;
  }

  template <typename Visit>
  bool visit_range(const ScopeSet& set, const std::uint32_t* begin, const std::uint32_t* end,
                   std::uint32_t first, std::uint32_t last, const Visit& visit) {
    for (const std::uint32_t* at = std::lower_bound(begin, end, first); at != end && *at <= last; ++at) {
      if (++steps_ > kMatchStepsMax) return false;
      bool compatible = true;
      for (std::uint32_t i = 1; compatible && i < set.size; ++i) {
        compatible = go_together(*at, state_.pool[set.begin + i]);
      }
      if (compatible && visit(*at)) return true;
    }
    return false;
  }

  bool go_together(std::uint32_t a, std::uint32_t b) const {
    const auto& scopes = state_.scopes;
    while (a != b) {
      // The deeper one goes up; at the same depth both, unless they are elements of one array.
      if (scopes[a].depth > scopes[b].depth) {
        if (scopes[a].parent == b) return true;
        a = scopes[a].parent;
      } else if (scopes[b].depth > scopes[a].depth) {
        if (scopes[b].parent == a) return true;
        b = scopes[b].parent;
      } else {
        if (scopes[a].array == scopes[b].array) return false;
        a = scopes[a].parent;
        b = scopes[b].parent;
      }
    }
    return true;
  }

  // Adds the set joined with `scope` (0: as it is) to the next sets, without what no later path can share.
  void add_set(const ScopeSet& set, std::uint32_t scope, std::size_t level) {
    auto& pool = state_.next_pool;
    const auto begin = static_cast<std::uint32_t>(pool.size());
    for (std::uint32_t i = 0; i < set.size; ++i) add_remembered(state_.pool[set.begin + i], level);
    add_remembered(scope, level);
    // Ascending, and without those that another one lies in.
    std::sort(pool.begin() + begin, pool.end());
    auto kept = begin;
    for (std::uint32_t i = begin; i < pool.size(); ++i) {
      if (i + 1 < pool.size() && pool[i + 1] <= state_.scopes[pool[i]].last) continue;
      pool[kept++] = pool[i];
    }
    pool.resize(kept);
    state_.next_sets.push_back({begin, kept - begin});
  }

  void add_remembered(std::uint32_t scope, std::size_t level) {
    while (scope != 0 && !is_used_after(state_.arrays[state_.scopes[scope].array], level)) {
      scope = state_.scopes[scope].parent;
    }
    if (scope != 0) state_.next_pool.push_back(scope);
  }

  bool is_used_after(const ArrayPlace& array, std::size_t level) const {
    for (std::size_t i = level + 1; i < state_.levels.size(); ++i) {
      const auto& chain = state_.levels[i].condition->place->chain;
      if (chain.size() >= array.path_depth && chain[array.path_depth - 1] == array.path) return true;
    }
    return false;
  }

  void drop_repetitions() {
    std::swap(state_.pool, state_.next_pool);
    std::swap(state_.sets, state_.next_sets);
    const auto& pool = state_.pool;
    const auto compare = [&pool](const ScopeSet& a, const ScopeSet& b) {
      return std::lexicographical_compare_three_way(pool.begin() + a.begin, pool.begin() + a.begin + a.size,
                                                    pool.begin() + b.begin, pool.begin() + b.begin + b.size);
    };
    std::sort(state_.sets.begin(), state_.sets.end(),
              [&](const ScopeSet& a, const ScopeSet& b) { return compare(a, b) < 0; });
    const auto same = [&](const ScopeSet& a, const ScopeSet& b) { return compare(a, b) == 0; };
    state_.sets.erase(std::unique(state_.sets.begin(), state_.sets.end(), same), state_.sets.end());
  }

  const Candidate& candidate_;
  MatchState& state_;
  std::size_t steps_ = 0;
};

bool matches_candidate(const Candidate& candidate, MatchState& state) {
  return CandidateMatcher(candidate, state).run();
}

}  // namespace sortie::pattern
