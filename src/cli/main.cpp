#include <fcntl.h>
#include <unistd.h>

#include "cli/command_line.h"

int main(int argc, char** argv) {
  // Where a standard stream is closed, the next file that is opened would get its number, and our words.
  int descriptor = open("/dev/null", O_RDWR);
  while (descriptor >= 0 && descriptor <= STDERR_FILENO) descriptor = dup(descriptor);
  if (descriptor > STDERR_FILENO) close(descriptor);
  return sortie::cli::run_command_line(argc, argv);
}
