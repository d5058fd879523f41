#pragma once
// Text to raw tree (a Pratt parser), and raw tree to the shapes that the evaluator walks (the second pass:
// paths, stages, parent slots, tail calls). Both throw Failure. Where the reference implementation has a
// quirk here (which token may be a name, where a slash is a regular expression) it is kept.
#include <string_view>

#include "expr/jsonata/node.h"

namespace sortie::jsonata {

// Levels of nesting that are accepted; long chains of one operator nest to the left and count, too.
inline constexpr std::uint32_t kNestingMax = 3000;

// The raw tree. `extended` allows the operators ?: and ??.
Node* parse_expression(NodePool& pool, std::string_view text, bool extended);
// The second pass over a raw tree.
Node* resolve(NodePool& pool, Node* raw);

}  // namespace sortie::jsonata
