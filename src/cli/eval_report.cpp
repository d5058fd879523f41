#include "cli/eval_report.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <span>

#include "cli/output.h"

namespace sortie::cli {
namespace eval_reports {

constexpr std::size_t kColumnsMax = 100;

struct Hint {
  std::string_view code;  // Of the error, or the beginning of its message where codes do not tell enough.
  std::string_view text;
};

constexpr Hint kJsonataHints[] = {
    {"S0101", "a string ends with the quote it began with"},
    {"S0103", "JSON's escapes are the only ones: \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX"},
    {"S0105", "a quoted name ends with a backtick"},
    {"S0106", "a comment ends with */"},
    {"S0201", "two values stand side by side: an operator is missing, or ( ; ) around several expressions"},
    {"S0202", "something is missing or too much just before the caret"},
    {"S0203", "a bracket or parenthesis is not closed"},
    {"S0204", "the operators are . [ ] { } ( ) @ # ; : ? + - * / % = != < > <= >= & and or in ~> := .. ^"},
    {"S0207", "a value is missing at the end"},
    {"S0211", "a value is expected here; ?: and ?? are not in Step Functions' JSONata: write a ? a : b"},
    {"S0212", "only a variable can be assigned to: $name := value"},
    {"S0213", "a step of a path is a name, a call or (...), no literal value"},
    {"S0214", "behind @ and # stands a variable: $name"},
    {"S0217", "% looks for the parent within one path only"},
    {"S0301", "an empty regular expression would match everywhere"},
    {"S0302", "a regular expression ends with a slash"},
    {"S0303", "look-around and back references do not exist here: match more and cut it with groups"},
    {"T0410", "compare number, order and types of the arguments with the function's description"},
    {"T0411", "without its first argument a function takes the context value, which has another type"},
    {"T0412", "all items of the array have to be of that type"},
    {"T1003", "$string(...) makes a key of any value"},
    {"T1005", "functions begin with a dollar sign"},
    {"T1007", "functions begin with a dollar sign"},
    {"T1006", "is the function's name spelled right? Nothing of that name exists here"},
    {"T1008", "is the function's name spelled right? Nothing of that name exists here"},
    {"T2001", "$number(...) makes a number of text"},
    {"T2002", "$number(...) makes a number of text"},
    {"T2003", "a range has whole numbers at both ends"},
    {"T2004", "a range has whole numbers at both ends"},
    {"T2006", "behind ~> stands a function: value ~> $sum"},
    {"T2007", "sort by numbers or by texts, not by both: $string(...) makes texts of all"},
    {"T2008", "sort by a number or a text within each item: ^(name)"},
    {"T2009", "compare like with like: $number(...) or $string(...)"},
    {"T2010", "numbers and texts have an order, other values only = and !="},
    {"D1001", "a division by zero, or a number beyond 1.8e308"},
    {"D1011", "an endless recursion, or data nested beyond reason"},
    {"D1012", "an endless recursion, or more data than an expression should go through"},
    {"D2014", "a range has at most ten million items"},
    {"D2015", "something grows without end, or more data than an expression should hold"},
    {"D3030", "a number is written as in JSON, without blanks; $contains(text, /^[0-9]+$/) asks first"},
    {"D3110", "as in 2026-11-22T10:00:00Z; other forms need a picture as second argument"},
    {"D3137", "the expression itself gave this error"},
    {"D3141", "the expression itself gave this error"},
};

constexpr Hint kJsonPathHints[] = {
    {"No results", "the path leads to nothing in this input"},
    {"", "a path is $ with .name, ['name'], [0], [*], ..name and filters [?(@.name == 'x')]"},
};

constexpr std::string_view kIntrinsics =
    "the functions are States.Format, JsonToString, StringToJson, StringSplit, Array, ArrayPartition, "
    "ArrayContains, ArrayRange, ArrayGetItem, ArrayLength, ArrayUnique, Base64Encode, Base64Decode, Hash, "
    "JsonMerge, MathRandom, MathAdd and UUID";

constexpr Hint kIntrinsicHints[] = {
    {"", "arguments are paths into the input, texts in single quotes, numbers, or other functions"},
};

constexpr Hint kPatternHints[] = {
    {"", "a field has a list of what it may be: {\"source\": [\"aws.guardduty\", {\"prefix\": \"my.\"}]}"},
};

std::string_view hint_for(std::string_view language, std::string_view expression, const Error& error) {
  if (language != "pattern" && expression.find("{%") != std::string_view::npos && expression.ends_with("%}"))
    return "leave out {% and %}: they belong to the state machine's definition";
  if (language == "jsonpath" && !expression.starts_with('$')) return "a path begins with $";
  const auto pick = [&error](std::span<const Hint> hints) -> std::string_view {
    for (const Hint& hint : hints) {
      if (hint.code.empty() || hint.code == error.code || error.message.starts_with(hint.code))
        return hint.text;
    }
    return {};
  };
  if (language == "intrinsic" && error.message.find("no intrinsic function") != std::string::npos)
    return kIntrinsics;
  if (language == "jsonata") return pick(kJsonataHints);
  if (language == "jsonpath") return pick(kJsonPathHints);
  if (language == "intrinsic") return pick(kIntrinsicHints);
  return pick(kPatternHints);
}

std::size_t width_of(unsigned char first) {
  return first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1;
}

// The byte at which so many UTF-16 units are over.
std::size_t byte_of_unit(std::string_view text, std::size_t units) {
  std::size_t at = 0;
  while (at < text.size() && units > 0) {
    const std::size_t width = width_of(static_cast<unsigned char>(text[at]));
    units -= std::min<std::size_t>(units, width == 4 ? 2 : 1);
    at += width;
  }
  return std::min(at, text.size());
}

std::size_t before(std::string_view text, std::size_t at) {
  if (at == 0) return 0;
  --at;
  while (at > 0 && (text[at] & 0xC0) == 0x80) --at;
  return at;
}

// The byte under which the caret goes. JSONata and event patterns tell the place just behind a token.
std::optional<std::size_t> place_of(std::string_view language, std::string_view text, const Error& error) {
  if (error.place.starts_with("offset ")) {
    const std::size_t offset = std::strtoull(error.place.c_str() + 7, nullptr, 10);
    if (language != "jsonata") return std::min(offset, text.size());
    const std::size_t at = byte_of_unit(text, offset);
    const bool at_end = error.code == "S0203" || error.code == "S0207" || error.code == "S0101" ||
                        error.code == "S0105" || error.code == "S0302";
    return at_end ? at : before(text, at);
  }
  if (language != "pattern" || !error.place.starts_with("line ")) return std::nullopt;
  char* rest = nullptr;
  std::size_t line = std::strtoull(error.place.c_str() + 5, &rest, 10);
  const std::string_view column_text = rest;
  if (!column_text.starts_with(", column ")) return std::nullopt;
  const std::size_t column = std::strtoull(rest + 9, nullptr, 10);
  std::size_t start = 0;
  for (; line > 1; --line) {
    const std::size_t end = text.find('\n', start);
    if (end == std::string_view::npos) return std::nullopt;
    start = end + 1;
  }
  return std::min(start + (column > 2 ? column - 2 : 0), text.size());
}

std::string marked(std::string_view text, std::size_t at) {
  const std::size_t newline = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
  std::size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
  std::size_t end = std::min(text.find('\n', at), text.size());
  std::size_t columns = 0;
  std::size_t from = at;
  while (from > begin && columns < kColumnsMax / 2) {
    from = before(text, from);
    ++columns;
  }
  std::size_t to = at;
  for (std::size_t rest = kColumnsMax - columns; to < end && rest > 0; --rest)
    to = std::min(end, to + width_of(static_cast<unsigned char>(text[to])));
  std::string head = from > begin ? "..." : "";
  // What would not be one column wide is shown as a blank.
  const auto plain = [](std::string_view piece) {
    std::string out;
    for (const char c : piece) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;
    return shown(out);
  };
  head += plain(text.substr(from, at - from));
  const auto caret = std::count_if(head.begin(), head.end(), [](char c) { return (c & 0xC0) != 0x80; });
  return "  " + head + plain(text.substr(at, to - at)) + (to < end ? "..." : "") + "\n  " +
         std::string(static_cast<std::size_t>(caret), ' ') + "^\n";
}

}  // namespace eval_reports

std::string describe_failure(std::string_view language, std::string_view expression, const Error& error) {
  // The parser's own description of where, which repeats the whole pattern: the caret says it better.
  std::string out = "sortie: " + error.message.substr(0, error.message.find("\n at [Source"));
  const auto at = eval_reports::place_of(language, expression, error);
  if (!at && !error.place.empty()) out += " (" + error.place + ")";
  out += '\n';
  if (at) out += eval_reports::marked(expression, *at);
  const std::string_view hint = !error.hint.empty() ? std::string_view(error.hint)
                                                    : eval_reports::hint_for(language, expression, error);
  if (!hint.empty()) out += "hint: " + std::string(hint) + "\n";
  return out;
}

}  // namespace sortie::cli
