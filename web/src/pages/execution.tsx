// One execution: five views of the same run that share one selection, and a pane that shows the selected step.
import { signal, useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { executionPath, get, post } from '../api';
import type { Approval, Execution, HistoryEvent, Json } from '../api';
import { clock, count, duration, lastPart, plural, quoted, shorten, timeOfDay, visible } from '../format';
import { GraphView } from '../graph/Graph';
import { findState } from '../graph/model';
import { go, place, setQuery } from '../router';
import { nodeState, Run } from '../run/model';
import type { Entry, Line } from '../run/model';
import { ApiError } from '../api';
import { Copy, Dialog, Empty, Failure, now, Status, statusWord, tell, tone, Twin, useLive, useLoad, When } from '../ui/basic';
import { JsonView } from '../ui/json';
import { Cell, HeadCell, Rows } from '../ui/rows';

const VIEWS = ['graph', 'timeline', 'table', 'events', 'io'] as const;
const VIEW_NAMES: Record<string, string> = { graph: 'Graph', timeline: 'Timeline', table: 'Table', events: 'Events', io: 'Input / Output' };
const PAGE = 5000;

// ------------------------------------------------------------------------------------------------------- the history

class History {
  readonly run = new Run();
  lines: Line[] = [];
  readonly version = signal(0);
  readonly error = signal<Error | undefined>(undefined);
  readonly complete = signal(false);
  private busy = false;
  private again = false;
  gone = false;

  constructor(private readonly arn: string) {}

  async more(): Promise<void> {
    if (this.busy) {
      this.again = true;
      return;
    }
    this.busy = true;
    try {
      for (;;) {
        const from = this.run.lastId + 1;
        const page = await get<{ events: Line[]; next: number | null }>(executionPath(this.arn, `/history?view=compact&limit=${PAGE}&from=${from}`));
        if (this.gone) return;
        const fresh = page.events.filter((line) => line[0] >= from);
        this.run.push(fresh);
        for (const line of fresh) this.lines.push(line);
        if (fresh.length > 0) this.version.value++;
        if (page.next === null) break;
      }
      this.error.value = undefined;
      this.complete.value = true;
    } catch (failure) {
      this.error.value = failure as Error;
      if (failure instanceof ApiError && (failure.status === 0 || failure.status === 503) && !this.gone) setTimeout(() => void this.more(), 2000);
    } finally {
      this.busy = false;
      if (this.again && !this.gone) {
        this.again = false;
        void this.more();
      }
    }
  }
}

// ---------------------------------------------------------------------------------------------------------- step pane

interface Picked {
  state: string;
  entry: Entry | null;
}

function useEvents(arn: string, ids: number[]): { events: HistoryEvent[] | undefined; error: Error | undefined } {
  const key = ids.join(',');
  const loaded = useLoad(`events ${arn} ${key}`, (abort) =>
    ids.length === 0 ? Promise.resolve({ events: [] as HistoryEvent[] }) : get<{ events: HistoryEvent[] }>(executionPath(arn, `/history?ids=${key}`), abort),
  );
  return { events: loaded.value?.events, error: loaded.error };
}

const detail = (events: HistoryEvent[], pattern: RegExp, field: string): Json | undefined => {
  for (let i = events.length - 1; i >= 0; i--) {
    const event = events[i]!;
    if (pattern.test(event.type) && field in event.details) return event.details[field];
  }
  return undefined;
};

const isLambda = (resource: string) => /:lambda:|lambda:invoke/.test(resource);

function functionOf(events: HistoryEvent[]): string {
  for (const event of events) {
    const resource = String(event.details['resource'] ?? '');
    if (event.type === 'LambdaFunctionScheduled') return lastPart(resource.replace(/:\$LATEST$/, ''));
    if (event.type === 'TaskScheduled' && isLambda(`${event.details['resourceType'] ?? ''}:${resource}`)) {
      const parameters = event.details['parameters'] as { FunctionName?: string } | undefined;
      return lastPart(String(parameters?.FunctionName ?? '').replace(/:\$LATEST$/, ''));
    }
    if (event.type === 'TaskScheduled' && event.details['resourceType'] === 'lambda') {
      const parameters = event.details['parameters'] as { FunctionName?: string } | undefined;
      return lastPart(String(parameters?.FunctionName ?? ''));
    }
  }
  return '';
}

interface Log {
  request_id: string;
  started_at: string;
  duration_ms: number;
  outcome: string;
  text: string;
}

function Logs({ name, entry }: { name: string; entry: Entry }) {
  const since = new Date(entry.startMs - 50).toISOString();
  const loaded = useLoad(`logs ${name} ${entry.id} ${entry.endMs}`, (abort) => get<{ logs: Log[] }>(`/v1/functions/${encodeURIComponent(name)}/logs?since=${encodeURIComponent(since)}`, abort));
  const end = entry.endMs || now.value;
  const logs = loaded.value?.logs.filter((log) => Date.parse(log.started_at) <= end + 50);
  return (
    <>
      <p class="dim">Invocations of <a href={`/functions/${encodeURIComponent(name)}`}>{visible(name)}</a> while this step ran.</p>
      <Failure error={loaded.error} />
      {logs?.length === 0 && <p class="dim">No log is kept for that time.</p>}
      {logs?.map((log) => (
        <section key={log.request_id}>
          <p><b>{visible(log.outcome)}</b> · <When at={log.started_at} /> · {duration(log.duration_ms)} · <span class="mono dim">{log.request_id}</span></p>
          <pre class="log" tabIndex={0} aria-label="log">{visible(log.text)}</pre>
        </section>
      ))}
    </>
  );
}

function Attempts({ entry, events }: { entry: Entry; events: HistoryEvent[] }) {
  if (entry.attempts.length === 0) return <p class="dim">This step makes no attempts; it is done by the engine itself.</p>;
  return (
    <ol class="attempts">
      {entry.attempts.map((attempt, i) => {
        const end = events.find((event) => event.id === attempt.ended);
        const cause = end?.details['cause'];
        return (
          <li key={i}>
            <Status status={attempt.ok ? 'succeeded' : attempt.error ? 'failed' : entry.endMs ? 'aborted' : 'running'} /> attempt {i + 1},{' '}
            <When at={attempt.startMs} /> {attempt.endMs > 0 && <>took {duration(attempt.endMs - attempt.startMs)}</>}
            {attempt.error && <p class="error-text"><b>{visible(attempt.error)}</b></p>}
            {typeof cause === 'string' && <pre class="log" tabIndex={0} aria-label="cause">{visible(cause)}</pre>}
          </li>
        );
      })}
    </ol>
  );
}

function StepPane({ arn, picked, history, definition, approvals, close }: { arn: string; picked: Picked; history: History; definition: string; approvals: Approval[]; close: () => void }) {
  const tab = place.value.query.get('tab') ?? 'input';
  const entry = picked.entry;
  const ids = entry ? entry.events : [];
  const { events, error } = useEvents(arn, ids);
  const raw = useMemo(() => findState(definition, picked.state), [definition, picked.state]);
  const indexes = history.run.byState.get(picked.state) ?? [];
  const at = entry ? indexes.indexOf(entry.index) : -1;
  const asked = approvals.filter((approval) => approval.state === picked.state);
  const pending = asked.find((approval) => approval.status === 'PENDING');
  const tabs: [string, string][] = [['input', 'Input'], ['effective', 'Effective input'], ['result', 'Result'], ['output', 'Output'], ['tries', `Attempts ${entry?.attempts.length || ''}`], ['variables', 'Variables'], ['logs', 'Logs'], ['definition', 'Definition']];
  const fn = events ? functionOf(events) : '';
  const loadedEvents = events ?? [];
  const step = (by: number) => {
    const index = indexes[at + by];
    if (index !== undefined) setQuery({ entry: String(history.run.entries[index]!.id) });
  };
  const around: string[] = [];
  for (let e: Entry | undefined = entry ? history.run.entries[entry.parent] : undefined, inner = entry; e; inner = e, e = history.run.entries[e.parent]) {
    around.unshift(`${e.state}${inner && inner.item >= 0 ? ` item ${inner.item}` : ''}`);
  }
  const took = entry ? (entry.endMs || now.value) - entry.startMs : 0;
  return (
    <aside class="pane" aria-label={`step ${visible(picked.state)}`}>
      <header>
        <div>
          <h2>{visible(picked.state)}</h2>
          {around.length > 0 && <p class="dim">in {around.map(visible).join(' › ')}</p>}
        </div>
        <button type="button" class="ghost" aria-label="close the step" onClick={close}>✕</button>
      </header>
      <p class="facts-line">
        {entry ? <Status status={pending && entry.endMs === 0 ? 'waiting' : entry.status} /> : <span class="status tone-off">not run</span>}
        <span>{raw ? String(raw['Type'] ?? '') : ''}</span>
        {entry && <><When at={entry.startMs} /> <span>{duration(took)}</span></>}
        {indexes.length > 1 && (
          <span class="stepper">
            <button type="button" data-key="[" aria-label="previous entry" disabled={at <= 0} onClick={() => step(-1)}>‹</button>
            {at + 1} of {count(indexes.length)}
            <button type="button" data-key="]" aria-label="next entry" disabled={at >= indexes.length - 1} onClick={() => step(1)}>›</button>
          </span>
        )}
      </p>
      {entry?.items && <p>{plural(entry.items.length, 'item')}: {count(entry.items.succeeded)} ok, {count(entry.items.failed)} failed, {count(entry.items.started - entry.items.succeeded - entry.items.failed - entry.items.aborted)} running</p>}
      {asked.map((approval) => (
        <p key={approval.id} class={`ask ${approval.status === 'PENDING' ? 'urgent' : ''}`}>
          <Status status={approval.status} /> {visible(approval.title)}{' '}
          {approval.decision && <>by {visible(approval.decision.by ?? 'nobody')}: “{visible(approval.decision.reason)}” </>}
          <a href={`/a/${approval.id}`} data-key={approval.status === 'PENDING' ? 'a' : undefined}>{approval.status === 'PENDING' ? 'review and decide' : 'how it was decided'}</a>
        </p>
      ))}
      {entry?.error && tab !== 'tries' && <p class="error-text"><b>{visible(entry.error)}</b> <button type="button" class="link" onClick={() => setQuery({ tab: 'tries' })}>why</button></p>}
      <div class="tabs small" role="group" aria-label="what to show of the step">
        {tabs.map(([id, word]) => (
          <button key={id} type="button" aria-pressed={tab === id} onClick={() => setQuery({ tab: id === 'input' ? null : id })}>{word}</button>
        ))}
      </div>
      <Failure error={error} />
      <div class="pane-body">
        {!entry && tab !== 'definition' && <p class="dim">This state has not been entered{history.run.status === 'RUNNING' ? ' yet' : ''}.</p>}
        {entry && events === undefined && !error && <p class="dim" aria-busy="true">loading…</p>}
        {entry && events && tab === 'input' && <JsonView name={`${picked.state}-input`} value={detail(loadedEvents, /StateEntered$/, 'input')} />}
        {entry && events && tab === 'effective' && <JsonView name={`${picked.state}-effective`} value={detail(loadedEvents, /Scheduled$/, 'parameters') ?? detail(loadedEvents, /Scheduled$/, 'input') ?? detail(loadedEvents, /StateEntered$/, 'input')} />}
        {entry && events && tab === 'result' && <JsonView name={`${picked.state}-result`} value={detail(loadedEvents, /Succeeded$/, 'output')} />}
        {entry && events && tab === 'output' && <JsonView name={`${picked.state}-output`} value={detail(loadedEvents, /StateExited$/, 'output')} />}
        {entry && events && tab === 'variables' && <JsonView name={`${picked.state}-variables`} value={detail(loadedEvents, /StateExited$/, 'assignedVariables')} />}
        {entry && events && tab === 'tries' && <Attempts entry={entry} events={loadedEvents} />}
        {entry && events && tab === 'logs' && (fn ? <Logs name={fn} entry={entry} /> : <p class="dim">This step calls no function.</p>)}
        {tab === 'definition' && <JsonView name={picked.state} value={(raw ?? undefined) as Json | undefined} />}
      </div>
    </aside>
  );
}

// -------------------------------------------------------------------------------------------------------------- views

interface ViewProps {
  history: History;
  picked: Picked | null;
  pick: (entry: Entry) => void;
  waiting: ReadonlySet<string>; // States that ask people.
}

const shownStatus = (entry: Entry, waiting: ReadonlySet<string>) => (entry.endMs === 0 && waiting.has(entry.state) ? 'waiting' : entry.status);

function matchesFilter(entry: Entry, filter: string): boolean {
  const text = filter.toLowerCase();
  return entry.state.toLowerCase().includes(text) || entry.status.includes(text) || entry.error.toLowerCase().includes(text) || `item ${entry.item}` === text;
}

function useEntries(history: History): { entries: Entry[]; filter: string } {
  const version = history.version.value;
  const filter = place.value.query.get('find') ?? '';
  const entries = useMemo(() => (filter ? history.run.entries.filter((entry) => matchesFilter(entry, filter)) : history.run.entries.slice()), [version, filter, history]);
  return { entries, filter };
}

function TableView({ history, picked, pick, waiting }: ViewProps) {
  const { entries, filter } = useEntries(history);
  return (
    <>
      <Find filter={filter} found={entries.length} />
      <Rows
        fill
        label="states that were entered"
        count={entries.length}
        rowHeight={40}
        selected={entries.findIndex((entry) => entry === picked?.entry)}
        onSelect={(index) => entries[index] && pick(entries[index]!)}
        head={<><HeadCell class="grow">state</HeadCell><HeadCell class="w-kind">type</HeadCell><HeadCell class="w-status">status</HeadCell><HeadCell class="w-time">entered</HeadCell><HeadCell class="w-dur">took</HeadCell><HeadCell class="w-dur">attempts</HeadCell></>}
        row={(index) => {
          const entry = entries[index]!;
          return (
            <>
              <Cell class="grow clip"><span class={`indent-${Math.min(entry.depth, 6)}`}>{visible(entry.state)}</span>{entry.item >= 0 && <span class="dim"> item {entry.item}</span>}{entry.error && <span class="error-text"> {visible(entry.error)}</span>}</Cell>
              <Cell class="w-kind">{entry.type}</Cell>
              <Cell class="w-status"><Status status={shownStatus(entry, waiting)} /></Cell>
              <Cell class="w-time">{timeOfDay(entry.startMs)}</Cell>
              <Cell class="w-dur">{duration((entry.endMs || now.value) - entry.startMs)}</Cell>
              <Cell class="w-dur">{entry.attempts.length || ''}</Cell>
            </>
          );
        }}
      />
    </>
  );
}

function Timeline({ history, picked, pick, waiting }: ViewProps) {
  const { entries, filter } = useEntries(history);
  const start = history.run.startMs;
  const end = history.run.endMs || Math.max(now.value, start + 1);
  const span = Math.max(1, end - start);
  const percent = (ms: number) => `${(Math.max(0, ms) / span) * 100}%`;
  return (
    <>
      <Find filter={filter} found={entries.length} />
      <Rows
        fill
        label="timeline of the states"
        count={entries.length}
        rowHeight={34}
        selected={entries.findIndex((entry) => entry === picked?.entry)}
        onSelect={(index) => entries[index] && pick(entries[index]!)}
        head={<><HeadCell class="w-line">state</HeadCell><HeadCell class="grow"><span class="axis"><span>0 s</span><span>{duration(span / 2)}</span><span>{duration(span)}</span></span></HeadCell></>}
        row={(index) => {
          const entry = entries[index]!;
          const last = entry.endMs || end;
          return (
            <>
              <Cell class="w-line clip"><span class={`indent-${Math.min(entry.depth, 6)}`}>{visible(entry.state)}</span>{entry.item >= 0 && <span class="dim"> {entry.item}</span>}</Cell>
              <Cell class="grow lane">
                <span class={`span tone-${tone(shownStatus(entry, waiting))}`} style={{ left: percent(entry.startMs - start), width: `max(3px, ${percent(last - entry.startMs)})` }} title={`${statusWord(shownStatus(entry, waiting))}, ${duration(last - entry.startMs)}`} />
                {entry.attempts.slice(1).map((attempt, i) => <span key={i} class="retry" style={{ left: percent(attempt.startMs - start) }} title={`attempt ${i + 2}`} />)}
                <span class="lane-word">{duration(last - entry.startMs)}</span>
              </Cell>
            </>
          );
        }}
      />
    </>
  );
}

function Find({ filter, found }: { filter: string; found: number }) {
  return (
    <form role="search" class="find" onSubmit={(event) => event.preventDefault()}>
      <input type="search" aria-label="filter the states" placeholder="filter: name, status, error, item 12" value={filter} onInput={(event) => setQuery({ find: event.currentTarget.value })} />
      <span class="dim" role="status">{count(found)}</span>
    </form>
  );
}

function EventsView({ arn, history }: { arn: string; history: History }) {
  const version = history.version.value;
  const at = Number(place.value.query.get('at') ?? 0);
  const lines = history.lines;
  void version;
  const { events, error } = useEvents(arn, at > 0 && at <= lines.length ? [at] : []);
  const open = events?.[0];
  return (
    <div class={`split ${at > 0 ? 'open' : ''}`}>
      <Rows
        fill
        label="history events"
        count={lines.length}
        rowHeight={32}
        selected={at - 1}
        onSelect={(index) => setQuery({ at: String(lines[index]?.[0] ?? '') })}
        head={<><HeadCell class="w-id">id</HeadCell><HeadCell class="w-time">time</HeadCell><HeadCell class="grow">what happened</HeadCell></>}
        rowClass={(index) => (/Failed|TimedOut/.test(lines[index]?.[3] ?? '') ? 'bad' : '')}
        row={(index) => {
          const [id, , ms, type, what] = lines[index]!;
          return (
            <>
              <Cell class="w-id mono">{id}</Cell>
              <Cell class="w-time">{timeOfDay(ms)}</Cell>
              <Cell class="grow clip">{type} {what !== null && <b>{visible(String(what))}</b>}</Cell>
            </>
          );
        }}
      />
      {at > 0 && (
        <aside class="pane" aria-label={`event ${at}`}>
          <header>
            <h2>{open ? `${open.id} ${open.type}` : `event ${at}`}</h2>
            <button type="button" class="ghost" aria-label="close the event" onClick={() => setQuery({ at: null })}>✕</button>
          </header>
          <Failure error={error} />
          {open && <><p class="dim"><When at={open.time} /> after event {open.previous_id}</p><JsonView name={`event-${open.id}`} value={open.details} /></>}
        </aside>
      )}
    </div>
  );
}

// ------------------------------------------------------------------------------------------------------------ actions

function ReasonDialog({ title, verb, explain, run, close }: { title: string; verb: string; explain: string; run: (reason: string) => Promise<void>; close: () => void }) {
  const reason = useSignal('');
  const error = useSignal<Error | undefined>(undefined);
  const busy = useSignal(false);
  return (
    <Dialog title={title} onClose={close}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (busy.value) return;
          busy.value = true;
          run(reason.value.trim()).then(close, (failure: Error) => {
            error.value = failure;
            busy.value = false;
          });
        }}
      >
        <p>{explain}</p>
        <label>
          Reason
          <textarea required minLength={3} rows={3} value={reason.value} onInput={(event) => (reason.value = event.currentTarget.value)} />
        </label>
        <Failure error={error.value} />
        <div class="actions">
          <button type="button" onClick={close}>Cancel</button>
          <button type="submit" class="danger" disabled={busy.value || reason.value.trim().length < 3}>{verb}</button>
        </div>
      </form>
    </Dialog>
  );
}

function Actions({ execution }: { execution: Execution }) {
  const asking = useSignal('');
  const arn = execution.arn;
  const playbook = lastPart(execution.state_machine);
  const again = async () => {
    const made = await post<{ arn: string }>('/v1/executions', { playbook: execution.state_machine, input: execution.input });
    tell('started');
    go(`/x/${encodeURI(made.arn)}`);
  };
  return (
    <div class="actions">
      {execution.status === 'RUNNING' ? (
        <button type="button" class="danger ghosted" onClick={() => (asking.value = 'stop')}>Stop…</button>
      ) : (
        <button type="button" onClick={() => (asking.value = 'again')}>Run again…</button>
      )}
      {asking.value === 'stop' && (
        <ReasonDialog title="Stop this execution" verb="Stop it" explain="Steps under way are cancelled; what they have changed stays changed. The reason goes into the history and the audit trail." close={() => (asking.value = '')}
          run={async (reason) => { await post(executionPath(arn, '/stop'), { reason, error: 'Stopped' }); tell('stopped'); }} />
      )}
      {asking.value === 'again' && (
        <Dialog title={`Start ${visible(playbook)} again`} onClose={() => (asking.value = '')}>
          <p>A new execution of the playbook as it is now, with this one's input.</p>
          <Again run={again} close={() => (asking.value = '')} />
        </Dialog>
      )}
    </div>
  );
}

function Again({ run, close }: { run: () => Promise<void>; close: () => void }) {
  const error = useSignal<Error | undefined>(undefined);
  const busy = useSignal(false);
  return (
    <>
      <Failure error={error.value} />
      <div class="actions">
        <button type="button" onClick={close}>Cancel</button>
        <button type="button" class="primary" disabled={busy.value} onClick={() => { busy.value = true; run().catch((failure: Error) => { error.value = failure; busy.value = false; }); }}>Start</button>
      </div>
    </>
  );
}

// --------------------------------------------------------------------------------------------------------------- page

const initiatorOf = (execution: Execution) => {
  const [kind, ...rest] = execution.actor.split(':');
  const who = visible(rest.join(':'));
  const behalf = execution.on_behalf_of ? `, on behalf of ${visible(execution.on_behalf_of)}` : '';
  return `${kind} ${who}${behalf}`;
};

// The moment of the finding, where the input tells it: the clock counts from there.
function eventTime(input: Json): number {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return 0;
  const time = input['time'];
  const ms = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return Number.isFinite(ms) ? ms : 0;
}

export function ExecutionPage({ id: arn }: { id: string }) {
  const history = useMemo(() => new History(arn), [arn]);
  const head = useLoad(`x ${arn}`, (abort) => get<Execution>(executionPath(arn), abort));
  const text = useLoad(`definition ${arn}`, (abort) => get<{ definition: string }>(executionPath(arn, '/definition'), abort));
  const asked = useLoad(`asked ${arn}`, (abort) => get<{ approvals: Approval[] }>(`/v1/approvals?execution=${encodeURIComponent(arn)}`, abort));
  const loaded = useRef(false);
  useEffect(() => {
    void history.more();
    return () => void (history.gone = true);
  }, [history]);
  useEffect(() => {
    // After a login or a restart what was missed is loaded.
    if (head.value && loaded.current) void history.more();
    loaded.current = true;
  }, [head.value]);
  useLive(['execution', 'approval'], (events) => {
    const ours = events.some(({ type, data }) => type === 'reset' || data['arn'] === arn || data['execution'] === arn);
    if (!ours) return;
    void history.more();
    head.reload();
    if (events.some(({ type }) => type !== 'execution')) asked.reload();
  });
  const version = history.version.value;
  const query = place.value.query;
  const view = (VIEWS as readonly string[]).includes(query.get('view') ?? '') ? query.get('view')! : 'graph';
  const execution = head.value;
  const approvals = asked.value?.approvals ?? [];
  const waitingStates = useMemo(() => new Set(approvals.filter((a) => a.status === 'PENDING').map((a) => a.state)), [asked.value]);
  const picked = useMemo((): Picked | null => {
    const id = Number(query.get('entry') ?? 0);
    const byId = id > 0 ? history.run.entries.find((entry) => entry.id === id) : undefined;
    if (byId) return { state: byId.state, entry: byId };
    const state = query.get('state');
    if (!state) return null;
    const told = nodeState(history.run, state, waitingStates);
    return { state, entry: told ? (history.run.entries[told.last] ?? null) : null };
  }, [place.value, version, waitingStates]);
  const pickState = (state: string) => setQuery({ state, entry: null });
  const pickEntry = (entry: Entry) => setQuery({ state: entry.state, entry: String(entry.id) });
  const stateOf = useMemo(() => {
    const seen = new Map<string, ReturnType<typeof nodeState>>();
    return (name: string) => {
      if (!seen.has(name)) seen.set(name, nodeState(history.run, name, waitingStates));
      return seen.get(name)!;
    };
  }, [version, waitingStates, history]);
  if (!execution) {
    return (
      <main id="main" tabIndex={-1}>
        <h1 class="mono">{visible(lastPart(arn))}</h1>
        <Failure error={head.error} />
        {!head.error && <p aria-busy="true" class="dim">loading…</p>}
      </main>
    );
  }
  const pending = approvals.filter((a) => a.status === 'PENDING');
  const waiting = execution.status === 'RUNNING' && pending.length > 0;
  const began = eventTime(execution.input) || Date.parse(execution.started_at);
  const ended = execution.stopped_at ? Date.parse(execution.stopped_at) : 0;
  const definition = text.value?.definition ?? '';
  const failedEntry = history.run.entries.findLast?.((entry) => entry.status === 'failed' && entry.items === null);
  return (
    <main id="main" class="tall execution" tabIndex={-1}>
      <div class="bar">
        <div class="grow">
          <h1><a href={`/playbooks/${encodeURIComponent(lastPart(execution.state_machine))}`}>{visible(lastPart(execution.state_machine))}</a> <Status status={waiting ? 'WAITING' : execution.status} /></h1>
          <p class="dim"><span class="mono" title={visible(execution.name)}>{visible(shorten(execution.name, 44))}</span> <Copy text={arn} label="copy ARN" /> · started <When at={execution.started_at} /> by {initiatorOf(execution)}</p>
        </div>
        <div class="clockbox" title="from the event (or the start) to the end">
          <b class="clock">{clock((ended || now.value) - began)}</b>
          <span class="dim">{ended ? 'from event to end' : 'since the event'}</span>
        </div>
        <Actions execution={execution} />
      </div>
      <Failure error={head.error ?? history.error.value} />
      {execution.error && (
        <div class="failure" role="group" aria-label="why it failed">
          <b>{visible(execution.error)}</b> {execution.cause && <span class="clamp">{visible(execution.cause.slice(0, 600))}</span>}
          {failedEntry && <button type="button" class="link" onClick={() => setQuery({ state: failedEntry.state, entry: String(failedEntry.id), tab: 'tries' })}>show {visible(failedEntry.state)}</button>}
        </div>
      )}
      {pending.map((approval) => (
        <p key={approval.id} class="ask urgent">
          <Status status="WAITING" /> {visible(approval.state)} asks {approval.policy.from.length ? approval.policy.from.map(visible).join(', ') : 'anybody'}: <b>{visible(approval.title)}</b>, expires in {duration(Date.parse(approval.expires_at) - now.value)}.{' '}
          <a href={`/a/${approval.id}`} class="button primary" data-key="a">Review and decide</a>
        </p>
      ))}
      {execution.status === 'RUNNING' && pending.length === 0 && execution.waiting.slice(0, 3).map((sentence) => <p key={sentence} class="ask">{visible(sentence)}</p>)}
      <div class="tabs" role="group" aria-label="views">
        {VIEWS.map((name, i) => (
          <button key={name} type="button" data-key={String(i + 1)} aria-pressed={view === name} onClick={() => setQuery({ view: name === 'graph' ? null : name }, false)}>
            {VIEW_NAMES[name]} {name === 'events' && <span class="dim">{count(history.run.lastId)}</span>}
          </button>
        ))}
      </div>
      <div class={`split ${picked && view !== 'io' && view !== 'events' ? 'open' : ''}`}>
        <div class="view">
          {view === 'graph' && definition && <GraphView definition={definition} stateOf={stateOf} selected={picked?.state} onSelect={pickState} />}
          {view === 'timeline' && <Timeline history={history} picked={picked} pick={pickEntry} waiting={waitingStates} />}
          {view === 'table' && <TableView history={history} picked={picked} pick={pickEntry} waiting={waitingStates} />}
          {view === 'events' && <EventsView arn={arn} history={history} />}
          {view === 'io' && (
            <div class="two">
              <section class="card"><h2>Input</h2><JsonView value={execution.input} name={`${execution.name}-input`} /></section>
              <section class="card"><h2>Output</h2>{execution.status === 'RUNNING' ? <Empty title="It still runs." /> : <JsonView value={execution.output} name={`${execution.name}-output`} />}</section>
            </div>
          )}
          {history.run.entries.length === 0 && history.complete.value && view !== 'io' && view !== 'events' && view !== 'graph' && <Empty title="No state was entered yet." />}
        </div>
        {picked && view !== 'io' && view !== 'events' && (
          <StepPane key={`${picked.state} ${picked.entry?.id ?? 0}`} arn={arn} picked={picked} history={history} definition={definition} approvals={approvals} close={() => setQuery({ state: null, entry: null, tab: null })} />
        )}
      </div>
      <Twin cli={`sortie run show ${quoted(arn)}`} curl={`'@${executionPath(arn)}'`} />
    </main>
  );
}
