#pragma once
// The compiled form of a path: a flat list of steps, and for a filter a flat list of criteria. Private to
// this folder; jsonpath.h is the door.
#include <cstdint>
#include <forward_list>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "expr/jsonpath/decimal.h"
#include "expr/jsonpath/jsonpath.h"

namespace re2 {
class RE2;
}

namespace sortie::jsonpath {

inline constexpr std::size_t kStepCountMax = 4096;  // Steps in one path.
inline constexpr std::size_t kReferenceStepsMax = 200;
inline constexpr std::size_t kFanOutMax = 256;  // Steps with more than one result in one path.

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
  bool begins_group = false;
  bool plain = false;  // A linear path against literal text: by far the most common, so it has a short cut.
  Operand left;
  Operand right;
};

// True when all criteria of some group are. Groups and criteria stand in the order in which they are
// evaluated, which is from the right end of the text to its left: an error in one hides those behind it.
struct Filter {
  std::vector<Criterion> criteria;
  bool single = false;  // There is only one criterion, and it is plain.
};

// What a step has beyond one name or index; the Program owns it.
struct StepExtra {
  std::string name;                   // kName whose text was put together.
  std::vector<std::string> names;     // kNames
  std::vector<std::int32_t> numbers;  // Slices and lists
  std::optional<Filter> filter;       // None in `[?]`, which fails when it is applied.
};

struct Step {
  StepKind kind = StepKind::kRoot;
  bool drop_missing = false;         // An absent member here drops the branch instead of failing.
  std::uint8_t slot = 0;             // Of a name: where an evaluation notes at which place it was found.
  std::int32_t index = 0;            // kIndex, kFromEnd
  json::Key name{};                  // kName; its text lies in the Program.
  const StepExtra* extra = nullptr;  // Never null for kinds that have one.
};

// The steps of a path. A few of them, which is nearly always all, lie within.
class Steps {
 public:
  Steps() : first_(few()) {}
  Steps(const Steps&) = delete;
  Steps& operator=(const Steps&) = delete;

  // A step behind the others, to be filled in; the reference holds until the next one is added.
  Step& add() {
    if (size_ < kFew) return *new (few() + size_++) Step;
    if (size_++ == kFew) many_.assign(few(), few() + kFew);
    many_.emplace_back();
    first_ = many_.data();
    return many_.back();
  }
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  Step& operator[](std::size_t at) { return first_[at]; }
  const Step& operator[](std::size_t at) const { return first_[at]; }
  const Step& back() const { return first_[size_ - 1]; }
  const Step* begin() const { return first_; }
  const Step* end() const { return first_ + size_; }

 private:
  static_assert(std::is_trivially_copyable_v<Step>);
  static constexpr std::size_t kFew = 8;

  Step* few() { return reinterpret_cast<Step*>(room_); }

  Step* first_;
  std::size_t size_ = 0;
  std::vector<Step> many_;
  alignas(Step) char room_[kFew * sizeof(Step)];
};

// Elements of an array mostly have the same members in the same places. An evaluation remembers the place at
// which it last found a name and looks there first; names share the slots by their hash.
inline constexpr std::size_t kSlotCount = 16;

struct Program {
  Program() {}  // Not defaulted, which would clear the room for steps first.

  std::string text;
  std::string rooted;  // The text with a `$` in front, where it has none of its own.
  Steps steps;         // Without the leading `$`.
  std::forward_list<StepExtra> extras;
  bool definite = true;
  bool linear = true;      // One node at a time, nothing to build: names, indices, from-end, roots.
  bool begins_at = false;  // Written with `@`.
  bool reference = false;
};

// How a step is spelled in messages: ['a'], [0], [1:], [*], [?], .. ; the steps from `first` on together.
std::string step_text(const Step& step);
std::string steps_text(const Program& program, std::size_t first);

// Compiles any path; `operand` marks one inside a filter, which has to be definite.
Result<std::shared_ptr<const Program>> compile_path(std::string_view text, bool operand);
// `text` is the whole bracket: [?( ... )].
Status compile_filter(std::string_view text, Filter& filter);
// Reads the step at `at` and moves behind it if it reads the same in a reference path: no reserved characters
// in a dotted name, no brackets or quotes inside a quoted one. Most paths have no other steps.
bool read_plain_step(Program& program, std::string_view text, std::size_t& at);
// A step of kName; the text of the name has to lie in the program.
void add_name_step(Program& program, std::string_view name);

Error invalid_path(std::string message, std::optional<std::size_t> offset = std::nullopt);
// Java's trim: everything up to the blank, control characters included, at both ends.
std::string_view trim_controls(std::string_view text);

Result<json::Value> evaluate_program(const Program& program, const json::Value& root);
const json::Value* find_in(const Program& program, const json::Value& root);

}  // namespace sortie::jsonpath
