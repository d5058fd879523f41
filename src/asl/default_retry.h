#pragma once
// The Retry that every Task without one gets: defaults.retry of sortie.yaml. It is written into the text of a
// definition, so what is published, shown and run is the same document, and reads like one that its author
// wrote.
//
// Text is edited, not printed anew: order, layout and comments stay, a Retry comes to stand before the Task's
// Catch, Next or End (whichever is first) in the style around it. What was edited is read again and compared
// with what it should be; where that fails (a YAML alias in the wrong place) the definition is printed anew
// as JSON, and `is_reprinted` says so.
//
// A Task that has a Retry keeps it, "Retry": [] included: that is how one says that it is never to be tried
// again. So doing it twice does nothing more.
#include <string>
#include <string_view>
#include <vector>

#include "asl/compile.h"
#include "json/value.h"

namespace sortie::asl {

struct DefaultRetryText {
  std::string text;
  std::vector<std::string> states;  // The Tasks that have been given it, in document order.
  bool is_reprinted = false;
};

// `definition` in JSON or YAML. Text that is no definition, and a null `retry`, change nothing.
DefaultRetryText with_default_retry(std::string_view definition, const json::Value& retry);

// What is wrong with a Retry by itself; pointers lead into it ("/0/ErrorEquals").
std::vector<Diagnostic> check_retry(const json::Value& retry);

}  // namespace sortie::asl
