#include "expr/pattern/pattern.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/text.h"
#include "expr/pattern/compiler.h"

namespace sortie::pattern {

namespace pattern_detail {

// "line 1, column 17", from the place at the end of EventBridge's message; empty where it has none.
std::string place_in(const std::string& message) {
  const std::size_t line = message.rfind("; line: ");
  if (line == std::string::npos || !message.ends_with(']')) return "";
  const std::string place = message.substr(line + 8, message.size() - line - 9);
  return "line " + replace_all(place, "column: ", "column ");
}

bool in_range(const ValueTest& test, double number) {
  if (test.low && (test.low_open ? number <= *test.low : number < *test.low)) return false;
  if (test.high && (test.high_open ? number >= *test.high : number > *test.high)) return false;
  return true;
}

// The elements chosen so far, one coordinate for each array, ascending.
using Chosen = std::vector<Coordinate>;

bool consistent(const Chosen& chosen, const std::vector<Coordinate>& coordinates) {
  auto left = chosen.begin();
  auto right = coordinates.begin();
  while (left != chosen.end() && right != coordinates.end()) {
    if (left->array < right->array) {
      ++left;
    } else if (right->array < left->array) {
      ++right;
    } else if (left->index != right->index) {
      return false;
    } else {
      ++left;
      ++right;
    }
  }
  return true;
}

Chosen join(const Chosen& chosen, const std::vector<Coordinate>& coordinates) {
  Chosen out;
  std::set_union(chosen.begin(), chosen.end(), coordinates.begin(), coordinates.end(),
                 std::back_inserter(out));
  return out;
}

}  // namespace pattern_detail

using namespace pattern_detail;

bool test_value(const ValueTest& test, const Field& field) {
  const bool string = field.kind == FieldKind::kString;
  switch (test.kind) {
    case TestKind::kString:
      return string && field.text == test.text;
    case TestKind::kLiteral:
      return !string && field.kind != FieldKind::kNumber && field.text == test.text;
    case TestKind::kNumber:
      return field.kind == FieldKind::kNumber &&
             (field.text == test.text || (test.low && field.number && *test.low == *field.number));
    case TestKind::kPrefix:
      return string && field.text.starts_with(test.text);
    case TestKind::kSuffix:
      return string && field.text.ends_with(test.text);
    case TestKind::kFolded:
      return string && equals_folded(test.folded, field.text);
    case TestKind::kFoldedPrefix:
      return string && starts_with_folded(test.folded, field.text);
    case TestKind::kFoldedSuffix:
      return string && ends_with_folded(test.folded, field.text);
    case TestKind::kWildcard:
      return string && test.wildcard.matches(field.text);
    case TestKind::kNumericRange:
      return field.number.has_value() && in_range(test, *field.number);
    case TestKind::kAddressRange:
      return field.address.has_value() && test.addresses.contains(*field.address);
    case TestKind::kExists:
      return true;
    case TestKind::kAbsent:
      return false;
    case TestKind::kAnythingBut:
      return std::none_of(test.but.begin(), test.but.end(),
                          [&field](const ValueTest& but) { return test_value(but, field); });
  }
  return false;
}

// Walks the paths of one combination in sorted order and keeps every distinct set of array elements that the
// fields chosen so far can lie in. Elements of arrays that no later path can share are forgotten on the way,
// so the sets stay few: what is left at any time lies on one chain of nested arrays.
class CombinationMatcher {
 public:
  CombinationMatcher(const Combination& combination, const FlatEvent& event, std::size_t& steps)
      : event_(event), steps_(steps) {
    for (const auto& [path, tests] : combination) tests_.emplace_back(&path, tests.get());
  }

  bool run() {
    // Most events fail on a field that is not there: ask that first, it needs no walk.
    for (const auto& [path, tests] : tests_) {
      if (event_.find(*path) == nullptr && !allows_absence(*tests)) return false;
    }
    std::vector<Chosen> states{Chosen()};
    for (std::size_t i = 0; i < tests_.size() && !states.empty(); ++i) states = advance(states, i);
    return !states.empty();
  }

 private:
  static bool allows_absence(const ValueTests& tests) {
    return std::any_of(tests.begin(), tests.end(),
                       [](const ValueTest& test) { return test.kind == TestKind::kAbsent; });
  }

  std::vector<Chosen> advance(const std::vector<Chosen>& states, std::size_t test_index) {
    const auto& [path, tests] = tests_[test_index];
    const std::vector<Field>* fields = event_.find(*path);
    std::vector<const Field*> hits;
    if (fields != nullptr) {
      for (const Field& field : *fields) {
        if (std::any_of(tests->begin(), tests->end(),
                        [&field](const ValueTest& test) { return test_value(test, field); })) {
          hits.push_back(&field);
        }
      }
    }
    const bool absence = allows_absence(*tests);
    std::vector<Chosen> next;
    const HitIndex index(hits, states.size() * hits.size() > kIndexFrom ? this : nullptr);
    for (const Chosen& state : states) {
      if (absence && is_absent(state, fields)) next.push_back(forget(state, test_index));
      index.for_each(state, event_, [&](const Field& hit) {
        if (++steps_ > kMatchStepsMax) return;
        if (consistent(state, hit.coordinates)) {
          next.push_back(forget(join(state, hit.coordinates), test_index));
        }
      });
    }
    std::sort(next.begin(), next.end());
    next.erase(std::unique(next.begin(), next.end()), next.end());
    return next;
  }

  bool is_absent(const Chosen& state, const std::vector<Field>* fields) {
    if (fields == nullptr) return true;
    for (const Field& field : *fields) {
      if (++steps_ > kMatchStepsMax || consistent(state, field.coordinates)) return false;
    }
    return true;
  }

  // Drops the coordinates of arrays that no path after `test_index` can lie in.
  Chosen forget(Chosen state, std::size_t test_index) {
    std::erase_if(state, [&](const Coordinate& c) { return last_use(c.array) <= test_index; });
    return state;
  }

  std::size_t last_use(std::uint32_t array) {
    const std::string& path = event_.array(array).path;
    const auto known = last_use_.find(path);
    if (known != last_use_.end()) return known->second;
    std::size_t last = 0;
    for (std::size_t i = 0; i < tests_.size(); ++i) {
      const std::string& test_path = *tests_[i].first;
      if (test_path == path || (test_path.starts_with(path) && test_path[path.size()] == '.')) last = i;
    }
    return last_use_[path] = last;
  }

  // Finds the hits that can go with a state without looking at all of them. Where the state is a clean chain
  // of nested arrays, the hits that share its innermost array are listed by element, and the hits that do
  // not are looked at only on the levels where there are any.
  class HitIndex {
   public:
    HitIndex(const std::vector<const Field*>& hits, const CombinationMatcher* wanted) : hits_(hits) {
      if (wanted == nullptr) return;
      indexed_ = true;
      for (const Field* hit : hits) {
        for (const Coordinate& c : hit->coordinates) {
          by_element_[key(c)].push_back(hit);
          ++by_array_[c.array];
        }
      }
    }

    template <typename Visit>
    void for_each(const Chosen& state, const FlatEvent& event, Visit visit) const {
      if (!indexed_ || state.empty() || !is_chain(state, event)) {
        for (const Field* hit : hits_) visit(*hit);
        return;
      }
      std::size_t deeper = 0;  // Hits inside this element that share the next deeper array of the state.
      for (std::size_t level = state.size(); level-- > 0;) {
        const auto found = by_element_.find(key(state[level]));
        const std::size_t here = found == by_element_.end() ? 0 : found->second.size();
        if (here > deeper) {
          const bool innermost = level + 1 == state.size();
          for (const Field* hit : found->second) {
            if (innermost || !shares(*hit, state[level + 1].array)) visit(*hit);
          }
        }
        const auto sharing = by_array_.find(state[level].array);
        deeper = sharing == by_array_.end() ? 0 : sharing->second;
      }
      if (deeper == hits_.size()) return;
      for (const Field* hit : hits_) {
        if (!shares(*hit, state.front().array)) visit(*hit);
      }
    }

   private:
    static std::uint64_t key(const Coordinate& c) {
      return (static_cast<std::uint64_t>(c.array) << 32) | c.index;
    }
    static bool shares(const Field& hit, std::uint32_t array) {
      return std::any_of(hit.coordinates.begin(), hit.coordinates.end(),
                         [array](const Coordinate& c) { return c.array == array; });
    }
    static bool is_chain(const Chosen& state, const FlatEvent& event) {
      for (std::size_t i = 1; i < state.size(); ++i) {
        if (event.array(state[i].array).parent != state[i - 1]) return false;
      }
      return true;
    }

    const std::vector<const Field*>& hits_;
    bool indexed_ = false;
    std::unordered_map<std::uint64_t, std::vector<const Field*>> by_element_;
    std::unordered_map<std::uint32_t, std::size_t> by_array_;
  };

  static constexpr std::size_t kIndexFrom = 64;

  const FlatEvent& event_;
  std::size_t& steps_;
  std::vector<std::pair<const std::string*, const ValueTests*>> tests_;
  std::unordered_map<std::string, std::size_t> last_use_;
};

Result<Pattern> Pattern::compile(std::string_view pattern_text, Mode mode) {
  constexpr std::string_view kCode = "InvalidEventPatternException";
  const std::string prefix = "Event pattern is not valid. Reason: ";
  if (pattern_text.size() > kPatternBytesMax) {
    return Error{std::string(kCode), prefix + "The pattern is longer than 1048576 bytes"};
  }
  if (!is_valid_utf8(pattern_text)) {
    return Error{std::string(kCode), prefix + "The pattern is no valid UTF-8"};
  }
  auto rules = compile_rules(pattern_text, mode);
  if (!rules) {
    return Error{std::string(kCode), prefix + rules.error().message, place_in(rules.error().message)};
  }
  return Pattern(std::make_shared<const PatternRules>(std::move(rules).value()));
}

bool Pattern::matches(const FlatEvent& event) const {
  std::size_t steps = 0;
  return std::any_of(
      rules_->combinations.begin(), rules_->combinations.end(),
      [&](const Combination& combination) { return CombinationMatcher(combination, event, steps).run(); });
}

std::size_t Pattern::combination_count() const { return rules_->combinations.size(); }

}  // namespace sortie::pattern
