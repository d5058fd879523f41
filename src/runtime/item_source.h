#pragma once
// ItemSource reads the items of a distributed Map in slices. A position says where the next slice begins; it
// is a small JSON value that a map run saves with its progress, so a run that was interrupted goes on where
// it was and memory stays bounded: lines and rows are read from the object a piece at a time, a listing page
// by page. Only a JSON document is held whole, because its end decides whether it is one; it may have
// json::kTextBytesMax bytes.
//
// Formats, as Step Functions reads them: JSON (an array, or the array that ItemsPointer names), JSON Lines,
// CSV (quotes and quoted line ends as RFC 4180; every field is text; missing fields are "", surplus ones are
// dropped; empty lines are skipped; members in the order of Java's HashMap, as recorded), S3 inventory
// manifests with CSV files, listings; and one after the other the objects that a listing (LOAD_AND_FLATTEN)
// or a manifest of Athena's UNLOAD names. An object that changes while it is read is an error. Errors have
// code "States.ItemReaderFailed" and the cause as message.
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "asl/state_machine.h"
#include "base/clock.h"
#include "runtime/object_store.h"

namespace sortie::runtime {

struct ItemSlice {
  std::vector<json::Value> items;
  json::Value next;  // The position after it.
  bool at_end = false;
  std::string
      source{};  // Where it was read: "S3://BUCKET/KEY", of a listing "S3://BUCKET"; "" of given items.
};

class ItemSource {
 public:
  virtual ~ItemSource() = default;
  // One read at a time; a null position is the beginning. Answers from the loop. A slice may be empty.
  virtual void read(json::Value position, std::function<void(Result<ItemSlice>)> done) = 0;
};

std::unique_ptr<ItemSource> make_array_source(Loop& loop, json::Value items);
// `objects` may be null: then every read is an error that says so. `parameters` are the evaluated ones.
std::unique_ptr<ItemSource> make_object_source(Loop& loop, ObjectStore* objects, ObjectCaller caller,
                                               const asl::ItemReader& reader, json::Value parameters);

// Pure parts. Both take text that begins with a record and answer how many bytes they used: all whole
// records, and with `is_last` the last one even without a line end.
Result<std::size_t> read_json_lines(std::string_view text, bool is_last, std::vector<json::Value>& items);
struct CsvReader {
  char delimiter = ',';
  std::vector<std::string> headers;
  bool wants_headers = false;  // The first row that is read names the columns.

  Result<std::size_t> read(std::string_view text, bool is_last, std::vector<json::Value>& items);
  Status check_headers() const;
};

// All items of a whole object of the reader's format; of an inventory, the rows of its files under their
// first one.
Result<json::Value> read_items(const asl::ItemReader& reader, std::string_view text);

Error item_reader_failed(std::string cause);

}  // namespace sortie::runtime
