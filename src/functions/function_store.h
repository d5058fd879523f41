#pragma once
// API-created functions on disk, below one folder:
//
//   ACCOUNT/NAME/function.json   the configuration; its code_folder names the code that belongs to it
//   ACCOUNT/NAME/code-REVISION/  unpacked packages
//   async/ID.json                asynchronous invocations that were accepted and are not done
//
// A change first unpacks the new code beside the old and then replaces function.json as a whole, so after a
// crash a function has either its old or its new state; code that no function.json names is removed at start.
#include <string>
#include <vector>

#include "functions/function.h"

namespace sortie::functions {

class FunctionStore {
 public:
  explicit FunctionStore(std::string folder) : folder_(std::move(folder)) {}

  struct Loaded {
    std::vector<FunctionConfig> functions;
    std::vector<Error> problems;  // Kept as they are on disk, and told.
  };
  Result<Loaded> load();
  Status save(const FunctionConfig& config);
  Status remove(const std::string& account, const std::string& name);
  // Where the code of this revision goes; its parent folder exists afterwards.
  Result<std::string> new_code_folder(const std::string& account, const std::string& name,
                                      const std::string& revision);

  Status save_async(const std::string& id, std::string_view text);
  void remove_async(const std::string& id);
  std::vector<std::string> load_async();

 private:
  std::string folder_;
};

}  // namespace sortie::functions
