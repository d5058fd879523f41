#pragma once
// json::Value is the immutable JSON value that everything in Sortie passes around.
//
// It is 16 bytes: numbers, booleans and strings up to 14 bytes live inside it, everything else is a pointer
// to a reference-counted block that never changes after it was made. Copying is one increment, so passing a
// payload on, snapshotting it and fanning it out are free, and a block may be shared between threads.
// Edits go through ObjectBuilder or a fresh array and share all that did not change.
//
// Numbers keep what they are: integers that fit 64 bits are kInteger, everything with a fraction or exponent
// is kDouble, and integers beyond 64 bits are kBigInteger: their digits are kept as text, so they survive
// being passed through. Objects keep insertion order; a repeated key keeps its first place and its last
// value. Limits: depth() is known for every value in O(1), so a caller can refuse nesting before it recurses.
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sortie::json {

enum class Kind : std::uint8_t { kNull, kBool, kInteger, kDouble, kBigInteger, kString, kArray, kObject };

// "null", "boolean", "number", "string", "array", "object".
std::string_view kind_name(Kind kind);

struct Member;

class Value {
 public:
  Value() noexcept { set_tag(Tag::kNull); }
  Value(std::nullptr_t) noexcept : Value() {}
  Value(bool value) noexcept;
  Value(int value) noexcept : Value(static_cast<std::int64_t>(value)) {}
  Value(unsigned value) noexcept : Value(static_cast<std::int64_t>(value)) {}
  Value(std::int64_t value) noexcept;
  Value(std::uint64_t value);    // Above INT64_MAX it becomes a big integer.
  Value(double value) noexcept;  // The caller guarantees a finite number: JSON has no other.
  Value(std::string_view text);
  Value(const std::string& text) : Value(std::string_view(text)) {}
  Value(const char* text) : Value(std::string_view(text)) {}
  static Value array(std::vector<Value> items);
  static Value object(std::vector<Member> members);  // Repeated keys: first place, last value.
  static Value object(std::initializer_list<Member> members);
  // `digits` is an optional '-' and decimal digits; becomes kInteger where it fits.
  static Value big_integer(std::string_view digits);

  Value(const Value& other) noexcept;
  Value(Value&& other) noexcept;
  Value& operator=(const Value& other) noexcept;
  Value& operator=(Value&& other) noexcept;
  ~Value();

  Kind kind() const noexcept;
  bool is_null() const noexcept { return kind() == Kind::kNull; }
  bool is_bool() const noexcept { return kind() == Kind::kBool; }
  bool is_integer() const noexcept { return kind() == Kind::kInteger; }
  bool is_number() const noexcept;  // Integer, double or big integer.
  bool is_string() const noexcept { return kind() == Kind::kString; }
  bool is_array() const noexcept { return kind() == Kind::kArray; }
  bool is_object() const noexcept { return kind() == Kind::kObject; }

  // The caller has checked the kind; anything else is a bug (checked).
  bool as_bool() const;
  std::int64_t as_integer() const;
  double as_double() const;  // Any number; big integers are rounded.
  std::string_view as_string() const&;
  std::string_view as_string() && = delete;  // Short strings live in the value itself.
  std::string to_std_string() const { return std::string(as_string()); }
  std::string_view big_digits() const&;

  std::span<const Value> items() const;     // Empty unless an array.
  std::span<const Member> members() const;  // Empty unless an object.
  std::size_t size() const;                 // Items or members; 0 for everything else.
  bool empty() const { return size() == 0; }

  const Value* find(std::string_view key) const;  // nullptr: absent, or no object.
  const Value& get(std::string_view key) const;   // null value where absent.
  bool has(std::string_view key) const { return find(key) != nullptr; }
  const Value& operator[](std::size_t index) const;  // null value where out of range or no array.

  // 0 for scalars, 1 + the deepest child for arrays and objects.
  std::uint32_t depth() const noexcept;
  // The block's address for strings beyond 14 bytes, arrays, objects: equal addresses are the same value.
  // nullptr for values that have no block. Valid as long as some copy of the value lives.
  const void* identity() const noexcept;

  // Deep equality; numbers compare by value (1 == 1.0), objects regardless of member order.
  friend bool operator==(const Value& a, const Value& b);

 private:
  enum class Tag : std::uint8_t {
    kNull,
    kFalse,
    kTrue,
    kInteger,
    kDouble,
    kInlineString,
    kString,
    kBigInteger,
    kArray,
    kObject
  };
  struct Block;
  struct StringBlock;
  struct ArrayBlock;
  struct ObjectBlock;

  Tag tag() const noexcept { return static_cast<Tag>(bytes_[15]); }
  void set_tag(Tag tag) noexcept { bytes_[15] = static_cast<char>(tag); }
  bool has_block() const noexcept { return tag() >= Tag::kString; }
  Block* block() const noexcept;
  void set_block(Block* block, Tag tag) noexcept;
  static Value make_text(std::string_view text, Tag tag);
  static void release(Block* block, Tag tag) noexcept;

  alignas(8) char bytes_[16];  // [0..7] number or pointer, [0..13] inline text, [14] its length, [15] tag
};

struct Member {
  Value key;  // Always a string.
  Value value;
};

// Edits an object without touching the original: ObjectBuilder{value}.set("attempt", 2).build().
// Starting from a value that is no object starts empty.
class ObjectBuilder {
 public:
  ObjectBuilder() = default;
  explicit ObjectBuilder(const Value& object);
  ObjectBuilder& set(std::string_view key, Value value);
  ObjectBuilder& erase(std::string_view key);
  // Appends without looking for the key: O(1); build() settles repeated keys.
  ObjectBuilder& append(std::string_view key, Value value);
  Value build();  // Leaves the builder empty.

 private:
  std::vector<Member> members_;
};

}  // namespace sortie::json
