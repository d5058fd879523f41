#pragma once
// Which keys the workers hold, and which task tokens their functions were handed.
//
// A key belongs to the workers that hold it. As long as they are all of one function, whoever signs with it
// is that function; a key that several functions share is nobody. Tokens are remembered as digests, by
// function, the newest kTokensPerFunction; with a file they survive a restart, because the wait for a token
// does, too.
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "functions/function_service.h"

namespace sortie::functions {

inline constexpr std::size_t kTokensPerFunction = 10'000;

class WorkerIdentities {
 public:
  explicit WorkerIdentities(Random& random) : random_(random) {}

  Credentials mint() const;
  void add(std::uint64_t worker, WorkerIdentity identity);
  void remove(std::uint64_t worker);
  std::optional<WorkerIdentity> find(std::string_view access_key_id) const;

 private:
  Random& random_;
  std::map<std::string, std::map<std::uint64_t, WorkerIdentity>, std::less<>> by_key_;
  std::map<std::uint64_t, std::string> key_of_;
};

class HandedTokens {
 public:
  // "" keeps them in memory only. Reads what the file holds.
  explicit HandedTokens(std::string file);
  void add(const std::string& function_key, std::string_view token);
  bool has(const std::string& function_key, std::string_view token) const;

 private:
  struct Tokens {
    std::set<std::string, std::less<>> digests;
    std::deque<std::string> order;
  };
  void remember(const std::string& function_key, const std::string& digest);
  void append(const std::string& line);
  void rewrite();

  std::string file_;
  std::size_t lines_ = 0;
  std::map<std::string, Tokens, std::less<>> functions_;
};

}  // namespace sortie::functions
