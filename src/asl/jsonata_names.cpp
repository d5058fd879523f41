#include "asl/jsonata_names.h"

#include <utility>
#include <vector>

namespace sortie::asl {
namespace jsonata_scan {

enum class TokenKind { kVariable, kName, kLiteral, kSign };

struct Token {
  TokenKind kind = TokenKind::kSign;
  std::string_view text;  // kVariable: without the dollar sign.
};

bool is_name_part(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::vector<Token> scan() {
    while (at_ < text_.size()) step();
    return std::move(tokens_);
  }

 private:
  void step() {
    const char c = text_[at_];
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      ++at_;
    } else if (text_.substr(at_, 2) == "/*") {
      const std::size_t end = text_.find("*/", at_ + 2);
      at_ = end == std::string_view::npos ? text_.size() : end + 2;
    } else if (c == '"' || c == '\'') {
      skip_quoted(c, true);
      tokens_.push_back({TokenKind::kLiteral, {}});
    } else if (c == '`') {
      const std::size_t start = at_ + 1;
      skip_quoted(c, false);
      tokens_.push_back({TokenKind::kName, text_.substr(start, at_ > start ? at_ - start - 1 : 0)});
    } else if (c == '/' && !follows_operand()) {
      skip_quoted(c, true);
      tokens_.push_back({TokenKind::kLiteral, {}});
    } else if (c == '$' || is_name_part(c)) {
      const std::size_t start = at_ + (c == '$' ? 1 : 0);
      at_ = start;
      while (at_ < text_.size() && is_name_part(text_[at_])) ++at_;
      tokens_.push_back(
          {c == '$' ? TokenKind::kVariable : TokenKind::kName, text_.substr(start, at_ - start)});
    } else {
      const std::size_t size = text_.substr(at_, 2) == ":=" ? 2 : 1;
      tokens_.push_back({TokenKind::kSign, text_.substr(at_, size)});
      at_ += size;
    }
  }

  void skip_quoted(char quote, bool escapes) {
    ++at_;
    while (at_ < text_.size() && text_[at_] != quote) at_ += escapes && text_[at_] == '\\' ? 2 : 1;
    at_ = std::min(at_ + 1, text_.size());
  }

  // A slash behind an operand divides; anywhere else it opens a regular expression.
  bool follows_operand() const {
    if (tokens_.empty()) return false;
    const Token& last = tokens_.back();
    if (last.kind != TokenKind::kSign) return last.text != "and" && last.text != "or" && last.text != "in";
    return last.text == ")" || last.text == "]" || last.text == "}";
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<Token> tokens_;
};

StatesMembers member_of(std::string_view name) {
  if (name == "input") return kStatesInput;
  if (name == "context") return kStatesContext;
  if (name == "result") return kStatesResult;
  if (name == "errorOutput") return kStatesErrorOutput;
  return 0;
}

bool is_sign(const std::vector<Token>& tokens, std::size_t at, std::string_view sign) {
  return at < tokens.size() && tokens[at].kind == TokenKind::kSign && tokens[at].text == sign;
}

// The parameters of "function($a, $b)" that begins at `at`.
void bind_parameters(const std::vector<Token>& tokens, std::size_t at, std::set<std::string>& bound) {
  if (!is_sign(tokens, at + 1, "(")) return;
  for (std::size_t i = at + 2; i < tokens.size() && !is_sign(tokens, i, ")"); ++i) {
    if (tokens[i].kind == TokenKind::kVariable) bound.emplace(tokens[i].text);
  }
}

void read_states(const std::vector<Token>& tokens, std::size_t at, JsonataNames& out) {
  StatesMembers member = 0;
  if (is_sign(tokens, at + 1, ".") && at + 2 < tokens.size() && tokens[at + 2].kind == TokenKind::kName) {
    member = member_of(tokens[at + 2].text);
  }
  out.named |= member;
  constexpr StatesMembers kAll = kStatesInput | kStatesContext | kStatesResult | kStatesErrorOutput;
  out.reached |= member != 0 ? member : kAll;
}

}  // namespace jsonata_scan

JsonataNames scan_jsonata_names(std::string_view text) {
  using jsonata_scan::TokenKind;
  const std::vector<jsonata_scan::Token> tokens = jsonata_scan::Scanner(text).scan();
  JsonataNames out;
  std::set<std::string> bound;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const jsonata_scan::Token& token = tokens[i];
    if (token.kind == TokenKind::kName && (token.text == "function" || token.text == "λ")) {
      jsonata_scan::bind_parameters(tokens, i, bound);
    }
    if (token.kind != TokenKind::kVariable || token.text.empty()) continue;
    const bool is_focus =
        i > 0 && (jsonata_scan::is_sign(tokens, i - 1, "@") || jsonata_scan::is_sign(tokens, i - 1, "#"));
    if (jsonata_scan::is_sign(tokens, i + 1, ":=") || is_focus) {
      bound.emplace(token.text);
    } else if (token.text == "states") {
      jsonata_scan::read_states(tokens, i, out);
    } else if (!jsonata_scan::is_sign(tokens, i + 1, "(")) {
      out.free.emplace(token.text);
    }
  }
  for (const std::string& name : bound) out.free.erase(name);
  return out;
}

}  // namespace sortie::asl
