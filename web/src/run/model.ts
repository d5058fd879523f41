// What an execution did, told from its history: every entry of a state with its attempts, where it hangs (in which item
// of a Map, in which Parallel), and how it ended.
//
// The history comes as compact lines [id, previous id, ms, type, what] in order of their ids, in pages while the
// execution runs; `push` takes more of them and costs the same per line whatever came before. A line finds its place by
// its previous id, as AWS links them: a branch's first state points to ParallelStateStarted, an item's to
// MapIterationStarted. After a redrive that link says nothing: everything that runs again points to ExecutionRedriven, so
// what was left behind is taken up in the order in which the engine runs it again, branch by branch.

export type Line = [id: number, previous: number, ms: number, type: string, what: string | number | null];

export type EntryStatus = 'running' | 'retrying' | 'waiting' | 'succeeded' | 'caught' | 'failed' | 'timed_out' | 'aborted';

export interface Attempt {
  scheduled: number; // Event ids; 0 where there is none.
  started: number;
  ended: number;
  startMs: number;
  endMs: number; // 0 while it runs.
  ok: boolean;
  error: string;
}

export interface Items {
  length: number;
  started: number;
  succeeded: number;
  failed: number;
  aborted: number;
}

export interface Entry {
  index: number;
  id: number; // Of its StateEntered event.
  state: string;
  type: string; // "Task", "Choice", ...
  parent: number; // Index of the Map or Parallel entry around it; -1 at the top.
  item: number; // Which item of the Map; -1.
  depth: number;
  startMs: number;
  endMs: number;
  exit: number; // Of its StateExited event; 0.
  status: EntryStatus;
  attempts: Attempt[];
  error: string;
  items: Items | null;
  events: number[]; // All that belong to it, in order; of a long one the first and last.
  lane: number; // Which branch or item of its parent.
  began: number; // Of a Map or Parallel: the event that started its children, the last time.
  lanes: number; // How many branches have begun since.
}

interface Place {
  entry: number; // Whose event it is; -1: the execution's own.
  scope: number; // What a state that is entered after it hangs under.
  item: number;
}

const EVENTS_KEPT = 60;

export class Run {
  readonly entries: Entry[] = [];
  lastId = 0;
  startMs = 0;
  endMs = 0;
  status = 'RUNNING';
  redrives = 0;
  private readonly moves = new Set<string>();
  private redriven = { id: 0, again: [] as number[] };
  private readonly places = new Map<number, Place>();
  readonly byState = new Map<string, number[]>();

  push(lines: readonly Line[]): void {
    for (const line of lines) {
      if (line[0] <= this.lastId) continue;
      this.lastId = line[0];
      this.take(line);
    }
  }

  // Whether a state was followed by another, by an error that was caught or without one.
  moved(from: string, to: string, byError: boolean): boolean {
    return this.moves.has(`${from}\n${to}\n${byError}`);
  }

  private take([id, previous, ms, type, what]: Line): void {
    let before = this.places.get(previous) ?? { entry: -1, scope: -1, item: -1 };
    if (type.startsWith('Execution')) return this.execution(id, ms, type, before);
    if (previous === this.redriven.id) before = this.takeUp(type, what) ?? before;
    if (type.endsWith('StateEntered')) return this.enter(id, ms, type, String(what ?? ''), before, previous);
    if (type.endsWith('StateExited')) return this.leave(id, ms, String(what ?? ''), before);
    if (type.startsWith('MapIteration')) return this.iterate(id, ms, type, Number(what ?? -1), before);
    const isScope = type.startsWith('MapState') || type.startsWith('ParallelState') || type.startsWith('MapRun');
    const entry = isScope ? this.scopeOf(before, type.startsWith('Parallel') ? 'Parallel' : 'Map') : this.entries[before.entry];
    if (!entry) return void this.places.set(id, before);
    this.keep(entry, id);
    if (isScope) return this.scope(id, ms, type, what, entry);
    this.attempt(id, ms, type, what, entry);
    this.places.set(id, { entry: entry.index, scope: entry.parent, item: entry.item });
  }

  private keep(entry: Entry, id: number): void {
    if (entry.events.length < EVENTS_KEPT) entry.events.push(id);
    else entry.events[EVENTS_KEPT - 1] = id;
  }

  private execution(id: number, ms: number, type: string, before: Place): void {
    this.places.set(id, before);
    if (type === 'ExecutionStarted') {
      this.startMs = ms;
      this.places.set(id, { entry: -1, scope: -1, item: -1 });
    } else if (type === 'ExecutionRedriven') {
      this.reopen(id);
    } else {
      this.endMs = ms;
      this.status = { ExecutionSucceeded: 'SUCCEEDED', ExecutionFailed: 'FAILED', ExecutionTimedOut: 'TIMED_OUT' }[type] ?? 'ABORTED';
      const failed = this.status === 'FAILED' || this.status === 'TIMED_OUT';
      // What was still open did not end by itself. The entry that the last line belongs to took the execution along.
      for (let at: Entry | undefined = this.entries[before.entry]; failed && at; at = this.entries[at.parent]) {
        if (at.endMs === 0) this.end(at, ms, 'failed');
      }
      for (const entry of this.entries) {
        if (entry.endMs === 0) this.end(entry, ms, entry.error && failed ? 'failed' : 'aborted');
      }
    }
  }

  // What was left behind goes on, and with it what is around it.
  private reopen(id: number): void {
    const { again } = leftBehind(this);
    this.redriven = { id, again: again.map((entry) => entry.index) };
    this.redrives++;
    this.status = 'RUNNING';
    this.endMs = 0;
    for (const leaf of again) {
      for (let at: Entry | undefined = leaf; at; at = this.entries[at.parent]) {
        Object.assign(at, { endMs: 0, status: 'running', error: '' });
      }
    }
  }

  // Whose first event after a redrive this is: the next one left behind of the kind that tells such events.
  private takeUp(type: string, what: string | number | null): Place | null {
    const { again } = this.redriven;
    const fits = (entry: Entry): boolean => {
      if (type.endsWith('StateExited')) return entry.state === what;
      if (/^(Map|Parallel)/.test(type)) return entry.type === (type.startsWith('Map') ? 'Map' : 'Parallel');
      return entry.type === 'Task';
    };
    const at = again.findIndex((index) => fits(this.entries[index]!));
    if (at >= 0) {
      const entry = this.entries[again[at]!]!;
      if (!type.startsWith('MapIteration')) again.splice(at, 1);
      return { entry: entry.index, scope: entry.parent, item: entry.item };
    }
    // A Map that goes on with items it had not begun.
    const around = this.entries.findLast((entry) => entry.endMs === 0 && fits(entry));
    return around ? { entry: around.index, scope: around.parent, item: around.item } : null;
  }

  private end(entry: Entry, ms: number, status: EntryStatus): void {
    entry.endMs = ms;
    entry.status = status;
    const last = entry.attempts.at(-1);
    if (last && last.endMs === 0) last.endMs = ms;
  }

  private enter(id: number, ms: number, type: string, state: string, before: Place, previous: number): void {
    const parent = this.entries[before.scope];
    const left = this.entries[before.entry];
    const lane = before.item >= 0 ? before.item : parent?.began === previous ? parent.lanes++ : left?.parent === before.scope ? left.lane : 0;
    const entry: Entry = {
      index: this.entries.length,
      id,
      state,
      type: type.slice(0, -'StateEntered'.length),
      parent: before.scope,
      item: before.item,
      depth: parent ? parent.depth + 1 : 0,
      startMs: ms,
      endMs: 0,
      exit: 0,
      status: 'running',
      attempts: [],
      error: '',
      items: null,
      events: [id],
      lane,
      began: 0,
      lanes: 0,
    };
    this.entries.push(entry);
    if (left && left.exit > 0 && left.parent === before.scope) this.moves.add(`${left.state}\n${state}\n${left.status === 'caught'}`);
    this.places.set(id, { entry: entry.index, scope: before.scope, item: before.item });
    const known = this.byState.get(state);
    if (known) known.push(entry.index);
    else this.byState.set(state, [entry.index]);
  }

  private leave(id: number, ms: number, state: string, before: Place): void {
    let entry = this.entries[before.entry] ?? this.entries[before.scope];
    while (entry && entry.state !== state) entry = this.entries[entry.parent];
    if (!entry) return void this.places.set(id, before);
    this.keep(entry, id);
    entry.exit = id;
    this.end(entry, ms, entry.error ? 'caught' : 'succeeded');
    this.places.set(id, { entry: entry.index, scope: entry.parent, item: entry.item });
  }

  private iterate(id: number, ms: number, type: string, item: number, before: Place): void {
    const map = this.scopeOf(before, 'Map');
    if (!map) return void this.places.set(id, before);
    const items = (map.items ??= { length: 0, started: 0, succeeded: 0, failed: 0, aborted: 0 });
    if (type.endsWith('Started')) items.started++;
    else if (type.endsWith('Succeeded')) items.succeeded++;
    else if (type.endsWith('Failed')) items.failed++;
    else items.aborted++;
    // A failed item takes the state it was in with it.
    const inner = this.entries[before.entry];
    if (type.endsWith('Failed') && inner && inner !== map && inner.endMs === 0) this.end(inner, ms, 'failed');
    this.places.set(id, { entry: map.index, scope: map.index, item });
  }

  private scopeOf(before: Place, type: string): Entry | undefined {
    let entry = this.entries[before.entry] ?? this.entries[before.scope];
    while (entry && entry.type !== type) entry = this.entries[entry.parent];
    return entry;
  }

  private scope(id: number, ms: number, type: string, what: string | number | null, entry: Entry): void {
    if (type.endsWith('Started')) {
      if (type.startsWith('Map')) entry.items ??= { length: Number(what) || 0, started: 0, succeeded: 0, failed: 0, aborted: 0 };
      entry.began = id;
      entry.lanes = 0;
      if (type.startsWith('MapState') && entry.items) entry.items.length = Number(what) || entry.items.length;
      this.places.set(id, { entry: entry.index, scope: entry.index, item: -1 });
      return;
    }
    if (type.endsWith('Failed')) {
      entry.error = String(what ?? 'failed');
      entry.status = 'retrying';
    } else if (type.endsWith('Aborted')) {
      this.end(entry, ms, 'aborted');
    } else {
      entry.error = '';
    }
    this.places.set(id, { entry: entry.index, scope: entry.parent, item: entry.item });
  }

  private attempt(id: number, ms: number, type: string, what: string | number | null, entry: Entry): void {
    let last = entry.attempts.at(-1);
    if (type.endsWith('Aborted')) return this.end(entry, ms, 'aborted');
    if (/(Scheduled)$/.test(type) || !last) {
      last = { scheduled: id, started: 0, ended: 0, startMs: ms, endMs: 0, ok: false, error: '' };
      entry.attempts.push(last);
      entry.status = 'running';
      entry.error = '';
      if (type.endsWith('Scheduled')) return;
    }
    if (/(Started|Submitted)$/.test(type)) last.started = id;
    else if (type.endsWith('Succeeded')) {
      Object.assign(last, { ended: id, endMs: ms, ok: true });
    } else if (/(Failed|TimedOut)$/.test(type)) {
      const error = typeof what === 'string' && what ? what : type.endsWith('TimedOut') ? 'States.Timeout' : 'failed';
      Object.assign(last, { ended: id, endMs: ms, error });
      entry.error = error;
      entry.status = 'retrying';
    }
  }
}

// What a redrive would run again: the states that did not end by themselves, in the order in which the engine takes them
// up. A Map or Parallel keeps the children that finished; where none of them is open, the state as a whole runs again.
export function leftBehind(run: Run): { again: Entry[]; kept: number } {
  const open = new Set<Entry>();
  const inside = new Set<Entry>(); // Those around an open one.
  let kept = 0;
  for (const entry of run.entries) {
    const parent = run.entries[entry.parent];
    const isOld = parent !== undefined && (entry.id < parent.began || !open.has(parent));
    if (entry.exit !== 0 || entry.type === 'Succeed') {
      if (!isOld || parent === undefined || parent.exit !== 0) kept++;
    } else if (!isOld) {
      open.add(entry);
      if (parent) inside.add(parent);
    }
  }
  const lanes = (entry: Entry): number[] => (entry.parent < 0 ? [entry.lane] : [...lanes(run.entries[entry.parent]!), entry.lane]);
  const keyed = [...open].filter((entry) => !inside.has(entry)).map((entry) => ({ entry, path: lanes(entry) }));
  keyed.sort((a, b) => {
    for (let i = 0; i < Math.min(a.path.length, b.path.length); i++) if (a.path[i] !== b.path[i]) return a.path[i]! - b.path[i]!;
    return a.entry.index - b.entry.index;
  });
  return { again: keyed.map(({ entry }) => entry), kept };
}

export interface NodeState {
  total: number;
  running: number;
  waiting: number;
  succeeded: number;
  failed: number;
  caught: number;
  aborted: number;
  status: EntryStatus | 'mixed';
  last: number; // Index of the entry to show.
  ms: number; // Of that entry.
}

// One picture for all entries of a state: what is worst and still going on comes first.
export function nodeState(run: Run, state: string, waiting: ReadonlySet<string>): NodeState | null {
  const indexes = run.byState.get(state);
  if (!indexes) return null;
  const out: NodeState = { total: indexes.length, running: 0, waiting: 0, succeeded: 0, failed: 0, caught: 0, aborted: 0, status: 'succeeded', last: -1, ms: 0 };
  let shown: Entry | undefined;
  for (const index of indexes) {
    const entry = run.entries[index]!;
    if (entry.endMs === 0 && entry.status !== 'failed') out.running++;
    else if (entry.status === 'succeeded') out.succeeded++;
    else if (entry.status === 'caught') out.caught++;
    else if (entry.status === 'aborted') out.aborted++;
    else out.failed++;
    if (!shown || rank(entry) >= rank(shown)) shown = entry;
  }
  if (!shown) return out;
  out.last = shown.index;
  out.ms = shown.endMs ? shown.endMs - shown.startMs : 0;
  out.status = shown.status;
  if (out.running > 0 && waiting.has(state)) {
    out.waiting = out.running;
    out.status = 'waiting';
  }
  return out;
}

const RANK: Record<EntryStatus, number> = { failed: 5, timed_out: 5, retrying: 4, waiting: 3, running: 3, caught: 2, aborted: 1, succeeded: 0 };
const rank = (entry: Entry) => (entry.endMs === 0 ? RANK[entry.status] : entry.status === 'failed' ? 5 : RANK[entry.status] - 1);
