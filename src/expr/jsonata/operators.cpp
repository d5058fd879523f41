// Operators and the small rules of values that they share with functions.
#include <cmath>

#include "expr/jsonata/engine.h"
#include "expr/jsonata/utf.h"

namespace sortie::jsonata {

char letter_of(Val value) {
  switch (value.tag) {
    case Tag::kNull:
      return 'l';
    case Tag::kBool:
      return 'b';
    case Tag::kNumber:
      return 'n';
    case Tag::kString:
      return 's';
    case Tag::kArray:
    case Tag::kJsonArray:
      return 'a';
    case Tag::kObject:
    case Tag::kJsonObject:
      return 'o';
    case Tag::kFunction:
      return 'f';
    default:
      return 'm';
  }
}

bool Engine::boolean_of(Val value) {
  switch (value.tag) {
    case Tag::kArray:
    case Tag::kJsonArray: {
      const Items items(value);
      check_stack();
      work(items.size);
      if (items.size == 1) return boolean_of(items[0]);
      for (std::size_t i = 0; i < items.size; ++i) {
        if (boolean_of(items[i])) return true;
      }
      return false;
    }
    case Tag::kString:
      return value.size > 0;
    case Tag::kNumber:
      return is_numeric(value) && value.number != 0;
    case Tag::kObject:
    case Tag::kJsonObject:
      return member_count(value) > 0;
    case Tag::kBool:
      return value.boolean;
    default:
      return false;
  }
}

bool is_numeric(Val value) {
  if (!value.is_number() || std::isnan(value.number)) return false;
  if (std::isinf(value.number)) throw Failure{.code = "D1001", .value = describe(value)};
  return true;
}

bool Engine::equal(Val a, Val b) {
  if (a.is_array() && b.is_array()) {
    const Items x(a);
    const Items y(b);
    if (x.size != y.size) return false;
    check_stack();
    work(x.size + 1);
    for (std::size_t i = 0; i < x.size; ++i) {
      if (!equal(x[i], y[i])) return false;
    }
    return true;
  }
  if (!a.is_object() || !b.is_object()) return same_scalar(a, b);
  if (member_count(a) != member_count(b)) return false;
  check_stack();
  work(member_count(a) + 1);
  for (const Entry& entry : ordered_entries(a)) {
    if (!equal(entry.value, member(b, entry.key))) return false;
  }
  return true;
}

Val Engine::append(Val a, Val b) {
  if (a.undefined()) return b;
  if (b.undefined()) return a;
  Val single[] = {a, b};
  Arr one;
  one.items = single;
  one.size = one.capacity = 1;
  const Items more(b.is_array() ? b : Val::of_array(&one));
  if (!b.is_array()) one.items = single + 1;
  Arr head = a.tag == Tag::kArray ? *a.array : Arr();
  Arr* out = make_array();
  if (a.tag == Tag::kJsonArray) {
    const Items items(a);
    head.grow(arena_, items.size);
    for (std::size_t i = 0; i < items.size; ++i) head.push(arena_, items[i]);
  } else if (!a.is_array()) {
    head.push(arena_, a);
  }
  out->items = arena_.append_room(head, more.size);
  work((more.size + (out->items == head.items ? 0 : head.size)) / 16);
  for (std::size_t i = 0; i < more.size; ++i) out->items[head.size + i] = more[i];
  out->size = out->capacity = static_cast<std::uint32_t>(head.size + more.size);
  return Val::of_array(out);
}

Val Engine::lookup(Val input, std::string_view key) {
  if (!input.is_array()) return member(input, key);
  Arr* out = make_sequence();
  const Items items(input);
  work(items.size);
  check_stack();
  for (std::size_t i = 0; i < items.size; ++i) {
    const Val item = items[i];
    const Val found = item.is_array() ? lookup(item, key) : member(item, key);
    if (found.undefined()) continue;
    if (!found.is_array()) {
      out->push(arena_, found);
      continue;
    }
    const Items more(found);
    for (std::size_t k = 0; k < more.size; ++k) out->push(arena_, more[k]);
  }
  return Val::of_array(out);
}

Val Engine::eval_array(const Node& node, Val input, Frame* env) {
  Arr* out = make_array(node.items.size());
  for (const Node* item : node.items) {
    const Val value = eval(*item, input, env);
    if (value.undefined()) continue;
    if (item->type == NodeType::kArray || !value.is_array()) {
      out->push(arena_, value);
      continue;
    }
    const Items items(value);
    if (value.tag == Tag::kArray && out->size == 0) {
      // The items are shared until something is pushed: arrays do not change once they are values.
      out->items = value.array->items;
      out->first = value.array->first;
      out->size = out->capacity = value.array->size;
      continue;
    }
    if (out->size + items.size > out->capacity) out->grow(arena_, out->size + items.size);
    for (std::size_t i = 0; i < items.size; ++i) out->push(arena_, items[i]);
  }
  out->cons = node.cons_array;
  return Val::of_array(out);
}

namespace operators {

Failure failure(const char* code, const Node& node, Val value, Val value2 = {}) {
  return {.code = code,
          .position = node.position,
          .token = std::string(node.text),
          .value = describe(value),
          .value2 = describe(value2)};
}

// Whether a half of a surrogate pair ends the text and another may begin the next: append_joining's case.
bool joins(std::string_view text, Val next) {
  return next.is_string() && text.size() >= 3 && text[text.size() - 3] == '\xED' &&
         next.str().starts_with('\xED');
}

bool same_identity(Val a, Val b) {
  if (a.tag != b.tag) return false;
  if (a.is_array() || a.is_object() || a.is_function()) return a.array == b.array;
  return same_scalar(a, b);
}

bool is_in(Val value, Val list) {
  if (value.undefined() || list.undefined()) return false;
  if (!list.is_array()) return same_identity(value, list);
  const Items items(list);
  for (std::size_t i = 0; i < items.size; ++i) {
    if (same_identity(value, items[i])) return true;
  }
  return false;
}

}  // namespace operators

using operators::failure;

Val Engine::eval_binary(const Node& node, Val input, Frame* env) {
  const Val a = eval(*node.lhs, input, env);
  if (node.op == Op::kAnd) return Val::of_bool(truthy(a) && truthy(eval(*node.rhs, input, env)));
  if (node.op == Op::kOr) return Val::of_bool(truthy(a) || truthy(eval(*node.rhs, input, env)));
  const Val b = eval(*node.rhs, input, env);
  try {
    switch (node.op) {
      case Op::kEqual:
        return Val::of_bool(a.defined() && b.defined() && equal(a, b));
      case Op::kNotEqual:
        return Val::of_bool(a.defined() && b.defined() && !equal(a, b));
      case Op::kConcat: {
        if (a.undefined() && b.undefined()) return Val::of_text("");
        if (a.undefined() && b.is_string()) return b;
        if (b.undefined() && a.is_string()) return a;
        if (a.is_string() && !operators::joins(a.str(), b)) {
          return b.is_string() ? arena_.concat(a, b.str()) : arena_.concat(a, string_of(*this, b));
        }
        std::string text = a.defined() ? string_of(*this, a) : std::string();
        if (b.defined()) append_joining(text, string_of(*this, b));
        return make_text(text);
      }
      case Op::kIn:
        return Val::of_bool(operators::is_in(a, b));
      case Op::kRange:
        return range(node, a, b);
      case Op::kLess:
      case Op::kLessEqual:
      case Op::kGreater:
      case Op::kGreaterEqual:
        return comparison(node, a, b);
      default:
        return arithmetic(node, a, b);
    }
  } catch (Failure& error) {
    if (error.position == kNoPosition) error.position = node.position;
    if (error.token.empty()) error.token = node.text;
    throw;
  }
}

Val Engine::arithmetic(const Node& node, Val a, Val b) {
  if (a.defined() && !is_numeric(a)) throw failure("T2001", node, a);
  if (b.defined() && !is_numeric(b)) throw failure("T2002", node, b);
  if (a.undefined() || b.undefined()) return {};
  switch (node.op) {
    case Op::kAdd:
      return Val::of_number(a.number + b.number);
    case Op::kSubtract:
      return Val::of_number(a.number - b.number);
    case Op::kMultiply:
      return Val::of_number(a.number * b.number);
    case Op::kDivide:
      return Val::of_number(a.number / b.number);
    default:
      return Val::of_number(std::fmod(a.number, b.number));
  }
}

Val Engine::comparison(const Node& node, Val a, Val b) {
  const auto simple = [](Val v) { return v.is_string() || v.is_number(); };
  if ((a.defined() && !simple(a)) || (b.defined() && !simple(b)))
    throw failure("T2010", node, simple(a) ? b : a);
  if (a.undefined() || b.undefined()) return {};
  if (a.tag != b.tag) throw failure("T2009", node, a, b);
  bool less = false;
  bool equal = false;
  if (a.is_string()) {
    const int order = compare_utf16(a.str(), b.str());
    less = order < 0;
    equal = order == 0;
  } else {
    if (std::isnan(a.number) || std::isnan(b.number)) return Val::of_bool(false);
    less = a.number < b.number;
    equal = a.number == b.number;
  }
  switch (node.op) {
    case Op::kLess:
      return Val::of_bool(less);
    case Op::kLessEqual:
      return Val::of_bool(less || equal);
    case Op::kGreater:
      return Val::of_bool(!less && !equal);
    default:
      return Val::of_bool(!less);
  }
}

Val Engine::range(const Node& node, Val a, Val b) {
  const auto whole = [](Val v) {
    return v.is_number() && std::isfinite(v.number) && v.number == std::floor(v.number);
  };
  if (a.defined() && !whole(a)) throw failure("T2003", node, a);
  if (b.defined() && !whole(b)) throw failure("T2004", node, b);
  if (a.undefined() || b.undefined() || a.number > b.number) return {};
  const double size = b.number - a.number + 1;
  if (size > 1e7) throw failure("D2014", node, Val::of_number(size));
  Arr* out = make_sequence();
  out->first = a.number;
  out->size = out->capacity = static_cast<std::uint32_t>(size);
  return Val::of_array(out);
}

}  // namespace sortie::jsonata
