import { describe, expect, it } from 'vitest';
import { leftBehind, nodeState, Run } from './model';
import type { Line } from './model';

const none = new Set<string>();
const run = (lines: Line[]) => {
  const made = new Run();
  made.push(lines);
  return made;
};

describe('Run', () => {
  it('tells attempts, errors and how a state ended', () => {
    const made = run([
      [1, 0, 1000, 'ExecutionStarted', null],
      [2, 1, 1001, 'TaskStateEntered', 'Call'],
      [3, 2, 1001, 'LambdaFunctionScheduled', 'arn'],
      [4, 3, 1002, 'LambdaFunctionStarted', null],
      [5, 4, 1100, 'LambdaFunctionFailed', 'Broken'],
      [6, 5, 2100, 'LambdaFunctionScheduled', 'arn'],
      [7, 6, 2101, 'LambdaFunctionStarted', null],
      [8, 7, 2200, 'LambdaFunctionSucceeded', null],
      [9, 8, 2200, 'TaskStateExited', 'Call'],
      [10, 9, 2201, 'ExecutionSucceeded', null],
    ]);
    const [entry] = made.entries;
    expect(made.status).toBe('SUCCEEDED');
    expect(entry).toMatchObject({ state: 'Call', status: 'succeeded', startMs: 1001, endMs: 2200, error: '' });
    expect(entry!.attempts.map((a) => [a.ok, a.error, a.endMs - a.startMs])).toEqual([[false, 'Broken', 99], [true, '', 100]]);
    expect(entry!.events).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('knows a handled error from one that ended the execution', () => {
    const made = run([
      [1, 0, 0, 'ExecutionStarted', null],
      [2, 1, 0, 'TaskStateEntered', 'Try'],
      [3, 2, 0, 'TaskScheduled', 'x'],
      [4, 3, 5, 'TaskFailed', 'Boom'],
      [5, 4, 5, 'TaskStateExited', 'Try'],
      [6, 5, 5, 'TaskStateEntered', 'Again'],
      [7, 6, 5, 'TaskScheduled', 'x'],
      [8, 7, 9, 'TaskTimedOut', 'States.Timeout'],
      [9, 8, 9, 'ExecutionFailed', 'States.Timeout'],
    ]);
    expect(made.entries.map((e) => [e.state, e.status, e.error])).toEqual([['Try', 'caught', 'Boom'], ['Again', 'failed', 'States.Timeout']]);
    expect(made.moved('Try', 'Again', true)).toBe(true);
    expect(made.moved('Try', 'Again', false)).toBe(false);
    expect(nodeState(made, 'Again', none)).toMatchObject({ failed: 1, status: 'failed' });
    expect(nodeState(made, 'Elsewhere', none)).toBeNull();
  });

  it('finds the item and the branch of nested states', () => {
    const made = run([
      [1, 0, 0, 'ExecutionStarted', null],
      [2, 1, 0, 'MapStateEntered', 'Each'],
      [3, 2, 0, 'MapStateStarted', 2],
      [4, 3, 0, 'MapIterationStarted', 0],
      [5, 4, 0, 'ParallelStateEntered', 'Both'],
      [6, 5, 0, 'ParallelStateStarted', null],
      [7, 6, 0, 'PassStateEntered', 'L'],
      [8, 7, 0, 'PassStateExited', 'L'],
      [9, 6, 0, 'PassStateEntered', 'R'],
      [10, 9, 0, 'PassStateExited', 'R'],
      [11, 10, 1, 'ParallelStateSucceeded', null],
      [12, 11, 1, 'ParallelStateExited', 'Both'],
      [13, 12, 1, 'MapIterationSucceeded', 0],
      [14, 3, 1, 'MapIterationStarted', 1],
      [15, 14, 1, 'ParallelStateEntered', 'Both'],
    ]);
    const each = made.entries[0]!;
    expect(each.items).toEqual({ length: 2, started: 2, succeeded: 1, failed: 0, aborted: 0 });
    expect(made.entries.map((e) => [e.state, e.parent, e.item, e.depth, e.status])).toEqual([
      ['Each', -1, -1, 0, 'running'],
      ['Both', 0, 0, 1, 'succeeded'],
      ['L', 1, -1, 2, 'succeeded'],
      ['R', 1, -1, 2, 'succeeded'],
      ['Both', 0, 1, 1, 'running'],
    ]);
  });

  it('takes pages one after the other and ignores what it has', () => {
    const made = run([[1, 0, 0, 'ExecutionStarted', null], [2, 1, 0, 'WaitStateEntered', 'Sleep']]);
    made.push([[2, 1, 0, 'WaitStateEntered', 'Sleep'], [3, 2, 9, 'WaitStateExited', 'Sleep']]);
    expect(made.entries).toHaveLength(1);
    expect(made.entries[0]!.status).toBe('succeeded');
  });

  it('says that a state waits for people where it does', () => {
    const made = run([[1, 0, 0, 'ExecutionStarted', null], [2, 1, 0, 'TaskStateEntered', 'Ask'], [3, 2, 0, 'TaskScheduled', 'x']]);
    expect(nodeState(made, 'Ask', new Set(['Ask']))!.status).toBe('waiting');
    expect(nodeState(made, 'Ask', none)!.status).toBe('running');
  });

  it('marks what an abort left open', () => {
    const made = run([[1, 0, 0, 'ExecutionStarted', null], [2, 1, 0, 'WaitStateEntered', 'Sleep'], [3, 2, 7, 'ExecutionAborted', 'Stopped']]);
    expect(made.entries[0]).toMatchObject({ status: 'aborted', endMs: 7 });
    expect(made.status).toBe('ABORTED');
  });

  it('folds 25,000 events of a Map in a moment', () => {
    const lines: Line[] = [[1, 0, 0, 'ExecutionStarted', null], [2, 1, 0, 'MapStateEntered', 'M'], [3, 2, 0, 'MapStateStarted', 6250]];
    let id = 3;
    for (let i = 0; i < 6250; i++) {
      lines.push([id + 1, 3, i + 1, 'MapIterationStarted', i], [id + 2, id + 1, i + 1, 'PassStateEntered', 'P'], [id + 3, id + 2, i + 1, 'PassStateExited', 'P'], [id + 4, id + 3, i + 1, 'MapIterationSucceeded', i]);
      id += 4;
    }
    const made = run(lines);
    expect(made.entries).toHaveLength(6251);
    expect(nodeState(made, 'P', none)).toMatchObject({ total: 6250, succeeded: 6250 });
  });

  const failedParallel: Line[] = [
    [1, 0, 0, 'ExecutionStarted', null],
    [2, 1, 0, 'ParallelStateEntered', 'Both'],
    [3, 2, 0, 'ParallelStateStarted', null],
    [4, 3, 0, 'TaskStateEntered', 'First'],
    [5, 4, 0, 'TaskScheduled', 'invoke'],
    [6, 3, 0, 'TaskStateEntered', 'Second'],
    [7, 6, 0, 'TaskScheduled', 'invoke'],
    [8, 3, 0, 'PassStateEntered', 'Third'],
    [9, 8, 1, 'PassStateExited', 'Third'],
    [10, 7, 4, 'TaskFailed', 'Boom'],
    [11, 3, 5, 'ParallelStateFailed', 'Boom'],
    [12, 11, 5, 'ExecutionFailed', 'Boom'],
  ];

  it('says what a redrive runs again and what it keeps', () => {
    const { again, kept } = leftBehind(run(failedParallel));
    expect(again.map((entry) => [entry.state, entry.status])).toEqual([['First', 'aborted'], ['Second', 'failed']]);
    expect(kept).toBe(1);
  });

  it('takes up what was left behind after a redrive, branch by branch', () => {
    const made = run([
      ...failedParallel,
      [13, 12, 90, 'ExecutionRedriven', null],
      [14, 13, 90, 'TaskScheduled', 'invoke'],
      [15, 13, 90, 'TaskScheduled', 'invoke'],
      [16, 15, 95, 'TaskSucceeded', null],
      [17, 16, 95, 'TaskStateExited', 'Second'],
      [18, 14, 97, 'TaskSucceeded', null],
      [19, 18, 97, 'TaskStateExited', 'First'],
      [20, 19, 98, 'ParallelStateSucceeded', null],
      [21, 20, 98, 'ParallelStateExited', 'Both'],
      [22, 21, 99, 'ExecutionSucceeded', null],
    ]);
    expect(made.redrives).toBe(1);
    expect(made.entries.map((e) => [e.state, e.status, e.attempts.length])).toEqual([['Both', 'succeeded', 0], ['First', 'succeeded', 2], ['Second', 'succeeded', 2], ['Third', 'succeeded', 0]]);
    expect(leftBehind(made).again).toEqual([]);
  });

  it('leaves out what a Parallel has tried before', () => {
    const made = run([
      ...failedParallel.slice(0, 11),
      [12, 11, 5, 'ParallelStateStarted', null],
      [13, 12, 5, 'TaskStateEntered', 'First'],
      [14, 13, 5, 'TaskScheduled', 'invoke'],
      [15, 14, 6, 'TaskFailed', 'Boom'],
      [16, 12, 6, 'ParallelStateFailed', 'Boom'],
      [17, 16, 6, 'ExecutionFailed', 'Boom'],
    ]);
    expect(leftBehind(made).again.map((entry) => entry.id)).toEqual([13]);
  });
});
