#include "response/canonical.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "base/hash.h"
#include "json/text.h"

namespace sortie::response {
namespace canonical {

// UTF-16 order is UTF-8 byte order, except that surrogate pairs (lead bytes F0..F4) sort before
// U+E000..U+FFFF (lead bytes EE and EF).
int rank_of(unsigned char byte) { return byte == 0xEE || byte == 0xEF ? byte + 0x10 : byte; }

bool utf16_less(std::string_view a, std::string_view b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return rank_of(static_cast<unsigned char>(x)) < rank_of(static_cast<unsigned char>(y));
  });
}

// Number::toString of ECMAScript: decimal notation from 1e-6 up to 1e21, else d.ddde+xx.
std::string ecmascript_number(double number) {
  if (number == 0) return "0";
  char buffer[40];
  const auto written =
      std::to_chars(buffer, buffer + sizeof buffer, std::fabs(number), std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<std::size_t>(written.ptr - buffer));
  const std::size_t e = text.find('e');
  std::string digits;
  for (const char c : text.substr(0, e)) {
    if (c != '.') digits.push_back(c);
  }
  int exponent = 0;
  std::string_view power = text.substr(e + 1);
  if (power.front() == '+') power.remove_prefix(1);
  std::from_chars(power.data(), power.data() + power.size(), exponent);
  const int count = static_cast<int>(digits.size());
  const int point = exponent + 1;  // How many digits stand before the decimal point.
  std::string out = number < 0 ? "-" : "";
  if (point > 21 || point < -5) {
    out += digits.substr(0, 1);
    if (count > 1) out += "." + digits.substr(1);
    return out + (exponent < 0 ? "e-" : "e+") + std::to_string(std::abs(exponent));
  }
  if (point <= 0) return out + "0." + std::string(static_cast<std::size_t>(-point), '0') + digits;
  if (point >= count) return out + digits + std::string(static_cast<std::size_t>(point - count), '0');
  return out + digits.substr(0, static_cast<std::size_t>(point)) + "." +
         digits.substr(static_cast<std::size_t>(point));
}

// Bounded by the depth that the JSON reader accepts.
void append(std::string& out, const json::Value& value) {
  if (value.is_array()) {
    out += '[';
    bool first = true;
    for (const json::Value& item : value.items()) {
      if (!first) out += ',';
      first = false;
      append(out, item);
    }
    out += ']';
  } else if (value.is_object()) {
    std::vector<const json::Member*> members;
    for (const json::Member& member : value.members()) members.push_back(&member);
    std::sort(members.begin(), members.end(), [](const json::Member* a, const json::Member* b) {
      return utf16_less(a->key.as_string(), b->key.as_string());
    });
    out += '{';
    for (const json::Member* member : members) {
      if (member != members.front()) out += ',';
      json::append_quoted(out, member->key.as_string());
      out += ':';
      append(out, member->value);
    }
    out += '}';
  } else if (value.kind() == json::Kind::kDouble) {
    out += ecmascript_number(value.as_double());
  } else {
    json::append_text(out, value);
  }
}

}  // namespace canonical

std::string canonical_text(const json::Value& value) {
  std::string out;
  canonical::append(out, value);
  return out;
}

std::string canonical_sha256(const json::Value& value) { return sha256_hex(canonical_text(value)); }

}  // namespace sortie::response
