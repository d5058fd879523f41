#pragma once
// Splits an expression into tokens. Whether a slash divides or opens a regular expression depends on the
// parser, which says with each call whether an operator may stand here.
#include <cstdint>
#include <string>
#include <string_view>

namespace sortie::jsonata {

enum class TokenType : std::uint8_t { kEnd, kOperator, kString, kNumber, kValue, kName, kVariable, kRegex };

struct Token {
  TokenType type = TokenType::kEnd;
  std::uint32_t position = 0;  // Byte offset just behind the token.
  std::string text{};          // Without quotes, `$`, slashes; a regular expression's source.
  std::string flags{};         // Of a regular expression.
  double number = 0;
};

class Lexer {
 public:
  // `extended` knows the operators ?: and ?? of 2.1.
  Lexer(std::string_view text, bool extended) : text_(text), extended_(extended) {}

  Token next(bool infix);

 private:
  char at(std::size_t offset) const { return offset < text_.size() ? text_[offset] : '\0'; }
  Token make(TokenType type, std::string_view text) const;
  void skip_blanks();
  Token read_string(char quote);
  void read_escape(std::string& out);
  bool read_number(Token& token);
  Token read_regex();
  Token read_name();

  std::string_view text_;
  std::size_t at_ = 0;
  bool extended_;
};

}  // namespace sortie::jsonata
