#pragma once
// Whether one candidate, a combination of a rule's conditions, matches the event that has been read.
//
// Array consistency: two fields of one match never come from different elements of the same array. Elements
// that are objects or arrays are scopes, which form a tree; a field lies in one scope. Two scopes go together
// unless their ways up meet at the same array through different elements.
//
// Where no condition can be satisfied by absence, one that has a field outside all arrays goes together with
// anything, and so does a condition that is the only one left; most candidates are decided by that. Otherwise
// the conditions are taken in the order of their paths, keeping every distinct set of scopes that the fields
// chosen so far can lie in (that order matters: an absent field is absent from the elements chosen so far).
// Scopes of arrays that no later path can share are forgotten on the way, so a set is mostly one scope, and
// what goes together with it is found by the numbers of scopes, which are in the order of the text.
#include "expr/pattern/match_state.h"

namespace sortie::pattern {

bool matches_candidate(const Candidate& candidate, MatchState& state);

}  // namespace sortie::pattern
