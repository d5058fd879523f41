#pragma once
// AWS worker processes that answer when the test says so. Included by *_test.cpp only.
#include <memory>
#include <string>
#include <vector>

#include "integrations/sdk_worker.h"
#include "json/text.h"

namespace sortie::fakes {

using integrations::WorkerEvents;
using integrations::WorkerFactory;
using integrations::WorkerLink;

class FakeProcesses {
 public:
  struct Process {
    WorkerEvents events;
    std::vector<json::Value> requests;
    bool alive = true;
  };
  class Link final : public WorkerLink {
   public:
    explicit Link(std::shared_ptr<Process> process) : process_(std::move(process)) {}
    ~Link() override { process_->alive = false; }
    void send(std::string frame) override { process_->requests.push_back(json::parse(frame).value()); }

   private:
    std::shared_ptr<Process> process_;
  };

  WorkerFactory factory() {
    return [this](WorkerEvents events) -> Result<std::unique_ptr<WorkerLink>> {
      if (broken) return Error{"SpawnFailed", "no such program"};
      all.push_back(std::make_shared<Process>(Process{std::move(events), {}, true}));
      return std::unique_ptr<WorkerLink>(std::make_unique<Link>(all.back()));
    };
  }
  std::vector<std::shared_ptr<Process>> all;
  bool broken = false;
};

}  // namespace sortie::fakes
