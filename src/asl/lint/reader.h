#pragma once
// Reading a value's shape through the expressions of a state: paths, intrinsic calls, payload templates.
// Every read that can never work, and every read of something that an earlier result has replaced, is noted.
#include "asl/lint/notebook.h"
#include "asl/lint/shape.h"

namespace sortie::asl::analysis {

// What a Choice has established about a member of this name, and the values it told apart.
struct Fact {
  std::string value;
  std::shared_ptr<const std::set<std::string>> domain;
  bool operator==(const Fact& other) const { return value == other.value; }
};

// Bounds of what one frame remembers; beyond them it forgets.
inline constexpr std::size_t kVariablesMax = 100;
inline constexpr std::size_t kFactsMax = 50;

// One way the machine can be at a state: its input and what is known besides.
struct Frame {
  ShapePtr value;  // The state's input.
  std::map<std::string, ShapePtr, std::less<>> variables;
  std::map<std::string, Fact, std::less<>> facts;  // By member name.
  bool is_approved = false;                        // Every way here led through an approval.
  bool has_more_variables = false;                 // Than `variables` names.
};

bool same_frame(const Frame& a, const Frame& b);

// What expressions of a JSONata state see besides the input; null: nothing.
struct QueryData {
  ShapePtr result, error;
};

class Reader {
 public:
  Reader(const Survey& survey, Notebook& notebook) : survey_(survey), notebook_(notebook) {}

  // The shape of what `text` (a path or a call) gives. `root` is what "$" means; it is refined by what must
  // be there for the read to work.
  ShapePtr read(std::string_view text, const std::string& pointer, std::size_t state, const Frame& frame,
                ShapePtr& root);
  // In the state's own language: a payload template, or a value with JSONata expressions.
  ShapePtr read_template(const json::Value& value, const std::string& pointer, std::size_t state,
                         const Frame& frame, ShapePtr& root, const QueryData& data = {});
  // "{% ... %}". Only an expression that is a plain path is followed; of any other is known where its parts
  // come from.
  ShapePtr read_query(std::string_view text, const std::string& pointer, std::size_t state,
                      const Frame& frame, const ShapePtr& input, const QueryData& data);
  // InputPath, OutputPath and the like: absent is "$", null is {}.
  ShapePtr select(std::string_view field, std::size_t state, const Frame& frame, ShapePtr& root);
  // A field that holds a path, where it is written.
  ShapePtr read_field(std::string_view field, std::size_t state, const Frame& frame, ShapePtr& root);

 private:
  ShapePtr read_path(std::string_view text, const std::string& pointer, std::size_t state, const Frame& frame,
                     ShapePtr& root);
  ShapePtr read_query_path(std::string_view path, const std::string& pointer, std::size_t state,
                           const Frame& frame, const ShapePtr& input, const QueryData& data);
  ShapePtr read_variable(std::string_view name, const std::string& pointer, std::size_t state,
                         const Frame& frame);
  ShapePtr read_steps(const ShapePtr& root, Steps steps, std::string_view text, const std::string& pointer,
                      std::size_t state);

  const Survey& survey_;
  Notebook& notebook_;
};

// The paths inside an intrinsic call, or the path itself.
std::vector<std::string> paths_in(std::string_view expression);
// The expression inside "{% %}", trimmed.
std::string_view query_text(std::string_view braced);
// Whether an expression is "$name.member.member" and nothing else.
bool is_plain_query_path(std::string_view expression);

}  // namespace sortie::asl::analysis
