#pragma once
// Lambda tasks: a bare function ARN as Resource (the result is what the function returned), and
// `lambda:invoke` with or without .waitForTaskToken (the result wraps it: ExecutedVersion, Payload,
// StatusCode and the SDK's metadata).
//
// Errors as AWS names them: a function's own error is its errorType, with the whole error object as cause; an
// answer of the Lambda API is "Lambda.ResourceNotFoundException", "Lambda.TooManyRequestsException", ... An
// error object without a type is "Lambda.Unknown". A timed-out state does not stop the function, as on AWS.
#include "functions/function_service.h"
#include "integrations/dispatcher.h"

namespace sortie::integrations {

class LambdaIntegration final : public Integration {
 public:
  LambdaIntegration(Clock& clock, functions::FunctionInvoker& functions);
  void start(const runtime::TaskOrder& order, Report report) override;
  void cancel(const runtime::AttemptKey&) override {}

 private:
  Clock& clock_;
  functions::FunctionInvoker& functions_;
};

}  // namespace sortie::integrations
