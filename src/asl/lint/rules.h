#pragma once
// The checks that need no data: what one state says (A02, A05, A06, A08, A11), its handlers (A13, A14, A15),
// text that was meant as a path (A16, A17), and how states hang together (A18, A19, A20).
#include "asl/lint/notebook.h"

namespace sortie::asl::analysis {

void check_states(const Survey& survey, const LintKnowledge& knowledge, Notebook& notebook);

// handlers.cpp: Retry and Catch.
void check_handlers(const SurveyedState& in, std::size_t number, Notebook& notebook);
// texts.cpp: templates.
void check_texts(const SurveyedState& in, std::size_t number, Notebook& notebook);
// ways.cpp: transitions and variables.
void check_choice(const SurveyedState& in, std::size_t number, Notebook& notebook);
void check_ends(const Survey& survey, Notebook& notebook);
void check_variables(const Survey& survey, Notebook& notebook);

}  // namespace sortie::asl::analysis
