#pragma once
// Reads the recordings that lie in ../shared/corpus beside the repository. They are no part of it: where they
// are absent the tests that need them are skipped, and say so.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "json/text.h"

namespace sortie::test {

inline std::filesystem::path corpus_path(const std::string& name) {
  return std::filesystem::path(SORTIE_SOURCE_DIR) / ".." / "shared" / "corpus" / name;
}

inline json::Value load_json(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::stringstream text;
  text << stream.rdbuf();
  auto value = json::parse(text.str());
  EXPECT_TRUE(value.ok()) << file << ": " << (value.ok() ? "" : to_text(value.error()));
  return value.ok() ? *value : json::Value();
}

// The items of the file's array, or of the array that `member` of its object holds.
inline std::vector<json::Value> load_rows(const std::filesystem::path& file, const std::string& member = "") {
  const json::Value value = load_json(file);
  const json::Value rows = member.empty() ? value : value.get(member);
  return {rows.items().begin(), rows.items().end()};
}

inline std::vector<std::filesystem::path> json_files(const std::filesystem::path& folder,
                                                     const std::string& prefix) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(prefix) && name.ends_with(".json")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Counts rows and tells the first failures in full.
class Tally {
 public:
  explicit Tally(std::string name) : name_(std::move(name)) {}
  ~Tally() {
    std::printf("%s: %d of %d rows\n", name_.c_str(), rows_ - failures_, rows_);
    EXPECT_EQ(failures_, 0) << name_;
    EXPECT_GT(rows_, 0) << name_ << " has no rows";
  }
  void row(bool passed, const std::string& what) {
    ++rows_;
    if (passed) return;
    if (++failures_ <= 20) ADD_FAILURE() << name_ << ": " << what;
  }

 private:
  std::string name_;
  int rows_ = 0;
  int failures_ = 0;
};

}  // namespace sortie::test

#define SORTIE_NEED_CORPUS(name)                                                                          \
  if (!std::filesystem::exists(::sortie::test::corpus_path(name))) {                                      \
    GTEST_SKIP() << "SKIP: the recordings ../shared/corpus/" << name << " are not beside the repository"; \
  }                                                                                                       \
  static_assert(true)
