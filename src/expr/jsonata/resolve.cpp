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
    const auto seeking = value->seeking;  // May be the same node.
    result->seeking.insert(result->seeking.end(), seeking.begin(), seeking.end());
    if (value->type == NodeType::kParent) result->seeking.push_back(value->slot);
  }

  void resolve_ancestry(Node* path) {
    Node* last = path->items.back();
    if (last->type == NodeType::kParent &&
        std::find(last->seeking.begin(), last->seeking.end(), last->slot) == last->seeking.end())
      last->seeking.push_back(last->slot);
    const auto slots = last->seeking;
    for (Slot* slot : slots) {
      std::ptrdiff_t index = static_cast<std::ptrdiff_t>(path->items.size()) - 2;
      while (slot->level > 0) {
        if (index < 0) {
          path->seeking.push_back(slot);
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
    if (node->keep_array) result->keep_array = true;
    return result;
  }

  // Wraps a step in a path of its own.
  Node* path_of(Node* step) {
    Node* path = pool_.make(NodeType::kPath, step->position);
    path->raw = false;
    path->height = step->height;
    path->items.push_back(step);
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
        result->group = std::make_unique<Group>();
        result->group->position = node->position;
        for (auto& [key, value] : node->pairs)
          result->group->pairs.emplace_back(process(key), process(value));
        return result;
      }
      case Op::kOrder: {
        Node* result = process(node->lhs);
        if (result->type != NodeType::kPath) result = path_of(result);
        Node* sort = pool_.make(NodeType::kSort, node->position);
        sort->raw = false;
        for (const Term& term : node->terms) {
          sort->terms.push_back({process(term.expression), term.descending});
          push_ancestry(sort, sort->terms.back().expression);
        }
        result->items.push_back(sort);
        resolve_ancestry(result);
        return result;
      }
      case Op::kAssign:
        node->type = NodeType::kBind;
        node->symbol = node->lhs->symbol;
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
    if (left->type == NodeType::kParent) path->seeking = {left->slot};
    Node* rest = process(node->rhs);
    if (rest->type == NodeType::kPath) {
      path->items.insert(path->items.end(), rest->items.begin(), rest->items.end());
    } else {
      if (!rest->predicates.empty()) {
        for (Node* predicate : rest->predicates) rest->stages.push_back({.filter = predicate});
        rest->predicates.clear();
        rest->has_stages = true;
      }
      path->items.push_back(rest);
    }
    for (Node* step : path->items) {
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
      step->stages.push_back({.filter = predicate});
      step->has_stages = true;
    } else {
      step->predicates.push_back(predicate);
    }
    return result;
  }

  Node* focus(Node* node) {
    Node* result = process(node->lhs);
    Node* step = last_step(result);
    if (step->has_stages || !step->predicates.empty())
      throw Failure{.code = "S0215", .position = node->position};
    if (step->type == NodeType::kSort) throw Failure{.code = "S0216", .position = node->position};
    if (node->keep_array) step->keep_array = true;
    step->focus = node->rhs->symbol;
    step->tuple = true;
    return result;
  }

  Node* index(Node* node) {
    Node* result = process(node->lhs);
    Node* step = last_step(result);
    if (result->type != NodeType::kPath) {
      result = path_of(result);
      if (!step->predicates.empty()) {
        for (Node* predicate : step->predicates) step->stages.push_back({.filter = predicate});
        step->predicates.clear();
        step->has_stages = true;
      }
    }
    if (step->has_stages) {
      step->stages.push_back({.index = node->rhs->symbol});
    } else {
      step->index = node->rhs->symbol;
    }
    step->tuple = true;
    return result;
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
        node->slot = &pool_.slots.emplace_back();
        node->slot->label = pool_.names.id("!" + std::to_string(parents_.size()));
        node->slot->index = static_cast<int>(parents_.size());
        parents_.push_back(node->slot);
        return node;
      case NodeType::kArray:
        process_items(node);
        return node;
      case NodeType::kBlock:
        process_items(node);
        for (const Node* part : node->items) {
          if (part->cons_array || (part->type == NodeType::kPath && part->items[0]->cons_array))
            node->cons_array = true;
          node->needs_frame = true;
        }
        return node;
      case NodeType::kObject:
        for (auto& [key, value] : node->pairs) {
          key = process(key);
          push_ancestry(node, key);
          value = process(value);
          push_ancestry(node, value);
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
    if (!node->predicates.empty() || node->group) return node;
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
};

}  // namespace resolving

Node* resolve(NodePool& pool, Node* raw) { return resolving::Resolver(pool).run(raw); }

}  // namespace sortie::jsonata
