#include "expr/jsonata/lexer.h"

#include <charconv>
#include <cmath>

#include "expr/jsonata/failure.h"
#include "expr/jsonata/utf.h"

namespace sortie::jsonata {
namespace lexing {

// What a character may be: bit 0 a blank, bit 1 an operator.
struct Classes {
  unsigned char of[256] = {};
  constexpr Classes() {
    for (const char c : std::string_view(" \t\n\r\v")) of[static_cast<unsigned char>(c)] |= 1;
    for (const char c : std::string_view(".[]{}(),@#;:?+-*/%|=<>^&!~"))
      of[static_cast<unsigned char>(c)] |= 2;
  }
};
constexpr Classes kClasses;

bool is_blank(char c) { return (kClasses.of[static_cast<unsigned char>(c)] & 1) != 0; }
bool is_operator(char c) { return (kClasses.of[static_cast<unsigned char>(c)] & 2) != 0; }
bool ends_name(char c) { return kClasses.of[static_cast<unsigned char>(c)] != 0; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The whole UTF-8 character at an offset, for messages.
std::string character_at(std::string_view text, std::size_t at) {
  std::size_t end = at + 1;
  while (end < text.size() && (text[end] & 0xC0) == 0x80) ++end;
  return at < text.size() ? std::string(text.substr(at, end - at)) : std::string();
}

Failure failure(const char* code, std::size_t position, std::string token = {}) {
  return {.code = code, .position = static_cast<std::uint32_t>(position), .token = std::move(token)};
}

}  // namespace lexing

using lexing::failure;

Token Lexer::make(TokenType type, std::string_view text) const {
  return {.type = type, .position = static_cast<std::uint32_t>(at_), .text = text};
}

Token Lexer::make_operator(std::size_t size) {
  const std::string_view text = text_.substr(at_, size);
  at_ += size;
  Token token = make(TokenType::kOperator, text);
  token.code = operator_code(text);
  return token;
}

void Lexer::skip_blanks() {
  while (true) {
    while (at_ < text_.size() && lexing::is_blank(text_[at_])) ++at_;
    if (at(at_) != '/' || at(at_ + 1) != '*') return;
    const std::size_t end = text_.find("*/", at_ + 2);
    if (end == std::string_view::npos) throw failure("S0106", at_);
    at_ = end + 2;
  }
}

Token Lexer::next(bool infix) {
  skip_blanks();
  if (at_ >= text_.size()) return make(TokenType::kEnd, "(end)");
  const char c = text_[at_];
  if (!infix && c == '/') {
    ++at_;
    return read_regex();
  }
  if (lexing::is_operator(c)) {
    switch (operator_code(text_.substr(at_, 2))) {
      case operator_code("?:"):
      case operator_code("??"):
        return make_operator(extended_ ? 2 : 1);
      case operator_code(".."):
      case operator_code(":="):
      case operator_code("!="):
      case operator_code(">="):
      case operator_code("<="):
      case operator_code("**"):
      case operator_code("~>"):
        return make_operator(2);
      default:
        return make_operator(1);
    }
  }
  if (c == '"' || c == '\'') {
    ++at_;
    return read_string(c);
  }
  Token number;
  if (read_number(number)) return number;
  if (c == '`') {
    const std::size_t end = text_.find('`', at_ + 1);
    if (end == std::string_view::npos) throw failure("S0105", text_.size());
    const std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return make(TokenType::kName, name);
  }
  return read_name();
}

Token Lexer::read_string(char quote) {
  const std::size_t start = at_;
  while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\\') ++at_;
  if (at(at_) == quote && at_ < text_.size()) {
    const std::string_view plain = text_.substr(start, at_ - start);
    ++at_;
    return make(TokenType::kString, plain);
  }
  std::string out(text_.substr(start, at_ - start));
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == quote) {
      ++at_;
      return make(TokenType::kString, pool_.keep(out));
    }
    if (c == '\\') {
      ++at_;
      read_escape(out);
    } else {
      out += c;
      ++at_;
    }
  }
  throw failure("S0101", text_.size());
}

void Lexer::read_escape(std::string& out) {
  constexpr std::string_view kFrom = "\"\\/bfnrt";
  constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
  const char c = at(at_);
  const std::size_t known = c == '\0' ? std::string_view::npos : kFrom.find(c);
  if (known != std::string_view::npos) {
    out += kTo[known];
    ++at_;
    return;
  }
  if (c != 'u') throw failure("S0103", at_, lexing::character_at(text_, at_));
  std::uint32_t unit = 0;
  for (int i = 1; i <= 4; ++i) {
    const int digit = lexing::hex(at(at_ + static_cast<std::size_t>(i)));
    if (digit < 0) throw failure("S0104", at_);
    unit = unit * 16 + static_cast<std::uint32_t>(digit);
  }
  at_ += 5;
  std::string encoded;
  append_wtf8(encoded, unit);
  append_joining(out, encoded);
}

bool Lexer::read_number(Token& token) {
  std::size_t end = at_;
  if (!lexing::is_digit(at(end))) return false;
  if (at(end) == '0') {
    ++end;
  } else {
    while (lexing::is_digit(at(end))) ++end;
  }
  if (at(end) == '.' && lexing::is_digit(at(end + 1))) {
    ++end;
    while (lexing::is_digit(at(end))) ++end;
  }
  if (at(end) == 'e' || at(end) == 'E') {
    std::size_t digits = end + 1;
    if (at(digits) == '+' || at(digits) == '-') ++digits;
    if (lexing::is_digit(at(digits))) {
      end = digits;
      while (lexing::is_digit(at(end))) ++end;
    }
  }
  const std::string_view text = text_.substr(at_, end - at_);
  double number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec == std::errc::result_out_of_range) {
    // from_chars does not say whether it is too big or too small; only the first is an error.
    number = std::strtod(std::string(text).c_str(), nullptr);
    if (std::isinf(number)) throw failure("S0102", at_, std::string(text));
  }
  at_ = end;
  token = make(TokenType::kNumber, text);
  token.number = number;
  return true;
}

Token Lexer::read_regex() {
  const std::size_t start = at_;
  int depth = 0;
  for (; at_ < text_.size(); ++at_) {
    const char c = text_[at_];
    if (c == '/' && depth == 0) {
      std::size_t slashes = 0;
      while (at_ > slashes && text_[at_ - slashes - 1] == '\\') ++slashes;
      if (slashes % 2 == 0) {
        const std::string_view pattern = text_.substr(start, at_ - start);
        if (pattern.empty()) throw failure("S0301", at_);
        const std::size_t flags = ++at_;
        while (at(at_) == 'i' || at(at_) == 'm') ++at_;
        Token token = make(TokenType::kRegex, pattern);
        token.flags = text_.substr(flags, at_ - flags);
        return token;
      }
    }
    const bool escaped = text_[at_ - 1] == '\\';
    if ((c == '(' || c == '[' || c == '{') && !escaped) ++depth;
    if ((c == ')' || c == ']' || c == '}') && !escaped) --depth;
  }
  throw failure("S0302", at_);
}

Token Lexer::read_name() {
  const std::size_t start = at_;
  while (at_ < text_.size() && !lexing::ends_name(text_[at_])) ++at_;
  const std::string_view name = text_.substr(start, at_ - start);
  if (name.starts_with('$')) return make(TokenType::kVariable, name.substr(1));
  if (name == "or" || name == "in" || name == "and") {
    Token token = make(TokenType::kOperator, name);
    token.code = operator_code(name);
    return token;
  }
  if (name == "true" || name == "false" || name == "null") {
    Token token = make(TokenType::kValue, name);
    token.number = name == "true" ? 1 : name == "false" ? 0 : 2;
    return token;
  }
  return make(TokenType::kName, name);
}

}  // namespace sortie::jsonata
