// The same run as a table, on a time axis, and as its events: rows that share one selection with the graph.
import { useMemo } from 'preact/hooks';
import { count, duration, timeOfDay, visible } from '../../format';
import { place, setQuery } from '../../router';
import type { History } from '../../run/history';
import type { Entry } from '../../run/model';
import { Failure, now, Status, statusWord, tone, When } from '../../ui/basic';
import { JsonView } from '../../ui/json';
import { Cell, HeadCell, Rows } from '../../ui/rows';
import { useEvents } from './step';
import type { Picked } from './step';

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

// The entries that fit the filter, and what every table of them shares: which is selected, and how to select one.
function useEntries({ history, picked, pick }: ViewProps) {
  const version = history.version.value;
  const filter = place.value.query.get('find') ?? '';
  const entries = useMemo(() => (filter ? history.run.entries.filter((entry) => matchesFilter(entry, filter)) : history.run.entries.slice()), [version, filter, history]);
  const rows = { fill: true, count: entries.length, selected: entries.findIndex((entry) => entry === picked?.entry), onSelect: (index: number) => entries[index] && pick(entries[index]!) };
  return { entries, rows, find: <Find filter={filter} found={entries.length} /> };
}

export function TableView(props: ViewProps) {
  const { waiting } = props;
  const { entries, rows, find } = useEntries(props);
  return (
    <>
      {find}
      <Rows
        {...rows}
        label="states that were entered"
        rowHeight={40}
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

export function Timeline(props: ViewProps) {
  const { history, waiting } = props;
  const { entries, rows, find } = useEntries(props);
  const start = history.run.startMs;
  const end = history.run.endMs || Math.max(now.value, start + 1);
  const span = Math.max(1, end - start);
  const percent = (ms: number) => `${(Math.max(0, ms) / span) * 100}%`;
  return (
    <>
      {find}
      <Rows
        {...rows}
        label="timeline of the states"
        rowHeight={34}
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

export function EventsView({ arn, history }: { arn: string; history: History }) {
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
