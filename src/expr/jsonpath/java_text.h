#pragma once
// How the Java behind AWS Step Functions spells values as text. Recorded executions show it in two places:
// States.Format prints objects and arrays as {k=v, k2=v2} and [a, b], and path errors name the value they
// could not be applied to. Strings appear bare at any depth, null as null, doubles as Double.toString has
// them (1.1, 1.0E10).
#include <string>

#include "json/value.h"

namespace sortie::jsonpath {

void append_java_text(std::string& out, const json::Value& value);
std::string java_text(const json::Value& value);
// 1.0, 0.001, 1.0E7, 1.5E-4: plain between 10^-3 and 10^7, scientific outside.
std::string java_double_text(double number);

// The same for messages, cut after 2048 bytes.
std::string shown(const json::Value& value);

}  // namespace sortie::jsonpath
