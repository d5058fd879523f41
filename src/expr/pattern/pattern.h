#pragma once
// EventBridge event patterns, compiled once from their JSON text.
//
//   SORTIE_TRY(Pattern pattern, Pattern::compile(R"({"source": ["aws.ec2"]})", Mode::kAws));
//   SORTIE_TRY(const bool match, pattern.matches(event_text));   // one pattern, one event
//
// Many patterns are matched together, and much faster, by a RuleSet (rule_set.h); what follows holds for
// both.
//
// An event is seen as its fields: every scalar, named by the member names that lead to it, joined by dots.
// Arrays do not appear in that path, repeated member names all count, empty arrays and objects leave no
// field.
//
// The semantics are those of event-ruler 2.0, the library inside EventBridge: all its operators, array
// consistency (two fields of one match never come from different elements of the same array), `$or`, repeated
// names (a repeated leaf keeps the last), numbers that are equal as doubles or by their text. Two accidents
// of it are not copied: IPv4 ranges never match IPv6 addresses, and empty member names are ordinary names.
// Text after the pattern's closing brace is refused.
//
// Mode::kAws adds what EventBridge refuses beyond event-ruler: wildcards that are too complex, and more than
// kCombinationsMax combinations of `$or`.
//
// A compiled pattern is an immutable value; copies share it, threads may, too.
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sortie::pattern {

enum class Mode { kAws, kStandard };

inline constexpr std::size_t kPatternBytesMax = 1024 * 1024;
inline constexpr std::size_t kFieldsMax = 256;             // Paths in one combination.
inline constexpr std::size_t kCombinationsMax = 1000;      // What `$or` may expand to.
inline constexpr std::size_t kExpandedFieldsMax = 50'000;  // Paths in all combinations together.
inline constexpr std::size_t kWildcardPlacesMax = 9;       // Wildcard::complexity beyond it is refused.

struct PatternRules;  // compiler.h

class Pattern {
 public:
  // Errors: code "InvalidEventPatternException", message "Event pattern is not valid. Reason: ..." with the
  // place in the text, as EventBridge words it; the same place as "line L, column C" where there is one.
  static Result<Pattern> compile(std::string_view pattern_text, Mode mode);

  // Errors: those of check_event.
  Result<bool> matches(std::string_view event_text) const;

  std::size_t combination_count() const;  // Alternatives that `$or` expands to; 1 without.
  const PatternRules& rules() const { return *rules_; }

 private:
  explicit Pattern(std::shared_ptr<const PatternRules> rules) : rules_(std::move(rules)) {}
  std::shared_ptr<const PatternRules> rules_;
};

// Whether the text is an event: UTF-8, JSON, an object, not nested beyond 1000. Errors: code "InvalidEvent".
Status check_event(std::string_view event_text);

}  // namespace sortie::pattern
