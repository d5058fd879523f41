#include "expr/pattern/tokens.h"

#include <utility>

#include "base/text.h"

namespace sortie::pattern {

namespace tokens_detail {

constexpr std::size_t kSourceCharsMax = 500;  // Jackson shows no more of the text.
constexpr std::string_view kValueKinds =
    "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_identifier_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Bytes of the UTF-8 sequence that a byte begins; 1 for anything else.
std::size_t sequence_bytes(unsigned char lead) {
  if (lead >= 0xF0) return 4;
  if (lead >= 0xE0) return 3;
  return lead >= 0xC0 ? 2 : 1;
}

std::uint32_t code_point_at(std::string_view text, std::size_t offset) {
  const auto lead = static_cast<unsigned char>(text[offset]);
  const std::size_t bytes = sequence_bytes(lead);
  if (bytes == 1 || offset + bytes > text.size()) return lead;
  std::uint32_t point = lead & (0xFFu >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    point = (point << 6) | (static_cast<unsigned char>(text[offset + i]) & 0x3F);
  }
  return point;
}

std::string character_name(std::string_view text, std::size_t offset) {
  const std::uint32_t point = code_point_at(text, offset);
  if (point < 0x20 || (point >= 0x7F && point < 0xA0)) {
    return "(CTRL-CHAR, code " + std::to_string(point) + ")";
  }
  std::string shown;
  append_utf8(shown, point);
  std::string name = "'" + shown + "' (code " + std::to_string(point);
  if (point > 255) {
    static constexpr char kHex[] = "0123456789abcdef";
    std::string hex;
    for (std::uint32_t rest = point; rest != 0; rest >>= 4) hex.insert(hex.begin(), kHex[rest & 15]);
    name += " / 0x" + hex;
  }
  return name + ")";
}

// The source as Jackson quotes it: control characters other than line ends escaped, long texts cut.
std::string quoted_source(std::string_view text) {
  const bool cut = text.size() > kSourceCharsMax;
  std::string out = "\"";
  for (char c : cut ? truncate_utf8(text, kSourceCharsMax) : text) {
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r') {
      out += "\\u00" + to_hex(std::string_view(&c, 1));
    } else {
      out += c;
    }
  }
  out += '"';
  if (cut) out += "[truncated " + std::to_string(text.size() - kSourceCharsMax) + " chars]";
  return out;
}

}  // namespace tokens_detail

using namespace tokens_detail;

std::string TokenReader::location_at(std::size_t offset) const {
  std::size_t line = 1;
  std::size_t column = 1;
  for (std::size_t i = 0; i < offset && i < text_.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text_[i]);
    if (byte == '\n' || (byte == '\r' && (i + 1 >= text_.size() || text_[i + 1] != '\n'))) {
      ++line;
      column = 1;
    } else if ((byte & 0xC0) != 0x80 && byte != '\r') {
      column += byte >= 0xF0 ? 2 : 1;
    }
  }
  return "[Source: (String)" + quoted_source(text_) + "; line: " + std::to_string(line) +
         ", column: " + std::to_string(column) + "]";
}

Error TokenReader::failure(std::string message) const {
  return Error{"", std::move(message) + "\n at " + location()};
}

Error TokenReader::unexpected(std::size_t offset, std::string_view comment) {
  position_ = offset + sequence_bytes(static_cast<unsigned char>(text_[offset]));
  return failure("Unexpected character (" + character_name(text_, offset) + "): " + std::string(comment));
}

Error TokenReader::unrecognized(std::size_t start) {
  position_ = start;
  while (position_ < text_.size() && is_identifier_byte(text_[position_])) ++position_;
  std::string token(truncate_utf8(text_.substr(start, position_ - start), 256));
  return failure("Unrecognized token '" + token + "': was expecting " + std::string(kValueKinds));
}

void TokenReader::skip_blanks() {
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
    ++position_;
  }
}

Result<Token> TokenReader::next() {
  if (current_ == Token::kFieldName) {
    current_ = std::exchange(pending_, Token::kNone);
    if (current_ == Token::kStartObject || current_ == Token::kStartArray) {
      SORTIE_TRY_STATUS(open_scope(current_ == Token::kStartObject, value_start_));
    }
    return current_;
  }
  if (string_unread_) {
    SORTIE_TRY(string_, read_string());
  }
  skip_blanks();
  if (position_ >= text_.size()) {
    if (scopes_.empty()) return current_ = Token::kEnd;
    const Scope& scope = scopes_.back();
    return failure(std::string("Unexpected end-of-input: expected close marker for ") +
                   (scope.object ? "Object" : "Array") + " (start marker at " + location_at(scope.start) +
                   ")");
  }
  const char c = text_[position_];
  if (c == ']' || c == '}') return close_scope(c);
  if (!scopes_.empty() && scopes_.back().has_entries) {
    const bool object = scopes_.back().object;
    if (c != ',') {
      return unexpected(position_, object ? "was expecting comma to separate Object entries"
                                          : "was expecting comma to separate Array entries");
    }
    ++position_;
    skip_blanks();
    if (position_ >= text_.size()) {
      return failure("Unexpected end-of-input within/between " + std::string(object ? "Object" : "Array") +
                     " entries");
    }
  }
  const bool in_object = !scopes_.empty() && scopes_.back().object;
  if (!scopes_.empty()) scopes_.back().has_entries = true;
  return read_entry(in_object);
}

Result<Token> TokenReader::read_entry(bool in_object) {
  if (!in_object) {
    SORTIE_TRY(current_, read_value());
    if (current_ == Token::kStartObject || current_ == Token::kStartArray) {
      SORTIE_TRY_STATUS(open_scope(current_ == Token::kStartObject, value_start_));
    }
    return current_;
  }
  if (text_[position_] != '"') {
    return unexpected(position_, "was expecting double-quote to start field name");
  }
  ++position_;
  SORTIE_TRY(std::string name, read_string());
  skip_blanks();
  if (position_ >= text_.size()) return failure("Unexpected end-of-input within/between Object entries");
  if (text_[position_] != ':') {
    return unexpected(position_, "was expecting a colon to separate field name and value");
  }
  ++position_;
  skip_blanks();
  SORTIE_TRY(pending_, read_value());
  // read_value leaves string_ alone for strings (they are read later), so the name can be kept there.
  string_ = std::move(name);
  return current_ = Token::kFieldName;
}

Result<Token> TokenReader::read_value() {
  if (position_ >= text_.size()) return failure("Unexpected end-of-input within/between Object entries");
  value_start_ = position_;
  const char c = text_[position_];
  switch (c) {
    case '"':
      ++position_;
      string_unread_ = true;
      return Token::kString;
    case '{':
      ++position_;
      return Token::kStartObject;
    case '[':
      ++position_;
      return Token::kStartArray;
    case '}':
      return unexpected(position_, "expected a value");
    case 't':
      return read_literal("true", Token::kTrue);
    case 'f':
      return read_literal("false", Token::kFalse);
    case 'n':
      return read_literal("null", Token::kNull);
    default:
      break;
  }
  if (c == '-' || is_digit(c)) return read_number();
  if (is_identifier_byte(c)) return unrecognized(position_);
  return unexpected(position_, "expected a valid value " + std::string(kValueKinds));
}

Result<Token> TokenReader::read_literal(std::string_view literal, Token token) {
  const std::size_t start = position_;
  if (text_.substr(start, literal.size()) != literal) return unrecognized(start);
  position_ = start + literal.size();
  if (position_ < text_.size() && is_identifier_byte(text_[position_])) return unrecognized(start);
  raw_ = text_.substr(start, literal.size());
  return token;
}

Result<Token> TokenReader::read_number() {
  const std::size_t start = position_;
  const auto at = [this](std::size_t offset) { return offset < text_.size() ? text_[offset] : '\0'; };
  const auto need_digit = [&](std::string_view comment) -> Status {
    if (is_digit(at(position_))) return {};
    if (position_ >= text_.size()) return failure("Unexpected end-of-input in a number");
    const std::string name = character_name(text_, position_);
    ++position_;
    return failure("Unexpected character (" + name + ") in numeric value: " + std::string(comment));
  };
  const auto skip_digits = [&] {
    while (is_digit(at(position_))) ++position_;
  };
  if (at(position_) == '-') {
    ++position_;
    SORTIE_TRY_STATUS(need_digit("expected digit (0-9) to follow minus sign, for valid numeric value"));
  }
  if (at(position_) == '0' && is_digit(at(position_ + 1))) {
    ++position_;
    return failure("Invalid numeric value: Leading zeroes not allowed");
  }
  skip_digits();
  Token token = Token::kInteger;
  if (at(position_) == '.') {
    token = Token::kFloat;
    ++position_;
    SORTIE_TRY_STATUS(need_digit("Decimal point not followed by a digit"));
    skip_digits();
  }
  if (at(position_) == 'e' || at(position_) == 'E') {
    token = Token::kFloat;
    ++position_;
    if (at(position_) == '+' || at(position_) == '-') ++position_;
    SORTIE_TRY_STATUS(need_digit("Exponent indicator not followed by a digit"));
    skip_digits();
  }
  raw_ = text_.substr(start, position_ - start);
  return token;
}

Result<Token> TokenReader::close_scope(char bracket) {
  const std::size_t offset = position_++;
  const bool object = bracket == '}';
  if (scopes_.empty()) {
    position_ = offset;
    return unexpected(offset, "expected a value");
  }
  const Scope& scope = scopes_.back();
  if (scope.object != object) {
    return failure(std::string("Unexpected close marker '") + bracket + "': expected '" +
                   (scope.object ? '}' : ']') + "' (for " + (scope.object ? "Object" : "Array") +
                   " starting at " + location_at(scope.start) + ")");
  }
  scopes_.pop_back();
  return current_ = object ? Token::kEndObject : Token::kEndArray;
}

Status TokenReader::open_scope(bool object, std::size_t start) {
  if (scopes_.size() >= depth_max_) {
    return failure("Document nesting depth (" + std::to_string(scopes_.size() + 1) +
                   ") exceeds the maximum allowed (" + std::to_string(depth_max_) + ")");
  }
  scopes_.push_back(Scope{object, false, start});
  return {};
}

Result<std::string> TokenReader::token_text() {
  switch (current_) {
    case Token::kString:
      if (string_unread_) {
        SORTIE_TRY(string_, read_string());
      }
      return string_;
    case Token::kFieldName:
      return string_;
    case Token::kInteger:
    case Token::kFloat:
    case Token::kTrue:
    case Token::kFalse:
    case Token::kNull:
      return std::string(raw_);
    case Token::kStartObject:
      return std::string("{");
    case Token::kEndObject:
      return std::string("}");
    case Token::kStartArray:
      return std::string("[");
    case Token::kEndArray:
      return std::string("]");
    default:
      return std::string();
  }
}

Result<std::string> TokenReader::read_string() {
  string_unread_ = false;
  std::string out;
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c == '"') {
      ++position_;
      return out;
    }
    if (c == '\\') {
      ++position_;
      SORTIE_TRY_STATUS(read_escape(out));
      continue;
    }
    ++position_;
    if (static_cast<unsigned char>(c) < 0x20) {
      return failure("Illegal unquoted character (" + character_name(text_, position_ - 1) +
                     "): has to be escaped using backslash to be included in string value");
    }
    out += c;
  }
  return failure("Unexpected end-of-input: was expecting closing quote for a string value");
}

Status TokenReader::read_escape(std::string& out) {
  if (position_ >= text_.size()) return failure("Unexpected end-of-input in character escape sequence");
  const char c = text_[position_++];
  switch (c) {
    case '"':
    case '\\':
    case '/':
      out += c;
      return {};
    case 'b':
      out += '\b';
      return {};
    case 'f':
      out += '\f';
      return {};
    case 'n':
      out += '\n';
      return {};
    case 'r':
      out += '\r';
      return {};
    case 't':
      out += '\t';
      return {};
    case 'u': {
      SORTIE_TRY(std::uint32_t unit, read_hex4());
      if (unit >= 0xD800 && unit < 0xDC00 && text_.substr(position_, 2) == "\\u") {
        const std::size_t before = position_;
        position_ += 2;
        SORTIE_TRY(const std::uint32_t low, read_hex4());
        if (low >= 0xDC00 && low < 0xE000) {
          unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        } else {
          position_ = before;
        }
      }
      append_utf8(out, unit);  // A lone surrogate becomes U+FFFD.
      return {};
    }
    default:
      return failure("Unrecognized character escape " + character_name(text_, position_ - 1));
  }
}

Result<std::uint32_t> TokenReader::read_hex4() {
  std::uint32_t unit = 0;
  for (int i = 0; i < 4; ++i) {
    if (position_ >= text_.size()) return failure("Unexpected end-of-input in character escape sequence");
    const char c = text_[position_];
    std::uint32_t digit = 0;
    if (is_digit(c)) {
      digit = static_cast<std::uint32_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<std::uint32_t>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<std::uint32_t>(c - 'A' + 10);
    } else {
      return unexpected(position_, "expected a hex-digit for character escape sequence");
    }
    unit = unit * 16 + digit;
    ++position_;
  }
  return unit;
}

}  // namespace sortie::pattern
