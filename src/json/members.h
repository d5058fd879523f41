#pragma once
// Reading members of JSON objects that somebody else wrote: what is missing or of another type is empty.
#include <string>
#include <string_view>

#include "json/text.h"
#include "json/value.h"

namespace sortie::json {

// The text of a member; "" where the value is no object, has no such member, or the member is no text.
inline std::string text_member(const Value& object, std::string_view name) {
  const Value& member = object.get(name);
  return member.is_string() ? member.to_std_string() : std::string();
}

// The same for people to read: what is no text is shown as JSON, null as nothing.
inline std::string shown_member(const Value& object, std::string_view name) {
  const Value& member = object.get(name);
  if (member.is_null()) return "";
  return member.is_string() ? member.to_std_string() : to_text(member);
}

}  // namespace sortie::json
