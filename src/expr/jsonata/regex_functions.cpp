// $contains, $match, $replace, $split: with texts, regular expressions and matchers written in JSONata.
#include <cmath>

#include "expr/jsonata/functions.h"
#include "expr/jsonata/regex.h"
#include "expr/jsonata/utf.h"

namespace sortie::jsonata {
namespace regex_natives {

using Arguments = std::span<const Val>;

Val checked(Engine& engine, Val match) {
  if (match.undefined()) return match;
  if (!engine.truthy(match) && !match.is_object()) return match;
  if (!member(match, "start").is_number() && !member(match, "end").is_number() &&
      !member(match, "groups").is_array() && !member(match, "next").is_function())
    throw Failure{.code = "T1010"};
  return match;
}

Val first_match(Engine& engine, Val matcher, Val text) {
  return checked(engine, engine.apply(matcher, {&text, 1}));
}
Val next_match(Engine& engine, Val match) {
  const Val next = member(match, "next");
  return checked(engine, engine.apply(next, {}));
}

std::size_t offset_of(Val text, Val match, std::string_view name) {
  const Val offset = member(match, name);
  const double units = offset.is_number() && offset.number > 0 ? offset.number : 0;
  return byte_offset(text.str(), static_cast<std::size_t>(std::fmin(units, 4e9)));
}

// The matches of a regular expression in turn, without a match object for each. An empty match that is not
// the first is an error, as when a program asks the match object for the next one.
class Walk {
 public:
  Walk(Engine& engine, const Regex& regex, Val text)
      : engine_(engine), regex_(regex), text_(regex_text(engine, regex, text).str()) {}

  // What the places of `match` are places of.
  std::string_view text() const { return text_; }

  bool next() {
    if (!first_ && match.end >= text_.size()) return false;
    engine_.work(1 + (text_.size() - match.end) / 64);
    if (!regex_.find(text_, match.end, match)) return false;
    if (!first_ && match.begin == match.end)
      throw Failure{.code = "D1004", .position = regex_.position(), .value = regex_.source()};
    first_ = false;
    return true;
  }

  Regex::Match match;

 private:
  Engine& engine_;
  const Regex& regex_;
  std::string_view text_;
  bool first_ = true;
};

const Regex* regex_of(Val pattern) {
  return pattern.is_function() && pattern.function->kind == Fn::Kind::kRegex ? pattern.function->regex
                                                                             : nullptr;
}

Val contains(Engine& engine, Arguments a) {
  const Val text = argument(a, 0);
  if (text.undefined()) return {};
  const Val token = argument(a, 1);
  if (token.is_string()) return Val::of_bool(text.str().find(token.str()) != std::string_view::npos);
  if (token.undefined()) return Val::of_bool(text.str().find("undefined") != std::string_view::npos);
  if (const Regex* regex = regex_of(token)) return Val::of_bool(Walk(engine, *regex, text).next());
  return Val::of_bool(first_match(engine, token, text).defined());
}

double limit_of(Arguments a, std::size_t index, const char* code) {
  const Val limit = argument(a, index);
  if (limit.undefined()) return INFINITY;
  if (limit.number < 0)
    throw Failure{.code = code, .value = describe(limit), .index = static_cast<int>(index) + 1};
  return limit.number;
}

Val match(Engine& engine, Arguments a) {
  const Val text = argument(a, 0);
  if (text.undefined()) return {};
  const double limit = limit_of(a, 2, "D3040");
  Arr* out = engine.make_sequence();
  if (limit > 0) {
    Val found = first_match(engine, argument(a, 1), text);
    for (double count = 0; found.defined() && count < limit; ++count) {
      Obj* entry = engine.make_object();
      entry->set(engine.arena(), "match", member(found, "match"));
      entry->set(engine.arena(), "index", member(found, "start"));
      entry->set(engine.arena(), "groups", member(found, "groups"));
      out->push(engine.arena(), Val::of_object(entry));
      found = next_match(engine, found);
    }
  }
  return Val::of_array(out);
}

int leading_number(std::string_view text, std::size_t digits) {
  int number = -1;
  for (std::size_t i = 0; i < text.size() && i < digits && text[i] >= '0' && text[i] <= '9'; ++i)
    number = (number < 0 ? 0 : number) * 10 + (text[i] - '0');
  return number;
}

// $0, $1.. and $$ of a replacement text.
void substitute(std::string& out, std::string_view replacement, std::string_view match,
                std::span<const std::string_view> groups) {
  for (std::size_t at = 0; at < replacement.size();) {
    if (replacement[at] != '$') {
      out += replacement[at++];
      continue;
    }
    const std::string_view rest = replacement.substr(++at);
    if (rest.starts_with('$')) {
      out += '$';
      ++at;
    } else if (rest.starts_with('0')) {
      append_joining(out, match);
      ++at;
    } else {
      const std::size_t digits = groups.empty() ? 1 : std::to_string(groups.size()).size();
      int index = leading_number(rest, digits);
      if (digits > 1 && index > static_cast<int>(groups.size())) index = leading_number(rest, digits - 1);
      if (index < 0) {
        out += '$';
        continue;
      }
      if (index >= 1 && index <= static_cast<int>(groups.size()))
        append_joining(out, groups[static_cast<std::size_t>(index) - 1]);
      at += std::to_string(index).size();
    }
  }
}

// Where a text is looked for, a function is no replacement but is inserted as JavaScript shows it: as the
// source of what the reference wraps round functions that are arguments. In tail calls and partial
// applications it does not.
constexpr const char* kFunctionSource =
    "async function (...params) {\n"
    "                    // invoke func\n"
    "                    return await apply(arg, params, null, environment);\n"
    "                }";

std::string replacement_text(Engine& engine, Val to) {
  if (to.is_function()) return to.boolean ? kFunctionSource : "[object Object]";
  return to.defined() ? string_of(engine, to) : "undefined";
}

Val replace_text(Engine& engine, std::string_view text, std::string_view from, Val to, double limit) {
  std::string out;
  std::size_t at = 0;
  const std::string with = replacement_text(engine, to);
  for (double count = 0; count < limit; ++count) {
    const std::size_t found = text.find(from, at);
    if (found == std::string_view::npos) break;
    out += text.substr(at, found - at);
    out += with;
    at = found + from.size();
    engine.work(1);
    engine.arena().check(2.0 * static_cast<double>(out.size()));
  }
  out += text.substr(at);
  return engine.make_text(out);
}

Val replace_matches(Engine& engine, Val text, const Regex& regex, std::string_view replacement,
                    double limit) {
  std::string out;
  out.reserve(text.size + text.size / 4);
  std::size_t at = 0;
  Walk walk(engine, regex, text);
  std::vector<std::string_view> groups;
  for (double count = 0; count < limit && walk.next(); ++count) {
    out += walk.text().substr(at, walk.match.begin - at);
    at = walk.match.end;
    groups.clear();
    for (const auto& group : walk.match.groups) groups.push_back(group.value_or(std::string_view()));
    substitute(out, replacement, walk.text().substr(walk.match.begin, at - walk.match.begin), groups);
    engine.arena().check(2.0 * static_cast<double>(out.size()));
  }
  out += walk.text().substr(at);
  return engine.make_text(has_pairs(text.str()) ? join_pairs(out) : out);
}

Val replace(Engine& engine, Arguments a) {
  Val text = argument(a, 0);
  if (text.undefined()) return {};
  const Val pattern = argument(a, 1);
  const Val replacement = argument(a, 2);
  if (pattern.is_string() && pattern.size == 0) throw Failure{.code = "D3010", .index = 2};
  const double limit = limit_of(a, 3, "D3011");
  if (!(limit > 0)) return text;
  if (pattern.is_string()) return replace_text(engine, text.str(), pattern.str(), replacement, limit);
  if (const Regex* regex = regex_of(pattern); regex && replacement.is_string())
    return replace_matches(engine, text, *regex, replacement.str(), limit);
  if (const Regex* regex = regex_of(pattern)) text = regex_text(engine, *regex, text);
  std::string out;
  std::size_t at = 0;
  Val found = first_match(engine, pattern, text);
  for (double count = 0; found.defined() && count < limit; ++count) {
    const std::size_t start = offset_of(text, found, "start");
    if (start > at) out += text.str().substr(at, start - at);
    if (replacement.is_string()) {
      std::vector<std::string_view> groups;
      const Items list(member(found, "groups"));
      for (std::size_t i = 0; i < list.size; ++i)
        groups.push_back(list[i].is_string() ? list[i].str() : std::string_view());
      const Val whole = member(found, "match");
      substitute(out, replacement.str(), whole.is_string() ? whole.str() : std::string_view(), groups);
    } else {
      const Val made = engine.apply(replacement, {&found, 1});
      if (!made.is_string()) throw Failure{.code = "D3012", .value = describe(made)};
      append_joining(out, made.str());
    }
    engine.arena().check(2.0 * static_cast<double>(out.size()));
    const Val matched = member(found, "match");
    const std::size_t units =
        utf16_length(text.str().substr(0, start)) + (matched.is_string() ? utf16_length(matched.str()) : 0);
    at = byte_offset(text.str(), units);
    found = next_match(engine, found);
  }
  out += text.str().substr(at);
  return joined_text(engine, engine.make_text(out).str());
}

void split_units(Engine& engine, Val text, double limit, Arr* out) {
  for (std::size_t at = 0; at < text.size && out->size < limit;) {
    const std::size_t start = at;
    std::uint32_t c = next_code_point(text.str(), at);
    if (c < 0x10000) {
      out->push(engine.arena(), Val::of_text(text.str().substr(start, at - start)));
      continue;
    }
    c -= 0x10000;
    for (const std::uint32_t half : {0xD800 + (c >> 10), 0xDC00 + (c & 0x3FF)}) {
      std::string unit;
      append_wtf8(unit, half);
      if (out->size < limit) out->push(engine.arena(), engine.make_text(unit));
    }
  }
}

Val split(Engine& engine, Arguments a) {
  const Val text = argument(a, 0);
  if (text.undefined()) return {};
  double limit = limit_of(a, 2, "D3020");
  const Val separator = argument(a, 1);
  Arr* out = engine.make_array();
  const std::string_view all = text.str();
  const auto push = [&](std::size_t from, std::size_t to) {
    out->push(engine.arena(), Val::of_text(from < to ? all.substr(from, to - from) : std::string_view()));
  };
  if (!(limit > 0)) return Val::of_array(out);
  std::size_t start = 0;
  if (separator.is_string() || separator.undefined()) {
    limit = std::floor(limit);
    if (separator.undefined()) {
      if (limit > 0) out->push(engine.arena(), text);
    } else if (separator.size == 0) {
      split_units(engine, text, limit, out);
    } else {
      for (std::size_t found = all.find(separator.str()); found != std::string_view::npos;
           found = all.find(separator.str(), start)) {
        if (out->size < limit) push(start, found);
        start = found + separator.size;
      }
      if (out->size < limit) push(start, all.size());
    }
    return Val::of_array(out);
  }
  if (const Regex* regex = regex_of(separator)) {
    Walk walk(engine, *regex, text);
    double count = 0;
    for (; count < limit && walk.next(); ++count) {
      out->push(engine.arena(), joined_text(engine, walk.text().substr(start, walk.match.begin - start)));
      start = walk.match.end;
    }
    if (count < limit) out->push(engine.arena(), joined_text(engine, walk.text().substr(start)));
    return Val::of_array(out);
  }
  Val found = first_match(engine, separator, text);
  double count = 0;
  for (; found.defined() && count < limit; ++count) {
    push(start, offset_of(text, found, "start"));
    start = offset_of(text, found, "end");
    found = next_match(engine, found);
  }
  if (count < limit) push(start, all.size());
  return Val::of_array(out);
}

}  // namespace regex_natives

std::span<const Native> regex_functions() {
  using namespace regex_natives;
  static constexpr Native kTable[] = {
      {"contains", "<s-(sf):b>", 2, contains},
      {"match", "<s-f<s:o>n?:a<o>>", 3, match},
      {"replace", "<s-(sf)(sf)n?:s>", 4, regex_natives::replace},
      {"split", "<s-(sf)n?:a<s>>", 3, regex_natives::split},
  };
  return kTable;
}

}  // namespace sortie::jsonata
