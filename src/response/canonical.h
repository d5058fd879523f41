#pragma once
// Canonical JSON (RFC 8785): the same value always gives the same bytes, so that its SHA-256 names it.
// Members are sorted by the UTF-16 code units of their names, numbers are written as ECMAScript writes them,
// nothing is escaped that need not be. Integers keep all their digits, also beyond 2^53 (the RFC would round
// them; two different plans must never share a hash).
#include <string>

#include "json/value.h"

namespace sortie::response {

std::string canonical_text(const json::Value& value);
std::string canonical_sha256(const json::Value& value);  // Hex.

}  // namespace sortie::response
