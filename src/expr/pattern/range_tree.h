#pragma once
// Which of many closed ranges of numbers hold a number: a persistent tree ordered by the lower ends, where
// each node knows the highest upper end below it. Balanced by a priority made from the range itself, so its
// shape does not depend on the order of insertion. Copying is free, as with PersistentMap.
#include <cstdint>
#include <limits>

#include "expr/pattern/persistent_map.h"

namespace sortie::pattern {

struct NumberRange {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  auto operator<=>(const NumberRange&) const = default;
};

class RangeTree {
 public:
  // A range is there once; `id` is what visit() is given.
  void insert(const NumberRange& range, std::uint32_t id) { insert_below(root_, range, id); }
  void erase(const NumberRange& range) { erase_below(root_, range); }
  bool empty() const { return !root_; }

  template <typename Visit>
  void visit(double number, const Visit& found) const {
    visit_below(root_.get(), number, found);
  }

 private:
  struct Node : Counted {
    NumberRange range;
    double highest = 0;
    std::uint64_t priority = 0;
    std::uint32_t id = 0;
    Ref<Node> left;
    Ref<Node> right;

    void settle() {
      highest = range.high;
      if (left && left->highest > highest) highest = left->highest;
      if (right && right->highest > highest) highest = right->highest;
    }
  };

  static std::uint64_t priority_of(const NumberRange& range) {
    std::uint64_t low;
    std::uint64_t high;
    std::memcpy(&low, &range.low, sizeof low);
    std::memcpy(&high, &range.high, sizeof high);
    return mix_bits(low + mix_bits(high));
  }

  // Brings the child up into the place of `node`, which becomes the child's other child.
  static void lift_left(Ref<Node>& node) {
    Ref<Node> child = std::move(node.own().left);
    node->left = std::move(child.own().right);
    node->settle();
    child->right = std::move(node);
    child->settle();
    node = std::move(child);
  }
  static void lift_right(Ref<Node>& node) {
    Ref<Node> child = std::move(node.own().right);
    node->right = std::move(child.own().left);
    node->settle();
    child->left = std::move(node);
    child->settle();
    node = std::move(child);
  }

  static void insert_below(Ref<Node>& node, const NumberRange& range, std::uint32_t id) {
    if (!node) {
      node = Ref<Node>(new Node);
      node->range = range;
      node->id = id;
      node->priority = priority_of(range);
      node->settle();
      return;
    }
    Node& own = node.own();
    const bool left = range < own.range;
    insert_below(left ? own.left : own.right, range, id);
    own.settle();
    if (left && own.left->priority > own.priority) {
      lift_left(node);
    } else if (!left && own.right->priority > own.priority) {
      lift_right(node);
    }
  }

  static void erase_below(Ref<Node>& node, const NumberRange& range) {
    if (!node) return;
    Node& own = node.own();
    if (range == own.range) {
      if (!own.left || !own.right) {
        Ref<Node> rest = own.left ? std::move(own.left) : std::move(own.right);
        node = std::move(rest);
        return;
      }
      if (own.left->priority > own.right->priority) {
        lift_left(node);
        erase_below(node->right, range);
      } else {
        lift_right(node);
        erase_below(node->left, range);
      }
    } else {
      erase_below(range < own.range ? own.left : own.right, range);
    }
    node->settle();
  }

  template <typename Visit>
  static void visit_below(const Node* node, double number, const Visit& found) {
    while (node != nullptr && node->highest >= number) {
      visit_below(node->left.get(), number, found);
      if (node->range.low > number) return;
      if (node->range.high >= number) found(node->id);
      node = node->right.get();
    }
  }

  Ref<Node> root_;
};

}  // namespace sortie::pattern
