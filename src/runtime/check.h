#pragma once
// "Never stuck" as an invariant: every open frame has exactly one reason to wait, and it is in the store.
#include <string>
#include <vector>

#include "store/store.h"

namespace sortie::runtime {

// One sentence for everything that does not hold; empty: all holds. Reads the store only; nothing is
// repaired.
Result<std::vector<std::string>> check_store(store::Store& store);

}  // namespace sortie::runtime
