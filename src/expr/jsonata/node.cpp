#include "expr/jsonata/node.h"

#include <functional>

#include "expr/jsonata/engine.h"

namespace sortie::jsonata {
namespace naming {

constexpr std::size_t kIndexedMin = 12;

std::size_t hash_of(std::string_view name) { return std::hash<std::string_view>{}(name); }

}  // namespace naming

std::int32_t Names::find(std::string_view name) const {
  if (slots_.empty()) {
    for (std::size_t i = 0; i < symbols_.size(); ++i) {
      if (symbols_[i].text == name) return static_cast<std::int32_t>(i);
    }
    return kNoSymbol;
  }
  std::size_t slot = naming::hash_of(name) & (slots_.size() - 1);
  for (; slots_[slot] != kNoSymbol; slot = (slot + 1) & (slots_.size() - 1)) {
    if ((*this)[slots_[slot]].text == name) return slots_[slot];
  }
  return kNoSymbol;
}

std::int32_t Names::id(PoolMemory& memory, std::string_view name, Mode mode) {
  const std::int32_t known = find(name);
  if (known != kNoSymbol) return known;
  symbols_.push(memory, {.text = name, .builtin = find_builtin(name, mode)});
  const auto id = static_cast<std::int32_t>(symbols_.size() - 1);
  if (symbols_.size() >= naming::kIndexedMin) {
    if (symbols_.size() * 2 > slots_.size()) {
      index();
    } else {
      std::size_t slot = naming::hash_of(name) & (slots_.size() - 1);
      while (slots_[slot] != kNoSymbol) slot = (slot + 1) & (slots_.size() - 1);
      slots_[slot] = id;
    }
  }
  return id;
}

void Names::index() {
  slots_.assign(std::max<std::size_t>(64, slots_.size() * 2), kNoSymbol);
  for (std::size_t i = 0; i < symbols_.size(); ++i) {
    std::size_t slot = naming::hash_of(symbols_[i].text) & (slots_.size() - 1);
    while (slots_[slot] != kNoSymbol) slot = (slot + 1) & (slots_.size() - 1);
    slots_[slot] = static_cast<std::int32_t>(i);
  }
}

}  // namespace sortie::jsonata
