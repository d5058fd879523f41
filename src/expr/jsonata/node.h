#pragma once
// The tree of a compiled expression. The parser makes raw nodes (parser.h), the second pass turns them into
// the shapes that the evaluator walks (resolve.h); both use the same struct, and all nodes of a program
// live in its NodePool. Afterwards nothing changes: programs are shared between threads.
//
//   kPath       items = steps                       kBinary   op, lhs, rhs
//   kUnaryMinus lhs                                 kArray    items
//   kObject     pairs (key, value)                  kSort     terms (a step)
//   kCall, kPartial   lhs = procedure, items = arguments (kPlaceholder for ?)
//   kLambda     parameters, signature, lhs = body   kCondition lhs ? rhs : third
//   kDefault, kCoalesce  lhs ?: rhs, lhs ?? rhs     kTransform lhs = pattern, rhs = update, third = delete
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "expr/jsonata/signature.h"

namespace sortie::jsonata {

class Regex;  // regex.h

enum class NodeType : std::uint8_t {
  kPath,
  kBinary,
  kUnaryMinus,
  kArray,
  kObject,
  kName,
  kString,
  kNumber,
  kValue,  // true, false, null
  kVariable,
  kRegex,
  kWildcard,
  kDescendant,
  kParent,
  kCall,
  kPartial,
  kPlaceholder,
  kLambda,
  kTailCall,  // A call in tail position of a lambda: gives a thunk.
  kCondition,
  kDefault,
  kCoalesce,
  kBlock,
  kBind,
  kApply,
  kTransform,
  kSort,
  kOperator,  // Raw only: and, or, in used as a name.
  kEnd,       // Raw only: end of the text.
};

enum class Op : std::uint8_t {
  kNone,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kModulo,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kConcat,
  kAnd,
  kOr,
  kIn,
  kRange,
  // Raw only; the second pass replaces them.
  kDot,
  kFilter,
  kGroup,
  kOrder,
  kAssign,
  kFocus,
  kIndex,
  kApply
};

inline constexpr std::int32_t kNoSymbol = -1;

// A use of % that looks for the step whose input is meant.
struct Slot {
  std::int32_t label = kNoSymbol;
  int level = 1;
  int index = 0;
};

struct Node;

struct Stage {
  Node* filter = nullptr;  // Or an index binding:
  std::int32_t index = kNoSymbol;
};

struct Term {
  Node* expression = nullptr;
  bool descending = false;
};

struct Group {
  std::vector<std::pair<Node*, Node*>> pairs;
  std::uint32_t position = 0;
};

struct Node {
  NodeType type = NodeType::kEnd;
  Op op = Op::kNone;
  std::uint32_t position = 0;  // Byte offset just behind the token.
  std::uint32_t height = 1;    // Levels below and including this one; bounds every recursion over the tree.
  std::string_view text;       // Name, string, variable, operator.
  double number = 0;           // kNumber; for kValue 0 false, 1 true, 2 null.
  std::int32_t symbol = kNoSymbol;
  Node* lhs = nullptr;
  Node* rhs = nullptr;
  Node* third = nullptr;
  std::vector<Node*> items;
  std::vector<std::pair<Node*, Node*>> pairs;
  std::vector<Stage> stages;
  std::vector<Node*> predicates;
  std::vector<Term> terms;
  std::vector<std::int32_t> parameters;
  std::unique_ptr<Group> group;
  std::unique_ptr<Signature> signature;
  std::shared_ptr<const Regex> regex;
  bool keep_array = false;
  bool keep_singleton_array = false;
  bool cons_array = false;
  bool tuple = false;
  bool has_stages = false;   // `stages` was made, maybe only to say that predicates are closed.
  bool needs_frame = false;  // A block that assigns.
  bool raw = true;           // Not through the second pass yet.
  std::int32_t focus = kNoSymbol;
  std::int32_t index = kNoSymbol;
  Slot* ancestor = nullptr;
  Slot* slot = nullptr;
  std::vector<Slot*> seeking;  // Slots that no step below this node resolved.
};

// Numbers for variable names, so that the evaluator compares integers.
class Names {
 public:
  std::int32_t id(std::string_view name) {
    const auto found = ids_.find(std::string(name));
    if (found != ids_.end()) return found->second;
    const auto id = static_cast<std::int32_t>(texts_.size());
    texts_.emplace_back(name);
    ids_.emplace(texts_.back(), id);
    return id;
  }
  std::size_t size() const { return texts_.size(); }
  const std::string& text(std::int32_t id) const { return texts_[static_cast<std::size_t>(id)]; }

 private:
  std::deque<std::string> texts_;
  std::unordered_map<std::string, std::int32_t> ids_;
};

struct NodePool {
  std::deque<Node> nodes;
  std::deque<Slot> slots;
  std::deque<std::string> texts;
  Names names;
  const Node* root = nullptr;

  Node* make(NodeType type, std::uint32_t position) {
    Node& node = nodes.emplace_back();
    node.type = type;
    node.position = position;
    return &node;
  }
};

}  // namespace sortie::jsonata
