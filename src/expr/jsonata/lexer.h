#pragma once
// Splits an expression into tokens. Whether a slash divides or opens a regular expression depends on the
// parser, which says with each call whether an operator may stand here.
#include <cstdint>
#include <string>
#include <string_view>

#include "expr/jsonata/node.h"

namespace sortie::jsonata {

enum class TokenType : std::uint8_t { kEnd, kOperator, kString, kNumber, kValue, kName, kVariable, kRegex };

// An operator as a number: its one or two characters; "and" counts as its first two.
constexpr std::uint16_t operator_code(std::string_view text) {
  const auto low = static_cast<unsigned char>(text[0]);
  const auto high = text.size() > 1 ? static_cast<unsigned char>(text[1]) : 0u;
  return static_cast<std::uint16_t>(low | (high << 8));
}

struct Token {
  TokenType type = TokenType::kEnd;
  std::uint16_t code = 0;      // kOperator: operator_code.
  std::uint32_t position = 0;  // Byte offset just behind the token.
  // Without quotes, `$`, slashes; a regular expression's source. Lies in the expression or in the pool.
  std::string_view text{};
  std::string_view flags{};  // Of a regular expression.
  double number = 0;
};

class Lexer {
 public:
  // `extended` knows the operators ?: and ?? of 2.1. The text has to live as long as the pool.
  Lexer(NodePool& pool, std::string_view text, bool extended)
      : pool_(pool), text_(text), extended_(extended) {}

  Token next(bool infix);

 private:
  char at(std::size_t offset) const { return offset < text_.size() ? text_[offset] : '\0'; }
  Token make(TokenType type, std::string_view text) const;
  Token make_operator(std::size_t size);
  void skip_blanks();
  Token read_string(char quote);
  void read_escape(std::string& out);
  bool read_number(Token& token);
  Token read_regex();
  Token read_name();

  NodePool& pool_;
  std::string_view text_;
  std::size_t at_ = 0;
  bool extended_;
};

}  // namespace sortie::jsonata
