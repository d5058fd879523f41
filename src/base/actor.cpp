#include "base/actor.h"

#include <array>
#include <string_view>

namespace sortie {
namespace {

constexpr std::array<std::string_view, 8> kKindNames = {"unknown",   "person", "function", "rule",
                                                        "execution", "hook",   "system",   "account"};

}  // namespace

std::string to_text(const Actor& actor) {
  const std::string kind(kKindNames[static_cast<std::size_t>(actor.kind)]);
  if (actor.name.empty()) return kind;
  return kind + ":" + actor.name;
}

Actor parse_actor(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  Actor actor;
  for (std::size_t i = 0; i < kKindNames.size(); ++i) {
    if (kind != kKindNames[i]) continue;
    actor.kind = static_cast<Actor::Kind>(i);
    if (colon != std::string_view::npos) actor.name = std::string(text.substr(colon + 1));
  }
  return actor;
}

}  // namespace sortie
