#pragma once
// Frames (4 bytes big-endian length, then that many bytes) over one stream socket, without blocking the loop.
//
// One thread of its own does the reading and writing; frames and the end are handed over by Loop::post, so
// callbacks run on the loop's thread. The descriptor belongs to the channel. Destroying the channel closes it
// and ends the callbacks; nothing is flushed.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"

namespace sortie::integrations {

inline constexpr std::size_t kFrameBytesMax = 32 * 1024 * 1024;

class FrameChannel {
 public:
  using OnFrame = std::function<void(std::string)>;
  using OnClosed =
      std::function<void(std::string why)>;  // Once: the other end closed, or broke the protocol.

  FrameChannel(Loop& loop, int descriptor, OnFrame on_frame, OnClosed on_closed);
  ~FrameChannel();
  FrameChannel(const FrameChannel&) = delete;
  FrameChannel& operator=(const FrameChannel&) = delete;

  void send(std::string frame);  // Queued without bound: whoever sends bounds what is in flight.

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sortie::integrations
