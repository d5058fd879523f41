// Where every state and edge goes. Dagre lays out one scope at a time: a Parallel or Map is laid out inside first and is
// then one box of its parent. Catch edges never go to dagre (a shared error handler makes it tens of times slower): what
// only errors lead to stands on a rail at the right, and catch edges are drawn to it.
import { graphlib, layout as dagre } from '@dagrejs/dagre';
import type { GraphEdge, GraphState, Scope } from './model';

export interface PlacedState {
  name: string;
  type: string;
  missing: boolean;
  x: number; // Left, top.
  y: number;
  w: number;
  h: number;
  container: boolean;
  rail: boolean;
  start: boolean;
  ends: boolean;
}

export interface PlacedScope {
  label: string;
  owner: string;
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface PlacedEdge extends GraphEdge {
  points: [number, number][];
  labelAt: [number, number] | null;
  rail: boolean; // With right angles, beside the states.
}

export interface Layout {
  w: number;
  h: number;
  states: PlacedState[];
  scopes: PlacedScope[];
  edges: PlacedEdge[];
}

const PAD = 16;
const HEAD = 40; // Above the scopes of a container.
const RAIL_GAP = 36;
const LANE = 9;
const STATE_H = 52;
const STATUS_W = 110; // A container tells its status beside its name.
const DAGRE_MAX = 600;

export const stateWidth = (name: string) => Math.round(Math.min(268, Math.max(148, name.length * 7.6 + 60)));

interface Sized {
  state: GraphState;
  w: number;
  h: number;
  inner: Layout[];
}

function size(state: GraphState): Sized {
  const inner = state.scopes.map((scope) => layoutScope(scope));
  if (inner.length === 0) return { state, w: stateWidth(state.name), h: STATE_H, inner };
  const w = inner.reduce((sum, scope) => sum + scope.w + PAD, PAD);
  const h = HEAD + PAD + Math.max(...inner.map((scope) => scope.h)) + 8;
  return { state, w: Math.max(w, stateWidth(state.name) + STATUS_W), h, inner };
}

// States that the start reaches without an error.
function reached(scope: Scope): Set<string> {
  const next = new Map<string, string[]>();
  for (const edge of scope.edges) {
    if (edge.kind !== 'catch') next.set(edge.from, [...(next.get(edge.from) ?? []), edge.to]);
  }
  const seen = new Set<string>();
  const todo = [scope.start];
  while (todo.length > 0) {
    const name = todo.pop()!;
    if (seen.has(name)) continue;
    seen.add(name);
    todo.push(...(next.get(name) ?? []));
  }
  return seen;
}

interface Block {
  w: number;
  h: number;
  at: Map<string, [number, number]>; // Centres.
  edges: { edge: GraphEdge; points: [number, number][]; labelAt: [number, number] | null }[];
}

function place(sized: Sized[], edges: GraphEdge[]): Block {
  const graph = new graphlib.Graph({ multigraph: true });
  graph.setGraph({ rankdir: 'TB', nodesep: 28, ranksep: 46, edgesep: 14, marginx: 0, marginy: 0 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { state, w, h } of sized) graph.setNode(state.name, { width: w, height: h });
  edges.forEach((edge, i) => {
    const label = edge.label ? { width: Math.min(edge.label.length, 26) * 6.2, height: 14, labelpos: 'c' } : {};
    graph.setEdge(edge.from, edge.to, { ...label }, String(i));
  });
  if (sized.length > 0) dagre(graph);
  const at = new Map<string, [number, number]>();
  for (const { state } of sized) {
    const node = graph.node(state.name) as { x: number; y: number };
    at.set(state.name, [node.x, node.y]);
  }
  const out: Block = { w: 0, h: 0, at, edges: [] };
  for (const { state, w, h } of sized) {
    const [x, y] = at.get(state.name)!;
    out.w = Math.max(out.w, x + w / 2);
    out.h = Math.max(out.h, y + h / 2);
  }
  edges.forEach((edge, i) => {
    const found = graph.edge({ v: edge.from, w: edge.to, name: String(i) }) as { points?: { x: number; y: number }[]; x?: number; y?: number };
    const points = (found.points ?? []).map((p): [number, number] => [p.x, p.y]);
    for (const [x, y] of points) {
      out.w = Math.max(out.w, x + 4);
      out.h = Math.max(out.h, y);
    }
    out.edges.push({ edge, points, labelAt: edge.label && found.x !== undefined ? [found.x, found.y!] : null });
  });
  return out;
}

// A column, for what is too much for dagre.
function stack(sized: Sized[], edges: GraphEdge[]): Block {
  const at = new Map<string, [number, number]>();
  const w = Math.max(0, ...sized.map((one) => one.w));
  let y = 0;
  for (const one of sized) {
    at.set(one.state.name, [w / 2, y + one.h / 2]);
    y += one.h + 30;
  }
  return {
    w,
    h: Math.max(0, y - 30),
    at,
    edges: edges.map((edge) => ({ edge, points: [], labelAt: null })),
  };
}

export function layoutScope(scope: Scope): Layout {
  const sized = new Map(scope.states.map((state) => [state.name, size(state)]));
  const main = reached(scope);
  const mainStates = [...sized.values()].filter((one) => main.has(one.state.name));
  const railStates = [...sized.values()].filter((one) => !main.has(one.state.name));
  const inside = (names: Sized[]) => {
    const set = new Set(names.map((one) => one.state.name));
    return scope.edges.filter((edge) => edge.kind !== 'catch' && set.has(edge.from) && set.has(edge.to));
  };
  const put = (states: Sized[]) => (states.length > DAGRE_MAX ? stack : place)(states, inside(states));
  const left = put(mainStates);
  const right = put(railStates);
  const lanes = laneTargets(scope, main).length;
  const shift = left.w + (railStates.length > 0 && left.w > 0 ? RAIL_GAP + lanes * LANE : 0);
  const railTop = railStates.length > 0 ? Math.min(HEAD, Math.max(0, left.h - right.h)) : 0;
  const out: Layout = { w: shift + right.w, h: Math.max(left.h, right.h + railTop), states: [], scopes: [], edges: [] };
  const centre = new Map<string, [number, number]>();
  for (const [name, [x, y]] of left.at) centre.set(name, [x, y]);
  for (const [name, [x, y]] of right.at) centre.set(name, [x + shift, y + railTop]);
  for (const { state, w, h, inner } of sized.values()) {
    const [cx, cy] = centre.get(state.name)!;
    const x = cx - w / 2;
    const y = cy - h / 2;
    out.states.push({ name: state.name, type: state.type, missing: state.missing, x, y, w, h, container: inner.length > 0, rail: !main.has(state.name), start: state.name === scope.start, ends: state.ends });
    let dx = x + PAD;
    inner.forEach((part, i) => {
      const dy = y + HEAD;
      out.scopes.push({ label: state.scopes[i]!.label, owner: state.name, x: dx - 6, y: dy - 6, w: part.w + 12, h: part.h + 12 });
      out.scopes.push(...part.scopes.map((s) => ({ ...s, x: s.x + dx, y: s.y + dy })));
      out.states.push(...part.states.map((s) => ({ ...s, x: s.x + dx, y: s.y + dy })));
      out.edges.push(...part.edges.map((e) => ({ ...e, points: e.points.map(([px, py]): [number, number] => [px + dx, py + dy]), labelAt: e.labelAt && ([e.labelAt[0] + dx, e.labelAt[1] + dy] as [number, number]) })));
      dx += part.w + PAD;
    });
  }
  const move = (block: Block, dx: number, dy: number) => {
    for (const { edge, points, labelAt } of block.edges) {
      out.edges.push({ ...edge, rail: false, points: points.map(([x, y]) => [x + dx, y + dy]), labelAt: labelAt && [labelAt[0] + dx, labelAt[1] + dy] });
    }
  };
  move(left, 0, 0);
  move(right, shift, railTop);
  connectRail(scope, sized, centre, main, left.w, out);
  return out;
}

// Targets of the edges that dagre did not see: catch edges, and the ways between the states and the rail. Each has a
// lane of its own, so that all that leads to one handler is one line.
function laneTargets(scope: Scope, main: Set<string>): string[] {
  const found = new Set<string>();
  for (const edge of scope.edges) {
    if (edge.kind === 'catch' || main.has(edge.from) !== main.has(edge.to)) found.add(edge.to);
  }
  return [...found];
}

function connectRail(scope: Scope, sized: Map<string, Sized>, centre: Map<string, [number, number]>, main: Set<string>, mainWidth: number, out: Layout): void {
  const targets = laneTargets(scope, main);
  const leaving = new Map<string, number>();
  const seen = new Set<string>();
  const end = out.w;
  for (const edge of scope.edges) {
    const across = main.has(edge.from) !== main.has(edge.to);
    const key = `${edge.from}\u0000${edge.to}`;
    if ((edge.kind !== 'catch' && !across) || seen.has(key)) continue;
    const from = sized.get(edge.from);
    const to = sized.get(edge.to);
    if (!from || !to) continue;
    seen.add(key);
    const [fx, fy] = centre.get(edge.from)!;
    const [tx, ty] = centre.get(edge.to)!;
    const n = leaving.get(edge.from) ?? 0;
    leaving.set(edge.from, n + 1);
    const y1 = fy - 6 + Math.min(n, 3) * 6;
    const x1 = fx + from.w / 2;
    const lane = targets.indexOf(edge.to) * LANE + 16;
    const both = !main.has(edge.from) && !main.has(edge.to);
    const bend = (both ? end : mainWidth) + lane;
    // To the rail a line comes from the left, to the states from the right; a state of the rail leaves to the right and
    // goes back below itself.
    const fromRail = !main.has(edge.from) && main.has(edge.to);
    const x2 = main.has(edge.to) || both ? tx + to.w / 2 : tx - to.w / 2;
    const y2 = main.has(edge.to) ? ty + 10 : ty;
    const start: [number, number][] = fromRail ? [[fx - from.w / 2, fy + 12]] : [[x1, y1]];
    out.w = Math.max(out.w, bend + 4);
    out.edges.push({ ...edge, rail: true, points: [...start, [bend, start[0]![1]], [bend, y2], [x2, y2]], labelAt: null });
  }
}
