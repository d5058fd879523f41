#pragma once
// Playbook tests: tests/*.test.yaml run in memory on virtual time, with the tasks' answers written in the
// test.
//
//   playbook: incident-response            # of playbooks/, or a path
//   tests:
//     - name: a rejected approval changes nothing
//       input: {severity: 9}
//       mock:                              # by state name: one answer an attempt, the last one repeats
//         Assess: [{return: {severity: CRITICAL}}]
//         AskPeople: [{return: {decision: rejected}}]
//         Isolate: [{throw: {error: Throttling, cause: slow down}}, {return: {}}]
//       expect:
//         status: SUCCEEDED                # what is not named is not checked
//         output: {handled: true}          # members named here have to be there
//         error: States.TaskFailed
//         path: [Assess, AskPeople]        # states entered, in this order, others may lie between
//         not_path: [Isolate]
#include <string>
#include <vector>

namespace sortie::cli {

// Empty: all of tests/ in the current folder. Prints one line a test; exit code 10 if one fails.
int run_playbook_tests(const std::vector<std::string>& files);

}  // namespace sortie::cli
