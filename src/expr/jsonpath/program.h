#pragma once
// The compiled form of a path: a flat list of steps, and for a filter a flat list of criteria. Private to
// this folder; jsonpath.h is the door.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "expr/jsonpath/decimal.h"
#include "expr/jsonpath/jsonpath.h"

namespace re2 {
class RE2;
}

namespace sortie::jsonpath {

inline constexpr std::size_t kStepCountMax = 4096;  // Steps in one path.
inline constexpr std::size_t kFanOutMax = 256;      // Steps with more than one result in one path.

enum class StepKind : std::uint8_t {
  kRoot,          // A `$` inside a path: changes nothing but the path that errors print.
  kName,          // .a ['a']
  kNames,         // ['a','b'], and the empty list that malformed brackets leave behind.
  kIndex,         // [0]
  kIndices,       // [0,1]
  kFromEnd,       // [(@.length-1)]: numbers[0] is negative
  kSliceFrom,     // [1:]
  kSliceTo,       // [:1]
  kSliceBetween,  // [1:2]
  kWildcard,      // [*]
  kScan,          // ..
  kFilter,        // [?(...)]
};

enum class Comparison : std::uint8_t { kExists, kAbsent, kEq, kNe, kLt, kLe, kGt, kGe, kRegex };

struct Operand {
  enum class Kind : std::uint8_t { kText, kPath, kPattern };
  Kind kind = Kind::kText;
  std::string text;                     // The literal; a pattern's source.
  std::string compared_text;            // The literal without the backslashes of its quotes.
  std::optional<Decimal> number;        // The literal as a number, where it is one.
  std::optional<double> plain_number;   // The same, where comparing doubles cannot lose a digit.
  std::shared_ptr<const Program> path;  // Always definite.
  bool from_root = false;               // `$...`: over the whole document instead of the element.
  std::shared_ptr<const re2::RE2> pattern;
};

struct Criterion {
  Comparison comparison = Comparison::kExists;
  bool plain = false;  // A linear path against literal text: by far the most common, so it has a short cut.
  Operand left;
  Operand right;
};

// True when all criteria of some group are. Groups and criteria stand in the order in which they are
// evaluated, which is from the right end of the text to its left: an error in one hides those behind it.
struct Filter {
  std::vector<std::vector<Criterion>> groups;
  const Criterion* single = nullptr;  // The only criterion, where there is one and it is plain.
};

struct Step {
  StepKind kind = StepKind::kRoot;
  bool drop_missing = false;             // An absent member here drops the branch instead of failing.
  std::uint8_t slot = 0;                 // Of a name: where an evaluation notes at which place it was found.
  std::int32_t index = 0;                // kIndex, kFromEnd
  std::string name;                      // kName
  std::vector<std::string> names;        // kNames
  std::vector<std::int32_t> numbers;     // Slices and lists
  std::shared_ptr<const Filter> filter;  // Null in `[?]`, which fails when it is applied.
};

// Elements of an array mostly have the same members in the same places. An evaluation remembers the place at
// which it last found a name and looks there first; names share the slots by their hash.
inline constexpr std::size_t kSlotCount = 16;
std::uint8_t slot_of(std::string_view name);

struct Program {
  std::string text;
  std::vector<Step> steps;  // Without the leading `$`.
  bool definite = true;
  bool linear = true;      // One node at a time, nothing to build: names, indices, from-end, roots.
  bool begins_at = false;  // Written with `@`.
  bool reference = false;
  std::vector<ReferenceStep> reference_steps;
};

// How a step is spelled in messages: ['a'], [0], [1:], [*], [?], .. ; the steps from `first` on together.
std::string step_text(const Step& step);
std::string steps_text(const Program& program, std::size_t first);

// Compiles any path; `operand` marks one inside a filter, which has to be definite.
Result<std::shared_ptr<const Program>> compile_path(std::string_view text, bool operand);
// `text` is the whole bracket: [?( ... )].
Result<std::shared_ptr<const Filter>> compile_filter(std::string_view text);
// Whether the text of a full path reads the same as a reference path: no reserved characters in dotted names,
// no brackets or quotes inside quoted ones.
bool is_reference_text(std::string_view text);

Error invalid_path(std::string message, std::optional<std::size_t> offset = std::nullopt);
// Java's trim: everything up to the blank, control characters included, at both ends.
std::string_view trim_controls(std::string_view text);

Result<json::Value> evaluate_program(const Program& program, const json::Value& root);
const json::Value* find_in(const Program& program, const json::Value& root);

}  // namespace sortie::jsonpath
