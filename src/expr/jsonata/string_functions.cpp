#include <cmath>

#include "base/text.h"
#include "expr/jsonata/functions.h"
#include "expr/jsonata/letter_case.h"
#include "expr/jsonata/utf.h"

namespace sortie::jsonata {
namespace string_natives {

using Arguments = std::span<const Val>;

Val string(Engine& engine, Arguments a) {
  const Val value = argument(a, 0);
  if (value.undefined() || value.is_string()) return value;
  return engine.make_text(string_of(engine, value, engine.truthy(argument(a, 1))));
}

// The text between two code point numbers, as Array.prototype.slice counts them.
Val slice(Val text, double start, double end) {
  const std::string_view all = text.str();
  const auto count = static_cast<double>(code_points(all));
  const auto clamp = [&](double at) {
    at = std::isnan(at) ? 0 : std::trunc(at);
    return at < 0 ? std::fmax(count + at, 0) : std::fmin(at, count);
  };
  const double from = clamp(start);
  const double to = clamp(end);
  if (from >= to) return Val::of_text("");
  std::size_t at = 0;
  std::size_t begin = 0;
  for (double i = 0; i < to; ++i) {
    if (i == from) begin = at;
    next_code_point(all, at);
  }
  return Val::of_text(all.substr(begin, at - begin));
}

Val substring(Engine&, Arguments a) {
  const Val text = argument(a, 0);
  if (text.undefined()) return {};
  const auto count = static_cast<double>(code_points(text.str()));
  double start = argument(a, 1).is_number() ? a[1].number : 0;
  if (count + start < 0) start = 0;
  const Val length = argument(a, 2);
  if (length.undefined()) return slice(text, start, INFINITY);
  if (length.number <= 0) return Val::of_text("");
  return slice(text, start, start >= 0 ? start + length.number : count + start + length.number);
}

Val substring_before(Engine&, Arguments a) {
  const Val text = argument(a, 0);
  if (text.undefined()) return {};
  const std::size_t at = argument(a, 1).is_string() ? text.str().find(a[1].str()) : std::string_view::npos;
  return at == std::string_view::npos ? text : Val::of_text(text.str().substr(0, at));
}

Val substring_after(Engine&, Arguments a) {
  const Val text = argument(a, 0);
  if (text.undefined()) return {};
  const std::size_t at = argument(a, 1).is_string() ? text.str().find(a[1].str()) : std::string_view::npos;
  return at == std::string_view::npos ? text : Val::of_text(text.str().substr(at + a[1].size));
}

Val lowercase(Engine& engine, Arguments a) {
  const Val text = argument(a, 0);
  return text.undefined() ? Val() : engine.make_text(to_lower_case(text.str()));
}

Val uppercase(Engine& engine, Arguments a) {
  const Val text = argument(a, 0);
  return text.undefined() ? Val() : engine.make_text(to_upper_case(text.str()));
}

Val length(Engine&, Arguments a) {
  const Val text = argument(a, 0);
  return text.undefined() ? Val() : Val::of_number(static_cast<double>(code_points(text.str())));
}

Val trim(Engine& engine, Arguments a) {
  const Val text = argument(a, 0);
  if (text.undefined()) return {};
  std::string out;
  for (const char c : text.str()) {
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!blank) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  if (out.ends_with(' ')) out.pop_back();
  return engine.make_text(out);
}

Val pad(Engine& engine, Arguments a) {
  const Val text = argument(a, 0);
  if (text.undefined()) return {};
  std::string_view fill = argument(a, 2).is_string() ? a[2].str() : " ";
  if (fill.empty()) fill = " ";
  const double width = argument(a, 1).is_number() ? a[1].number : 0;
  const double missing = std::fabs(width) - static_cast<double>(code_points(text.str()));
  if (!(missing > 0)) return text;
  engine.arena().check(missing * 4);
  std::string padding;
  std::size_t at = 0;
  for (double i = 0; i < std::floor(missing); ++i) {
    const std::size_t start = at;
    next_code_point(fill, at);
    padding += fill.substr(start, at - start);
    if (at >= fill.size()) at = 0;
  }
  const std::string own(text.str());
  return engine.make_text(width < 0 ? padding + own : own + padding);
}

Val join(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  const std::string_view separator = argument(a, 1).is_string() ? a[1].str() : "";
  const Items items(a[0]);
  std::string out;
  for (std::size_t i = 0; i < items.size; ++i) {
    if (i > 0) append_joining(out, separator);
    if (items[i].is_string()) append_joining(out, items[i].str());
    engine.arena().check(2.0 * static_cast<double>(out.size()));  // It is copied in the end.
  }
  return engine.make_text(out);
}

Val base64_encode_text(Engine& engine, Arguments a) {
  const Val text = argument(a, 0);
  if (text.undefined()) return {};
  std::string bytes;  // The low byte of each UTF-16 unit.
  for (std::size_t at = 0; at < text.size;) {
    std::uint32_t c = next_code_point(text.str(), at);
    if (c >= 0x10000) {
      c -= 0x10000;
      bytes += static_cast<char>(0xD800 + (c >> 10));
      c = 0xDC00 + (c & 0x3FF);
    }
    bytes += static_cast<char>(c);
  }
  return engine.make_text(base64_encode(bytes));
}

Val base64_decode_text(Engine& engine, Arguments a) {
  const Val text = argument(a, 0);
  if (text.undefined()) return {};
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (char c : text.str()) {  // As lenient as the reference: unknown characters are skipped.
    if (c == '=') break;
    if (c == '-') c = '+';
    if (c == '_') c = '/';
    const std::size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) continue;
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      append_wtf8(out, (bits >> count) & 0xFF);
    }
  }
  return engine.make_text(out);
}

Val encode_with(Engine& engine, Arguments a, std::string_view kept, const char* name) {
  const Val text = argument(a, 0);
  if (text.undefined()) return {};
  if (has_surrogate(text.str())) throw Failure{.code = "D3140", .token = name, .value = describe(text)};
  std::string out;
  for (const char c : text.str()) {
    if (std::isalnum(static_cast<unsigned char>(c)) ||
        (c != '\0' && kept.find(c) != std::string_view::npos)) {
      out += c;
      continue;
    }
    constexpr char kHex[] = "0123456789ABCDEF";
    out += {'%', kHex[(c >> 4) & 15], kHex[c & 15]};
  }
  return engine.make_text(out);
}
Val encode_component(Engine& e, Arguments a) { return encode_with(e, a, "-_.!~*'()", "encodeUrlComponent"); }
Val encode_url(Engine& e, Arguments a) { return encode_with(e, a, "-_.!~*'();/?:@&=+$,#", "encodeUrl"); }

Val decode_with(Engine& engine, Arguments a, std::string_view reserved, const char* name) {
  const Val text = argument(a, 0);
  if (text.undefined()) return {};
  const std::string_view all = text.str();
  std::string out;
  std::string run;
  const auto hex = [&](std::size_t at) {
    const char c = at < all.size() ? all[at] : ' ';
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
  };
  const auto malformed = [&] { return Failure{.code = "D3140", .token = name, .value = describe(text)}; };
  for (std::size_t at = 0; at < all.size();) {
    if (all[at] != '%') {
      out += all[at++];
      continue;
    }
    run.clear();
    for (; at < all.size() && all[at] == '%'; at += 3) {
      const int high = hex(at + 1);
      const int low = hex(at + 2);
      if (high < 0 || low < 0) throw malformed();
      run += static_cast<char>(high * 16 + low);
    }
    if (!is_valid_utf8(run)) throw malformed();
    for (const char c : run) {
      constexpr char kHex[] = "0123456789ABCDEF";
      if (reserved.find(c) != std::string_view::npos && c != '\0') {
        out += {'%', kHex[(c >> 4) & 15], kHex[c & 15]};
      } else {
        out += c;
      }
    }
  }
  return engine.make_text(out);
}
Val decode_component(Engine& e, Arguments a) { return decode_with(e, a, "", "decodeUrlComponent"); }
Val decode_url(Engine& e, Arguments a) { return decode_with(e, a, ";/?:@&=+$,#", "decodeUrl"); }

}  // namespace string_natives

std::span<const Native> string_functions() {
  using namespace string_natives;
  static constexpr Native kTable[] = {
      {"string", "<x-b?:s>", 1, string},
      {"substring", "<s-nn?:s>", 3, substring},
      {"substringBefore", "<s-s:s>", 2, substring_before},
      {"substringAfter", "<s-s:s>", 2, substring_after},
      {"lowercase", "<s-:s>", 1, lowercase},
      {"uppercase", "<s-:s>", 1, uppercase},
      {"length", "<s-:n>", 1, length},
      {"trim", "<s-:s>", 1, string_natives::trim},
      {"pad", "<s-ns?:s>", 3, pad},
      {"join", "<a<s>s?:s>", 2, string_natives::join},
      {"base64encode", "<s-:s>", 1, base64_encode_text},
      {"base64decode", "<s-:s>", 1, base64_decode_text},
      {"encodeUrlComponent", "<s-:s>", 1, encode_component},
      {"encodeUrl", "<s-:s>", 1, encode_url},
      {"decodeUrlComponent", "<s-:s>", 1, decode_component},
      {"decodeUrl", "<s-:s>", 1, decode_url},
  };
  return kTable;
}

}  // namespace sortie::jsonata
