#pragma once
// Faults that are seeded in the code on purpose, to prove that the simulation finds them. They exist only in
// a build with SORTIE_CANARY (one program of the tests); everywhere else SORTIE_CANARY_IS is the constant
// false, and nothing of it is compiled in.
//
//   if (SORTIE_CANARY_IS("fence-forgotten")) return {};
//
// Which one is on is for the test to say: it defines `sortie::canary::active`.
#include <string_view>

#ifdef SORTIE_CANARY
namespace sortie::canary {
extern std::string_view active;  // Empty: none.
}
#define SORTIE_CANARY_IS(name) (::sortie::canary::active == (name))
#else
#define SORTIE_CANARY_IS(name) false
#endif
