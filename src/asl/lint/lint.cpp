#include "asl/lint/lint.h"

#include "asl/lint/rules.h"
#include "asl/lint/walk.h"
#include "asl/source.h"

namespace sortie::asl {

std::vector<Finding> lint(const StateMachine& machine, const LintKnowledge& knowledge) {
  const DefinitionSource source(machine.definition);
  const analysis::Survey survey = analysis::survey_machine(machine, source.value(), knowledge);
  analysis::Notebook notebook(survey);
  analysis::check_states(survey, knowledge, notebook);
  analysis::Walk(survey, notebook).run();
  return notebook.take();
}

}  // namespace sortie::asl
