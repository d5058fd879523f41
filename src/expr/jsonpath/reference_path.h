#pragma once
// Storing a value at a reference path: what ResultPath does with a state's result.
//
//   $          the value replaces the whole document
//   $.a.b      members that are missing are created as objects on the way
//   $.a[1]     an index works only on an element that exists
//
// Everything beside the path is shared with the original; only the containers on the way to the place are
// made anew. A scalar, null or array where a member is to be stored, an index into something that is no
// array, and an index past the end fail with code States.ResultPathMatchFailure.
#include <string_view>

#include "base/result.h"
#include "expr/jsonpath/jsonpath.h"
#include "json/value.h"

namespace sortie::jsonpath {

inline constexpr std::string_view kResultPathMatchFailure = "States.ResultPathMatchFailure";

// `reference` is a reference path (is_reference()); anything else is answered with kInvalidPath.
Result<json::Value> set_at(const json::Value& root, const Path& reference, json::Value value);

}  // namespace sortie::jsonpath
