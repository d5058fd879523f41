import { changesOnly, diffLines } from './diff';
import { offers } from './ui/search';
import { describe, expect, it } from 'vitest';
import { clock, duration, quoted, shorten, visible } from './format';
import { describePlan, targetName } from './plan';

describe('text from outside', () => {
  it('has nothing hidden in it', () => {
    expect(visible('a\u202Ecod.exe\u0000\u200b')).toBe('a\\u202ecod.exe\\u0000\\u200b');
    expect(visible('two\nlines\tand <b>')).toBe('two\nlines\tand <b>');
  });
  it('is cut between characters', () => {
    expect(shorten('abc', 3)).toBe('abc');
    expect(shorten('ab😀cd', 4)).toBe('ab…');
  });
  it('is one word for a shell', () => {
    expect(quoted('ap-1')).toBe('ap-1');
    expect(quoted("it's $(rm)")).toBe("'it'\\''s $(rm)'");
  });
});

describe('time', () => {
  it('reads well at every length', () => {
    expect([5, 1500, 61_000, 3_725_000, 200_000_000].map(duration)).toEqual(['5 ms', '1.5 s', '1 min 01 s', '1 h 02 min', '2 d 7 h']);
    expect([400_000, 3_723_000].map(clock)).toEqual(['06:40', '1:02:03']);
  });
});

describe('a plan', () => {
  const plan = [{ action: 'Isolate', target: { account: '1', instance_id: 'i-1' }, reversible: true, changes: [{ resource: 'eni-1', what: 'groups', before: ['a'], after: ['b'] }], notes: ['n'], extra: 1 }];
  it('is read into changes, and what is not known is kept', () => {
    expect(describePlan(plan)[0]).toMatchObject({ action: 'Isolate', reversible: true, notes: ['n'], rest: { extra: 1 }, changes: [{ resource: 'eni-1', before: ['a'] }] });
    expect(describePlan(['just text', 7, { changes: ['odd'] }]).map((i) => [i.action, i.rest])).toEqual([['just text', undefined], ['planned', 7], ['planned', { changes: ['odd'] }]]);
  });
  it('names the target that has to be typed, and none where nothing changes', () => {
    expect(targetName({ plan })).toBe('i-1');
    expect(targetName({ plan: [{ resource: 'bucket-x', what: 'policy', before: 1, after: 2 }] })).toBe('bucket-x');
    expect(targetName({ plan: ['look at it'] })).toBe('');
  });
});

describe('diffLines', () => {
  const marks = (before: string, after: string) => diffLines(before, after).map(([mark, text]) => mark + text).join('|');
  it('keeps what both have and tells the rest', () => {
    expect(marks('a\nb\nc', 'a\nx\nc')).toBe(' a|-b|+x| c');
    expect(marks('a\nb', 'a\nb')).toBe(' a| b');
    expect(marks('', 'new')).toBe('-|+new');
    expect(marks('1\n2\n3\n4', '2\n3\n9\n4')).toBe('-1| 2| 3|+9| 4');
  });
  it('shows changes with a little around them', () => {
    const long = Array.from({ length: 30 }, (_, i) => `line ${i}`);
    const lines = changesOnly(diffLines(long.join('\n'), [...long.slice(0, 15), 'more', ...long.slice(15)].join('\n')));
    expect(lines.map(([mark, text]) => mark + text)).toEqual([' …', ' line 13', ' line 14', '+more', ' line 15', ' line 16', ' …']);
  });
});

describe('offers', () => {
  const texts = (typed: string) => offers(typed, ['ir-critical', 'ir-high', 'tiny']).words.map((word) => word.text);
  it('offers the words of the search, then their values', () => {
    expect(texts('sta')).toEqual(['status:', 'started:>-2h', 'started:<', 'state:']);
    expect(texts('status:failed playbook:ir-')).toEqual(['playbook:ir-critical', 'playbook:ir-high']);
    expect(texts('-status:failed,ti')).toEqual(['-status:failed,timed_out']);
    expect(texts('nobody')).toEqual([]);
  });
});
