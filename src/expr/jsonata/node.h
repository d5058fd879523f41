#pragma once
// The tree of a compiled expression. The parser makes raw nodes (parser.h), the second pass turns them into
// the shapes that the evaluator walks; both use the same struct. All nodes, lists and texts of a program lie
// in its NodePool, one block of memory for a usual expression: nothing in it has a destructor. Afterwards
// nothing changes: programs are shared between threads.
//
//   kPath       items = steps                       kBinary   op, lhs, rhs
//   kUnaryMinus lhs                                 kArray    items
//   kObject     pairs (key, value)                  kSort     terms (a step)
//   kCall, kPartial   lhs = procedure, items = arguments (kPlaceholder for ?)
//   kLambda     parameters, signature, lhs = body   kCondition lhs ? rhs : third
//   kDefault, kCoalesce  lhs ?: rhs, lhs ?? rhs     kTransform lhs = pattern, rhs = update, third = delete
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "expr/jsonata/jsonata.h"
#include "expr/jsonata/signature.h"

namespace sortie::jsonata {

class Regex;     // regex.h
struct Builtin;  // engine.h

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
  kApply,
  // In the parser's table only.
  kCall,
  kCondition,
  kDefault,
  kCoalesce,
};

inline constexpr std::int32_t kNoSymbol = -1;

// Memory of a program: handed out piece by piece, given back all at once.
class PoolMemory {
 public:
  PoolMemory() = default;
  PoolMemory(const PoolMemory&) = delete;
  PoolMemory& operator=(const PoolMemory&) = delete;

  void* allocate(std::size_t bytes) {
    bytes = (bytes + 7) & ~std::size_t{7};
    if (bytes > left_) grow(bytes);
    char* result = next_;
    next_ += bytes;
    left_ -= bytes;
    return result;
  }

 private:
  void grow(std::size_t bytes) {
    const std::size_t size = std::max(chunk_bytes_, bytes);
    chunks_.push_back(std::unique_ptr<char[]>(new char[size]));
    next_ = chunks_.back().get();
    left_ = size;
    chunk_bytes_ = std::min<std::size_t>(chunk_bytes_ * 2, 1 << 18);
  }

  alignas(8) char first_[6 * 1024];
  char* next_ = first_;
  std::size_t left_ = sizeof first_;
  std::size_t chunk_bytes_ = 16 * 1024;
  std::vector<std::unique_ptr<char[]>> chunks_;
};

// A growing array in PoolMemory; what it grows out of is not reused.
template <typename T>
class List {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  void push(PoolMemory& memory, T item) {
    if (size_ == capacity_) {
      capacity_ = capacity_ == 0 ? 2 : capacity_ * 2;
      T* wider = static_cast<T*>(memory.allocate(sizeof(T) * capacity_));
      std::uninitialized_copy_n(items_, size_, wider);
      items_ = wider;
    }
    new (items_ + size_++) T(item);
  }
  void append(PoolMemory& memory, const List& other) {
    const std::uint32_t count = other.size_;
    for (std::uint32_t i = 0; i < count; ++i) push(memory, T(other.items_[i]));
  }
  void clear() { size_ = 0; }
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t index) { return items_[index]; }
  const T& operator[](std::size_t index) const { return items_[index]; }
  T& front() { return items_[0]; }
  T& back() { return items_[size_ - 1]; }
  const T& back() const { return items_[size_ - 1]; }
  T* begin() { return items_; }
  T* end() { return items_ + size_; }
  const T* begin() const { return items_; }
  const T* end() const { return items_ + size_; }

 private:
  T* items_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
};

// A use of % that looks for the step whose input is meant.
struct Slot {
  std::int32_t label = kNoSymbol;
  int level = 1;
  int index = 0;
};

struct Node;

struct Pair {
  Node* key = nullptr;
  Node* value = nullptr;
};

struct Stage {
  Node* filter = nullptr;  // Or an index binding:
  std::int32_t index = kNoSymbol;
};

struct Term {
  Node* expression = nullptr;
  bool descending = false;
};

struct Group {
  List<Pair> pairs;
  std::uint32_t position = 0;
};

struct Node {
  NodeType type = NodeType::kEnd;
  Op op = Op::kNone;
  bool decorated = false;  // Has predicates, a group or keep_array: what eval() does beyond the bare node.
  bool keep_array = false;
  bool tuple = false;
  bool has_stages = false;  // `stages` was made, maybe only to say that predicates are closed.
  bool keep_singleton_array = false;
  bool cons_array = false;
  bool needs_frame = true;     // A block that assigns.
  bool raw = true;             // Not through the second pass yet.
  std::uint32_t position = 0;  // Byte offset just behind the token.
  std::uint32_t height = 1;    // Levels below and including this one; bounds every recursion over the tree.
  std::uint32_t examined = 0;  // kPath: so many steps went through the checks of `.`.
  std::int32_t symbol = kNoSymbol;
  std::int32_t focus = kNoSymbol;
  std::int32_t index = kNoSymbol;
  std::uint32_t place = 0;  // kName: its number among the names, see Engine::named_member.
  std::string_view text{};  // Name, string, variable, operator.
  json::Key key{};          // kName: the same, to be looked for.
  double number = 0;        // kNumber; for kValue 0 false, 1 true, 2 null.
  Node* lhs = nullptr;
  Node* rhs = nullptr;
  Node* third = nullptr;
  List<Node*> items;
  List<Pair> pairs;
  List<Stage> stages;
  List<Node*> predicates;
  List<Term> terms;
  List<std::int32_t> parameters;
  Group* group = nullptr;
  const Signature* signature = nullptr;
  const Regex* regex = nullptr;
  Slot* ancestor = nullptr;
  Slot* slot = nullptr;
  List<Slot*> seeking;  // Slots that no step below this node resolved.
};

// A variable's name as a number, so that the evaluator compares integers.
struct Symbol {
  std::string_view text;
  const Builtin* builtin = nullptr;  // The function of that name, if there is one.
  // Something in the program binds it. What nothing binds is an input's variable or a built-in function,
  // and is not looked for in scopes.
  bool bound = false;
};

class Names {
 public:
  std::int32_t id(PoolMemory& memory, std::string_view name, Mode mode);
  std::size_t size() const { return symbols_.size(); }
  Symbol& operator[](std::int32_t id) { return symbols_[static_cast<std::size_t>(id)]; }
  const Symbol& operator[](std::int32_t id) const { return symbols_[static_cast<std::size_t>(id)]; }
  std::int32_t find(std::string_view name) const;  // kNoSymbol where absent.

 private:
  void index();

  List<Symbol> symbols_;
  std::vector<std::int32_t> slots_;  // Open addressing, once there are many.
};

struct NodePool {
  std::string text;  // The expression; nodes refer to it.
  Mode mode = Mode::kAws;
  bool dynamic = false;  // $eval may bind anything anywhere.
  PoolMemory memory;
  Names names;
  std::vector<std::unique_ptr<const Signature>> signatures;
  std::vector<std::shared_ptr<const Regex>> regexes;
  const Node* root = nullptr;
  std::uint32_t places = 0;  // So many nodes are names.

  template <typename T>
  T* make() {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (memory.allocate(sizeof(T))) T();
  }
  Node* make(NodeType type, std::uint32_t position) {
    Node* node = make<Node>();
    node->type = type;
    node->position = position;
    node->place = type == NodeType::kName || type == NodeType::kString ? places++ : 0;
    return node;
  }
  std::string_view keep(std::string_view bytes) {
    char* copy = static_cast<char*>(memory.allocate(bytes.size()));
    if (!bytes.empty()) std::memcpy(copy, bytes.data(), bytes.size());
    return {copy, bytes.size()};
  }
  std::int32_t symbol(std::string_view name) { return names.id(memory, name, mode); }
};

}  // namespace sortie::jsonata
