// One execution: five views of the same run that share one selection, and a pane that shows the selected step.
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { executionPath, get } from '../../api';
import type { Approval, Execution, Json } from '../../api';
import { clock, count, duration, lastPart, quoted, shorten, visible } from '../../format';
import { GraphView } from '../../graph/Graph';
import { place, setQuery } from '../../router';
import { History } from '../../run/history';
import { nodeState } from '../../run/model';
import type { Entry } from '../../run/model';
import { Copy, Empty, Failure, now, Status, Twin, useLive, useLoad, When } from '../../ui/basic';
import { JsonView } from '../../ui/json';
import { Actions } from './actions';
import { StepPane } from './step';
import type { Picked } from './step';
import { EventsView, TableView, Timeline } from './views';

const VIEWS = ['graph', 'timeline', 'table', 'events', 'io'] as const;
const VIEW_NAMES: Record<string, string> = { graph: 'Graph', timeline: 'Timeline', table: 'Table', events: 'Events', io: 'Input / Output' };

const initiatorOf = (execution: Execution) => {
  const [kind, ...rest] = execution.actor.split(':');
  const who = visible(rest.join(':'));
  const behalf = execution.on_behalf_of ? `, on behalf of ${visible(execution.on_behalf_of)}` : '';
  return `${kind} ${who}${behalf}`;
};

// What a rule starts is named after its delivery, which begins with the event's id.
const eventOf = (execution: Execution) => (execution.actor.startsWith('rule:') ? (/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?=_)/.exec(execution.name)?.[0] ?? '') : '');

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
          <p class="dim"><span class="mono" title={visible(execution.name)}>{visible(shorten(execution.name, 44))}</span> <Copy text={arn} label="copy ARN" /> · started <When at={execution.started_at} /> by {initiatorOf(execution)}{eventOf(execution) && <>, from <a href={`/events/${eventOf(execution)}`}>this event</a></>}{execution.parent && <>, an item of <a href={`/x/${encodeURI(execution.parent)}`}>{visible(shorten(lastPart(execution.parent), 30))}</a></>}{execution.redrives > 0 && <> · redriven {execution.redrives === 1 ? 'once' : `${execution.redrives} times`}, <When at={execution.redriven_at} relative /></>}</p>
        </div>
        <div class="clockbox" title="from the event (or the start) to the end">
          <b class="clock">{clock((ended || now.value) - began)}</b>
          <span class="dim">{ended ? 'from event to end' : 'since the event'}</span>
        </div>
        <Actions execution={execution} history={history} />
      </div>
      <Failure error={head.error ?? history.error.value} />
      {execution.error && (
        <div class="failure" role="group" aria-label="why it failed">
          <b>{visible(execution.error)}</b> {execution.cause && <span class="clamp">{visible(execution.cause.slice(0, 600))}</span>}
          {failedEntry && <button type="button" class="link" onClick={() => setQuery({ state: failedEntry.state, entry: String(failedEntry.id), tab: 'tries' })}>show {visible(failedEntry.state)}</button>}
        </div>
      )}
      {pending.map((approval) => (
        <p key={approval.id} class="ask urgent action">
          <span><Status status="WAITING" /> {visible(approval.state)} asks {approval.policy.from.length ? approval.policy.from.map(visible).join(', ') : 'anybody'}: <b>{visible(approval.title)}</b>, expires in {duration(Date.parse(approval.expires_at) - now.value)}.</span>
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
          {view === 'graph' && definition && <GraphView definition={definition} stateOf={stateOf} moved={(from, to, byError) => history.run.moved(from, to, byError)} selected={picked?.state} onSelect={pickState} />}
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
