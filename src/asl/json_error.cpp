#include "asl/json_error.h"

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "base/text.h"

namespace sortie::asl {
namespace {

constexpr std::size_t kSourceCharactersMax = 500;
constexpr std::string_view kValueWords =
    "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word_byte(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// A reader that keeps nothing but where it is. Recursion over user input is replaced by a stack of its own.
class FaultFinder {
 public:
  FaultFinder(std::string_view text, std::uint32_t depth_max) : text_(text), depth_max_(depth_max) {}

  std::optional<JsonFault> run() {
    skip_blanks();
    while (!fault_) {
      if (expects_value_) {
        read_value();
      } else if (open_.empty()) {
        if (at_end()) return std::nullopt;
        unexpected("expected end of text");
      } else {
        read_after_value();
      }
      skip_blanks();
    }
    return std::move(fault_);
  }

 private:
  struct Container {
    bool is_object;
    std::size_t offset;
    std::unordered_set<std::string_view> keys;
  };

  bool at_end() const { return position_ >= text_.size(); }
  char peek() const { return text_[position_]; }
  void skip_blanks() {
    while (!at_end() && is_blank(peek())) ++position_;
  }

  void read_value() {
    if (at_end()) return end_of_input(inside_of());
    const char c = peek();
    if (c == '{' || c == '[') return open(c == '{');
    if (c == ']' && !open_.empty() && !open_.back().is_object && is_first_) return close();
    expects_value_ = false;
    is_first_ = false;
    if (c == '"') {
      read_string();
    } else if (c == '-' || is_digit(c)) {
      read_number();
    } else if (is_word_byte(c)) {
      read_word();
    } else {
      unexpected("expected a valid value " + std::string(kValueWords));
    }
  }

  void open(bool is_object) {
    if (open_.size() >= depth_max_) {
      return report("Document nesting depth exceeds the maximum allowed (" + std::to_string(depth_max_) + ")",
                    position_ + 1);
    }
    open_.push_back({is_object, position_, {}});
    ++position_;
    is_first_ = true;
    expects_value_ = !is_object;
    if (!is_object) return;
    skip_blanks();
    if (!at_end() && peek() == '}') return close();
    read_key();
  }

  void close() {
    ++position_;
    open_.pop_back();
    expects_value_ = false;
    is_first_ = false;
  }

  // After a value inside a container: a comma or the end of it.
  void read_after_value() {
    const bool is_object = open_.back().is_object;
    if (at_end()) return end_of_input(inside_of());
    const char c = peek();
    if (c == (is_object ? '}' : ']')) return close();
    if (c == '}' || c == ']') {
      return report("Unexpected close marker '" + std::string(1, c) + "': expected '" +
                        (is_object ? "}" : "]") + "' (for " + (is_object ? "Object" : "Array") +
                        " starting at " + source_at(open_.back().offset + 1) + ")",
                    position_ + 1);
    }
    if (c != ',') {
      return unexpected(std::string("was expecting comma to separate ") + (is_object ? "Object" : "Array") +
                        " entries");
    }
    ++position_;
    expects_value_ = !is_object;
    skip_blanks();
    if (is_object) read_key();
  }

  void read_key() {
    if (at_end()) return end_of_input(inside_of());
    if (peek() != '"') return unexpected("was expecting double-quote to start field name");
    const std::size_t start = position_ + 1;
    read_string();
    if (fault_) return;
    const std::string_view key = text_.substr(start, position_ - start - 1);
    if (!open_.back().keys.insert(key).second) {
      return report("Duplicate field '" + std::string(key) + "'", position_ + 1);
    }
    skip_blanks();
    if (at_end()) return end_of_input(inside_of());
    if (peek() != ':') return unexpected("was expecting a colon to separate field name and value");
    ++position_;
    expects_value_ = true;
    is_first_ = false;
  }

  void read_string() {
    ++position_;
    while (!at_end() && peek() != '"') {
      const auto c = static_cast<unsigned char>(peek());
      if (c < 0x20) {
        return report("Illegal unquoted character ((CTRL-CHAR, code " + std::to_string(c) +
                          ")): has to be escaped using backslash to be included in string value",
                      position_ + 1);
      }
      ++position_;
      if (c == '\\' && !read_escape()) return;
    }
    if (at_end()) return end_of_input("in VALUE_STRING");
    ++position_;
  }

  bool read_escape() {
    if (at_end()) return true;  // The caller reports the end.
    const char c = text_[position_++];
    if (c == 'u') {
      for (int i = 0; i < 4; ++i) {
        if (at_end()) return true;
        const char digit = to_lower_ascii(text_.substr(position_, 1))[0];
        if (!is_digit(digit) && (digit < 'a' || digit > 'f')) {
          unexpected("expected a hex-digit for character escape sequence");
          return false;
        }
        ++position_;
      }
      return true;
    }
    if (std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos) return true;
    report("Unrecognized character escape " + quoted(c), position_);
    return false;
  }

  void read_number() {
    if (peek() == '-') ++position_;
    if (at_end() || !is_digit(peek()))
      return number_fault("expected digit (0-9) to follow minus sign, for valid numeric value");
    if (peek() == '0' && position_ + 1 < text_.size() && is_digit(text_[position_ + 1])) {
      return report("Invalid numeric value: Leading zeroes not allowed", position_ + 1);
    }
    skip_digits();
    if (!at_end() && peek() == '.') {
      ++position_;
      if (at_end() || !is_digit(peek())) return number_fault("Decimal point not followed by a digit");
      skip_digits();
    }
    if (!at_end() && (peek() == 'e' || peek() == 'E')) {
      ++position_;
      if (!at_end() && (peek() == '+' || peek() == '-')) ++position_;
      if (at_end() || !is_digit(peek())) return number_fault("Exponent indicator not followed by a digit");
      skip_digits();
    }
    if (!at_end() && is_word_byte(peek())) unexpected("Expected space separating root-level values");
  }

  void skip_digits() {
    while (!at_end() && is_digit(peek())) ++position_;
  }

  void number_fault(const std::string& what) {
    if (at_end()) return end_of_input("in a Number value");
    unexpected(what);
  }

  void read_word() {
    const std::size_t start = position_;
    while (!at_end() && is_word_byte(peek())) ++position_;
    const std::string_view word = text_.substr(start, position_ - start);
    if (word == "true" || word == "false" || word == "null") return;
    constexpr std::size_t kWordBytesMax = 256;
    report("Unrecognized token '" + std::string(truncate_utf8(word, kWordBytesMax)) + "': was expecting " +
               std::string(kValueWords),
           position_ + 1);
  }

  std::string inside_of() const {
    if (open_.empty()) return "";
    const Container& top = open_.back();
    return std::string("expected close marker for ") + (top.is_object ? "Object" : "Array") +
           " (start marker at " + source_at(top.offset + 1) + ")";
  }

  void end_of_input(const std::string& where) {
    const bool is_marker = where.starts_with("expected");
    report("Unexpected end-of-input" +
               std::string(is_marker       ? ": "
                           : where.empty() ? ""
                                           : " ") +
               where,
           text_.size() + 1);
  }

  static std::string quoted(char c) {
    return "'" + std::string(1, c) + "' (code " + std::to_string(static_cast<unsigned char>(c)) + ")";
  }

  void unexpected(const std::string& what) {
    if (at_end()) return end_of_input("");
    report("Unexpected character (" + quoted(peek()) + "): " + what, position_ + 1);
  }

  // `column_offset` counts from 1 from the start of the text.
  std::string source_at(std::size_t column_offset) const {
    std::size_t line = 1;
    std::size_t line_start = 0;
    for (std::size_t i = 0; i + 1 < column_offset && i < text_.size(); ++i) {
      if (text_[i] != '\n') continue;
      ++line;
      line_start = i + 1;
    }
    return "[Source: " + source_text() + "; line: " + std::to_string(line) +
           ", column: " + std::to_string(column_offset - line_start) + "]";
  }

  std::string source_text() const {
    const std::string valid = to_valid_utf8(text_.substr(0, 4 * kSourceCharactersMax));
    std::size_t bytes = 0;
    std::size_t characters = 0;
    while (bytes < valid.size() && characters < kSourceCharactersMax) {
      ++bytes;
      while (bytes < valid.size() && (static_cast<unsigned char>(valid[bytes]) & 0xC0) == 0x80) ++bytes;
      ++characters;
    }
    std::string out = "(String)\"" + valid.substr(0, bytes) + "\"";
    const std::size_t total = count_code_points(text_);
    if (total > characters) out += "[truncated " + std::to_string(total - characters) + " chars]";
    return out;
  }

  void report(const std::string& message, std::size_t column_offset) {
    if (fault_) return;
    const std::string location = source_at(column_offset);
    fault_ = JsonFault{to_valid_utf8(message) + "\n at " + location, location};
  }

  std::string_view text_;
  std::uint32_t depth_max_;
  std::size_t position_ = 0;
  bool expects_value_ = true;
  bool is_first_ = false;  // Right after the opening bracket.
  std::vector<Container> open_;
  std::optional<JsonFault> fault_;
};

}  // namespace

std::optional<JsonFault> find_json_fault(std::string_view text, std::uint32_t depth_max) {
  return FaultFinder(text, depth_max).run();
}

}  // namespace sortie::asl
