#include "asl/graph.h"

#include <unordered_map>

#include "asl/source.h"
#include "base/text.h"
#include "json/text.h"

namespace sortie::asl {
namespace {

constexpr int kFlowDepthMax = 100;
constexpr std::size_t kLabelBytesMax = 60;

std::string shortened(std::string text) {
  if (text.size() <= kLabelBytesMax) return text;
  return std::string(truncate_utf8(text, kLabelBytesMax)) + "...";
}

std::string operator_sign(std::string_view comparator) {
  for (const std::string_view kind : {"String", "Numeric", "Boolean", "Timestamp"}) {
    if (comparator.starts_with(kind)) comparator.remove_prefix(kind.size());
  }
  if (comparator.ends_with("Path")) comparator.remove_suffix(4);
  if (comparator == "Equals") return "=";
  if (comparator == "LessThan") return "<";
  if (comparator == "LessThanEquals") return "<=";
  if (comparator == "GreaterThan") return ">";
  if (comparator == "GreaterThanEquals") return ">=";
  if (comparator == "Matches") return "matches";
  return std::string(comparator);
}

// A Choice rule in a few words: "$.severity = "CRITICAL" and not ($.test IsPresent)".
std::string condition_text(const json::Value& rule, int depth) {
  if (depth > 3) return "...";
  if (const json::Value& condition = rule.get("Condition"); condition.is_string()) {
    return condition.to_std_string();
  }
  for (const std::string_view name : {"And", "Or"}) {
    const json::Value& list = rule.get(name);
    if (!list.is_array()) continue;
    std::string out;
    for (const json::Value& part : list.items()) {
      if (out.size() > kLabelBytesMax) break;
      if (!out.empty()) out += name == "And" ? " and " : " or ";
      out += condition_text(part, depth + 1);
    }
    return out;
  }
  if (const json::Value* inner = rule.find("Not")) return "not (" + condition_text(*inner, depth + 1) + ")";
  std::string out = rule.get("Variable").is_string() ? rule.get("Variable").to_std_string() : "?";
  for (const json::Member& member : rule.members()) {
    const std::string_view name = member.key.as_string();
    if (name == "Variable" || name == "Next" || name == "Comment" || name == "Assign") continue;
    out += " " + operator_sign(name) + " ";
    out += name.ends_with("Path") && member.value.is_string() ? member.value.to_std_string()
                                                              : json::to_text(member.value);
    break;
  }
  return out;
}

class Drawer {
 public:
  Graph draw(const json::Value& definition) {
    if (definition.get("States").is_object()) draw_flow(definition, {"", 0, 0}, 0);
    return std::move(graph_);
  }

 private:
  using Names = std::unordered_map<std::string_view, std::size_t>;

  // Returns the node that the flow starts with, or kNone.
  std::size_t draw_flow(const json::Value& flow, GraphGroup group, int depth) {
    const std::size_t number = graph_.groups.size();
    graph_.groups.push_back(std::move(group));
    Names names;
    const json::Value& states = flow.get("States");
    const json::Value& start = flow.get("StartAt");
    for (const json::Member& member : states.members()) {
      if (graph_.nodes.size() >= kGraphNodesMax) break;
      const std::string_view name = member.key.as_string();
      const json::Value& type = member.value.get("Type");
      const json::Value& end = member.value.get("End");
      const std::string type_name = type.is_string() ? type.to_std_string() : "";
      names.emplace(name, graph_.nodes.size());
      graph_.nodes.push_back(
          {.name = std::string(name),
           .type = type_name,
           .group = number,
           .is_start = start.is_string() && start.as_string() == name,
           .is_end = end == json::Value(true) || type_name == "Succeed" || type_name == "Fail",
           .is_missing = false});
    }
    for (const json::Member& member : states.members()) {
      const auto node = names.find(member.key.as_string());
      if (node == names.end()) break;
      draw_edges(member.value, node->second, names);
      draw_inner(member.value, node->second, depth);
    }
    if (!start.is_string()) return kNone;
    const std::size_t first = target(start.as_string(), names, number);
    if (first < graph_.nodes.size()) graph_.nodes[first].is_start = true;
    return first;
  }

  // The node of that name, or a stub.
  std::size_t target(std::string_view name, Names& names, std::size_t group) {
    const auto known = names.find(name);
    if (known != names.end()) return known->second;
    const std::size_t number = graph_.nodes.size();
    graph_.nodes.push_back({.name = std::string(name), .type = "", .group = group, .is_missing = true});
    names.emplace(name, number);
    return number;
  }

  void add_edge(std::size_t from, const json::Value& next, Names& names, std::string label) {
    if (!next.is_string() || graph_.edges.size() >= 4 * kGraphNodesMax) return;
    const std::size_t to = target(next.as_string(), names, graph_.nodes[from].group);
    graph_.edges.push_back({from, to, shortened(std::move(label)), false});
  }

  void draw_edges(const json::Value& state, std::size_t from, Names& names) {
    add_edge(from, state.get("Next"), names, "");
    for (const json::Value& rule : state.get("Choices").items()) {
      add_edge(from, rule.get("Next"), names, "if " + condition_text(rule, 0));
    }
    add_edge(from, state.get("Default"), names, "otherwise");
    for (const json::Value& catcher : state.get("Catch").items()) {
      std::string label;
      for (const json::Value& error : catcher.get("ErrorEquals").items()) {
        if (error.is_string()) label += (label.empty() ? "on " : ", ") + error.to_std_string();
      }
      add_edge(from, catcher.get("Next"), names, std::move(label));
    }
  }

  void draw_inner(const json::Value& state, std::size_t owner, int depth) {
    if (depth >= kFlowDepthMax) return;
    const auto draw = [&](const json::Value& flow, std::string label) {
      if (!flow.get("States").is_object()) return;
      const std::size_t first =
          draw_flow(flow, {std::move(label), graph_.nodes[owner].group, owner}, depth + 1);
      if (first != kNone) graph_.edges.push_back({owner, first, "", true});
    };
    std::size_t number = 0;
    for (const json::Value& branch : state.get("Branches").items()) {
      draw(branch, "branch " + std::to_string(++number));
    }
    draw(state.get("ItemProcessor"), "each item");
    draw(state.get("Iterator"), "each item");
  }

  static constexpr std::size_t kNone = SIZE_MAX;
  Graph graph_;
};

// Nodes and inner groups of each group, edges of each node: what rendering walks over.
struct Index {
  explicit Index(const Graph& graph)
      : nodes(graph.groups.size()), inner(graph.nodes.size()), edges(graph.nodes.size()) {
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) nodes[graph.nodes[i].group].push_back(i);
    for (std::size_t i = 1; i < graph.groups.size(); ++i) inner[graph.groups[i].owner].push_back(i);
    for (const GraphEdge& edge : graph.edges) edges[edge.from].push_back(&edge);
  }
  std::vector<std::vector<std::size_t>> nodes;
  std::vector<std::vector<std::size_t>> inner;
  std::vector<std::vector<const GraphEdge*>> edges;
};

void append_text(const Graph& graph, const Index& index, std::size_t group, std::string indent,
                 std::string& out) {
  for (const std::size_t number : index.nodes[group]) {
    const GraphNode& node = graph.nodes[number];
    if (node.is_missing) continue;  // Shown where it is named.
    out += indent + node.name + " (" + (node.type.empty() ? "?" : node.type) + ")";
    if (node.is_start) out += " start";
    if (node.is_end) out += " end";
    out += "\n";
    for (const std::size_t inner : index.inner[number]) {
      out += indent + "  " + graph.groups[inner].label + "\n";
      append_text(graph, index, inner, indent + "    ", out);
    }
    for (const GraphEdge* edge : index.edges[number]) {
      if (edge->is_inner) continue;
      out += indent + "  -> " + graph.nodes[edge->to].name;
      if (graph.nodes[edge->to].is_missing) out += " MISSING";
      if (!edge->label.empty()) out += "  " + edge->label;
      out += "\n";
    }
  }
}

// Mermaid reads entities with '#' in the place of '&'.
std::string mermaid_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "#quot;";
        break;
      case '#':
        out += "#35;";
        break;
      case '<':
        out += "#lt;";
        break;
      case '>':
        out += "#gt;";
        break;
      case '&':
        out += "#amp;";
        break;
      case '`':
        out += "#96;";
        break;
      case '\n':
      case '\r':
        out += ' ';
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string mermaid_node(const GraphNode& node, std::size_t number) {
  const std::string id = "n" + std::to_string(number);
  const std::string label = "\"" + mermaid_text(node.name) + "\"";
  if (node.is_missing) return id + "[" + label + "]:::missing";
  if (node.type == "Choice") return id + "{" + label + "}";
  if (node.type == "Succeed" || node.type == "Fail") return id + "([" + label + "])";
  return id + "[" + label + "]";
}

void append_mermaid(const Graph& graph, const Index& index, std::size_t group, std::string indent,
                    std::string& out) {
  for (const std::size_t number : index.nodes[group]) {
    out += indent + mermaid_node(graph.nodes[number], number) + "\n";
    for (const std::size_t inner : index.inner[number]) {
      out += indent + "subgraph g" + std::to_string(inner) + "[\"" +
             mermaid_text(graph.nodes[number].name + ", " + graph.groups[inner].label) + "\"]\n";
      append_mermaid(graph, index, inner, indent + "  ", out);
      out += indent + "end\n";
    }
  }
}

std::string dot_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' || c == '\r' ? ' ' : c;
  }
  return out + "\"";
}

void append_dot(const Graph& graph, const Index& index, std::size_t group, std::string indent,
                std::string& out) {
  for (const std::size_t number : index.nodes[group]) {
    const GraphNode& node = graph.nodes[number];
    std::string style = "shape=box,style=rounded";
    if (node.type == "Choice") style = "shape=diamond";
    if (node.type == "Succeed" || node.type == "Fail") style = "shape=oval";
    if (node.is_missing) style = "shape=box,style=dashed,color=red,fontcolor=red";
    out += indent + "n" + std::to_string(number) + " [label=" + dot_text(node.name) + "," + style + "];\n";
    for (const std::size_t inner : index.inner[number]) {
      out += indent + "subgraph cluster_g" + std::to_string(inner) + " {\n" + indent +
             "  label=" + dot_text(node.name + ", " + graph.groups[inner].label) + ";\n";
      append_dot(graph, index, inner, indent + "  ", out);
      out += indent + "}\n";
    }
  }
}

}  // namespace

Graph make_graph(std::string_view definition_text) {
  return Drawer().draw(DefinitionSource(definition_text).value());
}

std::string render_graph_text(const Graph& graph) {
  std::string out;
  if (!graph.groups.empty()) append_text(graph, Index(graph), 0, "", out);
  return out;
}

std::string render_graph_mermaid(const Graph& graph) {
  std::string out = "flowchart TD\n";
  if (!graph.groups.empty()) append_mermaid(graph, Index(graph), 0, "  ", out);
  for (const GraphEdge& edge : graph.edges) {
    out += "  n" + std::to_string(edge.from) + (edge.is_inner ? " -.-> " : " --> ");
    if (!edge.label.empty()) out += "|\"" + mermaid_text(edge.label) + "\"| ";
    out += "n" + std::to_string(edge.to) + "\n";
  }
  return out + "  classDef missing fill:#fdd,stroke:#c00,color:#c00,stroke-dasharray:4\n";
}

std::string render_graph_dot(const Graph& graph) {
  std::string out = "digraph playbook {\n  rankdir=TB;\n";
  if (!graph.groups.empty()) append_dot(graph, Index(graph), 0, "  ", out);
  for (const GraphEdge& edge : graph.edges) {
    out += "  n" + std::to_string(edge.from) + " -> n" + std::to_string(edge.to) +
           " [label=" + dot_text(edge.label) + (edge.is_inner ? ",style=dashed" : "") + "];\n";
  }
  return out + "}\n";
}

}  // namespace sortie::asl
