// The second pass. A use of % gets a slot, which travels up the tree in Node::seeking until a path has the
// step whose input it means; that step then carries tuples, and the slot's label names the input in them.
#include <algorithm>

#include "expr/jsonata/failure.h"
#include "expr/jsonata/parser.h"

namespace sortie::jsonata {
namespace resolving {

class Resolver {
 public:
  explicit Resolver(NodePool& pool) : pool_(pool) {}

  Node* run(Node* raw) {
    Node* node = process(raw);
    if (node->type == NodeType::kParent || !node->seeking.empty())
      throw Failure{.code = "S0217", .position = node->position, .token = "parent"};
    return node;
  }

 private:
  void bind(std::int32_t symbol) { pool_.names[symbol].bound = true; }

  Slot* seek(Node* node, Slot* slot) {
    switch (node->type) {
      case NodeType::kName:
      case NodeType::kWildcard:
        if (--slot->level == 0) {
          if (node->ancestor) parents_[static_cast<std::size_t>(slot->index)]->label = node->ancestor->label;
          node->ancestor = slot;
          node->tuple = true;
        }
        return slot;
      case NodeType::kParent:
        ++slot->level;
        return slot;
      case NodeType::kBlock:
        if (node->items.empty()) return slot;
        node->tuple = true;
        return seek(node->items.back(), slot);
      case NodeType::kPath: {
        node->tuple = true;
        std::size_t index = node->items.size();
        slot = seek(node->items[--index], slot);
        while (slot->level > 0 && index > 0) slot = seek(node->items[--index], slot);
        return slot;
      }
      default:
        throw Failure{.code = "S0217", .position = node->position, .token = std::string(node->text)};
    }
  }

  void push_ancestry(Node* result, const Node* value) {
    if (!value) return;
    const List<Slot*> seeking = value->seeking;  // May be the same node.
    result->seeking.append(pool_.memory, seeking);
    if (value->type == NodeType::kParent) result->seeking.push(pool_.memory, value->slot);
  }

  void resolve_ancestry(Node* path) {
    Node* last = path->items.back();
    if (last->type == NodeType::kParent &&
        std::find(last->seeking.begin(), last->seeking.end(), last->slot) == last->seeking.end())
      last->seeking.push(pool_.memory, last->slot);
    if (last->seeking.empty()) return;
    const List<Slot*> slots = last->seeking;
    for (Slot* slot : slots) {
      std::ptrdiff_t index = static_cast<std::ptrdiff_t>(path->items.size()) - 2;
      while (slot->level > 0) {
        if (index < 0) {
          path->seeking.push(pool_.memory, slot);
          break;
        }
        Node* step = path->items[static_cast<std::size_t>(index--)];
        // Contiguous steps that bind the focus have one input.
        while (index >= 0 && step->focus != kNoSymbol &&
               path->items[static_cast<std::size_t>(index)]->focus != kNoSymbol)
          step = path->items[static_cast<std::size_t>(index--)];
        slot = seek(step, slot);
      }
    }
  }

  Node* process(Node* node) {
    if (!node || !node->raw) return node;
    node->raw = false;
    Node* result = node->type == NodeType::kBinary ? process_binary(node) : process_other(node);
    if (node->keep_array) node->decorated = result->keep_array = result->decorated = true;
    return result;
  }

  // Wraps a step in a path of its own.
  Node* path_of(Node* step) {
    Node* path = pool_.make(NodeType::kPath, step->position);
    path->raw = false;
    path->height = step->height;
    path->items.push(pool_.memory, step);
    return path;
  }

  static Node* last_step(Node* node) { return node->type == NodeType::kPath ? node->items.back() : node; }

  Node* process_binary(Node* node) {
    switch (node->op) {
      case Op::kDot:
        return dot(node);
      case Op::kFilter:
        return filter(node);
      case Op::kGroup: {
        Node* result = process(node->lhs);
        if (result->group) throw Failure{.code = "S0210", .position = node->position};
        result->group = pool_.make<Group>();
        result->decorated = true;
        result->group->position = node->position;
        for (const auto [key, value] : node->pairs) {
          Node* const first = process(key);
          result->group->pairs.push(pool_.memory, {first, process(value)});
        }
        return result;
      }
      case Op::kOrder: {
        Node* result = process(node->lhs);
        if (result->type != NodeType::kPath) result = path_of(result);
        Node* sort = pool_.make(NodeType::kSort, node->position);
        sort->raw = false;
        for (const Term& term : node->terms) {
          sort->terms.push(pool_.memory, {process(term.expression), term.descending});
          push_ancestry(sort, sort->terms.back().expression);
        }
        result->items.push(pool_.memory, sort);
        resolve_ancestry(result);
        return result;
      }
      case Op::kAssign:
        node->type = NodeType::kBind;
        node->symbol = node->lhs->symbol;
        bind(node->symbol);
        ++assignments_;
        node->rhs = process(node->rhs);
        push_ancestry(node, node->rhs);
        return node;
      case Op::kFocus:
        return focus(node);
      case Op::kIndex:
        return index(node);
      case Op::kApply:
        node->type = NodeType::kApply;
        node->lhs = process(node->lhs);
        node->rhs = process(node->rhs);
        node->keep_array = node->lhs->keep_array || node->rhs->keep_array;
        node->decorated = node->decorated || node->keep_array;
        return node;
      default:
        node->lhs = process(node->lhs);
        node->rhs = process(node->rhs);
        push_ancestry(node, node->lhs);
        push_ancestry(node, node->rhs);
        return node;
    }
  }

  Node* dot(Node* node) {
    Node* left = process(node->lhs);
    Node* path = left->type == NodeType::kPath ? left : path_of(left);
    if (left->type == NodeType::kParent) {
      path->seeking.clear();
      path->seeking.push(pool_.memory, left->slot);
    }
    if (node->rhs->raw && node->rhs->type == NodeType::kName) {
      // The usual step. As a path of its own it would be taken apart again at once.
      node->rhs->raw = false;
      if (node->rhs->keep_array) node->rhs->decorated = true;
      path->items.push(pool_.memory, node->rhs);
    } else {
      add_steps(path, process(node->rhs));
    }
    for (; path->examined < path->items.size(); ++path->examined) {
      Node* step = path->items[path->examined];
      if (step->type == NodeType::kNumber || step->type == NodeType::kValue)
        throw Failure{.code = "S0213", .position = step->position, .token = std::string(step->text)};
      if (step->type == NodeType::kString) step->type = NodeType::kName;
      if (step->keep_array) path->keep_singleton_array = true;
    }
    for (Node* step : {path->items.front(), path->items.back()})
      if (step->type == NodeType::kArray) step->cons_array = true;
    resolve_ancestry(path);
    return path;
  }

  void add_steps(Node* path, Node* rest) {
    if (rest->type == NodeType::kPath) {
      path->items.append(pool_.memory, rest->items);
      return;
    }
    if (!rest->predicates.empty()) {
      for (Node* predicate : rest->predicates) rest->stages.push(pool_.memory, {.filter = predicate});
      rest->predicates.clear();
      rest->has_stages = true;
    }
    path->items.push(pool_.memory, rest);
  }

  Node* filter(Node* node) {
    Node* result = process(node->lhs);
    Node* step = last_step(result);
    if (step->group) throw Failure{.code = "S0209", .position = node->position};
    Node* predicate = process(node->rhs);
    if (!predicate->seeking.empty()) {
      for (Slot* slot : predicate->seeking) {
        if (slot->level == 1) {
          seek(step, slot);
        } else {
          --slot->level;
        }
      }
      push_ancestry(step, predicate);
    }
    if (result->type == NodeType::kPath) {
      step->stages.push(pool_.memory, {.filter = predicate});
      step->has_stages = true;
    } else {
      step->predicates.push(pool_.memory, predicate);
      step->decorated = true;
    }
    return result;
  }

  Node* focus(Node* node) {
    Node* result = process(node->lhs);
    Node* step = last_step(result);
    if (step->has_stages || !step->predicates.empty())
      throw Failure{.code = "S0215", .position = node->position};
    if (step->type == NodeType::kSort) throw Failure{.code = "S0216", .position = node->position};
    if (node->keep_array) {
      step->keep_array = step->decorated = true;
      result->examined = 0;
    }
    step->focus = node->rhs->symbol;
    bind(step->focus);
    step->tuple = true;
    return result;
  }

  Node* index(Node* node) {
    Node* result = process(node->lhs);
    Node* step = last_step(result);
    if (result->type != NodeType::kPath) {
      result = path_of(result);
      if (!step->predicates.empty()) {
        for (Node* predicate : step->predicates) step->stages.push(pool_.memory, {.filter = predicate});
        step->predicates.clear();
        step->has_stages = true;
      }
    }
    if (step->has_stages) {
      step->stages.push(pool_.memory, {.index = node->rhs->symbol});
    } else {
      step->index = node->rhs->symbol;
    }
    bind(node->rhs->symbol);
    step->tuple = true;
    return result;
  }

  Node* block(Node* node) {
    const std::uint32_t before = assignments_;
    process_items(node);
    node->needs_frame = assignments_ != before || pool_.dynamic;
    for (const Node* part : node->items) {
      if (part->cons_array || (part->type == NodeType::kPath && part->items[0]->cons_array))
        node->cons_array = true;
    }
    return node;
  }

  Node* process_other(Node* node) {
    switch (node->type) {
      case NodeType::kName: {
        Node* path = path_of(node);
        path->keep_singleton_array = node->keep_array;
        return path;
      }
      case NodeType::kEnd:
        throw Failure{.code = "S0207", .position = node->position, .token = "(end)"};
      case NodeType::kParent:
        node->slot = pool_.make<Slot>();
        node->slot->label = pool_.symbol(pool_.keep("!" + std::to_string(parents_.size())));
        bind(node->slot->label);
        node->slot->index = static_cast<int>(parents_.size());
        parents_.push_back(node->slot);
        return node;
      case NodeType::kArray:
        process_items(node);
        return node;
      case NodeType::kBlock:
        return block(node);
      case NodeType::kObject:
        for (Pair& pair : node->pairs) {
          pair.key = process(pair.key);
          push_ancestry(node, pair.key);
          pair.value = process(pair.value);
          push_ancestry(node, pair.value);
        }
        return node;
      case NodeType::kUnaryMinus:
        node->lhs = process(node->lhs);
        if (node->lhs->type == NodeType::kNumber) {
          node->lhs->number = -node->lhs->number;
          return node->lhs;
        }
        push_ancestry(node, node->lhs);
        return node;
      case NodeType::kCall:
      case NodeType::kPartial:
        process_items(node);
        node->lhs = process(node->lhs);
        return node;
      case NodeType::kLambda:
        for (const std::int32_t parameter : node->parameters) bind(parameter);
        node->lhs = tail_call(process(node->lhs));
        return node;
      case NodeType::kCondition:
      case NodeType::kDefault:
      case NodeType::kCoalesce:
        for (Node** part : {&node->lhs, &node->rhs, &node->third}) {
          *part = process(*part);
          push_ancestry(node, *part);
        }
        return node;
      case NodeType::kTransform:
        node->lhs = process(node->lhs);
        node->rhs = process(node->rhs);
        node->third = process(node->third);
        return node;
      default:
        return node;
    }
  }

  void process_items(Node* node) {
    for (Node*& item : node->items) {
      item = process(item);
      push_ancestry(node, item);
    }
  }

  // Calls in tail position become thunks, which the caller of the lambda unpacks: recursion without depth.
  Node* tail_call(Node* node) {
    // A group behind a call is lost, as it is in the reference.
    if (!node->predicates.empty() || (node->group && node->type != NodeType::kCall)) return node;
    if (node->type == NodeType::kCall) {
      Node* thunk = pool_.make(NodeType::kTailCall, node->position);
      thunk->raw = false;
      thunk->lhs = node;
      return thunk;
    }
    if (node->type == NodeType::kCondition) {
      node->rhs = tail_call(node->rhs);
      if (node->third) node->third = tail_call(node->third);
    } else if (node->type == NodeType::kBlock && !node->items.empty()) {
      node->items.back() = tail_call(node->items.back());
    }
    return node;
  }

  NodePool& pool_;
  std::vector<Slot*> parents_;
  std::uint32_t assignments_ = 0;  // Seen so far.
};

}  // namespace resolving

Node* resolve(NodePool& pool, Node* raw) {
  const std::int32_t eval = pool.names.find("eval");
  pool.dynamic = pool.dynamic || (eval != kNoSymbol && pool.names[eval].builtin != nullptr);
  return resolving::Resolver(pool).run(raw);
}

}  // namespace sortie::jsonata
