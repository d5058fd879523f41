#pragma once
// Reads an event's text once, from front to back, for a RuleSet: every scalar at a path that some rule names
// becomes a Field, and the atoms that it satisfies are noted. Everything else is skipped: a string by looking
// for its closing quote, an object or array by counting brackets outside strings, 64 bytes at a time with
// SSE2 where there is SSE2 (every x86-64), byte by byte elsewhere.
//
// Nothing is copied but strings with escapes. What is skipped is not checked beyond its strings and brackets;
// what is looked at must be JSON.
#include <string_view>

#include "expr/pattern/match_state.h"

namespace sortie::pattern {

inline constexpr std::size_t kEventDepthMax = 1000;  // Of what rules lead into.

// Whether the text could be read.
bool read_event(std::string_view text, const RuleIndex& index, MatchState& state);

}  // namespace sortie::pattern
