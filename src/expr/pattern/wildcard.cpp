#include "expr/pattern/wildcard.h"

#include <algorithm>
#include <cstdint>
#include <set>

namespace sortie::pattern {

namespace wildcard_detail {
constexpr std::size_t kStateSetsMax = 1024;  // More distinct situations than this count as too complex.
}

Result<Wildcard> Wildcard::compile(std::string_view text) {
  Wildcard wildcard;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '*') {
      if (!wildcard.stars_.empty() && wildcard.stars_.back()) {
        return Error{"", "Consecutive wildcard characters at pos " + std::to_string(i)};
      }
      wildcard.literals_ += c;
      wildcard.stars_.push_back(true);
      wildcard.runs_.emplace_back();
      continue;
    }
    if (c == '\\') {
      if (i + 1 >= text.size() || (text[i + 1] != '*' && text[i + 1] != '\\')) {
        return Error{"", "Invalid escape character at pos " + std::to_string(i + 1)};
      }
      ++i;
    }
    wildcard.literals_ += text[i];
    wildcard.stars_.push_back(false);
    wildcard.runs_.back() += text[i];
  }
  return wildcard;
}

bool Wildcard::matches(std::string_view value) const {
  if (runs_.size() == 1) return value == runs_[0];
  if (!value.starts_with(runs_.front())) return false;
  value.remove_prefix(runs_.front().size());
  if (!value.ends_with(runs_.back())) return false;
  value.remove_suffix(runs_.back().size());
  // The earliest place for each run leaves the most for those behind it.
  for (std::size_t i = 1; i + 1 < runs_.size(); ++i) {
    const std::size_t at = value.find(runs_[i]);
    if (at == std::string_view::npos) return false;
    value.remove_prefix(at + runs_[i].size());
  }
  return true;
}

std::size_t Wildcard::complexity(std::size_t bound) const {
  using Places = std::vector<std::uint32_t>;  // Ascending; place p: the first p elements are matched.
  const auto close = [this](std::set<std::uint32_t>& places) {
    for (std::uint32_t place : std::set<std::uint32_t>(places)) {
      if (place < stars_.size() && stars_[place]) places.insert(place + 1);
    }
  };
  std::set<char> alphabet;
  for (std::size_t i = 0; i < literals_.size(); ++i) {
    if (!stars_[i]) alphabet.insert(literals_[i]);
  }
  std::set<std::uint32_t> first{0};
  close(first);
  std::set<Places> seen;
  std::vector<Places> queue{Places(first.begin(), first.end())};
  seen.insert(queue.front());
  std::size_t most = 0;
  while (!queue.empty()) {
    const Places places = std::move(queue.back());
    queue.pop_back();
    for (char c : alphabet) {
      std::set<std::uint32_t> next;
      for (std::uint32_t place : places) {
        if (place > 0 && stars_[place - 1]) next.insert(place);  // The star goes on.
        if (place < stars_.size() && !stars_[place] && literals_[place] == c) next.insert(place + 1);
      }
      close(next);
      most = std::max(most, next.size());
      Places set(next.begin(), next.end());
      if (most >= bound || seen.size() >= wildcard_detail::kStateSetsMax) return bound;
      if (!next.empty() && seen.insert(set).second) queue.push_back(std::move(set));
    }
  }
  return most;
}

}  // namespace sortie::pattern
