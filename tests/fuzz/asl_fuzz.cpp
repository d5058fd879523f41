// Fuzzes: asl
//
// Any text is a definition that compile() accepts or refuses. Beyond "does not crash": a refusal names a code
// and a message, an acceptance resolves every name, and lint and graph end on whatever was accepted.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "asl/compile.h"
#include "asl/graph.h"
#include "asl/json_error.h"
#include "asl/lint/render.h"
#include "base/result.h"

using namespace sortie;

namespace {

void check_machine(const asl::StateMachine& machine) {
  SORTIE_CHECK(!machine.flows.empty());
  for (const asl::Flow& flow : machine.flows) {
    SORTIE_CHECK(flow.start < flow.states.size());
    for (const asl::State& state : flow.states) {
      SORTIE_CHECK(state.next == asl::kNoState || state.next < flow.states.size());
      for (const asl::Catcher& catcher : state.catchers) SORTIE_CHECK(catcher.next < flow.states.size());
      if (const auto* choice = std::get_if<asl::Choice>(&state.body)) {
        for (const asl::ChoiceRule& rule : choice->rules) SORTIE_CHECK(rule.next < flow.states.size());
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // The first byte chooses the options, the rest is the text.
  const asl::CompileOptions options{
      .type = (data[0] & 1) != 0 ? asl::MachineType::kExpress : asl::MachineType::kStandard,
      .strict = (data[0] & 2) != 0};
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const asl::Compilation compilation = asl::compile(text, options);
  SORTIE_CHECK(compilation.ok() == compilation.diagnostics.empty());
  for (const asl::Diagnostic& found : compilation.diagnostics) {
    SORTIE_CHECK(!found.code.empty() && !found.message.empty());
  }
  if (compilation.ok()) check_machine(*compilation.machine);
  const asl::LintedFile file = asl::lint_file("f", std::string(text), options, {});
  asl::render_lint_text({&file, 1});
  asl::render_lint_sarif({&file, 1}, "0");
  const asl::Graph graph = asl::make_graph(text);
  asl::render_graph_text(graph);
  asl::render_graph_mermaid(graph);
  asl::render_graph_dot(graph);
  return 0;
}
