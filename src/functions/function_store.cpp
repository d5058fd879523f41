#include "functions/function_store.h"

#include "io/file.h"
#include "json/text.h"

namespace sortie::functions {

namespace {

bool is_account_folder(const io::DirectoryEntry& entry) {
  return entry.is_directory && entry.name.size() == 12 &&
         entry.name.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

Result<FunctionStore::Loaded> FunctionStore::load() {
  Loaded loaded;
  SORTIE_TRY_STATUS(io::make_private_directory(folder_));
  SORTIE_TRY_STATUS(io::make_private_directory(folder_ + "/async"));
  SORTIE_TRY(const auto accounts, io::list_directory(folder_));
  for (const io::DirectoryEntry& account : accounts) {
    if (!is_account_folder(account)) continue;
    SORTIE_TRY(const auto names, io::list_directory(folder_ + "/" + account.name));
    for (const io::DirectoryEntry& name : names) {
      const std::string folder = folder_ + "/" + account.name + "/" + name.name;
      const auto text = io::read_file(folder + "/function.json", 16 * 1024 * 1024);
      if (!text && text.error().code == "NotFound") {
        (void)io::remove_tree(folder).ok();  // Never finished, or deleted half.
        continue;
      }
      if (!text) {
        loaded.problems.push_back(text.error());
        continue;
      }
      const auto value = json::parse(*text);
      auto config = value ? config_from_json(*value) : Result<FunctionConfig>(value.error());
      if (!config) {
        Error error = config.error();
        error.place = folder + "/function.json";
        loaded.problems.push_back(std::move(error));
        continue;
      }
      const auto entries = io::list_directory(folder);
      for (const io::DirectoryEntry& entry : entries ? *entries : std::vector<io::DirectoryEntry>()) {
        const std::string path = folder + "/" + entry.name;
        if (entry.name != "function.json" && path != config->code_folder) (void)io::remove_tree(path).ok();
      }
      loaded.functions.push_back(std::move(*config));
    }
  }
  return loaded;
}

Status FunctionStore::save(const FunctionConfig& config) {
  const std::string folder = folder_ + "/" + config.account + "/" + config.name;
  SORTIE_TRY_STATUS(io::make_private_directory(folder));
  return io::write_file_atomically(folder + "/function.json", json::to_pretty_text(config_to_json(config)));
}

Status FunctionStore::remove(const std::string& account, const std::string& name) {
  const std::string folder = folder_ + "/" + account + "/" + name;
  // Without its function.json it is gone, whatever happens next.
  SORTIE_TRY_STATUS(io::remove_tree(folder + "/function.json"));
  return {};
}

Result<std::string> FunctionStore::new_code_folder(const std::string& account, const std::string& name,
                                                   const std::string& revision) {
  const std::string folder = folder_ + "/" + account + "/" + name;
  SORTIE_TRY_STATUS(io::make_private_directory(folder));
  return folder + "/code-" + revision;
}

Status FunctionStore::save_async(const std::string& id, std::string_view text) {
  return io::write_file_atomically(folder_ + "/async/" + id + ".json", text);
}

void FunctionStore::remove_async(const std::string& id) {
  (void)io::remove_tree(folder_ + "/async/" + id + ".json").ok();
}

std::vector<std::string> FunctionStore::load_async() {
  std::vector<std::string> texts;
  const auto entries = io::list_directory(folder_ + "/async");
  if (!entries) return texts;
  for (const io::DirectoryEntry& entry : *entries) {
    auto text = io::read_file(folder_ + "/async/" + entry.name, 16 * 1024 * 1024);
    if (entry.name.ends_with(".json") && text) {
      texts.push_back(std::move(*text));
    } else {
      (void)io::remove_tree(folder_ + "/async/" + entry.name).ok();
    }
  }
  return texts;
}

}  // namespace sortie::functions
