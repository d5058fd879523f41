#pragma once
// What a pattern's text becomes: for every combination of `$or` branches, the tests of each field path in
// sorted order. Inside the folder only.
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "expr/pattern/pattern.h"
#include "expr/pattern/scalars.h"
#include "expr/pattern/wildcard.h"

namespace sortie::pattern {

enum class TestKind : std::uint8_t {
  kString,        // text
  kLiteral,       // text: true, false or null
  kNumber,        // text, and low where it can be compared
  kPrefix,        // text
  kSuffix,        // text
  kFolded,        // folded
  kFoldedPrefix,  // folded
  kFoldedSuffix,  // folded
  kWildcard,      // wildcard
  kNumericRange,  // low, high, low_open, high_open
  kAddressRange,  // addresses
  kExists,        //
  kAbsent,        //
  kAnythingBut    // but: matched by none of them
};

struct ValueTest {
  TestKind kind = TestKind::kString;
  std::string text;
  FoldedText folded;
  Wildcard wildcard;
  std::optional<double> low;
  std::optional<double> high;
  bool low_open = false;
  bool high_open = false;
  AddressRange addresses;
  std::vector<ValueTest> but;
};

using ValueTests = std::vector<ValueTest>;

// One combination: path -> tests, any of which will do. Shared between combinations that have it in common.
using Combination = std::map<std::string, std::shared_ptr<const ValueTests>>;

struct PatternRules {
  std::vector<Combination> combinations;
};

bool test_value(const ValueTest& test, const Field& field);

// Errors: message with the place, code empty.
Result<PatternRules> compile_rules(std::string_view text, Mode mode);

}  // namespace sortie::pattern
