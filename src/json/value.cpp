#include "json/value.h"

#include <atomic>
#include <charconv>
#include <functional>
#include <unordered_map>
#include <utility>

#include "base/result.h"

namespace sortie::json {
namespace {

constexpr std::size_t kInlineTextMax = 14;
constexpr std::size_t kIndexedMembersMin = 17;  // Below it a linear scan wins.
constexpr std::uint32_t kNoSlot = UINT32_MAX;

std::size_t hash_of(std::string_view text) { return std::hash<std::string_view>{}(text); }

}  // namespace

struct Value::Block {
  std::atomic<std::uint32_t> references{1};
  std::uint32_t depth = 0;
};

struct Value::StringBlock : Block {
  std::string text;
};

struct Value::ArrayBlock : Block {
  std::vector<Value> items;
};

struct Value::ObjectBlock : Block {
  std::vector<Member> members;
  std::vector<std::uint32_t> slots;  // Open addressing into members; empty for small objects.

  void build_index() {
    if (members.size() < kIndexedMembersMin) return;
    std::size_t capacity = 64;
    while (capacity < members.size() * 2) capacity *= 2;
    slots.assign(capacity, kNoSlot);
    for (std::size_t i = 0; i < members.size(); ++i) {
      std::size_t slot = hash_of(members[i].key.as_string()) & (capacity - 1);
      while (slots[slot] != kNoSlot) slot = (slot + 1) & (capacity - 1);
      slots[slot] = static_cast<std::uint32_t>(i);
    }
  }

  const Value* find(std::string_view key) const {
    if (slots.empty()) {
      if (key.size() <= kInlineTextMax) return find_short(key);
      for (const Member& member : members) {
        if (member.key.tag() == Tag::kString && member.key.as_string() == key) return &member.value;
      }
      return nullptr;
    }
    std::size_t slot = hash_of(key) & (slots.size() - 1);
    for (; slots[slot] != kNoSlot; slot = (slot + 1) & (slots.size() - 1)) {
      if (members[slots[slot]].key.as_string() == key) return &members[slots[slot]].value;
    }
    return nullptr;
  }

  // Short texts are their 16 bytes, so two words are compared for each member.
  const Value* find_short(std::string_view key) const {
    const Value wanted(key);
    std::uint64_t words[2];
    std::memcpy(words, wanted.bytes_, sizeof words);
    for (const Member& member : members) {
      std::uint64_t others[2];
      std::memcpy(others, member.key.bytes_, sizeof others);
      if (others[0] == words[0] && others[1] == words[1]) return &member.value;
    }
    return nullptr;
  }
};

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

Value::Block* Value::block() const noexcept {
  Block* pointer;
  std::memcpy(&pointer, bytes_, sizeof pointer);
  return pointer;
}

void Value::set_block(Block* pointer, Tag tag) noexcept {
  std::memcpy(bytes_, &pointer, sizeof pointer);
  set_tag(tag);
}

Value::Value(bool value) noexcept { set_tag(value ? Tag::kTrue : Tag::kFalse); }

Value::Value(std::int64_t value) noexcept {
  std::memcpy(bytes_, &value, sizeof value);
  set_tag(Tag::kInteger);
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

Value::Value(double value) noexcept {
  std::memcpy(bytes_, &value, sizeof value);
  set_tag(Tag::kDouble);
}

Value::Value(std::string_view text) {
  if (text.size() <= kInlineTextMax) {
    // What is not used is zero, so that equal texts are equal bytes.
    std::memset(bytes_, 0, sizeof bytes_);
    if (!text.empty()) std::memcpy(bytes_, text.data(), text.size());
    bytes_[14] = static_cast<char>(text.size());
    set_tag(Tag::kInlineString);
  } else {
    auto* made = new StringBlock;
    made->text.assign(text);
    set_block(made, Tag::kString);
  }
}

Value Value::make_text(std::string_view text, Tag tag) {
  auto* made = new StringBlock;
  made->text.assign(text);
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

Value Value::array(std::vector<Value> items) {
  auto* made = new ArrayBlock;
  std::uint32_t deepest = 0;
  for (const Value& item : items) deepest = std::max(deepest, item.depth());
  made->items = std::move(items);
  made->depth = deepest + 1;
  Value value;
  value.set_block(made, Tag::kArray);
  return value;
}

Value Value::object(std::vector<Member> members) {
  auto* made = new ObjectBlock;
  made->members = std::move(members);
  std::vector<Member>& list = made->members;
  made->build_index();
  // A repeated key is rare: find it first, and only then rebuild the list.
  bool repeated = false;
  std::uint32_t deepest = 0;
  for (const Member& member : list) {
    deepest = std::max(deepest, member.value.depth());
    repeated = repeated || made->find(member.key.as_string()) != &member.value;
  }
  if (repeated) {
    std::vector<Member> unique;
    std::unordered_map<std::string, std::size_t> place;
    unique.reserve(list.size());
    for (Member& member : list) {
      const auto [known, is_new] = place.try_emplace(member.key.to_std_string(), unique.size());
      if (is_new) {
        unique.push_back(std::move(member));
      } else {
        unique[known->second].value = std::move(member.value);
      }
    }
    list = std::move(unique);
    made->slots.clear();
    made->build_index();
  }
  made->depth = deepest + 1;
  Value value;
  value.set_block(made, Tag::kObject);
  return value;
}

Value Value::object(std::initializer_list<Member> members) { return object(std::vector<Member>(members)); }

Value::Value(const Value& other) noexcept {
  std::memcpy(bytes_, other.bytes_, sizeof bytes_);
  if (has_block()) block()->references.fetch_add(1, std::memory_order_relaxed);
}

Value::Value(Value&& other) noexcept {
  std::memcpy(bytes_, other.bytes_, sizeof bytes_);
  other.set_tag(Tag::kNull);
}

Value& Value::operator=(const Value& other) noexcept {
  Value copy(other);
  return *this = std::move(copy);
}

Value& Value::operator=(Value&& other) noexcept {
  if (this == &other) return *this;
  const bool owned = has_block();
  Block* const old = owned ? block() : nullptr;
  const Tag old_tag = tag();
  std::memcpy(bytes_, other.bytes_, sizeof bytes_);
  other.set_tag(Tag::kNull);
  if (owned) release(old, old_tag);
  return *this;
}

Value::~Value() {
  if (has_block()) release(block(), tag());
}

// Walks with a list of its own instead of recursing: a hostile payload may be nested as deep as it is long.
void Value::release(Block* first, Tag first_tag) noexcept {
  if (first->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  std::vector<std::pair<Block*, Tag>> dead;
  const auto bury = [&dead](Value& value) {
    if (!value.has_block()) return;
    Block* const child = value.block();
    const Tag child_tag = value.tag();
    value.set_tag(Tag::kNull);
    if (child->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (child_tag == Tag::kString || child_tag == Tag::kBigInteger) {
      delete static_cast<StringBlock*>(child);
    } else {
      dead.emplace_back(child, child_tag);
    }
  };
  const auto destroy = [&bury](Block* block, Tag tag) {
    if (tag == Tag::kArray) {
      auto* array = static_cast<ArrayBlock*>(block);
      for (Value& item : array->items) bury(item);
      delete array;
    } else if (tag == Tag::kObject) {
      auto* object = static_cast<ObjectBlock*>(block);
      for (Member& member : object->members) {
        bury(member.key);
        bury(member.value);
      }
      delete object;
    } else {
      delete static_cast<StringBlock*>(block);
    }
  };
  destroy(first, first_tag);
  while (!dead.empty()) {
    const auto [next, next_tag] = dead.back();
    dead.pop_back();
    destroy(next, next_tag);
  }
}

Kind Value::kind() const noexcept {
  switch (tag()) {
    case Tag::kNull:
      return Kind::kNull;
    case Tag::kFalse:
    case Tag::kTrue:
      return Kind::kBool;
    case Tag::kInteger:
      return Kind::kInteger;
    case Tag::kDouble:
      return Kind::kDouble;
    case Tag::kInlineString:
    case Tag::kString:
      return Kind::kString;
    case Tag::kBigInteger:
      return Kind::kBigInteger;
    case Tag::kArray:
      return Kind::kArray;
    case Tag::kObject:
      return Kind::kObject;
  }
  return Kind::kNull;
}

bool Value::is_number() const noexcept {
  return tag() == Tag::kInteger || tag() == Tag::kDouble || tag() == Tag::kBigInteger;
}

bool Value::as_bool() const {
  SORTIE_CHECK(is_bool());
  return tag() == Tag::kTrue;
}

std::int64_t Value::as_integer() const {
  SORTIE_CHECK(tag() == Tag::kInteger);
  std::int64_t number;
  std::memcpy(&number, bytes_, sizeof number);
  return number;
}

double Value::as_double() const {
  SORTIE_CHECK(is_number());
  if (tag() == Tag::kInteger) return static_cast<double>(as_integer());
  double number = 0;
  if (tag() == Tag::kDouble) {
    std::memcpy(&number, bytes_, sizeof number);
  } else {
    const std::string& digits = static_cast<StringBlock*>(block())->text;
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
  }
  return number;
}

std::string_view Value::as_string() const& {
  SORTIE_CHECK(is_string());
  if (tag() == Tag::kInlineString) return {bytes_, static_cast<std::size_t>(bytes_[14])};
  return static_cast<StringBlock*>(block())->text;
}

std::string_view Value::big_digits() const& {
  SORTIE_CHECK(tag() == Tag::kBigInteger);
  return static_cast<StringBlock*>(block())->text;
}

std::span<const Value> Value::items() const {
  if (tag() != Tag::kArray) return {};
  return static_cast<ArrayBlock*>(block())->items;
}

std::span<const Member> Value::members() const {
  if (tag() != Tag::kObject) return {};
  return static_cast<ObjectBlock*>(block())->members;
}

std::size_t Value::size() const { return tag() == Tag::kArray ? items().size() : members().size(); }

const Value* Value::find(std::string_view key) const {
  if (tag() != Tag::kObject) return nullptr;
  return static_cast<ObjectBlock*>(block())->find(key);
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

std::uint32_t Value::depth() const noexcept { return has_block() ? block()->depth : 0; }

const void* Value::identity() const noexcept { return has_block() ? block() : nullptr; }

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
