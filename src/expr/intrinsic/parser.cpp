// The grammar of intrinsic calls:
//
//   call     = "States." name "(" [ argument *( "," argument ) ] ")"
//   argument = 'text' | number | true | false | null | path | call       with blanks around each token
//   path     = "$" ... | "$$" ... | "$name" ...     up to the "," or ")" outside of its brackets and quotes
#include <algorithm>

#include "base/text.h"
#include "expr/intrinsic/node.h"
#include "json/text.h"

namespace sortie::intrinsic {
namespace {

constexpr std::size_t kVariableCharactersMax = 80;
constexpr std::size_t kShownBytesMax = 200;

Error refused(std::string message, std::size_t offset) {
  return {std::string(kInvalidExpression), std::move(message), "offset " + std::to_string(offset), ""};
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_letter_or_digit(char c) { return is_letter(c) || (c >= '0' && c <= '9'); }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

Result<Node> parse_path(std::string_view text, std::size_t offset) {
  Node node;
  node.kind = Node::Kind::kPath;
  node.text = text;
  std::string rooted(text);
  if (text.size() > 1 && text[1] == '$') {
    node.root = ExpressionKind::kContextPath;
    rooted.erase(0, 1);
  } else if (text.size() > 1 && is_letter(text[1])) {
    node.root = ExpressionKind::kVariablePath;
    std::size_t end = 2;
    while (end < text.size() && is_letter_or_digit(text[end])) ++end;
    node.variable = text.substr(1, end - 1);
    if (count_code_points(node.variable) > kVariableCharactersMax) {
      return refused("a variable's name has at most 80 characters", offset);
    }
    rooted = "$" + std::string(text.substr(end));
  }
  auto path = jsonpath::Path::compile(rooted);
  if (!path) {
    Error error = std::move(path).error();
    return Error{std::string(kInvalidExpression),
                 "'" + std::string(truncate_utf8(text, kShownBytesMax)) + "' is no path: " + error.message,
                 "offset " + std::to_string(offset), std::move(error.hint)};
  }
  node.path = *std::move(path);
  return node;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Node> parse() {
    SORTIE_TRY(Node node, parse_call(1));
    if (at_ != text_.size()) return refused("there is text after the call", at_);
    return node;
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_blanks() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  }

  Result<Node> parse_call(int level) {
    const std::size_t first = at_;
    if (level > kNestingMax) {
      return refused("calls are nested more than " + std::to_string(kNestingMax) + " levels deep", first);
    }
    while (at_ < text_.size() && (is_letter_or_digit(text_[at_]) || text_[at_] == '.')) ++at_;
    const std::string_view name = text_.substr(first, at_ - first);
    Node node;
    node.kind = Node::Kind::kCall;
    node.function = find_function(name);
    if (node.function == nullptr) {
      return refused("'" + std::string(truncate_utf8(name, kShownBytesMax)) + "' is no intrinsic function",
                     first);
    }
    skip_blanks();
    if (peek() != '(') return refused("'(' is expected after " + std::string(name), at_);
    ++at_;
    SORTIE_TRY_STATUS(parse_arguments(node, level));
    node.text = text_.substr(first, at_ - first);
    const std::size_t count = node.arguments.size();
    if (count < node.function->arguments_min || count > node.function->arguments_max) {
      return refused(
          std::string(name) + " takes " + arity_text(*node.function) + ", not " + std::to_string(count),
          first);
    }
    return node;
  }

  static std::string arity_text(const Function& function) {
    std::string text = std::to_string(function.arguments_min);
    if (function.arguments_max == SIZE_MAX) return text + " or more arguments";
    if (function.arguments_max != function.arguments_min)
      text += " or " + std::to_string(function.arguments_max);
    return text + (text == "1" ? " argument" : " arguments");
  }

  // Behind the "("; moves behind the ")".
  Status parse_arguments(Node& node, int level) {
    skip_blanks();
    if (peek() == ')') return ++at_, Status();
    while (true) {
      skip_blanks();
      SORTIE_TRY(Node argument, parse_argument(level));
      node.arguments.push_back(std::move(argument));
      skip_blanks();
      if (peek() == ')') return ++at_, Status();
      if (peek() != ',') return refused("',' or ')' is expected", at_);
      ++at_;
    }
  }

  Result<Node> parse_argument(int level) {
    const char c = peek();
    if (c == '\'') return parse_string();
    if (c == '$') return parse_path_argument();
    if (c == '-' || (c >= '0' && c <= '9')) return parse_scalar();
    const std::string_view rest = text_.substr(at_);
    if (rest.starts_with("true") || rest.starts_with("false") || rest.starts_with("null"))
      return parse_scalar();
    if (is_letter(c)) return parse_call(level + 1);
    return refused("an argument is expected: a quoted text, a number, true, false, null, a path or a call",
                   at_);
  }

  // A backslash takes one of ' { } \ literally and may stand before nothing else.
  Result<Node> parse_string() {
    const std::size_t first = at_++;
    std::string value;
    for (; peek() != '\'' || at_ >= text_.size(); ++at_) {
      if (at_ >= text_.size()) return refused("a quoted text does not end", first);
      if (text_[at_] == '\\') {
        ++at_;
        static constexpr std::string_view kEscapable = "'{}\\";
        if (at_ >= text_.size() || kEscapable.find(text_[at_]) == std::string_view::npos) {
          return refused("a backslash may only stand before ' { } or another backslash", at_ - 1);
        }
      }
      value += text_[at_];
    }
    ++at_;
    Node node;
    node.text = text_.substr(first, at_ - first);
    node.literal = json::Value(value);
    node.pieces = cut_at_placeholders(std::string_view(node.text).substr(1, node.text.size() - 2), true);
    return node;
  }

  Result<Node> parse_scalar() {
    const std::size_t first = at_;
    while (at_ < text_.size() && !is_blank(text_[at_]) && text_[at_] != ',' && text_[at_] != ')') ++at_;
    const std::string_view token = text_.substr(first, at_ - first);
    Node node;
    node.text = token;
    auto value = json::parse(token);
    if (!value) {
      return refused("'" + std::string(truncate_utf8(token, kShownBytesMax)) + "' is no JSON number or word",
                     first);
    }
    node.literal = *std::move(value);
    return node;
  }

  Result<Node> parse_path_argument() {
    const std::size_t first = at_;
    int parentheses = 0;
    int brackets = 0;
    bool quoted = false;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\'' && brackets > 0 && text_[at_ - 1] != '\\') quoted = !quoted;
      if (quoted) continue;
      if (brackets == 0 && parentheses == 0 && (c == ',' || c == ')')) break;
      if (c == '(') ++parentheses;
      if (c == ')') --parentheses;
      if (c == '[') ++brackets;
      if (c == ']' && brackets > 0) --brackets;
    }
    std::string_view path = text_.substr(first, at_ - first);
    while (is_blank(path.back())) path.remove_suffix(1);
    return parse_path(path, first);
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<std::string> cut_at_placeholders(std::string_view text, bool escapes) {
  std::vector<std::string> pieces(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (text[i] == '\\' && (next == '{' || next == '}' || (escapes && (next == '\\' || next == '\'')))) {
      pieces.back() += next;
      ++i;
    } else if (text[i] == '{' && next == '}') {
      pieces.emplace_back();
      ++i;
    } else {
      pieces.back() += text[i];
    }
  }
  return pieces;
}

Result<Node> parse_expression(std::string_view text) {
  if (text.size() > kTextBytesMax) {
    return refused("the expression is longer than " + std::to_string(kTextBytesMax) + " bytes", 0);
  }
  if (!is_valid_utf8(text)) return refused("the expression is not valid UTF-8", 0);
  if (text.starts_with('$')) return parse_path(text, 0);
  return Parser(text).parse();
}

}  // namespace sortie::intrinsic
