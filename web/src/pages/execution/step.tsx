// The pane beside the views: one entry of a state with all that went in and came out, its attempts, and what its function said.
import { useMemo } from 'preact/hooks';
import { executionPath, get } from '../../api';
import type { Approval, FunctionLog, HistoryEvent, Json, MapRun } from '../../api';
import { count, duration, lastPart, plural, visible } from '../../format';
import { findState } from '../../graph/model';
import { place, setQuery } from '../../router';
import type { History } from '../../run/history';
import type { Entry } from '../../run/model';
import { Failure, now, Status, useLive, useLoad, When } from '../../ui/basic';
import { JsonView } from '../../ui/json';

const VARIABLE_EXITS = 90; // The server tells so many single events at once.

export interface Picked {
  state: string;
  entry: Entry | null;
}

export function useEvents(arn: string, ids: number[]): { events: HistoryEvent[] | undefined; error: Error | undefined } {
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

function Logs({ name, entry }: { name: string; entry: Entry }) {
  const since = new Date(entry.startMs - 50).toISOString();
  const loaded = useLoad(`logs ${name} ${entry.id} ${entry.endMs}`, (abort) => get<{ logs: FunctionLog[] }>(`/v1/functions/${encodeURIComponent(name)}/logs?since=${encodeURIComponent(since)}`, abort));
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

// What the state could read when it was entered: the last value of each variable that states before it, in its own scope or
// around it, have assigned.
function Variables({ arn, entry, history, events }: { arn: string; entry: Entry; history: History; events: HistoryEvent[] }) {
  const scopes = new Set<number>();
  for (let at: Entry | undefined = entry; at; at = history.run.entries[at.parent]) scopes.add(at.parent);
  const sees = (other: Entry) => other.exit > 0 && other.exit < entry.id && scopes.has(other.parent) && (other.parent < 0 || other.parent !== entry.parent || (other.item === entry.item && other.lane === entry.lane));
  const before = history.run.entries.filter(sees).slice(-VARIABLE_EXITS);
  const exits = useEvents(arn, before.map((other) => other.exit));
  const known: { [name: string]: Json } = {};
  for (const event of exits.events ?? []) Object.assign(known, event.details['assignedVariables'] ?? {});
  const assigned = detail(events, /StateExited$/, 'assignedVariables');
  return (
    <>
      <h3>It could read</h3>
      <Failure error={exits.error} />
      {Object.keys(known).length === 0 ? <p class="dim">{exits.events ? 'No state before it has assigned a variable.' : 'loading…'}</p> : <JsonView name={`${entry.state}-variables`} value={readVariables(known)} />}
      <h3>It assigned</h3>
      {assigned === undefined || assigned === null ? <p class="dim">Nothing.</p> : <JsonView name={`${entry.state}-assigned`} value={readVariables(assigned)} />}
    </>
  );
}

// The history has each variable's value as JSON text.
function readVariables(value: Json): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const read = (text: Json): Json => {
    if (typeof text !== 'string') return text;
    try {
      return JSON.parse(text) as Json;
    } catch {
      return text;
    }
  };
  return Object.fromEntries(Object.entries(value).map(([name, text]) => [name, read(text)]));
}

// How far a distributed Map is. Its items are executions of their own, so this execution's history does not tell.
function MapRunCard({ arn, run }: { arn: string; run: string }) {
  const loaded = useLoad(`map run ${run}`, (abort) => get<{ map_runs: MapRun[] }>(executionPath(arn, '/map-runs'), abort).then((all) => all.map_runs.find((one) => one.arn === run) ?? null));
  useLive(['execution'], () => loaded.value?.status !== 'RUNNING' || loaded.reload(), 1000);
  const found = loaded.value;
  if (!found) return <Failure error={loaded.error} />;
  const { items } = found;
  const ended = items.succeeded + items.failed + items.aborted;
  return (
    <div class="maprun">
      <progress max={Math.max(1, items.total)} value={ended} aria-label="items that have ended" />
      <p>
        {count(ended)} of {plural(items.total, 'item')} ended: {count(items.succeeded)} ok, {count(items.failed)} failed, {count(items.running)} running, {count(items.pending)} waiting{items.aborted > 0 && `, ${count(items.aborted)} aborted`}.{' '}
        <a href={`/executions?of=${encodeURIComponent(run)}`}>{plural(found.executions.total, 'execution')}</a>
      </p>
    </div>
  );
}

function Attempts({ entry, events }: { entry: Entry; events: HistoryEvent[] }) {
  const picked = Number(place.value.query.get('attempt') ?? 0);
  if (entry.attempts.length === 0) return <p class="dim">This step makes no attempts; it is done by the engine itself.</p>;
  return (
    <ol class="attempts">
      {entry.attempts.map((attempt, i) => {
        const end = events.find((event) => event.id === attempt.ended);
        const cause = end?.details['cause'];
        return (
          <li key={i} class={picked === i + 1 ? 'chosen' : ''}>
            <Status status={attempt.ok ? 'succeeded' : attempt.error ? 'failed' : entry.endMs ? 'aborted' : 'running'} /> <button type="button" class="link" aria-label={`link to attempt ${i + 1}`} onClick={() => setQuery({ attempt: String(i + 1) })}>attempt {i + 1}</button>,{' '}
            <When at={attempt.startMs} /> {attempt.endMs > 0 && <>took {duration(attempt.endMs - attempt.startMs)}</>}
            {attempt.error && <p class="error-text"><b>{visible(attempt.error)}</b></p>}
            {typeof cause === 'string' && <pre class="log" tabIndex={0} aria-label="cause">{visible(cause)}</pre>}
          </li>
        );
      })}
    </ol>
  );
}

export function StepPane({ arn, picked, history, definition, approvals, close }: { arn: string; picked: Picked; history: History; definition: string; approvals: Approval[]; close: () => void }) {
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
  const mapRun = String(detail(loadedEvents, /^MapRunStarted$/, 'mapRunArn') ?? '');
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
      {mapRun && <MapRunCard arn={arn} run={mapRun} />}
      {entry?.items && !mapRun && <p>{plural(entry.items.length, 'item')}: {count(entry.items.succeeded)} ok, {count(entry.items.failed)} failed, {count(entry.items.started - entry.items.succeeded - entry.items.failed - entry.items.aborted)} running</p>}
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
        {entry && events && tab === 'variables' && <Variables arn={arn} entry={entry} history={history} events={loadedEvents} />}
        {entry && events && tab === 'tries' && <Attempts entry={entry} events={loadedEvents} />}
        {entry && events && tab === 'logs' && (fn ? <Logs name={fn} entry={entry} /> : <p class="dim">This step calls no function.</p>)}
        {tab === 'definition' && <JsonView name={picked.state} value={(raw ?? undefined) as Json | undefined} />}
      </div>
    </aside>
  );
}
