#pragma once
// Collects what the checks notice and turns it into findings: one per code and state, however often and by
// however many paths it was noticed; A04 and A06 one for the whole machine.
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "asl/lint/survey.h"

namespace sortie::asl::analysis {

class Notebook {
 public:
  explicit Notebook(const Survey& survey) : survey_(survey) {}

  // `detail` completes the code's sentence ("$.incidentTitle"); `pointer` is the field, by default the state.
  // Notes that are not `is_proof` are dropped unless another note of the same code and state is.
  void note(std::string_view code, std::size_t state, std::string detail, const std::string& pointer = "",
            std::size_t maker = SIZE_MAX, bool is_proof = true);

  std::vector<Finding> take();

 private:
  struct Note {
    std::string pointer;
    std::set<std::string> details;
    std::size_t maker = SIZE_MAX;
    bool is_proof = false;
  };
  using Key = std::pair<std::string, std::size_t>;

  Finding make_finding(const std::string& code, std::size_t state, const Note& note) const;
  void merge(std::string_view code, std::vector<std::pair<std::size_t, Finding>>& found) const;

  const Survey& survey_;
  std::map<Key, Note> notes_;
};

}  // namespace sortie::asl::analysis
