#include "json/value.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>
#include <new>
#include <unordered_map>
#include <utility>

namespace sortie::json {
namespace {

constexpr std::size_t kIndexedMembersMin = 17;  // Below it a linear scan wins.
constexpr std::uint32_t kNoSlot = UINT32_MAX;

constexpr std::size_t kSlotsMin = 64;

std::size_t hash_of(std::string_view text) { return std::hash<std::string_view>{}(text); }

}  // namespace

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return "boolean";
    case Kind::kInteger:
    case Kind::kDouble:
    case Kind::kBigInteger:
      return "number";
    case Kind::kString:
      return "string";
    case Kind::kArray:
      return "array";
    case Kind::kObject:
      return "object";
  }
  return "";
}

Value::Value(std::uint64_t value) {
  if (value <= static_cast<std::uint64_t>(INT64_MAX)) {
    const auto number = static_cast<std::int64_t>(value);
    std::memcpy(bytes_, &number, sizeof number);
    set_tag(Tag::kInteger);
  } else {
    set_tag(Tag::kNull);
    *this = make_text(std::to_string(value), Tag::kBigInteger);
  }
}

Value::Value(std::string_view text) {
  if (text.size() <= kInlineTextMax) {
    set_inline_text(text);
  } else {
    set_tag(Tag::kNull);
    *this = make_text(text, Tag::kString);
  }
}

Value::Block* Value::make_block(std::size_t size, std::size_t bytes) {
  Block* const made = new (::operator new(sizeof(Block) + bytes)) Block;
  made->size = size;
  return made;
}

Value Value::make_text(std::string_view text, Tag tag) {
  Block* const made = make_block(text.size(), text.size());
  std::memcpy(made->content<char>(), text.data(), text.size());
  Value value;
  value.set_block(made, tag);
  return value;
}

Value Value::big_integer(std::string_view digits) {
  std::int64_t small = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), small);
  if (error == std::errc() && end == digits.data() + digits.size()) return Value(small);
  return make_text(digits, Tag::kBigInteger);
}

bool Value::same_key(const Value& a, const Value& b) noexcept {
  if (std::memcmp(a.bytes_, b.bytes_, sizeof a.bytes_) == 0) return true;
  return a.tag() == Tag::kString && b.tag() == Tag::kString && a.block()->text() == b.block()->text();
}

std::size_t Value::slots_of(std::size_t members) noexcept {
  if (members < kIndexedMembersMin) return 0;
  std::size_t slots = kSlotsMin;
  while (slots < members * 2) slots *= 2;
  return slots;
}

// Open addressing into the members.
void Value::build_slots(Block* object) noexcept {
  const Member* const members = object->content<Member>();
  const std::size_t count = slots_of(object->size);
  auto* const slots = reinterpret_cast<std::uint32_t*>(object->content<Member>() + object->size);
  std::fill(slots, slots + count, kNoSlot);
  for (std::size_t i = 0; count != 0 && i < object->size; ++i) {
    std::size_t slot = hash_of(members[i].key.as_string()) & (count - 1);
    while (slots[slot] != kNoSlot) slot = (slot + 1) & (count - 1);
    slots[slot] = static_cast<std::uint32_t>(i);
  }
}

const Value* Value::find_member(Block* object, const Key& key) noexcept {
  const Member* const members = object->content<Member>();
  const Member* const end = members + object->size;
  if (object->size < kIndexedMembersMin) {
    for (const Member* at = members; at != end; ++at) {
      if (at->key.is(key)) return &at->value;
    }
    return nullptr;
  }
  const std::size_t mask = slots_of(object->size) - 1;
  const auto* const slots = reinterpret_cast<const std::uint32_t*>(end);
  for (std::size_t slot = hash_of(key.text()) & mask; slots[slot] != kNoSlot; slot = (slot + 1) & mask) {
    if (members[slots[slot]].key.is(key)) return &members[slots[slot]].value;
  }
  return nullptr;
}

bool Value::repeats_a_key(Block* object) noexcept {
  const Member* const members = object->content<Member>();
  for (std::size_t i = 1; i < object->size; ++i) {
    if (object->size >= kIndexedMembersMin) {
      if (find_member(object, Key(members[i].key.as_string())) != &members[i].value) return true;
      continue;
    }
    for (std::size_t before = 0; before < i; ++before) {
      if (same_key(members[before].key, members[i].key)) return true;
    }
  }
  return false;
}

Value Value::settle_object(Value object) {
  build_slots(object.block());
  if (!repeats_a_key(object.block())) return object;
  // That is rare: it is found first, and only then a list without repetitions is made.
  std::vector<Member> unique;
  std::unordered_map<std::string_view, std::size_t> first;
  unique.reserve(object.size());
  for (const Member& member : object.members()) {
    const auto [known, is_new] = first.try_emplace(member.key.as_string(), unique.size());
    if (is_new) {
      unique.push_back(member);
    } else {
      unique[known->second].value = member.value;
    }
  }
  return take_object(unique);
}

Value Value::object(std::initializer_list<Member> members) { return object(std::vector<Member>(members)); }

// Walks with a list of its own instead of recursing: a hostile payload may be nested as deep as it is long.
void Value::destroy(Block* first, Tag first_tag) noexcept {
  if (first_tag < Tag::kArray) return ::operator delete(first);
  std::vector<std::pair<Block*, Tag>> dead;
  const auto bury = [&dead](Value& value) {
    if (!value.has_block() || !value.block()->let_go()) return;
    if (value.tag() < Tag::kArray) {
      ::operator delete(value.block());
    } else {
      dead.emplace_back(value.block(), value.tag());
    }
  };
  const auto open = [&bury](Block* block, Tag tag) {
    // Keys and values of an object stand one behind the other.
    Value* const content = block->content<Value>();
    const std::size_t count = tag == Tag::kObject ? block->size * 2 : block->size;
    for (std::size_t i = 0; i < count; ++i) bury(content[i]);
    ::operator delete(block);
  };
  open(first, first_tag);
  while (!dead.empty()) {
    const auto [next, next_tag] = dead.back();
    dead.pop_back();
    open(next, next_tag);
  }
}

double Value::round_big() const {
  SORTIE_CHECK(tag() == Tag::kBigInteger);
  const std::string_view digits = block()->text();
  // What is too large for a double stays finite: it is still larger than all others.
  double number =
      digits.starts_with('-') ? std::numeric_limits<double>::lowest() : std::numeric_limits<double>::max();
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

namespace {
const Value kNullValue;
}

const Value& Value::get(std::string_view key) const {
  const Value* found = find(key);
  return found != nullptr ? *found : kNullValue;
}

const Value& Value::operator[](std::size_t index) const {
  const std::span<const Value> list = items();
  return index < list.size() ? list[index] : kNullValue;
}

namespace {

bool equal_numbers(const Value& a, const Value& b) {
  if (a.kind() == Kind::kInteger && b.kind() == Kind::kInteger) return a.as_integer() == b.as_integer();
  if (a.kind() == Kind::kBigInteger && b.kind() == Kind::kBigInteger) return a.big_digits() == b.big_digits();
  return a.as_double() == b.as_double();
}

}  // namespace

bool operator==(const Value& left, const Value& right) {
  std::vector<std::pair<const Value*, const Value*>> open{{&left, &right}};
  while (!open.empty()) {
    const auto [a, b] = open.back();
    open.pop_back();
    if (a->identity() != nullptr && a->identity() == b->identity()) continue;
    if (a->is_number() && b->is_number()) {
      if (!equal_numbers(*a, *b)) return false;
      continue;
    }
    if (a->kind() != b->kind()) return false;
    switch (a->kind()) {
      case Kind::kBool:
        if (a->as_bool() != b->as_bool()) return false;
        break;
      case Kind::kString:
        if (a->as_string() != b->as_string()) return false;
        break;
      case Kind::kArray:
        if (a->size() != b->size()) return false;
        for (std::size_t i = 0; i < a->size(); ++i) open.emplace_back(&(*a)[i], &(*b)[i]);
        break;
      case Kind::kObject:
        if (a->size() != b->size()) return false;
        for (const Member& member : a->members()) {
          const Value* other = b->find(member.key.as_string());
          if (other == nullptr) return false;
          open.emplace_back(&member.value, other);
        }
        break;
      default:
        break;
    }
  }
  return true;
}

ObjectBuilder::ObjectBuilder(const Value& object)
    : members_(object.members().begin(), object.members().end()) {}

ObjectBuilder& ObjectBuilder::set(std::string_view key, Value value) {
  for (Member& member : members_) {
    if (member.key.as_string() == key) {
      member.value = std::move(value);
      return *this;
    }
  }
  return append(key, std::move(value));
}

ObjectBuilder& ObjectBuilder::erase(std::string_view key) {
  std::erase_if(members_, [key](const Member& member) { return member.key.as_string() == key; });
  return *this;
}

ObjectBuilder& ObjectBuilder::append(std::string_view key, Value value) {
  members_.push_back({Value(key), std::move(value)});
  return *this;
}

Value ObjectBuilder::build() { return Value::object(std::exchange(members_, {})); }

}  // namespace sortie::json
