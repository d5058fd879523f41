#pragma once
// What an expression names, read from its text: a scan of its tokens that knows strings, comments, quoted
// names and regular expressions, and no more grammar than that. It serves validation and what the caller
// prepares; what an expression means is jsonata::Program's business alone.
#include <set>
#include <string>
#include <string_view>

#include "asl/jsonata_template.h"

namespace sortie::asl {

struct JsonataNames {
  // Variables that are used and not bound inside (":=", parameters, "@$x", "#$x"), without calls of
  // functions.
  std::set<std::string> free;
  StatesMembers named = 0;    // "$states.result" and so on, written out.
  StatesMembers reached = 0;  // The same, and all of them where $states is used in any other way.
};

JsonataNames scan_jsonata_names(std::string_view text);

}  // namespace sortie::asl
