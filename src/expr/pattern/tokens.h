#pragma once
// A pull reader of JSON text that keeps what a parsed value forgets: repeated member names, the spelling of
// numbers, and where the reader stands. Event patterns are compiled straight from it, because EventBridge's
// messages say which token was being read when a pattern was refused.
//
// It stands where Jackson, the parser inside EventBridge, stands, so that "line: 1, column: 17" is the same
// number: after a member name the first token of the member's value is already read; a string is read to its
// end only when somebody asks for its text. Columns count UTF-16 units from 1.
//
// Errors: message is the parser's sentence plus "\n at [Source: ...]"; code is empty, callers have their own.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sortie::pattern {

enum class Token : std::uint8_t {
  kNone,  // Before the first token.
  kStartObject,
  kEndObject,
  kStartArray,
  kEndArray,
  kFieldName,
  kString,
  kInteger,
  kFloat,
  kTrue,
  kFalse,
  kNull,
  kEnd  // The text has ended.
};

class TokenReader {
 public:
  // `text` outlives the reader. Nesting beyond `depth_max` is an error.
  explicit TokenReader(std::string_view text, std::size_t depth_max = 1000)
      : text_(text), depth_max_(depth_max) {}

  Result<Token> next();
  Token current() const { return current_; }
  // A string or name without its escapes, a number as it is spelled, a literal or bracket as it stands.
  Result<std::string> token_text();
  std::size_t depth() const { return scopes_.size(); }

  // "[Source: (String)"..."; line: L, column: C]" for where the reader stands.
  std::string location() const { return location_at(position_); }
  Error failure(std::string message) const;

 private:
  struct Scope {
    bool object = false;
    bool has_entries = false;
    std::size_t start = 0;
  };

  std::string location_at(std::size_t offset) const;
  Error unexpected(std::size_t offset, std::string_view comment);
  Error unrecognized(std::size_t start);
  void skip_blanks();
  Result<Token> read_entry(bool in_object);
  Result<Token> read_value();
  Result<Token> read_literal(std::string_view literal, Token token);
  Result<Token> read_number();
  Result<Token> close_scope(char bracket);
  Status open_scope(bool object, std::size_t start);
  Result<std::string> read_string();  // From after the opening quote to after the closing one.
  Status read_escape(std::string& out);
  Result<std::uint32_t> read_hex4();

  std::string_view text_;
  std::size_t depth_max_;
  std::size_t position_ = 0;
  std::size_t value_start_ = 0;
  Token current_ = Token::kNone;
  Token pending_ = Token::kNone;  // The value's first token, while current_ is a member name.
  bool string_unread_ = false;    // position_ is just after the opening quote of a string.
  std::string string_;            // The text of the current string or name.
  std::string_view raw_;          // The spelling of the current number or literal.
  std::vector<Scope> scopes_;
};

}  // namespace sortie::pattern
