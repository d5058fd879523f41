#include <algorithm>
#include <cmath>

#include "expr/pattern/rule_index.h"

namespace sortie::pattern {

namespace atoms_detail {

constexpr std::size_t kGramsMax = 16;  // Offered of one pattern.

AtomSpec spec(AtomKind kind, std::string operand, bool exact) {
  AtomSpec made;
  made.kind = kind;
  made.exact = exact;
  made.operand = std::move(operand);
  const bool sized = kind == AtomKind::kPrefix || kind == AtomKind::kSuffix ||
                     kind == AtomKind::kFoldedPrefix || kind == AtomKind::kFoldedSuffix;
  if (sized) made.length = static_cast<std::uint32_t>(made.operand.size());
  return made;
}

// An empty operand says nothing but that a string is there.
AtomSpec affix(AtomKind kind, std::string operand, bool exact) {
  if (operand.empty()) return spec(AtomKind::kAny, "", false);
  return spec(kind, std::move(operand), exact);
}

std::string bytes_of(double number) {
  char bytes[sizeof number];
  std::memcpy(bytes, &number, sizeof number);
  return std::string(bytes, sizeof number);
}

std::vector<AtomSpec> wildcard_atoms(const Wildcard& wildcard) {
  const std::vector<std::string>& runs = wildcard.runs();
  if (runs.size() == 1) return {spec(AtomKind::kText, runs[0], true)};
  std::vector<AtomSpec> atoms;
  if (!runs.front().empty()) {
    atoms.push_back(affix(AtomKind::kPrefix, runs.front(), runs.size() == 2 && runs[1].empty()));
  }
  if (!runs.back().empty()) {
    atoms.push_back(affix(AtomKind::kSuffix, runs.back(), runs.size() == 2 && runs[0].empty()));
  }
  if (!atoms.empty() && atoms.front().exact) return atoms;
  std::size_t places = 0;
  for (const std::string& run : runs) places += run.size() < kGramBytes ? 0 : run.size() - kGramBytes + 1;
  const std::size_t step = places / kGramsMax + 1;
  std::size_t place = 0;
  for (const std::string& run : runs) {
    for (std::size_t i = 0; i + kGramBytes <= run.size(); ++i, ++place) {
      if (place % step == 0) atoms.push_back(spec(AtomKind::kGram, run.substr(i, kGramBytes), false));
    }
  }
  if (atoms.empty()) atoms.push_back(spec(AtomKind::kAny, "", false));
  return atoms;
}

bool is_ascii_pair(const CasePair& pair) {
  return pair.lower.size() == 1 && pair.upper.size() == 1 && static_cast<unsigned char>(pair.lower[0]) < 0x80;
}

// Of a pattern that is not all ASCII, what is ASCII at its ends.
std::vector<AtomSpec> folded_end_atoms(const ValueTest& test) {
  const FoldedText& folded = test.detail->folded;
  std::vector<AtomSpec> atoms;
  std::string head;
  for (auto it = folded.begin(); it != folded.end() && is_ascii_pair(*it); ++it) head += it->lower;
  std::string tail;
  for (auto it = folded.rbegin(); it != folded.rend() && is_ascii_pair(*it); ++it) tail += it->lower;
  std::reverse(tail.begin(), tail.end());
  if (test.kind != TestKind::kFoldedSuffix && !head.empty()) {
    atoms.push_back(affix(AtomKind::kFoldedPrefix, head, false));
  }
  if (test.kind != TestKind::kFoldedPrefix && !tail.empty()) {
    atoms.push_back(affix(AtomKind::kFoldedSuffix, tail, false));
  }
  if (atoms.empty()) atoms.push_back(spec(AtomKind::kAny, "", false));
  return atoms;
}

std::vector<AtomSpec> folded_atoms(const ValueTest& test) {
  if (test.text.empty() && !test.detail->folded.empty()) return folded_end_atoms(test);
  switch (test.kind) {
    case TestKind::kFolded:
      return {spec(AtomKind::kFoldedText, test.text, true)};
    case TestKind::kFoldedPrefix:
      return {affix(AtomKind::kFoldedPrefix, test.text, true)};
    default:
      return {affix(AtomKind::kFoldedSuffix, test.text, true)};
  }
}

AtomSpec range_atom(const ValueTest& test) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  AtomSpec atom = spec(AtomKind::kRange, "", true);
  // Between a double and the next one there is no other, so open ends can be closed.
  if (test.low) atom.range.low = test.low_open ? std::nextafter(*test.low, kInfinity) : *test.low;
  if (test.high) atom.range.high = test.high_open ? std::nextafter(*test.high, -kInfinity) : *test.high;
  // A zero has one spelling only.
  if (atom.range.low == 0) atom.range.low = 0.0;
  if (atom.range.high == 0) atom.range.high = 0.0;
  atom.operand = bytes_of(atom.range.low) + bytes_of(atom.range.high);
  return atom;
}

AtomSpec address_atom(const AddressRange& range) {
  AtomSpec atom = spec(range.network.length == 4 ? AtomKind::kAddress4 : AtomKind::kAddress6, "", true);
  atom.length = static_cast<std::uint32_t>(range.bits);
  atom.operand = masked_bytes(range.network, range.bits);
  return atom;
}

}  // namespace atoms_detail

using namespace atoms_detail;

std::vector<AtomSpec> atoms_of(const ValueTest& test) {
  switch (test.kind) {
    case TestKind::kString:
      return {spec(AtomKind::kText, test.text, true)};
    case TestKind::kLiteral:
      return {spec(AtomKind::kLiteral, test.text, true)};
    case TestKind::kNumber:
      if (test.low) return {spec(AtomKind::kNumber, bytes_of(*test.low), true)};
      return {spec(AtomKind::kNumberText, test.text, true)};
    case TestKind::kPrefix:
      return {affix(AtomKind::kPrefix, test.text, true)};
    case TestKind::kSuffix:
      return {affix(AtomKind::kSuffix, test.text, true)};
    case TestKind::kFolded:
    case TestKind::kFoldedPrefix:
    case TestKind::kFoldedSuffix:
      return folded_atoms(test);
    case TestKind::kWildcard:
      return wildcard_atoms(test.detail->wildcard);
    case TestKind::kNumericRange:
      return {range_atom(test)};
    case TestKind::kAddressRange:
      return {address_atom(test.detail->addresses)};
    case TestKind::kExists:
      return {spec(AtomKind::kAny, "", true)};
    case TestKind::kAnythingBut:
      return {spec(AtomKind::kAny, "", false)};
    case TestKind::kAbsent:
      return {};
  }
  return {};
}

}  // namespace sortie::pattern
