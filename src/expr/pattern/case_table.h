#pragma once
// The case mappings of the basic plane beyond ASCII, as make_case_table.py writes them.
#include <cstddef>
#include <cstdint>

namespace sortie::pattern {

// Every `step`-th character of [first, last] maps to itself plus `distance`. Ascending by `first`.
struct CaseRange {
  std::uint16_t first;
  std::uint16_t last;
  std::uint16_t step;
  std::int32_t distance;
};

// A character that maps to more than one. Ascending.
struct CaseText {
  std::uint16_t point;
  const char* text;
};

extern const CaseRange kLowerRanges[];
extern const std::size_t kLowerRangeCount;
extern const CaseText kLowerTexts[];
extern const std::size_t kLowerTextCount;
extern const CaseRange kUpperRanges[];
extern const std::size_t kUpperRangeCount;
extern const CaseText kUpperTexts[];
extern const std::size_t kUpperTextCount;

}  // namespace sortie::pattern
