#include "asl/graph.h"

#include <gtest/gtest.h>

namespace sortie::asl {
namespace {

const std::string kDefinition = R"({"StartAt":"C","States":{
  "C":{"Type":"Choice","Choices":[{"Variable":"$.a","StringEquals":"x\"<y>","Next":"P"}],"Default":"Nowhere"},
  "P":{"Type":"Parallel","Next":"Done","Catch":[{"ErrorEquals":["States.ALL"],"Next":"Done"}],
       "Branches":[{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}}]},
  "Done":{"Type":"Succeed"}}})";

TEST(Graph, IsDrawnAsIndentedText) {
  EXPECT_EQ(render_graph_text(make_graph(kDefinition)),
            "C (Choice) start\n"
            "  -> P  if $.a = \"x\\\"<y>\"\n"
            "  -> Nowhere MISSING  otherwise\n"
            "P (Parallel)\n"
            "  branch 1\n"
            "    B (Pass) start end\n"
            "  -> Done\n"
            "  -> Done  on States.ALL\n"
            "Done (Succeed) end\n");
}

TEST(Graph, ShowsAMissingTargetAsARedStubAndEscapesLabels) {
  const std::string mermaid = render_graph_mermaid(make_graph(kDefinition));
  EXPECT_NE(mermaid.find("[\"Nowhere\"]:::missing"), std::string::npos) << mermaid;
  EXPECT_NE(mermaid.find("x\\#quot;#lt;y#gt;"), std::string::npos) << mermaid;
  EXPECT_NE(mermaid.find("subgraph g1[\"P, branch 1\"]"), std::string::npos) << mermaid;
  const std::string dot = render_graph_dot(make_graph(kDefinition));
  EXPECT_NE(dot.find("[label=\"Nowhere\",shape=box,style=dashed,color=red,fontcolor=red]"), std::string::npos)
      << dot;
  EXPECT_NE(dot.find("n1 -> n4 [label=\"\",style=dashed]"), std::string::npos) << dot;
}

TEST(Graph, DrawsWhatParsesOfABrokenDefinition) {
  EXPECT_EQ(
      render_graph_text(make_graph(R"({"States":{"A":{"Next":7},"B":5,"C":{"Type":"Pass","Next":"A"}}})")),
      "A (?)\nB (?)\nC (Pass)\n  -> A\n");
  EXPECT_EQ(render_graph_text(make_graph("{\"StartAt\":")), "");
  EXPECT_EQ(render_graph_text(make_graph("StartAt: A\nStates:\n  A: {Type: Succeed}\n")),
            "A (Succeed) start end\n");
}

}  // namespace
}  // namespace sortie::asl
