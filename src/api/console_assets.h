#pragma once
// The console's files, as they are packed at build time (web/pack.mjs) and embedded into the program.
//
// A pack is "SORTIE-CONSOLE-1\n", the size of its index in decimal and a line feed, the index as JSON
// ({"files": [{"path", "type", "etag", "immutable", "raw": [offset, size], "gzip": .., "br": ..}]}), and the
// bytes, with offsets counted from there. The pack stays where it is (in the program's image); nothing is
// copied until a file is sent. An empty pack is a program that was built without the console: every page then
// says so.
//
// Files are served to anybody who names the right Host: they hold no data. Names with a hash in them are
// immutable; the page itself is checked by its ETag each time. Every answer carries the headers that make a
// browser refuse what is not ours: a content security policy without 'unsafe', Trusted Types, no framing, no
// sniffing, no referrer.
#include <map>
#include <string>
#include <string_view>

#include "api/host_check.h"
#include "api/router.h"
#include "base/result.h"
#include "io/http_message.h"

namespace sortie::api {

class ConsoleAssets {
 public:
  // `pack` has to outlive this. Error "InvalidPack".
  static Result<ConsoleAssets> read(std::string_view pack);

  bool empty() const { return files_.empty(); }
  // What a GET of this file gets; `path` is "index.html" or "assets/NAME".
  io::HttpResponse serve(std::string_view path, const io::HttpRequest& request) const;

 private:
  struct File {
    std::string type, etag;
    bool immutable = false;
    std::string_view raw, gzip, br;
  };
  std::map<std::string, File, std::less<>> files_;
};

// The policy that every page carries.
extern const std::string_view kContentSecurityPolicy;

// The console's addresses: the page itself for each view, its files, and the icon. `assets` has to outlive
// the router.
void add_console_pages(Router& router, const ConsoleAssets& assets, HostPolicy hosts);

}  // namespace sortie::api
