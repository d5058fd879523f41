#pragma once
// What a distributed Map needs of S3: reading an object in pieces, listing a bucket in pages, writing whole
// objects. An interface, because the network is above this floor; integrations/ has the real one.
//
// Answers come from the loop, never inside the call, and once; failures that may pass by themselves have been
// tried again before they are answered. An error's code is the service's ("S3.NoSuchKeyException"), its
// message the cause.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace sortie::runtime {

// On whose behalf: what a role is assumed with.
struct ObjectCaller {
  std::string role_arn;        // Of the state machine.
  std::string execution_name;  // Becomes the session's name.
};

struct ReadObject {
  ObjectCaller caller;
  json::Value parameters;    // Bucket, Key, and what else the ItemReader says (VersionId, ...).
  std::uint64_t offset = 0;  // From here, in bytes; of the decompressed object if `gunzip`.
  std::uint64_t bytes = 0;   // At most so many.
  std::string etag;          // Not empty: fails if the object is another one by now.
  bool gunzip = false;
};
struct ObjectPiece {
  std::string bytes;
  bool at_end = false;  // Nothing comes after it.
  std::string etag;
};

struct ListObjects {
  ObjectCaller caller;
  json::Value parameters;  // Bucket, Prefix, ...
  std::string after_key;   // Only keys after it; "" for the first page.
};
struct ObjectPage {
  std::vector<json::Value>
      items;  // {Etag, Key, LastModified, Size, StorageClass}, as Step Functions gives them.
  std::string last_key;
  bool at_end = false;
};

struct WriteObject {
  ObjectCaller caller;
  std::string bucket, key, body;
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;
  virtual void read(ReadObject request, std::function<void(Result<ObjectPiece>)> done) = 0;
  virtual void list(ListObjects request, std::function<void(Result<ObjectPage>)> done) = 0;
  virtual void write(WriteObject request, std::function<void(Status)> done) = 0;
};

}  // namespace sortie::runtime
