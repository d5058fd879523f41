#pragma once
// S3 for distributed Maps, through the AWS worker: the same account, endpoint and roles as tasks that call
// AWS. What may pass by itself (throttled, 5xx, no connection) is tried again, kTriesMax times with growing
// pauses, before it is answered as an error.
#include <memory>

#include "integrations/aws.h"
#include "integrations/sdk_worker.h"
#include "runtime/object_store.h"

namespace sortie::integrations {

class S3Objects final : public runtime::ObjectStore {
 public:
  static constexpr int kTriesMax = 5;

  S3Objects(Loop& loop, SdkPool& pool, AwsOptions options);

  void read(runtime::ReadObject request, std::function<void(Result<runtime::ObjectPiece>)> done) override;
  void list(runtime::ListObjects request, std::function<void(Result<runtime::ObjectPage>)> done) override;
  void write(runtime::WriteObject request, std::function<void(Status)> done) override;

 private:
  void call(const runtime::ObjectCaller& caller, std::string action, json::Value parameters,
            std::function<void(Result<json::Value>)> done);
  void attempt(SdkCall call, int tries, std::function<void(Result<json::Value>)> done);

  Loop& loop_;
  SdkPool& pool_;
  AwsOptions options_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace sortie::integrations
