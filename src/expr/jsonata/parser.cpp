#include "expr/jsonata/parser.h"

#include <algorithm>

#include "expr/jsonata/failure.h"
#include "expr/jsonata/lexer.h"
#include "expr/jsonata/regex.h"

namespace sortie::jsonata {
namespace parsing {

struct OperatorRow {
  int power = 0;  // 0: never stands between operands.
  Op op = Op::kNone;
};

OperatorRow row_of(const Token& token) {
  if (token.type != TokenType::kOperator) return {};
  switch (token.code) {
    case operator_code("."):
      return {75, Op::kDot};
    case operator_code("["):
      return {80, Op::kFilter};
    case operator_code("{"):
      return {70, Op::kGroup};
    case operator_code("("):
      return {80, Op::kCall};
    case operator_code("@"):
      return {80, Op::kFocus};
    case operator_code("#"):
      return {80, Op::kIndex};
    case operator_code("?"):
      return {20, Op::kCondition};
    case operator_code("+"):
      return {50, Op::kAdd};
    case operator_code("-"):
      return {50, Op::kSubtract};
    case operator_code("*"):
      return {60, Op::kMultiply};
    case operator_code("/"):
      return {60, Op::kDivide};
    case operator_code("%"):
      return {60, Op::kModulo};
    case operator_code("="):
      return {40, Op::kEqual};
    case operator_code("<"):
      return {40, Op::kLess};
    case operator_code(">"):
      return {40, Op::kGreater};
    case operator_code("^"):
      return {40, Op::kOrder};
    case operator_code(":="):
      return {10, Op::kAssign};
    case operator_code("!="):
      return {40, Op::kNotEqual};
    case operator_code("<="):
      return {40, Op::kLessEqual};
    case operator_code(">="):
      return {40, Op::kGreaterEqual};
    case operator_code("~>"):
      return {40, Op::kApply};
    case operator_code("?:"):
      return {40, Op::kDefault};
    case operator_code("??"):
      return {40, Op::kCoalesce};
    case operator_code("and"):
      return {30, Op::kAnd};
    case operator_code("or"):
      return {25, Op::kOr};
    case operator_code("in"):
      return {40, Op::kIn};
    case operator_code("&"):
      return {50, Op::kConcat};
    default:
      return {};
  }
}

class Parser {
 public:
  Parser(NodePool& pool, std::string_view text, bool extended) : pool_(pool), lexer_(pool, text, extended) {}

  Node* run() {
    advance(false);
    Node* node = expression(0);
    if (token_.type != TokenType::kEnd)
      throw Failure{.code = "S0201", .position = token_.position, .token = std::string(token_.text)};
    return node;
  }

 private:
  void advance(bool infix) {
    token_ = lexer_.next(infix);
    if (is("!") || is("~"))
      throw Failure{.code = "S0204", .position = token_.position, .token = std::string(token_.text)};
  }
  bool is(std::string_view op) const {
    return token_.type == TokenType::kOperator && token_.code == operator_code(op);
  }
  bool accept(std::string_view op, bool infix = false) {
    if (!is(op)) return false;
    advance(infix);
    return true;
  }
  void expect(std::string_view op, bool infix = false) {
    if (is(op)) return advance(infix);
    throw Failure{.code = token_.type == TokenType::kEnd ? "S0203" : "S0202",
                  .position = token_.position,
                  .token = std::string(token_.text),
                  .value = std::string(op)};
  }

  Node* make(NodeType type, const Token& token, Op op = Op::kNone) {
    Node* node = pool_.make(type, token.position);
    node->op = op;
    node->text = token.text;
    // A string may turn out to be a step.
    if (type == NodeType::kName || type == NodeType::kString) node->key = json::Key(token.text);
    return node;
  }
  // Every node is finished through here: its height bounds all later recursion.
  Node* finish(Node* node) {
    std::uint32_t below = 0;
    const auto count = [&](const Node* child) {
      if (child) below = std::max(below, child->height);
    };
    for (const Node* child : {node->lhs, node->rhs, node->third}) count(child);
    for (const Node* child : node->items) count(child);
    for (const auto [key, value] : node->pairs) {
      count(key);
      count(value);
    }
    for (const Term& term : node->terms) count(term.expression);
    node->height = below + 1;
    if (node->height > kNestingMax) too_deep(node->position);
    return node;
  }
  [[noreturn]] static void too_deep(std::uint32_t position) {
    throw Failure{.code = "D1011", .position = position, .message = "The expression is nested too deeply"};
  }

  Node* expression(int power) {
    if (++depth_ > kNestingMax) too_deep(token_.position);
    const Token first = token_;
    advance(true);
    Node* left = prefix(first);
    for (OperatorRow row = row_of(token_); row.power > power; row = row_of(token_)) {
      const Token token = token_;
      advance(false);
      left = finish(infix(left, token, row.op, row.power));
    }
    --depth_;
    return left;
  }

  Node* prefix(const Token& token) {
    switch (token.type) {
      case TokenType::kEnd:
        return make(NodeType::kEnd, token);  // Whoever expects more complains first; else the second pass.
      case TokenType::kString:
        return make(NodeType::kString, token);
      case TokenType::kNumber:
      case TokenType::kValue: {
        Node* node = make(token.type == TokenType::kNumber ? NodeType::kNumber : NodeType::kValue, token);
        node->number = token.number;
        return node;
      }
      case TokenType::kName:
        return make(NodeType::kName, token);
      case TokenType::kVariable: {
        Node* node = make(NodeType::kVariable, token);
        node->symbol = pool_.symbol(token.text);
        return node;
      }
      case TokenType::kRegex: {
        Node* node = make(NodeType::kRegex, token);
        pool_.regexes.push_back(Regex::compile(std::string(token.text), token.flags, token.position));
        node->regex = pool_.regexes.back().get();
        return node;
      }
      case TokenType::kOperator:
        break;
    }
    return finish(prefix_operator(token));
  }

  Node* prefix_operator(const Token& token) {
    const std::string_view op = token.text;
    if (op == "and" || op == "or" || op == "in") return make(NodeType::kName, token);
    if (op == "*") return make(NodeType::kWildcard, token);
    if (op == "**") return make(NodeType::kDescendant, token);
    if (op == "%") return make(NodeType::kParent, token);
    if (op == "-") {
      Node* node = make(NodeType::kUnaryMinus, token);
      node->lhs = expression(70);
      return node;
    }
    if (op == "(") return block(token);
    if (op == "[") return array(token);
    if (op == "{") {
      Node* node = make(NodeType::kObject, token);
      pairs(node);
      return node;
    }
    if (op == "|") return transform(token);
    throw Failure{.code = "S0211", .position = token.position, .token = std::string(token.text)};
  }

  Node* block(const Token& token) {
    Node* node = make(NodeType::kBlock, token);
    while (!is(")")) {
      node->items.push(pool_.memory, expression(0));
      if (!accept(";")) break;
    }
    expect(")", true);
    return node;
  }

  Node* array(const Token& token) {
    Node* node = make(NodeType::kArray, token);
    if (!is("]")) {
      do {
        Node* item = expression(0);
        if (is("..")) {
          Node* range = make(NodeType::kBinary, token_, Op::kRange);
          advance(false);
          range->lhs = item;
          range->rhs = expression(0);
          item = finish(range);
        }
        node->items.push(pool_.memory, item);
      } while (accept(","));
    }
    expect("]", true);
    return node;
  }

  void pairs(Node* node) {
    if (!is("}")) {
      do {
        Node* key = expression(0);
        expect(":");
        node->pairs.push(pool_.memory, {key, expression(0)});
      } while (accept(","));
    }
    expect("}", true);
  }

  Node* transform(const Token& token) {
    Node* node = make(NodeType::kTransform, token);
    node->lhs = expression(0);
    expect("|");
    node->rhs = expression(0);
    if (accept(",")) node->third = expression(0);
    expect("|");
    return node;
  }

  Node* infix(Node* left, const Token& token, Op op, int power) {
    if (op == Op::kCall) return call(left, token);
    if (op == Op::kCondition) return condition(left, token);
    if (op == Op::kDefault || op == Op::kCoalesce) {
      Node* node = make(op == Op::kDefault ? NodeType::kDefault : NodeType::kCoalesce, token);
      node->lhs = left;
      node->rhs = expression(0);
      return node;
    }
    if (op == Op::kFilter) return filter(left, token);
    Node* node = make(NodeType::kBinary, token, op);
    node->lhs = left;
    switch (op) {
      case Op::kGroup:
        pairs(node);
        break;
      case Op::kOrder:
        order(node);
        break;
      case Op::kAssign:
        if (left->type != NodeType::kVariable)
          throw Failure{.code = "S0212", .position = left->position, .token = std::string(left->text)};
        node->rhs = expression(power - 1);
        break;
      case Op::kFocus:
      case Op::kIndex:
        node->rhs = expression(power);
        if (node->rhs->type != NodeType::kVariable)
          throw Failure{.code = "S0214", .position = node->rhs->position, .token = std::string(token.text)};
        break;
      default:
        node->rhs = expression(power);
    }
    return node;
  }

  Node* condition(Node* left, const Token& token) {
    Node* node = make(NodeType::kCondition, token);
    node->lhs = left;
    node->rhs = expression(0);
    if (accept(":")) node->third = expression(0);
    return node;
  }

  Node* filter(Node* left, const Token& token) {
    if (is("]")) {
      Node* step = left;
      while (step->type == NodeType::kBinary && step->op == Op::kFilter) step = step->lhs;
      step->keep_array = true;
      advance(false);
      return left;
    }
    Node* node = make(NodeType::kBinary, token, Op::kFilter);
    node->lhs = left;
    node->rhs = expression(0);
    expect("]", true);
    return node;
  }

  void order(Node* node) {
    expect("(");
    do {
      Term term;
      if (!accept("<")) term.descending = accept(">");
      term.expression = expression(0);
      node->terms.push(pool_.memory, term);
    } while (accept(","));
    expect(")");
  }

  Node* call(Node* left, const Token& token) {
    Node* node = make(NodeType::kCall, token);
    node->lhs = left;
    if (!is(")")) {
      do {
        if (is("?")) {
          node->type = NodeType::kPartial;
          node->items.push(pool_.memory, make(NodeType::kPlaceholder, token_));
          advance(false);
        } else {
          node->items.push(pool_.memory, expression(0));
        }
      } while (accept(","));
    }
    expect(")", true);
    if (left->type == NodeType::kName && (left->text == "function" || left->text == "\u03BB")) lambda(node);
    return node;
  }

  void lambda(Node* node) {
    node->type = NodeType::kLambda;
    for (std::size_t i = 0; i < node->items.size(); ++i) {
      const Node* parameter = node->items[i];
      if (parameter->type != NodeType::kVariable) {
        throw Failure{.code = "S0208",
                      .position = parameter->position,
                      .token = std::string(parameter->text),
                      .value = std::to_string(i + 1)};
      }
      node->parameters.push(pool_.memory, parameter->symbol);
    }
    node->items.clear();
    if (is("<")) signature(node);
    expect("{");
    node->lhs = expression(0);
    expect("}");
  }

  void signature(Node* node) {
    const std::uint32_t start = token_.position;
    std::string text = "<";
    int depth = 1;
    while (depth > 0 && !is("{") && token_.type != TokenType::kEnd) {
      advance(false);
      if (is(">")) --depth;
      if (is("<")) ++depth;
      if (token_.type != TokenType::kEnd) text += token_.text;
    }
    expect(">");
    try {
      pool_.signatures.push_back(std::make_unique<const Signature>(Signature::parse(text)));
      node->signature = pool_.signatures.back().get();
    } catch (Failure& failure) {
      failure.position = start + failure.position;
      throw;
    }
  }

  NodePool& pool_;
  Lexer lexer_;
  Token token_;
  std::uint32_t depth_ = 0;
};

}  // namespace parsing

Node* parse_expression(NodePool& pool, std::string_view text, bool extended) {
  return parsing::Parser(pool, text, extended).run();
}

}  // namespace sortie::jsonata
