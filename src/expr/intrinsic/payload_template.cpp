#include "expr/intrinsic/payload_template.h"

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/text.h"

namespace sortie::intrinsic {
namespace payload_detail {

constexpr std::string_view kSuffix = ".$";

// A place in the template: a literal, an expression, or a container with something to evaluate inside.
struct Piece {
  enum class Kind { kLiteral, kExpression, kObject, kArray };
  Kind kind = Kind::kLiteral;
  json::Value literal;
  std::optional<Expression> expression;
  std::string field;              // kExpression: the member's name with its suffix.
  std::vector<json::Value> keys;  // kObject: names without suffix, one for each child.
  std::vector<Piece> children;    // kObject, kArray
};

std::string escaped(std::string_view key) { return replace_all(replace_all(key, "~", "~0"), "/", "~1"); }

// The pointer of what is being looked at: appended to on the way in, cut back on the way out.
class Pointer {
 public:
  const std::string& text() const { return text_; }
  std::size_t enter(std::string_view key) {
    const std::size_t before = text_.size();
    text_ += '/';
    text_ += escaped(key);
    return before;
  }
  void leave(std::size_t before) { text_.resize(before); }

 private:
  std::string text_;
};

class Compiler {
 public:
  // Recursive; the caller has bounded the depth.
  Result<Piece> compile(const json::Value& value) {
    if (value.is_object()) return compile_object(value);
    if (value.is_array()) return compile_array(value);
    Piece piece;
    piece.literal = value;
    return piece;
  }

  std::vector<std::string> variables;

 private:
  Result<Piece> compile_object(const json::Value& object) {
    Piece piece;
    piece.kind = Piece::Kind::kObject;
    bool constant = true;
    std::unordered_set<std::string_view> names;
    for (const json::Member& member : object.members()) {
      std::string_view key = member.key.as_string();
      const bool evaluated = key.ends_with(kSuffix);
      auto child = evaluated ? compile_field(key, member.value) : compile_child(key, member.value);
      if (!child) return std::move(child).error();
      if (evaluated) key.remove_suffix(kSuffix.size());
      if (!names.insert(key).second) {
        return refused("The name '" + std::string(key) + "' occurs twice, with and without '.$'", "");
      }
      constant = constant && child->kind == Piece::Kind::kLiteral;
      piece.keys.push_back(evaluated ? json::Value(key) : member.key);
      piece.children.push_back(*std::move(child));
    }
    return constant ? literal(object) : std::move(piece);
  }

  Result<Piece> compile_array(const json::Value& array) {
    Piece piece;
    piece.kind = Piece::Kind::kArray;
    bool constant = true;
    for (std::size_t i = 0; i < array.size(); ++i) {
      SORTIE_TRY(Piece child, compile_child(std::to_string(i), array.items()[i]));
      constant = constant && child.kind == Piece::Kind::kLiteral;
      piece.children.push_back(std::move(child));
    }
    return constant ? literal(array) : std::move(piece);
  }

  Result<Piece> compile_child(std::string_view key, const json::Value& value) {
    const std::size_t before = pointer_.enter(key);
    auto piece = compile(value);
    if (piece) pointer_.leave(before);
    return piece;
  }

  Result<Piece> compile_field(std::string_view key, const json::Value& value) {
    const std::string message = "The value for the field '" + std::string(key) +
                                "' must be a valid JSONPath or a valid intrinsic function call";
    if (!value.is_string()) {
      return refused(message, "it is " + std::string(json::kind_name(value.kind())) + ", not a string");
    }
    auto expression = Expression::compile(value.as_string());
    if (!expression) {
      return refused(message, expression.error().message + " (" + expression.error().place + ")");
    }
    for (const std::string& name : expression->variable_names()) {
      if (std::find(variables.begin(), variables.end(), name) == variables.end()) variables.push_back(name);
    }
    Piece piece;
    piece.kind = Piece::Kind::kExpression;
    piece.expression = *std::move(expression);
    piece.field = key;
    return piece;
  }

  static Piece literal(const json::Value& value) {
    Piece piece;
    piece.literal = value;
    return piece;
  }

  Error refused(std::string message, std::string hint) const {
    return {std::string(kInvalidExpression), std::move(message), pointer_.text(), std::move(hint)};
  }

  Pointer pointer_;
};

class Evaluator {
 public:
  Evaluator(const Scope& scope, TemplateFailure* failure) : scope_(scope), failure_(failure) {}

  Result<json::Value> evaluate(const Piece& piece) {
    switch (piece.kind) {
      case Piece::Kind::kLiteral:
        return piece.literal;
      case Piece::Kind::kExpression:
        return evaluate_field(piece);
      case Piece::Kind::kArray:
        return evaluate_array(piece);
      case Piece::Kind::kObject:
        return evaluate_object(piece);
    }
    return json::Value();
  }

 private:
  Result<json::Value> evaluate_field(const Piece& piece) {
    auto value = piece.expression->evaluate(scope_);
    if (value) return value;
    if (failure_ != nullptr) *failure_ = {piece.field, piece.expression->text(), piece.expression->is_path()};
    return value;
  }

  Result<json::Value> evaluate_array(const Piece& piece) {
    std::vector<json::Value> items;
    items.reserve(piece.children.size());
    for (const Piece& child : piece.children) {
      auto value = evaluate(child);
      if (!value) return placed(std::move(value).error(), std::to_string(items.size()));
      items.push_back(*std::move(value));
    }
    return json::Value::array(std::move(items));
  }

  Result<json::Value> evaluate_object(const Piece& piece) {
    std::vector<json::Member> members;
    members.reserve(piece.children.size());
    for (std::size_t i = 0; i < piece.children.size(); ++i) {
      const Piece& child = piece.children[i];
      auto value = evaluate(child);
      if (!value) {
        return placed(std::move(value).error(),
                      child.expression ? std::string_view(child.field) : piece.keys[i].as_string());
      }
      members.push_back({piece.keys[i], *std::move(value)});
    }
    return json::Value::object(std::move(members));
  }

  // The pointer grows from its end while the error travels up; a place given by something else is dropped.
  Error placed(Error error, std::string_view key) {
    if (!pointing_) error.place.clear();
    pointing_ = true;
    error.place = "/" + escaped(key) + error.place;
    return error;
  }

  const Scope& scope_;
  TemplateFailure* failure_;
  bool pointing_ = false;
};

}  // namespace payload_detail

struct PayloadTemplate::Program {
  payload_detail::Piece root;
  std::vector<std::string> variables;
};

Result<PayloadTemplate> PayloadTemplate::compile(const json::Value& tree) {
  if (tree.depth() > kTemplateDepthMax) {
    return Error{std::string(kInvalidExpression),
                 "The template is nested more than " + std::to_string(kTemplateDepthMax) + " levels deep", "",
                 ""};
  }
  payload_detail::Compiler compiler;
  SORTIE_TRY(payload_detail::Piece root, compiler.compile(tree));
  auto program = std::make_shared<Program>();
  program->root = std::move(root);
  program->variables = std::move(compiler.variables);
  return PayloadTemplate(std::move(program));
}

bool PayloadTemplate::is_constant() const {
  return program_->root.kind == payload_detail::Piece::Kind::kLiteral;
}

std::span<const std::string> PayloadTemplate::variable_names() const { return program_->variables; }

Result<json::Value> PayloadTemplate::evaluate(const Scope& scope, TemplateFailure* failure) const {
  return payload_detail::Evaluator(scope, failure).evaluate(program_->root);
}

}  // namespace sortie::intrinsic
