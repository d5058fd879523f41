// The filter grammar, again as the reference library reads it: the text is split at && and || (inside quotes,
// too), parentheses at the ends of the pieces are dropped wherever they stand, and in each piece the first of
// == >= <= != < > =~ in this order, not the leftmost, is the operator.
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/text.h"
#include "expr/jsonpath/program.h"

namespace sortie::jsonpath {
namespace {

constexpr std::size_t kCriteriaMax = 1000;
constexpr std::int64_t kRegexMemoryBytesMax = 1 << 20;

// A decimal of up to 15 digits survives the way through a double and back, so within that size doubles
// compare as the decimals would.
std::optional<double> plain_number_of(std::string_view text) {
  constexpr std::size_t kDigitsMax = 15;
  if (text.empty() || text.size() > kDigitsMax || text.find_first_of("eE") != std::string_view::npos) {
    return std::nullopt;
  }
  if (!Decimal::parse(text)) return std::nullopt;
  if (text[0] == '+') text.remove_prefix(1);
  double number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Result<std::shared_ptr<const re2::RE2>> compile_regex(std::string_view pattern, bool ignore_case) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_case_sensitive(!ignore_case);
  options.set_max_mem(kRegexMemoryBytesMax);
  auto regex = std::make_shared<re2::RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
  if (!regex->ok()) {
    Error error = invalid_path("the regular expression /" + std::string(pattern.substr(0, 100)) +
                               "/ is not supported: " + to_valid_utf8(regex->error()));
    error.hint = "look-around, back references and possessive repetition have no linear-time form";
    return error;
  }
  return std::shared_ptr<const re2::RE2>(std::move(regex));
}

bool is_path(std::string_view text) {
  return text.starts_with('$') || text.starts_with('@') || text.starts_with("!@");
}

bool is_quoted(std::string_view text) { return !text.empty() && text.front() == '\'' && text.back() == '\''; }

bool is_pattern(std::string_view text) {
  return !text.empty() && text.front() == '/' && (text.back() == '/' || text.ends_with("/i"));
}

Status compile_operand(std::string_view text, Operand& operand) {
  if (is_path(text)) {
    if (text[0] == '!') text.remove_prefix(1);
    operand.kind = Operand::Kind::kPath;
    SORTIE_TRY(operand.path, compile_path(text, true));
    operand.from_root = !operand.path->begins_at;
    return {};
  }
  if (is_quoted(text)) {
    if (text.size() == 1) return invalid_path("a quote in a filter is not closed");
    text = text.substr(1, text.size() - 2);
  } else if (is_pattern(text)) {
    const std::size_t last = text.rfind('/');
    if (last == 0) return invalid_path("a regular expression in a filter is not closed");
    operand.kind = Operand::Kind::kPattern;
    operand.text = text.substr(1, last - 1);
    SORTIE_TRY(operand.pattern, compile_regex(operand.text, text.back() == 'i'));
    return {};
  }
  operand.text = text;
  operand.compared_text =
      text.find('\\') == std::string_view::npos ? operand.text : replace_all(text, "\\'", "'");
  operand.number = Decimal::parse(text);
  operand.plain_number = plain_number_of(text);
  return {};
}

Status compile_criterion(std::string_view text, Criterion& criterion) {
  static constexpr std::array<std::pair<std::string_view, Comparison>, 7> kOperators = {{
      {"==", Comparison::kEq},
      {">=", Comparison::kGe},
      {"<=", Comparison::kLe},
      {"!=", Comparison::kNe},
      {"<", Comparison::kLt},
      {">", Comparison::kGt},
      {"=~", Comparison::kRegex},
  }};
  for (const auto& [spelling, comparison] : kOperators) {
    const std::size_t at = text.find(spelling);
    if (at == std::string_view::npos) continue;
    const std::string_view right = trim_controls(text.substr(at + spelling.size()));
    if (right.starts_with("!@")) {
      return invalid_path("Invalid negation! Can only be used for existence check e.g [?(!@.foo)]");
    }
    criterion.comparison = comparison;
    SORTIE_TRY_STATUS(compile_operand(trim_controls(text.substr(0, at)), criterion.left));
    SORTIE_TRY_STATUS(compile_operand(right, criterion.right));
    criterion.plain = comparison != Comparison::kRegex && criterion.left.kind == Operand::Kind::kPath &&
                      criterion.left.path->linear && criterion.right.kind == Operand::Kind::kText;
    return {};
  }
  text = trim_controls(text);
  if (!is_path(text)) {
    return invalid_path("'" + std::string(truncate_utf8(text, 100)) + "' is no filter criterion");
  }
  criterion.comparison = text[0] == '!' ? Comparison::kAbsent : Comparison::kExists;
  SORTIE_TRY_STATUS(compile_operand(text, criterion.left));
  return {};
}

bool operator_at(std::string_view text, std::size_t at) {
  const char c = text[at];
  return (c == '&' || c == '|') && at + 1 < text.size() && text[at + 1] == c;
}

// Takes the next piece off the text, which is cut before and after each && and ||; overlapping operators
// (&&&) come out as single characters.
std::string_view take_piece(std::string_view body, std::size_t& at) {
  const std::size_t first = at++;
  while (at < body.size() && !operator_at(body, at) && !(at >= 2 && operator_at(body, at - 2))) ++at;
  return body.substr(first, at - first);
}

// Drops what is taken for grouping at both ends; an empty rest is an error.
std::string_view without_parentheses(std::string_view text) {
  const std::size_t first = text.find_first_not_of("[?( ");
  if (first == std::string_view::npos) return {};
  const std::size_t last = text.find_last_not_of(") ");
  return last == std::string_view::npos || last < first ? std::string_view()
                                                        : text.substr(first, last + 1 - first);
}

Result<std::string_view> filter_body(std::string_view text) {
  text = trim_controls(text);
  if (!text.starts_with('[') || !text.ends_with(']') || text.size() < 2) {
    return invalid_path("Filter must start with '[' and end with ']'. " + std::string(text));
  }
  text = trim_controls(text.substr(1, text.size() - 2));
  if (!text.starts_with('?')) {
    return invalid_path("Filter must start with '[?' and end with ']'. " + std::string(text));
  }
  text = trim_controls(text.substr(1));
  if (!text.starts_with('(') || !text.ends_with(')') || text.size() < 2) {
    return invalid_path("Filter must start with '[?(' and end with ')]'. " + std::string(text));
  }
  return trim_controls(text.substr(1, text.size() - 2));
}

}  // namespace

Status compile_filter(std::string_view text, Filter& filter) {
  SORTIE_TRY(const std::string_view body, filter_body(text));
  std::vector<Criterion>& criteria = filter.criteria;
  std::vector<bool> conjunctions;  // One per operator: && is true.
  std::size_t at = 0;
  do {
    std::string_view piece = trim_controls(take_piece(body, at));
    if (piece == "&&" || piece == "||") {
      conjunctions.push_back(piece == "&&");
      continue;
    }
    piece = without_parentheses(piece);
    if (piece.empty()) return invalid_path("a criterion is missing in the filter");
    if (criteria.size() == kCriteriaMax) {
      return Error{std::string(kLimitExceeded), "the filter has too many criteria", "", ""};
    }
    SORTIE_TRY_STATUS(compile_criterion(piece, criteria.emplace_back()));
  } while (at < body.size());
  // Operators and criteria are paired from the right, whatever stood between them.
  if (criteria.size() != conjunctions.size() + 1) {
    return invalid_path("Invalid operators " + std::string(truncate_utf8(body, 200)));
  }
  criteria.back().begins_group = true;
  for (std::size_t i = conjunctions.size(); i-- > 0;) criteria[i].begins_group = !conjunctions[i];
  if (criteria.size() > 1) std::reverse(criteria.begin(), criteria.end());
  filter.single = criteria.size() == 1 && criteria[0].plain;
  return {};
}

}  // namespace sortie::jsonpath
