#pragma once
// A small machine for the regular expressions that people write: characters, classes, groups, alternatives,
// quantifiers, anchors. It compiles in a microsecond, where RE2 takes ten, and follows JavaScript where RE2
// cannot (groups are cleared in each round of a loop, \S within brackets, only ASCII letters fold their
// case).
//
// It backtracks, but remembers where a choice failed (a bit for each choice and place in the text), so the
// time is linear in the text for any pattern. compile() gives nothing for what it does not know, which is no
// error: regex.h then asks RE2. The same goes for texts whose bits would take too much memory.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sortie::jsonata {

class Matcher {
 public:
  static constexpr std::size_t kNone = SIZE_MAX;

  static std::unique_ptr<const Matcher> compile(std::string_view source, bool ignore_case, bool multiline);

  std::size_t groups() const { return groups_; }
  bool takes(std::size_t text_bytes) const { return choices_ * (text_bytes + 1) <= kBitsMax; }
  // The first match at or behind `from`. `places` has 2 * (groups() + 1) byte offsets: begin and end of the
  // match and of each group, kNone where a group took no part.
  bool find(std::string_view text, std::size_t from, std::span<std::size_t> places) const;

 private:
  friend class MatcherParser;
  static constexpr std::size_t kBitsMax = 4 << 20;

  enum class Code : std::uint8_t {
    kCharacter,
    kSet,
    kChoice,  // First to `x`, then to `y`, both relative; `number` of the choice.
    kJump,
    kSave,   // The place into `number`.
    kClear,  // Groups `x` to `y`.
    kBegin,
    kEnd,
    kWordEdge,
    kNoWordEdge,
    kMatch,
  };
  struct Step {
    Code code{};
    std::int32_t x = 0;
    std::int32_t y = 0;
    std::uint32_t number = 0;  // Also the character, or which set.
  };
  struct Set {
    std::uint64_t ascii[2] = {0, 0};
    std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges{};  // Beyond ASCII.
    bool negated = false;
    bool has(std::uint32_t c) const;
  };
  struct Run;

  std::vector<Step> steps_;
  std::vector<Set> sets_;
  std::size_t groups_ = 0;
  std::size_t choices_ = 0;
  std::string prefix_;  // Every match starts with it.
  bool at_begin_ = false;
  bool multiline_ = false;
};

}  // namespace sortie::jsonata
