#include "expr/pattern/scalars.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "expr/pattern/case_table.h"

namespace sortie::pattern {

namespace scalars_detail {

constexpr std::size_t kNumberBytesMax = 2000;
constexpr std::size_t kDigitsMax = 17;     // No double's shortest text has more.
constexpr std::size_t kDigitsAlways = 15;  // Every decimal of so many digits is its double's shortest text...
constexpr std::int64_t kExponentUsual = 250;  // ...as long as the double is a normal one.
constexpr std::size_t kIpv4BytesMax = 15;

bool is_decimal(char c) { return c >= '0' && c <= '9'; }

// A decimal number as its significant digits (no zeros at either end) and the exponent of the last of them.
struct Decimal {
  bool negative = false;
  std::uint64_t digits = 0;
  std::size_t count = 0;  // Of digits; beyond kDigitsMax `digits` says nothing.
  std::int64_t exponent = 0;

  bool operator==(const Decimal&) const = default;
};

std::int64_t parse_exponent(std::string_view text) {
  const bool minus = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  std::int64_t exponent = 0;
  for (char c : text) exponent = std::min<std::int64_t>(exponent * 10 + (c - '0'), 1'000'000'000);
  return minus ? -exponent : exponent;
}

Decimal parse_decimal(std::string_view text) {
  Decimal decimal;
  std::size_t i = 0;
  if (i < text.size() && text[i] == '-') {
    decimal.negative = true;
    ++i;
  }
  std::int64_t places = 0;  // Digits after the point.
  std::size_t zeros = 0;    // That have been read since the last digit that is none.
  std::int64_t after_point = 0;
  for (; i < text.size() && (is_decimal(text[i]) || text[i] == '.'); ++i) {
    if (text[i] == '.') {
      after_point = 1;
      continue;
    }
    places += after_point;
    if (text[i] == '0') {
      zeros += decimal.count > 0 ? 1 : 0;
      continue;
    }
    decimal.count += zeros + 1;
    for (; zeros > 0; --zeros) decimal.digits *= 10;
    decimal.digits = decimal.digits * 10 + static_cast<std::uint64_t>(text[i] - '0');
  }
  if (decimal.count == 0) return Decimal{};
  decimal.exponent = static_cast<std::int64_t>(zeros) - places;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    decimal.exponent += parse_exponent(text.substr(i + 1));
  }
  return decimal;
}

// The text has four groups of digits.
std::optional<Address> parse_ipv4(std::string_view text) {
  if (text.size() > kIpv4BytesMax) return std::nullopt;
  Address address;
  int value = 0;
  std::size_t group = 0;
  for (char c : text) {
    if (c == '.') {
      address.bytes[group++] = static_cast<std::uint8_t>(value);
      value = 0;
      continue;
    }
    value = value * 10 + (c - '0');
    if (value > 255) return std::nullopt;
  }
  address.bytes[group] = static_cast<std::uint8_t>(value);
  return address;
}

struct HexGroups {
  std::array<std::uint16_t, 8> groups{};
  std::size_t count = 0;
};

// One side of "::": groups of one to four hexadecimal digits.
bool parse_hex_groups(std::string_view text, HexGroups& out) {
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(':'));
    if (part.empty() || part.size() > 4 || out.count >= 8) return false;
    const auto [end, error] =
        std::from_chars(part.data(), part.data() + part.size(), out.groups[out.count], 16);
    if (error != std::errc() || end != part.data() + part.size()) return false;
    ++out.count;
    if (part.size() == text.size()) return true;
    text.remove_prefix(part.size() + 1);
    if (text.empty()) return false;
  }
  return true;
}

std::optional<Address> parse_ipv6(std::string_view text) {
  if (text.size() > 45) return std::nullopt;
  HexGroups head;
  HexGroups tail;
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) {
    if (!parse_hex_groups(text, head) || head.count != 8) return std::nullopt;
  } else {
    if (!parse_hex_groups(text.substr(0, gap), head) || !parse_hex_groups(text.substr(gap + 2), tail) ||
        head.count + tail.count > 7) {
      return std::nullopt;
    }
  }
  std::copy_n(tail.groups.begin(), tail.count, head.groups.end() - static_cast<std::ptrdiff_t>(tail.count));
  Address address;
  address.length = 16;
  for (std::size_t i = 0; i < 8; ++i) {
    address.bytes[2 * i] = static_cast<std::uint8_t>(head.groups[i] >> 8);
    address.bytes[2 * i + 1] = static_cast<std::uint8_t>(head.groups[i] & 0xFF);
  }
  const bool mapped =
      std::all_of(head.groups.begin(), head.groups.begin() + 5, [](auto group) { return group == 0; });
  if (mapped && head.groups[5] == 0xFFFF) {
    Address ipv4;
    std::copy_n(address.bytes.begin() + 12, 4, ipv4.bytes.begin());
    return ipv4;
  }
  return address;
}

bool is_address_shaped(std::string_view text) {
  bool colons = false;
  std::size_t dots = 0;
  std::size_t digits = 0;  // In this group.
  for (char c : text) {
    if (c == ':') {
      colons = true;
    } else if (c == '.') {
      if (digits == 0) return false;
      ++dots;
      digits = 0;
      continue;
    } else if (!is_decimal(c) && (c < 'a' || c > 'f') && (c < 'A' || c > 'F')) {
      return false;
    }
    ++digits;
  }
  if (colons) return dots == 0;
  return dots == 3 && digits > 0 && text.find_first_not_of("0123456789.") == std::string_view::npos;
}

std::string map_case(std::uint32_t point, bool upper) {
  std::string out;
  if (point < 0x80) {
    const char c = static_cast<char>(point);
    if (upper && c >= 'a' && c <= 'z') return std::string(1, static_cast<char>(c - 32));
    if (!upper && c >= 'A' && c <= 'Z') return std::string(1, static_cast<char>(c + 32));
    return std::string(1, c);
  }
  const CaseText* texts = upper ? kUpperTexts : kLowerTexts;
  for (std::size_t i = 0; i < (upper ? kUpperTextCount : kLowerTextCount); ++i) {
    if (texts[i].point == point) return texts[i].text;
  }
  const CaseRange* ranges = upper ? kUpperRanges : kLowerRanges;
  const CaseRange* end = ranges + (upper ? kUpperRangeCount : kLowerRangeCount);
  const CaseRange* range =
      std::upper_bound(ranges, end, point, [](std::uint32_t p, const CaseRange& r) { return p < r.first; });
  if (range != ranges) {
    --range;
    if (point <= range->last && (point - range->first) % range->step == 0) {
      point = static_cast<std::uint32_t>(static_cast<std::int64_t>(point) + range->distance);
    }
  }
  append_utf8(out, point);
  return out;
}

// Where the value can stand after each character of the pattern; both texts are tried.
template <typename Take>
std::vector<std::size_t> walk_folded(const FoldedText& pattern, bool backwards, Take take) {
  std::vector<std::size_t> places{0};
  for (std::size_t i = 0; i < pattern.size() && !places.empty(); ++i) {
    const CasePair& pair = pattern[backwards ? pattern.size() - 1 - i : i];
    std::vector<std::size_t> next;
    for (std::size_t place : places) {
      if (take(place, pair.lower)) next.push_back(place + pair.lower.size());
      if (pair.upper != pair.lower && take(place, pair.upper)) next.push_back(place + pair.upper.size());
    }
    std::sort(next.begin(), next.end());
    next.erase(std::unique(next.begin(), next.end()), next.end());
    places = std::move(next);
  }
  return places;
}

std::vector<std::size_t> walk_forwards(const FoldedText& pattern, std::string_view value) {
  return walk_folded(pattern, false, [value](std::size_t place, const std::string& text) {
    return value.substr(place, text.size()) == text;
  });
}

}  // namespace scalars_detail

using namespace scalars_detail;

std::optional<double> nearest_number(std::string_view text) {
  if (text.size() > kNumberBytesMax || text.empty()) return std::nullopt;
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (end != text.data() + text.size()) return std::nullopt;
  if (error != std::errc() || !std::isfinite(number)) return std::nullopt;
  return number == 0 ? 0.0 : number;
}

bool is_comparable(std::string_view text, double nearest) {
  const Decimal exact = parse_decimal(text);
  if (exact.count > kDigitsMax) return false;
  if (exact.count <= kDigitsAlways && exact.exponent > -kExponentUsual && exact.exponent < kExponentUsual) {
    return true;
  }
  char shortest[64];
  const auto written =
      std::to_chars(shortest, shortest + sizeof shortest, nearest, std::chars_format::scientific);
  return exact == parse_decimal(std::string_view(shortest, written.ptr));
}

std::optional<double> comparable_number(std::string_view text) {
  const std::optional<double> number = nearest_number(text);
  if (!number || !is_comparable(text, *number)) return std::nullopt;
  return number;
}

void Scalar::read_number() {
  const std::optional<double> number =
      kind == FieldKind::kNumber ? nearest_number(text) : std::optional<double>();
  number_state = number ? NumberState::kNearest : NumberState::kNone;
  nearest = number.value_or(0);
}

std::optional<Address> parse_address(std::string_view text) {
  if (!is_address_shaped(text)) return std::nullopt;
  return text.find(':') != std::string_view::npos ? parse_ipv6(text) : parse_ipv4(text);
}

bool AddressRange::contains(const Address& address) const {
  if (address.length != network.length) return false;
  for (int bit = 0; bit < bits; bit += 8) {
    const auto index = static_cast<std::size_t>(bit / 8);
    const int left = std::min(8, bits - bit);
    const auto mask = static_cast<std::uint8_t>(0xFF << (8 - left));
    if ((address.bytes[index] & mask) != (network.bytes[index] & mask)) return false;
  }
  return true;
}

std::string masked_bytes(const Address& address, int bits) {
  std::string masked(reinterpret_cast<const char*>(address.bytes.data()), address.length);
  for (std::size_t i = 0; i < masked.size(); ++i) {
    const int kept = std::clamp(bits - static_cast<int>(8 * i), 0, 8);
    masked[i] = static_cast<char>(static_cast<unsigned char>(masked[i]) & (0xFF00u >> kept));
  }
  return masked;
}

Result<AddressRange> parse_cidr(std::string_view text) {
  const auto parts = split(text, '/');
  if (parts.size() != 2 || parts[1].empty()) return Error{"", "Malformed CIDR, one '/' required"};
  int bits = 0;
  const char* last = parts[1].data() + parts[1].size();
  const char* first = parts[1].data() + (parts[1][0] == '+' && parts[1].size() > 1 ? 1 : 0);
  const auto [end, error] = std::from_chars(first, last, bits);
  if (error != std::errc() || end != last) return Error{"", "Malformed CIDR, mask bits must be an integer"};
  if (bits < 0) return Error{"", "Malformed CIDR, mask bits must not be negative"};
  if (!is_address_shaped(parts[0])) return Error{"", "Nonstandard IP address: " + std::string(parts[0])};
  const std::optional<Address> address = parse_address(parts[0]);
  if (!address) return Error{"", "Invalid IP address: " + std::string(parts[0])};
  if (address->length == 4 && bits >= 32) return Error{"", "IPv4 mask bits must be < 32"};
  if (bits >= 128) return Error{"", "IPv6 mask bits must be < 128"};
  return AddressRange{*address, bits};
}

FoldedText fold_case(std::string_view text) {
  FoldedText folded;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    bytes = std::min(bytes, text.size() - i);
    const std::string_view unit = text.substr(i, bytes);
    i += bytes;
    if (bytes == 4) {
      folded.push_back(CasePair{std::string(unit), std::string(unit)});
      continue;
    }
    std::uint32_t point = bytes == 1 ? lead : lead & (0xFFu >> (bytes + 1));
    for (std::size_t k = 1; k < bytes; ++k)
      point = (point << 6) | (static_cast<unsigned char>(unit[k]) & 0x3F);
    folded.push_back(CasePair{map_case(point, false), map_case(point, true)});
  }
  return folded;
}

bool equals_folded(const FoldedText& pattern, std::string_view value) {
  const auto places = walk_forwards(pattern, value);
  return std::find(places.begin(), places.end(), value.size()) != places.end();
}

bool starts_with_folded(const FoldedText& pattern, std::string_view value) {
  return !walk_forwards(pattern, value).empty();
}

bool ends_with_folded(const FoldedText& pattern, std::string_view value) {
  return !walk_folded(pattern, true, [value](std::size_t place, const std::string& text) {
            return place <= value.size() && value.substr(0, value.size() - place).ends_with(text);
          }).empty();
}

}  // namespace sortie::pattern
