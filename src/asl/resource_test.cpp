#include <gtest/gtest.h>

#include "asl/compile.h"

namespace sortie::asl {
namespace {

struct GoodResource {
  std::string arn, type, resource;
  TaskPattern pattern = TaskPattern::kRequestResponse;
};

class TaskResources : public testing::TestWithParam<GoodResource> {};

TEST_P(TaskResources, AreNamedAsHistoryEventsNameThem) {
  const auto task = parse_task_resource(GetParam().arn);
  ASSERT_TRUE(task.has_value()) << GetParam().arn;
  EXPECT_EQ(task->text, GetParam().arn);
  EXPECT_EQ(task->resource_type, GetParam().type);
  EXPECT_EQ(task->resource, GetParam().resource);
  EXPECT_EQ(task->pattern, GetParam().pattern);
}

INSTANTIATE_TEST_SUITE_P(
    Known, TaskResources,
    testing::Values(
        GoodResource{"arn:aws:states:::lambda:invoke", "lambda", "invoke"},
        GoodResource{"arn:aws:states:::lambda:invoke.waitForTaskToken", "lambda", "invoke.waitForTaskToken",
                     TaskPattern::kWaitForTaskToken},
        GoodResource{"arn:aws-us-gov:states:::sqs:sendMessage.waitForTaskToken", "sqs",
                     "sendMessage.waitForTaskToken", TaskPattern::kWaitForTaskToken},
        GoodResource{"arn:aws:states:::states:startExecution.sync", "states", "startExecution.sync",
                     TaskPattern::kSync},
        GoodResource{"arn:aws:states:::states:startExecution.sync:2", "states", "startExecution.sync:2",
                     TaskPattern::kSync2},
        GoodResource{"arn:aws:states:::aws-sdk:dynamodb:putItem", "aws-sdk:dynamodb", "putItem"},
        GoodResource{"arn:aws:states:::aws-sdk:sfn:startExecution.waitForTaskToken", "aws-sdk:sfn",
                     "startExecution.waitForTaskToken", TaskPattern::kWaitForTaskToken},
        GoodResource{"arn:aws:states:::emr-serverless:startJobRun.sync", "emr-serverless", "startJobRun.sync",
                     TaskPattern::kSync},
        GoodResource{"arn:aws:states:::ecs:runTask.sync", "ecs", "runTask.sync", TaskPattern::kSync}));

TEST(TaskResource, KnowsFunctionsWithAndWithoutQualifier) {
  for (const std::string arn : {"arn:aws:lambda:us-east-1:123456789012:function:f",
                                "arn:aws:lambda:us-east-1:123456789012:function:f:prod",
                                "arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST"}) {
    const auto task = parse_task_resource(arn);
    ASSERT_TRUE(task.has_value()) << arn;
    EXPECT_TRUE(task->is_lambda_arn);
    EXPECT_EQ(task->resource, arn);
    EXPECT_EQ(task->region, "us-east-1");
    EXPECT_EQ(task->account, "123456789012");
  }
}

TEST(TaskResource, KnowsActivitiesTopicsAndQueues) {
  EXPECT_TRUE(parse_task_resource("arn:aws:states:us-east-1:1:activity:a")->is_activity);
  EXPECT_TRUE(parse_task_resource("arn:aws:sns:us-east-1:1:alerts.fifo")->is_bare_topic);
  EXPECT_TRUE(parse_task_resource("arn:aws:sqs:us-east-1:1:queue")->is_bare_queue);
}

TEST(TaskResource, RefusesWhatNoMachineMayName) {
  for (const std::string arn : {"",
                                "arn",
                                "arn:aws:states",
                                "arn:aws:states:::",
                                "arn:aws:states:::lambda",
                                "arn:aws:states:::lambda:fly",
                                "arn:aws:states:::sqs:sendMessage.sync",
                                "arn:aws:states:::lambda:invoke.sync:2",
                                "arn:aws:states:::aws-sdk:ec2:describeInstances.sync",
                                "arn:aws:states:::aws-sdk:ec2:",
                                "arn:aws:states:::aws-sdk::getItem",
                                "arn:aws:states:::aws-sdk:ec2:DescribeInstances",
                                "arn:aws:lambda:us-east-1:1:function",
                                "arn:aws:lambda:us-east-1:1:function:",
                                "arn:aws:lambda:::function:f",
                                "arn:aws:lambda:us-east-1:1:function:f:a:b",
                                "arn:aws:states:us-east-1:1:activity:",
                                "arn:aws:states:us-east-1:1:stateMachine:m",
                                "arn:aws:s3:::bucket",
                                "arn:gcp:sns:us-east-1:1:t",
                                "{% $x %}"}) {
    EXPECT_FALSE(parse_task_resource(arn).has_value()) << arn;
  }
}

}  // namespace
}  // namespace sortie::asl
