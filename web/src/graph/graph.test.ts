import { describe, expect, it } from 'vitest';
import { layoutScope } from './layout';
import { findState, readDefinition, ruleText } from './model';

const definition = JSON.stringify({
  StartAt: 'Both',
  States: {
    Both: { Type: 'Parallel', Branches: [{ StartAt: 'L', States: { L: { Type: 'Pass', End: true } } }, { StartAt: 'R', States: { R: { Type: 'Pass', End: true } } }], Next: 'Pick', Catch: [{ ErrorEquals: ['States.ALL'], Next: 'Handler' }] },
    Pick: { Type: 'Choice', Choices: [{ Variable: '$.a', NumericGreaterThan: 3, Next: 'Each' }], Default: 'Nowhere' },
    Each: { Type: 'Map', ItemProcessor: { StartAt: 'One', States: { One: { Type: 'Task', End: true } } }, End: true, Catch: [{ ErrorEquals: ['A'], Next: 'Handler' }] },
    Handler: { Type: 'Pass', Next: 'Pick' },
  },
});

describe('the graph of a definition', () => {
  it('has nested scopes, labels, and a stub for what is missing', () => {
    const scope = readDefinition(definition)!;
    expect(scope.states.map((s) => [s.name, s.missing, s.scopes.length])).toEqual([['Both', false, 2], ['Pick', false, 0], ['Each', false, 1], ['Handler', false, 0], ['Nowhere', true, 0]]);
    expect(scope.edges.find((e) => e.to === 'Each')?.label).toBe('$.a > 3');
    expect(findState(definition, 'One')?.['Type']).toBe('Task');
  });

  it('draws what reads and nothing where nothing does', () => {
    expect(readDefinition('{')).toBeNull();
    expect(readDefinition('[]')).toBeNull();
    expect(readDefinition('{"States": 7}')!.states).toEqual([]);
    expect(readDefinition('{"StartAt":"A","States":{"A":7,"B":{}}}')!.states.map((s) => [s.name, s.missing])).toEqual([['B', false], ['A', true]]);
  });

  it('says rules in words', () => {
    expect(ruleText({ And: [{ Variable: '$.a', StringEquals: 'x' }, { Not: { Variable: '$.b', IsPresent: true } }] })).toBe('$.a = x and not ($.b is present)');
    expect(ruleText({ Condition: '{% $x %}' })).toBe('{% $x %}');
  });
});

describe('the layout', () => {
  it('keeps branches inside their container and apart from each other', () => {
    const made = layoutScope(readDefinition(definition)!);
    const at = (name: string) => made.states.find((s) => s.name === name)!;
    const both = at('Both');
    for (const name of ['L', 'R']) {
      const inner = at(name);
      expect(inner.x).toBeGreaterThan(both.x);
      expect(inner.y).toBeGreaterThan(both.y);
      expect(inner.x + inner.w).toBeLessThan(both.x + both.w);
      expect(inner.y + inner.h).toBeLessThan(both.y + both.h);
    }
    expect(at('L').x + at('L').w).toBeLessThan(at('R').x);
  });

  it('puts what only errors lead to on a rail at the right', () => {
    const made = layoutScope(readDefinition(definition)!);
    const handler = made.states.find((s) => s.name === 'Handler')!;
    expect(handler.rail).toBe(true);
    for (const state of made.states) if (!state.rail) expect(state.x + state.w).toBeLessThan(handler.x);
    expect(made.edges.filter((e) => e.kind === 'catch')).toHaveLength(2);
  });

  it('is quick with 200 states that share one error handler', () => {
    const states: Record<string, unknown> = { Handler: { Type: 'Fail' } };
    for (let i = 0; i < 200; i++) states[`S${i}`] = { Type: 'Task', Catch: [{ ErrorEquals: ['States.ALL'], Next: 'Handler' }], ...(i < 199 ? { Next: `S${i + 1}` } : { End: true }) };
    const made = layoutScope(readDefinition(JSON.stringify({ StartAt: 'S0', States: states }))!);
    expect(made.states).toHaveLength(201);
    expect(made.edges.filter((e) => e.kind === 'catch')).toHaveLength(200);
  });
});
