// Protects what a person sees of a failed expression: the caret stands under the token at fault, whatever is
// before it, and there is something to try.
#include "cli/eval_report.h"

#include <gtest/gtest.h>

namespace sortie::cli {
namespace {

TEST(EvalReport, PutsTheCaretUnderTheTokenAndGivesAHint) {
  EXPECT_EQ(describe_failure("jsonata", "1 + 'x'", {"T2002", "no number", "offset 3", ""}),
            "sortie: no number\n  1 + 'x'\n    ^\nhint: $number(...) makes a number of text\n");
  EXPECT_EQ(
      describe_failure("jsonpath", "$.a[?(@.b ==]", {"x", "not balanced", "offset 3", ""}).substr(0, 43),
      "sortie: not balanced\n  $.a[?(@.b ==]\n     ^");
}

TEST(EvalReport, CountsCharactersNotBytes) {
  const std::string text =
      describe_failure("jsonata", "'\u00e4\U0001F600' + 'x'", {"T2002", "m", "offset 7", ""});
  EXPECT_NE(text.find("\n       ^\n"), std::string::npos) << text;
}

TEST(EvalReport, ShowsTheRightLineOfAPatternWithoutTheParsersCopyOfIt) {
  const Error error{"", "must be a list\n at [Source: (String)\"{...}\"; line: 2, column: 8]",
                    "line 2, column 8", ""};
  EXPECT_EQ(describe_failure("pattern", "{\"b\": [1],\n \"a\": 1}", error).substr(0, 50),
            "sortie: must be a list\n   \"a\": 1}\n        ^\nhint: ");
}

TEST(EvalReport, ShowsTheStretchOfALongLineAroundThePlace) {
  const std::string text = describe_failure(
      "jsonata", std::string(5000, 'a') + " 1 " + std::string(5000, 'b'), {"S0201", "m", "offset 5002", ""});
  EXPECT_LT(text.size(), 400u);
  EXPECT_NE(text.find("..."), std::string::npos);
}

TEST(EvalReport, SaysThatTheDelimitersDoNotBelongToTheExpression) {
  EXPECT_NE(describe_failure("jsonata", "{% 1 %}", {"S0211", "m", "offset 2", ""}).find("leave out {%"),
            std::string::npos);
}

}  // namespace
}  // namespace sortie::cli
