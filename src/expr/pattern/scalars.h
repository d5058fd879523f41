#pragma once
// How event-ruler, the library inside EventBridge, compares the scalars of events and patterns.
//
// Numbers: two numbers are equal when they are the same IEEE double and both are *comparable*, which means
// the decimal text says exactly what the double's shortest text says (300, 3e2 and 300.0 are; 1e309 and
// 9007199254740993 are not). Whatever is not comparable equals only its own spelling.
//
// Addresses: four decimal groups, or colon-separated hexadecimal groups with at most one "::". Forms that mix
// both, and zone identifiers, are no addresses. An IPv4 address in IPv6 clothes (::ffff:a00:1) is IPv4.
//
// Case: a character of the pattern stands for its lower-case and its upper-case text (Unicode's full,
// locale-free mappings, so "ß" stands for "ß" and "SS"); characters outside the basic plane do not fold.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sortie::pattern {

// The double, when the text is comparable; -0 becomes 0.
std::optional<double> comparable_number(std::string_view text);
// The two halves of it: the double that the text is nearest to (none beyond what a double can hold), and
// whether the text is comparable, given that double.
std::optional<double> nearest_number(std::string_view text);
bool is_comparable(std::string_view text, double nearest);

struct Address {
  std::array<std::uint8_t, 16> bytes{};
  std::uint8_t length = 4;  // 4 or 16.
};

std::optional<Address> parse_address(std::string_view text);

struct AddressRange {
  Address network;
  int bits = 32;  // Leading bits that have to agree.

  bool contains(const Address& address) const;
};

// The address's bytes with all after the first `bits` bits set to zero.
std::string masked_bytes(const Address& address, int bits);

// "10.0.0.0/24": message as EventBridge words it, code empty. Host bits are masked off.
Result<AddressRange> parse_cidr(std::string_view text);

enum class FieldKind : std::uint8_t { kString, kNumber, kTrue, kFalse, kNull };

// One scalar of an event while it is looked at: what its text is worth as a number is found out when somebody
// asks, and only once.
struct Scalar {
  FieldKind kind = FieldKind::kNull;
  std::string_view text;  // A string without its escapes, a number as it is spelled, or the literal.

  // The nearest double of a number; nullptr where there is none.
  const double* number() {
    if (number_state == NumberState::kUnread) read_number();
    return number_state == NumberState::kNone ? nullptr : &nearest;
  }
  // number() gave one, and it may be compared.
  bool comparable() {
    if (number_state == NumberState::kNearest) {
      number_state = is_comparable(text, nearest) ? NumberState::kComparable : NumberState::kIncomparable;
    }
    return number_state == NumberState::kComparable;
  }

  enum class NumberState : std::uint8_t { kUnread, kNone, kNearest, kComparable, kIncomparable };
  NumberState number_state = NumberState::kUnread;
  double nearest = 0;

 private:
  void read_number();
};

// One character of a case-insensitive pattern: the value continues with either text.
struct CasePair {
  std::string lower;
  std::string upper;
};

using FoldedText = std::vector<CasePair>;

FoldedText fold_case(std::string_view text);
bool equals_folded(const FoldedText& pattern, std::string_view value);
bool starts_with_folded(const FoldedText& pattern, std::string_view value);
bool ends_with_folded(const FoldedText& pattern, std::string_view value);

}  // namespace sortie::pattern
