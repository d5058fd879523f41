#pragma once

namespace sortie::cli {

// Reads the words, runs the command, answers the exit code.
int run_command_line(int argc, char** argv);

}  // namespace sortie::cli
