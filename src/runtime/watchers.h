#pragma once
// Who wants to know what becomes of executions: observers hear of every change, a waiter of one end. Both are
// owned by whoever asked: the handle that goes ends the subscription, also from inside a callback.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/runtime.h"

namespace sortie::runtime {

class Watchers {
 public:
  using Observer = std::function<void(const ExecutionChange&)>;
  using Waiter = std::function<void(ExecutionDescription)>;

  std::shared_ptr<void> observe(Observer callback);
  void tell(const ExecutionChange& change);

  std::shared_ptr<void> wait(std::string arn, Waiter done);
  std::vector<std::string> awaited() const;  // Whose ends somebody may wait for.
  // `describe` is asked only where somebody waits, and answers nothing where it cannot tell; then they wait
  // on.
  void tell_end(const std::string& arn,
                const std::function<std::optional<ExecutionDescription>(const std::string& arn)>& describe);

 private:
  std::vector<std::weak_ptr<Observer>> observers_;
  bool has_lost_observers_ = false;
  bool telling_ = false;
  std::unordered_multimap<std::string, std::weak_ptr<Waiter>> waiters_;
  std::size_t sweep_above_ = 64;  // Waiters; those given up are looked for when there are more.
};

}  // namespace sortie::runtime
