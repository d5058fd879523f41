#pragma once
// The checks that need one state at a time: A02, A05, A06, A08, A11, A13.
#include "asl/lint/notebook.h"

namespace sortie::asl::analysis {

void check_states(const Survey& survey, const LintKnowledge& knowledge, Notebook& notebook);

}  // namespace sortie::asl::analysis
