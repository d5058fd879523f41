#include "asl/lint/shape.h"

namespace sortie::asl::analysis {
namespace {

constexpr std::uint32_t kLiteralDepthMax = 12;

ShapePtr copy_with(const ShapePtr& shape, const std::string& name, ShapePtr member) {
  Shape out = *shape;
  if (out.kind != ShapeKind::kObject) {
    out.kind = ShapeKind::kObject;
    out.is_open = true;
    out.items.clear();
    out.element = nullptr;
  }
  out.members[name] = std::move(member);
  return seal(std::move(out));
}

}  // namespace

ShapePtr seal(Shape shape) {
  shape.size = 1;
  shape.all_sources = shape.sources;
  const auto add = [&shape](const ShapePtr& part) {
    if (!part) return;
    shape.size += part->size;
    shape.all_sources |= part->all_sources;
  };
  for (const auto& [name, member] : shape.members) add(member);
  for (const ShapePtr& item : shape.items) add(item);
  add(shape.element);
  if (shape.size <= kShapeSizeMax) return std::make_shared<const Shape>(std::move(shape));
  Shape unknown;
  unknown.sources = unknown.all_sources = shape.all_sources;
  unknown.maker = shape.maker;
  return std::make_shared<const Shape>(std::move(unknown));
}

ShapePtr unknown_shape(std::uint64_t sources) {
  Shape shape;
  shape.sources = sources;
  return seal(std::move(shape));
}

ShapePtr scalar_shape(std::uint64_t sources) {
  Shape shape;
  shape.kind = ShapeKind::kScalar;
  shape.sources = sources;
  return seal(std::move(shape));
}

ShapePtr empty_object() {
  Shape shape;
  shape.kind = ShapeKind::kObject;
  shape.is_open = false;
  return seal(std::move(shape));
}

ShapePtr array_of(ShapePtr element, std::uint64_t sources) {
  Shape shape;
  shape.kind = ShapeKind::kArray;
  shape.element = std::move(element);
  shape.sources = sources;
  return seal(std::move(shape));
}

ShapePtr closed_object(std::initializer_list<std::string_view> members) {
  Shape shape;
  shape.kind = ShapeKind::kObject;
  shape.is_open = false;
  for (const std::string_view name : members) shape.members.emplace(name, unknown_shape());
  return seal(std::move(shape));
}

ShapePtr shape_of(const json::Value& literal) {
  if (literal.depth() > kLiteralDepthMax) return unknown_shape();
  Shape shape;
  if (literal.is_object()) {
    shape.kind = ShapeKind::kObject;
    shape.is_open = false;
    for (const json::Member& member : literal.members()) {
      if (shape.members.size() > kShapeSizeMax) break;
      shape.members[member.key.to_std_string()] = shape_of(member.value);
    }
  } else if (literal.is_array()) {
    shape.kind = ShapeKind::kArray;
    shape.is_tuple = literal.size() <= kShapeSizeMax;
    if (shape.is_tuple) {
      for (const json::Value& item : literal.items()) shape.items.push_back(shape_of(item));
    }
  } else {
    shape.kind = ShapeKind::kScalar;
  }
  return seal(std::move(shape));
}

Found resolve(const ShapePtr& root, Steps steps) {
  ShapePtr at = root;
  bool is_certain = true;
  for (const jsonpath::ReferenceStep& step : steps) {
    if (at->kind == ShapeKind::kUnknown) return {.shape = unknown_shape(at->sources)};
    if (at->kind == ShapeKind::kScalar) {
      return {.shape = unknown_shape(), .miss = Miss::kScalar, .maker = at->maker};
    }
    if (const auto* index = std::get_if<std::uint32_t>(&step)) {
      if (at->kind != ShapeKind::kArray) return {.shape = unknown_shape(at->sources)};
      if (at->is_tuple && *index >= at->items.size()) {
        return {.shape = unknown_shape(), .miss = Miss::kAbsent, .maker = at->maker};
      }
      is_certain = is_certain && at->is_tuple;
      ShapePtr item = at->is_tuple ? at->items[*index] : at->element;
      at = item ? std::move(item) : unknown_shape(at->sources);
      continue;
    }
    if (at->kind == ShapeKind::kArray) {
      return {.shape = unknown_shape(), .miss = Miss::kArray, .maker = at->maker};
    }
    const auto member = at->members.find(std::get<std::string>(step));
    if (member == at->members.end()) {
      if (!at->is_open) return {.shape = unknown_shape(), .miss = Miss::kAbsent, .maker = at->maker};
      return {.shape = unknown_shape(at->sources)};
    }
    at = ShapePtr(member->second);
  }
  return {.shape = std::move(at), .is_certain = is_certain};
}

ShapePtr refine(const ShapePtr& root, Steps steps) {
  if (steps.empty()) return root;
  const auto* name = std::get_if<std::string>(&steps.front());
  if (name == nullptr || root->kind == ShapeKind::kScalar || root->kind == ShapeKind::kArray) return root;
  const auto member = root->members.find(*name);
  const bool is_known = root->kind == ShapeKind::kObject && member != root->members.end();
  if (is_known && steps.size() == 1) return root;
  const ShapePtr below = is_known ? member->second : unknown_shape(root->sources);
  return copy_with(root, *name, refine(below, steps.subspan(1)));
}

ShapePtr store(const ShapePtr& root, Steps steps, ShapePtr value) {
  if (steps.empty()) return value;
  const auto* name = std::get_if<std::string>(&steps.front());
  if (name == nullptr || root->kind == ShapeKind::kScalar || root->kind == ShapeKind::kArray) {
    return unknown_shape(root->all_sources | value->all_sources);
  }
  const auto member = root->members.find(*name);
  const ShapePtr below = member != root->members.end() ? member->second : unknown_shape(root->sources);
  return copy_with(root, *name, store(below, steps.subspan(1), std::move(value)));
}

bool same_shape(const ShapePtr& a, const ShapePtr& b) {
  if (a == b) return true;
  if (!a || !b || a->kind != b->kind || a->size != b->size || a->sources != b->sources ||
      a->maker != b->maker || a->is_open != b->is_open || a->is_tuple != b->is_tuple ||
      a->members.size() != b->members.size() || a->items.size() != b->items.size()) {
    return false;
  }
  for (auto left = a->members.begin(), right = b->members.begin(); left != a->members.end();
       ++left, ++right) {
    if (left->first != right->first || !same_shape(left->second, right->second)) return false;
  }
  for (std::size_t i = 0; i < a->items.size(); ++i) {
    if (!same_shape(a->items[i], b->items[i])) return false;
  }
  return same_shape(a->element, b->element);
}

}  // namespace sortie::asl::analysis
