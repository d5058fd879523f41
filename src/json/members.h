#pragma once
// Reading members of JSON objects that somebody else wrote: what is missing or of another type is empty.
#include <string>
#include <string_view>

#include "json/value.h"

namespace sortie::json {

// The text of a member; "" where the value is no object, has no such member, or the member is no text.
inline std::string text_member(const Value& object, std::string_view name) {
  const Value& member = object.get(name);
  return member.is_string() ? member.to_std_string() : std::string();
}

}  // namespace sortie::json
