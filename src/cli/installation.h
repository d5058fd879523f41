#pragma once
// Where the program's own files are: beside the binary (build/), or in an installed tree (PREFIX/bin,
// PREFIX/share).
#include <string>

namespace sortie::cli {

struct Installation {
  std::string binary;        // Absolute path of this program.
  std::string share;         // Holds functions/, playbooks/, runtimes/, sdk_worker/; empty where missing.
  std::string python;        // The private environment's interpreter; empty where missing.
  std::string node_runtime;  // .../runtimes/node.mjs
  std::string sdk_worker;    // .../sdk_worker/worker.py
};

Installation find_installation();

// Replaces this process by a fresh one with the same command line and process id. Returns only when it
// cannot.
void restart_program();

inline constexpr const char* kVersion = "0.1.0";

}  // namespace sortie::cli
