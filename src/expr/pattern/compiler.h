#pragma once
// What a pattern's text becomes: for every combination of `$or` branches, the tests of each field path in
// sorted order. Inside the folder only.
#include <map>
#include <memory>
#include <optional>
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
  kFolded,        // detail.folded, and the pattern in lower case in text where all of it is ASCII
  kFoldedPrefix,  // as kFolded
  kFoldedSuffix,  // as kFolded
  kWildcard,      // detail.wildcard
  kNumericRange,  // low, high, low_open, high_open
  kAddressRange,  // detail.addresses
  kExists,        //
  kAbsent,        //
  kAnythingBut    // detail.but: matched by none of them
};

struct TestDetail;

struct ValueTest {
  TestKind kind = TestKind::kString;
  bool low_open = false;
  bool high_open = false;
  std::string text;
  std::optional<double> low;
  std::optional<double> high;
  std::shared_ptr<const TestDetail> detail;  // What most tests do not have.
};

struct TestDetail {
  FoldedText folded;
  Wildcard wildcard;
  AddressRange addresses;
  std::vector<ValueTest> but;
};

using ValueTests = std::vector<ValueTest>;

// One combination: path -> tests, any of which will do. Shared between combinations that have it in common.
using Combination = std::map<std::string, std::shared_ptr<const ValueTests>>;

struct PatternRules {
  std::vector<Combination> combinations;
};

bool test_value(const ValueTest& test, Scalar& scalar);
bool test_values(const ValueTests& tests, Scalar& scalar);  // Any of them.
bool allows_absence(const ValueTests& tests);

// Errors: message with the place, code empty.
Result<PatternRules> compile_rules(std::string_view text, Mode mode);

}  // namespace sortie::pattern
