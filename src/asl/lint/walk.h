#pragma once
// Follows data through the machine, path by path.
//
// A state is visited once for each different Frame that reaches it, up to kFramesPerStateMax; then once more
// with a frame that knows nothing (so loops end). The whole walk has a budget of work, counted in members of
// the definition that are looked at; a machine that exhausts it is analysed less deeply, never longer.
#include <cstdint>
#include <vector>

#include "asl/lint/conditions.h"
#include "asl/lint/reader.h"

namespace sortie::asl::analysis {

inline constexpr std::size_t kFramesPerStateMax = 8;
inline constexpr std::size_t kWorkMax = 150'000;
inline constexpr std::size_t kWatchedMax = 64;

class Walk {
 public:
  Walk(const Survey& survey, Notebook& notebook);

  // The whole machine; afterwards the answers that no Choice tested are noted (A03, A10).
  void run();

 private:
  struct Step {
    StateIndex next;  // kNoState: the flow ends here.
    Frame frame;
  };
  using Moves = std::vector<Step>;

  std::vector<Frame> run_flow(FlowIndex flow, Frame entry);
  Moves visit(std::size_t state, const Frame& entry);
  void visit_pass(std::size_t state, Frame& frame, ShapePtr& input);
  ShapePtr visit_task(std::size_t state, Frame& frame, ShapePtr& input);
  ShapePtr visit_parallel(std::size_t state, Frame& frame, ShapePtr& input);
  ShapePtr visit_map(std::size_t state, Frame& frame, ShapePtr& input);
  Moves visit_choice(std::size_t state, Frame frame, ShapePtr& input);
  Moves visit_jsonata(std::size_t state, const Frame& entry);
  // Where a state that does not fail goes on, and its catchers.
  Moves moves_of(std::size_t state, const Frame& entry, Frame exit);
  std::vector<json::Value> conditions_of(std::size_t state, const Frame& frame, const ShapePtr& input);
  std::uint64_t sources_of(const Comparison& comparison, std::size_t state, bool tolerates_absence,
                           const Frame& frame, ShapePtr& input);
  ShapePtr items_of(std::size_t state, const Frame& frame, ShapePtr& input);
  bool may_lose_input(std::size_t state, const ShapePtr& result) const;
  static ShapePtr replacing(std::size_t state, const ShapePtr& value, const ShapePtr& before);

  ShapePtr parameters_of(std::size_t state, const Frame& frame, ShapePtr& input);
  // ResultPath: where the result goes. `may_lose`: it stands for something else than the input.
  void put_result(std::size_t state, const json::Value& definition, Frame& frame, ShapePtr result,
                  bool may_lose);
  void assign(std::size_t state, const json::Value& definition, const std::string& pointer, Frame& frame,
              ShapePtr root, const QueryData& data = {});
  void add_catches(std::size_t state, const Frame& entry, Moves& out);
  void check_literals(std::size_t state, const json::Value& value, const std::string& pointer,
                      const Frame& frame, int depth);
  std::uint64_t bit_of(std::size_t state) const;

  const Survey& survey_;
  Notebook& notebook_;
  Reader reader_;
  std::vector<std::size_t> watched_;  // Approvals and functions whose answers somebody should test.
  std::uint64_t tested_ = 0;
  std::uint64_t visited_ = 0;
  std::size_t work_ = 0;
};

}  // namespace sortie::asl::analysis
