#include "expr/pattern/compiler.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/text.h"
#include "expr/pattern/tokens.h"

namespace sortie::pattern {

namespace compiler_detail {

constexpr std::string_view kTooManyElements = "Too many elements in numeric expression";
constexpr std::string_view kOneKey = "Only one key allowed in match expression";
constexpr std::size_t kStandardCombinationsMax = 10'000;

// Names that cannot be fields inside `$or`, because they would be taken for operators by mistake.
constexpr std::array<std::string_view, 23> kReserved = {"exactly",
                                                        "equals-ignore-case",
                                                        "prefix",
                                                        "suffix",
                                                        "anything-but",
                                                        "exists",
                                                        "wildcard",
                                                        "numeric",
                                                        "cidr",
                                                        "=",
                                                        "<",
                                                        "<=",
                                                        ">",
                                                        ">=",
                                                        "regex",
                                                        "not-wildcard",
                                                        "not-equals-ignore-case",
                                                        "date-after",
                                                        "date-on-or-after",
                                                        "date-before",
                                                        "date-on-or-before",
                                                        "in-date-range",
                                                        "ip-address-in-range"};
constexpr std::string_view kReservedLast = "ip-address-not-in-range";

bool is_reserved(std::string_view name) {
  return name == kReservedLast || std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end();
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_number_token(Token token) { return token == Token::kInteger || token == Token::kFloat; }

ValueTest text_test(TestKind kind, std::string text) {
  ValueTest test;
  test.kind = kind;
  test.text = std::move(text);
  return test;
}

ValueTest folded_test(TestKind kind, std::string_view text) {
  ValueTest test;
  test.kind = kind;
  TestDetail detail;
  detail.folded = fold_case(text);
  if (is_ascii(text)) {
    for (const CasePair& pair : detail.folded) test.text += pair.lower;
  }
  test.detail = std::make_shared<const TestDetail>(std::move(detail));
  return test;
}

ValueTest address_test(std::string text, const AddressRange& addresses) {
  ValueTest test = text_test(TestKind::kAddressRange, std::move(text));
  TestDetail detail;
  detail.addresses = addresses;
  test.detail = std::make_shared<const TestDetail>(std::move(detail));
  return test;
}

ValueTest but_test(std::vector<ValueTest> but) {
  ValueTest test;
  test.kind = TestKind::kAnythingBut;
  TestDetail detail;
  detail.but = std::move(but);
  test.detail = std::make_shared<const TestDetail>(std::move(detail));
  return test;
}

}  // namespace compiler_detail

using namespace compiler_detail;

// Follows event-ruler's compiler token by token, so that the first mistake found, its message and its place
// are the ones EventBridge reports.
class RuleCompiler {
 public:
  RuleCompiler(std::string_view text, Mode mode) : reader_(text), mode_(mode) {}

  Result<PatternRules> run() {
    SORTIE_TRY(const Token first, reader_.next());
    if (first != Token::kStartObject) return reader_.failure("Filter is not an object");
    SORTIE_TRY_STATUS(read_object(rules_.combinations, "", false));
    SORTIE_TRY(const Token last, reader_.next());
    if (last != Token::kEnd) return reader_.failure("Unexpected text after the end of the pattern");
    return std::move(rules_);
  }

 private:
  using Combinations = std::vector<Combination>;

  Status read_object(Combinations& combinations, const std::string& path, bool inside_or);
  Status read_or(Combinations& combinations, const std::string& path);
  Status read_leaf(Combinations& combinations, const std::string& path);
  Status check_size(const Combinations& combinations) const;
  Result<ValueTest> read_entry(Token token);
  Result<ValueTest> read_operator();
  Result<ValueTest> read_affix(bool prefix);
  Result<ValueTest> read_folded_affix(bool prefix);
  Result<ValueTest> read_wildcard();
  Result<ValueTest> read_numeric();
  Result<ValueTest> read_numeric_range(const std::string& operator_text, Token token);
  Status read_upper_bound(ValueTest& range);
  Result<ValueTest> read_exists();
  Result<ValueTest> read_cidr();
  Result<ValueTest> read_anything_but();
  Result<std::vector<ValueTest>> read_but_values(Token token);
  Result<std::vector<ValueTest>> read_but_list();
  Result<std::vector<ValueTest>> read_but_operator();
  Result<ValueTest> read_but_operand(Token token, const std::string& op);
  Result<ValueTest> make_wildcard_test();
  Result<double> comparable(const std::string& text) const;
  Status expect_end_object(std::string_view message);

  TokenReader reader_;
  Mode mode_;
  PatternRules rules_;
};

Status RuleCompiler::read_object(Combinations& combinations, const std::string& path, bool inside_or) {
  bool any = false;
  while (true) {
    SORTIE_TRY(const Token token, reader_.next());
    if (token == Token::kEndObject) break;
    any = true;
    SORTIE_TRY(const std::string name, reader_.token_text());
    if (inside_or && is_reserved(name)) {
      return reader_.failure(name + " is Ruler reserved fieldName which cannot be used inside $or.");
    }
    if (name == "$or") {
      SORTIE_TRY_STATUS(read_or(combinations, path));
      continue;
    }
    // The root is the only object without a path; an empty name below it still ends in a dot of its own.
    const std::string full = reader_.depth() == 1 || path.empty() ? name : path + "." + name;
    SORTIE_TRY(const Token value, reader_.next());
    if (value == Token::kStartObject) {
      SORTIE_TRY_STATUS(read_object(combinations, full, inside_or));
    } else if (value == Token::kStartArray) {
      SORTIE_TRY_STATUS(read_leaf(combinations, full));
    } else {
      return reader_.failure("\"" + name + "\" must be an object or an array");
    }
  }
  if (!any) return reader_.failure("Empty objects are not allowed");
  return {};
}

Status RuleCompiler::read_or(Combinations& combinations, const std::string& path) {
  const Combinations before = std::exchange(combinations, Combinations());
  SORTIE_TRY(const Token first, reader_.next());
  if (first != Token::kStartArray) return reader_.failure("It must be an Array followed with $or.");
  std::size_t branches = 0;
  while (true) {
    SORTIE_TRY(const Token token, reader_.next());
    if (token == Token::kEndArray) break;
    ++branches;
    if (token != Token::kStartObject) {
      return reader_.failure("Only JSON object is allowed in array of $or relationship.");
    }
    Combinations branch = before;
    if (branch.empty()) branch.emplace_back();
    SORTIE_TRY_STATUS(read_object(branch, path, true));
    std::move(branch.begin(), branch.end(), std::back_inserter(combinations));
    SORTIE_TRY_STATUS(check_size(combinations));
  }
  if (branches < 2) {
    return reader_.failure("There must have at least 2 Objects in $or relationship.");
  }
  return {};
}

Status RuleCompiler::check_size(const Combinations& combinations) const {
  const std::size_t limit = mode_ == Mode::kAws ? kCombinationsMax : kStandardCombinationsMax;
  std::size_t fields = 0;
  for (const Combination& combination : combinations) {
    if (combination.size() > kFieldsMax) {
      return Error{"", "Rule is too complex - it names more than " + std::to_string(kFieldsMax) + " fields"};
    }
    fields += combination.size();
  }
  if (combinations.size() > limit || fields > kExpandedFieldsMax) {
    return Error{"", "Rule is too complex - try using fewer combinations of $or"};
  }
  return {};
}

Status RuleCompiler::read_leaf(Combinations& combinations, const std::string& path) {
  auto tests = std::make_shared<ValueTests>();
  while (true) {
    SORTIE_TRY(const Token token, reader_.next());
    if (token == Token::kEndArray) break;
    SORTIE_TRY(ValueTest test, read_entry(token));
    tests->push_back(std::move(test));
  }
  if (tests->empty()) return reader_.failure("Empty arrays are not allowed");
  if (combinations.empty()) combinations.emplace_back();
  for (Combination& combination : combinations) combination[path] = tests;
  return check_size(combinations);
}

Result<ValueTest> RuleCompiler::read_entry(Token token) {
  switch (token) {
    case Token::kStartObject:
      return read_operator();
    case Token::kString: {
      SORTIE_TRY(std::string text, reader_.token_text());
      const std::optional<Address> address = parse_address(text);
      if (!address) return text_test(TestKind::kString, std::move(text));
      return address_test(std::move(text), AddressRange{*address, address->length * 8});
    }
    case Token::kInteger:
    case Token::kFloat: {
      SORTIE_TRY(std::string text, reader_.token_text());
      ValueTest test = text_test(TestKind::kNumber, std::move(text));
      test.low = comparable_number(test.text);
      return test;
    }
    case Token::kTrue:
    case Token::kFalse:
    case Token::kNull: {
      SORTIE_TRY(std::string text, reader_.token_text());
      return text_test(TestKind::kLiteral, std::move(text));
    }
    default:
      return reader_.failure("Match value must be String, number, true, false, or null");
  }
}

Result<ValueTest> RuleCompiler::read_operator() {
  SORTIE_TRY(const Token token, reader_.next());
  if (token != Token::kFieldName) return reader_.failure("Match expression name not found");
  SORTIE_TRY(const std::string name, reader_.token_text());
  if (name == "prefix" || name == "suffix") return read_affix(name == "prefix");
  if (name == "numeric") return read_numeric();
  if (name == "anything-but") return read_anything_but();
  if (name == "exists") return read_exists();
  if (name == "cidr") return read_cidr();
  if (name == "wildcard") return read_wildcard();
  if (name != "exactly" && name != "equals-ignore-case") {
    return reader_.failure("Unrecognized match type " + name);
  }
  SORTIE_TRY(const Token operand, reader_.next());
  if (operand != Token::kString) {
    return reader_.failure((name == "exactly" ? "exact" : name) + " match pattern must be a string");
  }
  SORTIE_TRY(std::string text, reader_.token_text());
  SORTIE_TRY_STATUS(expect_end_object(kOneKey));
  return name == "exactly" ? text_test(TestKind::kString, std::move(text))
                           : folded_test(TestKind::kFolded, text);
}

Status RuleCompiler::expect_end_object(std::string_view message) {
  SORTIE_TRY(const Token token, reader_.next());
  if (token != Token::kEndObject) return reader_.failure(std::string(message));
  return {};
}

Result<ValueTest> RuleCompiler::read_affix(bool prefix) {
  SORTIE_TRY(const Token operand, reader_.next());
  if (operand == Token::kStartObject) return read_folded_affix(prefix);
  if (operand != Token::kString) {
    return reader_.failure(std::string(prefix ? "prefix" : "suffix") + " match pattern must be a string");
  }
  SORTIE_TRY(std::string text, reader_.token_text());
  SORTIE_TRY_STATUS(expect_end_object(kOneKey));
  return text_test(prefix ? TestKind::kPrefix : TestKind::kSuffix, std::move(text));
}

Result<ValueTest> RuleCompiler::read_folded_affix(bool prefix) {
  SORTIE_TRY(const Token token, reader_.next());
  if (token != Token::kFieldName) {
    return reader_.failure(std::string(prefix ? "Prefix" : "Suffix") + " expression name not found");
  }
  SORTIE_TRY(const std::string name, reader_.token_text());
  if (name != "equals-ignore-case") {
    return reader_.failure(std::string("Unsupported ") + (prefix ? "prefix" : "suffix") +
                           " pattern: " + name);
  }
  SORTIE_TRY(const Token operand, reader_.next());
  if (operand != Token::kString) {
    return reader_.failure("equals-ignore-case match pattern must be a string");
  }
  SORTIE_TRY(const std::string text, reader_.token_text());
  SORTIE_TRY_STATUS(expect_end_object(kOneKey));
  SORTIE_TRY_STATUS(expect_end_object(kOneKey));
  return folded_test(prefix ? TestKind::kFoldedPrefix : TestKind::kFoldedSuffix, text);
}

Result<ValueTest> RuleCompiler::make_wildcard_test() {
  SORTIE_TRY(const std::string text, reader_.token_text());
  auto wildcard = Wildcard::compile(text);
  if (!wildcard) return reader_.failure(wildcard.error().message);
  if (mode_ == Mode::kAws && wildcard->complexity(kWildcardPlacesMax + 1) > kWildcardPlacesMax) {
    return Error{"",
                 "Rule is too complex - try using fewer wildcard characters or fewer repeating character "
                 "sequences after a wildcard character"};
  }
  ValueTest test;
  test.kind = TestKind::kWildcard;
  TestDetail detail;
  detail.wildcard = std::move(wildcard).value();
  test.detail = std::make_shared<const TestDetail>(std::move(detail));
  return test;
}

Result<ValueTest> RuleCompiler::read_wildcard() {
  SORTIE_TRY(const Token operand, reader_.next());
  if (operand != Token::kString) return reader_.failure("wildcard match pattern must be a string");
  SORTIE_TRY(ValueTest test, make_wildcard_test());
  SORTIE_TRY_STATUS(expect_end_object(kOneKey));
  return test;
}

Result<double> RuleCompiler::comparable(const std::string& text) const {
  const std::optional<double> number = comparable_number(text);
  if (!number) return reader_.failure("Cannot compare number : " + text);
  return *number;
}

Result<ValueTest> RuleCompiler::read_numeric() {
  SORTIE_TRY(const Token operand, reader_.next());
  if (operand != Token::kStartArray) return reader_.failure("Value of numeric must be an array.");
  SORTIE_TRY(const Token first, reader_.next());
  SORTIE_TRY(const std::string name, reader_.token_text());
  if (first != Token::kString) return reader_.failure("Invalid member in numeric match: " + name);
  SORTIE_TRY(const Token token, reader_.next());
  SORTIE_TRY(ValueTest range, read_numeric_range(name, token));
  SORTIE_TRY_STATUS(expect_end_object(kTooManyElements));
  return range;
}

Result<ValueTest> RuleCompiler::read_numeric_range(const std::string& operator_text, Token token) {
  ValueTest range;
  range.kind = TestKind::kNumericRange;
  const bool equals = operator_text == "=";
  const bool lower = operator_text == ">" || operator_text == ">=";
  const bool upper = operator_text == "<" || operator_text == "<=";
  if (!equals && !lower && !upper) {
    return reader_.failure("Unrecognized numeric range operator: " + operator_text);
  }
  if (!is_number_token(token)) {
    return reader_.failure("Value of " + (equals ? "equals" : operator_text) + " must be numeric");
  }
  SORTIE_TRY(const std::string text, reader_.token_text());
  SORTIE_TRY(const Token after, reader_.next());
  if (after != Token::kEndArray && !lower) return reader_.failure(std::string(kTooManyElements));
  const bool open = operator_text.size() == 1 && !equals;
  if (lower && after != Token::kEndArray) {
    SORTIE_TRY_STATUS(read_upper_bound(range));
  }
  SORTIE_TRY(const double number, comparable(text));
  if (equals || lower) {
    range.low = number;
    range.low_open = open;
  }
  if (equals || upper) {
    range.high = number;
    range.high_open = open;
  }
  const double most = std::numeric_limits<double>::max();
  const double bottom = range.low.value_or(-most);
  const double top = range.high.value_or(most);
  if (!equals && bottom >= top) return reader_.failure("Bottom must be less than top");
  return range;
}

Status RuleCompiler::read_upper_bound(ValueTest& range) {
  SORTIE_TRY(const std::string name, reader_.token_text());
  if (reader_.current() != Token::kString) return reader_.failure("Bad value in numeric range: " + name);
  if (name != "<" && name != "<=") return reader_.failure("Bad numeric range operator: " + name);
  SORTIE_TRY(const Token operand, reader_.next());
  if (!is_number_token(operand)) return reader_.failure("Value of " + name + " must be numeric");
  SORTIE_TRY(const std::string text, reader_.token_text());
  SORTIE_TRY(const Token last, reader_.next());
  if (last != Token::kEndArray) return reader_.failure("Too many terms in numeric range expression");
  SORTIE_TRY(range.high, comparable(text));
  range.high_open = name == "<";
  return {};
}

Result<ValueTest> RuleCompiler::read_exists() {
  SORTIE_TRY(const Token operand, reader_.next());
  if (operand != Token::kTrue && operand != Token::kFalse) {
    return reader_.failure("exists match pattern must be either true or false.");
  }
  SORTIE_TRY_STATUS(expect_end_object(kOneKey));
  ValueTest test;
  test.kind = operand == Token::kTrue ? TestKind::kExists : TestKind::kAbsent;
  return test;
}

Result<ValueTest> RuleCompiler::read_cidr() {
  SORTIE_TRY(const Token operand, reader_.next());
  if (operand != Token::kString) return reader_.failure("prefix match pattern must be a string");
  SORTIE_TRY(const std::string text, reader_.token_text());
  SORTIE_TRY(const AddressRange addresses, parse_cidr(text));  // These messages come without a place.
  SORTIE_TRY_STATUS(expect_end_object(kOneKey));
  return address_test("", addresses);
}

Result<ValueTest> RuleCompiler::read_anything_but() {
  SORTIE_TRY(const Token operand, reader_.next());
  std::vector<ValueTest> but;
  if (operand == Token::kStartObject) {
    SORTIE_TRY(but, read_but_operator());
  } else {
    SORTIE_TRY(but, read_but_values(operand));
  }
  SORTIE_TRY_STATUS(expect_end_object(kTooManyElements));
  return but_test(std::move(but));
}

Result<std::vector<ValueTest>> RuleCompiler::read_but_values(Token token) {
  if (token == Token::kStartArray) return read_but_list();
  if (token != Token::kString && !is_number_token(token)) {
    return reader_.failure("Value of anything-but must be an array or single string/number value.");
  }
  SORTIE_TRY(std::string text, reader_.token_text());
  ValueTest test =
      text_test(token == Token::kString ? TestKind::kString : TestKind::kNumber, std::move(text));
  if (test.kind == TestKind::kNumber) {
    SORTIE_TRY(test.low, comparable(test.text));
  }
  return std::vector<ValueTest>{std::move(test)};
}

Result<std::vector<ValueTest>> RuleCompiler::read_but_list() {
  std::vector<ValueTest> tests;
  bool numbers = false;
  bool strings = false;
  // EventBridge wraps what goes wrong inside the list once more, so the place is told twice.
  const auto wrapped = [this](const Error& error) { return reader_.failure(error.message); };
  while (true) {
    auto token = reader_.next();
    if (!token) return wrapped(token.error());
    if (*token == Token::kEndArray) break;
    if (*token != Token::kString && !is_number_token(*token)) {
      return wrapped(reader_.failure("Inside anything but list, start|null|boolean is not supported."));
    }
    auto text = reader_.token_text();
    if (!text) return wrapped(text.error());
    const bool number = is_number_token(*token);
    (number ? numbers : strings) = true;
    ValueTest test = text_test(number ? TestKind::kNumber : TestKind::kString, std::move(text).value());
    if (number) {
      SORTIE_TRY(test.low, comparable(test.text));
    }
    tests.push_back(std::move(test));
  }
  if (numbers == strings) {
    return reader_.failure(
        "Inside anything but list, either all values are number or string, mixed type is not supported");
  }
  return tests;
}

Result<std::vector<ValueTest>> RuleCompiler::read_but_operator() {
  SORTIE_TRY(const Token first, reader_.next());
  if (first != Token::kFieldName) return reader_.failure("Anything-But expression name not found");
  SORTIE_TRY(const std::string op, reader_.token_text());
  if (op != "prefix" && op != "suffix" && op != "equals-ignore-case" && op != "wildcard") {
    return reader_.failure("Unsupported anything-but pattern: " + op);
  }
  SORTIE_TRY(const Token operand, reader_.next());
  std::vector<ValueTest> tests;
  if (operand == Token::kStartArray) {
    while (true) {
      auto token = reader_.next();
      if (!token) return reader_.failure(token.error().message);
      if (*token == Token::kEndArray) break;
      auto test = read_but_operand(*token, op);
      // Errors that carry no place of their own are told as they are.
      if (!test) {
        const bool placed = test.error().message.find("\n at ") != std::string::npos;
        return placed ? reader_.failure(test.error().message) : test.error();
      }
      tests.push_back(std::move(test).value());
    }
  } else if (operand == Token::kString || is_number_token(operand)) {
    SORTIE_TRY(ValueTest test, read_but_operand(operand, op));
    tests.push_back(std::move(test));
  } else {
    return reader_.failure("Value of anything-but must be an array or single string/number value.");
  }
  SORTIE_TRY_STATUS(expect_end_object(kTooManyElements));
  return tests;
}

Result<ValueTest> RuleCompiler::read_but_operand(Token token, const std::string& op) {
  if (op == "wildcard") {
    if (token != Token::kString) return reader_.failure("wildcard match pattern must be a string");
    return make_wildcard_test();
  }
  if (op == "equals-ignore-case") {
    if (token != Token::kString) {
      return reader_.failure(
          "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.");
    }
    SORTIE_TRY(const std::string text, reader_.token_text());
    return folded_test(TestKind::kFolded, text);
  }
  if (token != Token::kString) return reader_.failure("prefix/suffix match pattern must be a string");
  SORTIE_TRY(std::string text, reader_.token_text());
  if (text.empty()) return reader_.failure("Null prefix/suffix not allowed");
  return text_test(op == "prefix" ? TestKind::kPrefix : TestKind::kSuffix, std::move(text));
}

Result<PatternRules> compile_rules(std::string_view text, Mode mode) {
  return RuleCompiler(text, mode).run();
}

}  // namespace sortie::pattern
