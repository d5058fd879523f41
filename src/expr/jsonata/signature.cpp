#include "expr/jsonata/signature.h"

#include <algorithm>

#include "expr/jsonata/failure.h"

namespace sortie::jsonata {
namespace signature_parts {

std::uint16_t bits_of(std::string_view letters) {
  std::uint16_t bits = 0;
  for (const char letter : letters) bits |= letter_bit(letter);
  return bits;
}

std::size_t closing(std::string_view text, std::size_t open, char left, char right) {
  int depth = 1;
  std::size_t at = open;
  while (at + 1 < text.size()) {
    ++at;
    if (text[at] == right) {
      if (--depth == 0) break;
    } else if (text[at] == left) {
      ++depth;
    }
  }
  return at;
}

// Greedy matching with backtracking over (parameter, letter); refuses hopeless pairs it has seen before.
struct Matcher {
  const std::vector<Parameter>& parameters;
  std::string_view letters;
  std::vector<std::uint32_t>& taken;
  std::vector<bool> dead;

  bool accepts(const Parameter& parameter, std::size_t at) const {
    return at < letters.size() && (parameter.letters & letter_bit(letters[at])) != 0;
  }

  bool run(std::size_t index, std::size_t at, std::size_t end, bool whole) {
    if (index == end) return !whole || at == letters.size();
    const std::size_t key = index * (letters.size() + 1) + at;
    if (dead[key]) return false;
    const Parameter& parameter = parameters[index];
    std::size_t most = 0;
    while (accepts(parameter, at + most) && (parameter.repeated || most == 0)) ++most;
    const std::size_t least = parameter.optional ? 0 : 1;
    for (std::size_t count = most; count + 1 > least; --count) {
      taken[index] = static_cast<std::uint32_t>(count);
      if (run(index + 1, at + count, end, whole)) return true;
      if (count == 0) break;
    }
    dead[key] = true;
    return false;
  }
};

}  // namespace signature_parts

Signature Signature::parse(std::string_view text) {
  using signature_parts::bits_of;
  Signature result;
  std::string previous_type;
  const auto add = [&](std::string_view letters, std::string_view type) {
    result.parameters.push_back({.letters = bits_of(letters), .array = type == "a"});
    previous_type = type;
  };
  for (std::size_t at = 1; at < text.size() && text[at] != ':'; ++at) {
    const char symbol = text[at];
    Parameter* last = result.parameters.empty() ? nullptr : &result.parameters.back();
    if (std::string_view("snblo").find(symbol) != std::string_view::npos) {
      add(std::string{symbol, 'm'}, std::string{symbol});
    } else if (symbol == 'a') {
      add("asnblfom", "a");
    } else if (symbol == 'f') {
      add("f", "f");
    } else if (symbol == 'j') {
      add("asnblom", "j");
    } else if (symbol == 'x') {
      add("asnblfom", "x");
    } else if (symbol == '-' && last) {
      last->context = last->optional = true;
    } else if (symbol == '?' && last) {
      last->optional = true;
    } else if (symbol == '+' && last) {
      last->repeated = true;
    } else if (symbol == '(') {
      const std::size_t end = signature_parts::closing(text, at, '(', ')');
      const std::string choice(text.substr(at + 1, end - at - 1));
      if (choice.find('<') != std::string::npos)
        throw Failure{.code = "S0402", .position = static_cast<std::uint32_t>(at), .value = choice};
      add(choice + "m", "(" + choice + ")");
      at = end;
    } else if (symbol == '<') {
      if (previous_type != "a" && previous_type != "f")
        throw Failure{.code = "S0401", .position = static_cast<std::uint32_t>(at), .value = previous_type};
      const std::size_t end = signature_parts::closing(text, at, '<', '>');
      last->subtype = text.substr(at + 1, end - at - 1);
      at = end;
    }
  }
  return result;
}

bool Signature::match(std::string_view letters, std::vector<std::uint32_t>& taken) const {
  taken.assign(parameters.size(), 0);
  signature_parts::Matcher matcher{parameters, letters, taken,
                                   std::vector<bool>((parameters.size() + 1) * (letters.size() + 1))};
  return matcher.run(0, 0, parameters.size(), true);
}

std::size_t Signature::mismatch(std::string_view letters) const {
  std::size_t good_to = 0;
  std::vector<std::uint32_t> taken(parameters.size());
  for (std::size_t count = 1; count <= parameters.size(); ++count) {
    signature_parts::Matcher matcher{parameters, letters, taken,
                                     std::vector<bool>((parameters.size() + 1) * (letters.size() + 1))};
    if (!matcher.run(0, 0, count, false)) return good_to;
    good_to = 0;
    for (std::size_t i = 0; i < count; ++i) good_to += taken[i];
  }
  return good_to;
}

}  // namespace sortie::jsonata
