#include "expr/jsonpath/java_text.h"

#include <charconv>
#include <cmath>
#include <vector>

#include "base/text.h"

namespace sortie::jsonpath {
namespace {

void append_scalar(std::string& out, const json::Value& value) {
  switch (value.kind()) {
    case json::Kind::kNull:
      out += "null";
      return;
    case json::Kind::kBool:
      out += value.as_bool() ? "true" : "false";
      return;
    case json::Kind::kInteger:
      out += std::to_string(value.as_integer());
      return;
    case json::Kind::kDouble:
      out += java_double_text(value.as_double());
      return;
    case json::Kind::kBigInteger:
      out += value.big_digits();
      return;
    case json::Kind::kString:
      out += value.as_string();
      return;
    case json::Kind::kArray:
    case json::Kind::kObject:
      return;
  }
}

}  // namespace

std::string java_double_text(double number) {
  char buffer[400];
  const double size = std::abs(number);
  const bool plain = number == 0 || (size >= 1e-3 && size < 1e7);
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, number, format);
  std::string text(buffer, end);
  const std::size_t exponent = text.find('e');
  if (exponent == std::string::npos) {
    if (text.find('.') == std::string::npos) text += ".0";
    return text;
  }
  // C++ writes 1e+10 and 1.5e-05, Java 1.0E10 and 1.5E-5.
  std::string digits = text.substr(0, exponent);
  if (digits.find('.') == std::string::npos) digits += ".0";
  const bool negative = text[exponent + 1] == '-';
  std::size_t first = exponent + 2;
  while (first + 1 < text.size() && text[first] == '0') ++first;
  return digits + (negative ? "E-" : "E") + text.substr(first);
}

// Walks with a list of its own: a payload may be nested deeper than the stack is long.
void append_java_text(std::string& out, const json::Value& value) {
  struct Level {
    const json::Value* container;
    std::size_t next;
  };
  std::vector<Level> levels;
  const auto begin = [&](const json::Value& item) {
    if (item.is_array() || item.is_object()) {
      out += item.is_array() ? '[' : '{';
      levels.push_back({&item, 0});
    } else {
      append_scalar(out, item);
    }
  };
  begin(value);
  while (!levels.empty()) {
    Level& level = levels.back();
    const json::Value& container = *level.container;
    if (level.next == container.size()) {
      out += container.is_array() ? ']' : '}';
      levels.pop_back();
      continue;
    }
    const std::size_t index = level.next++;
    if (index != 0) out += ", ";
    if (container.is_array()) {
      begin(container.items()[index]);
    } else {
      const json::Member& member = container.members()[index];
      out += member.key.as_string();
      out += '=';
      begin(member.value);
    }
  }
}

std::string java_text(const json::Value& value) {
  std::string out;
  append_java_text(out, value);
  return out;
}

std::string shown(const json::Value& value) {
  constexpr std::size_t kShownBytesMax = 2048;
  std::string text = java_text(value);
  if (text.size() > kShownBytesMax) {
    text = std::string(truncate_utf8(text, kShownBytesMax)) + "...";
  }
  return text;
}

}  // namespace sortie::jsonpath
