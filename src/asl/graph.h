#pragma once
// The graph of a definition, for people to look at: text, Mermaid or Graphviz.
//
// It is drawn from the text, not from the compiled machine, so that broken definitions can be drawn, too:
// whatever reads as a state is there, and a target that does not exist is a stub of its own (red in Mermaid
// and Graphviz, "MISSING" in text). What cannot be read as JSON or YAML has an empty graph.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sortie::asl {

inline constexpr std::size_t kGraphNodesMax = 5'000;

struct GraphNode {
  std::string name;
  std::string type;  // "Task", ...; empty where the definition does not say.
  std::size_t group = 0;
  bool is_start = false;
  bool is_end = false;      // The flow ends here: End, Succeed, Fail.
  bool is_missing = false;  // Named as a target and nowhere defined.
};

struct GraphEdge {
  std::size_t from = 0;
  std::size_t to = 0;
  std::string label;      // "if $.a = 1", "otherwise", "on States.ALL"; empty for a plain Next.
  bool is_inner = false;  // From a Parallel or Map into one of its flows.
};

// A flow: 0 is the machine, the others hang under a Parallel or Map.
struct GraphGroup {
  std::string label;  // "branch 1", "each item"
  std::size_t parent = 0;
  std::size_t owner = 0;  // The node it hangs under; for group 0 without meaning.
};

struct Graph {
  std::vector<GraphGroup> groups;
  std::vector<GraphNode> nodes;
  std::vector<GraphEdge> edges;
};

Graph make_graph(std::string_view definition_text);

std::string render_graph_text(const Graph& graph);
std::string render_graph_mermaid(const Graph& graph);
std::string render_graph_dot(const Graph& graph);

}  // namespace sortie::asl
