// What came in, which rules matched it, and what was started.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get, post } from '../api';
import type { EventRow, Json } from '../api';
import { lastPart, playbookOfExecution, plural, quoted, visible } from '../format';
import { go, place, setQuery } from '../router';
import { Dialog, Empty, Failure, tell, Twin, useLive, useLoad, When } from '../ui/basic';
import { download, JsonView } from '../ui/json';
import { usePages } from '../ui/pages';
import { atTop, Cell, HeadCell, Rows } from '../ui/rows';

const PAGE = 200;

// source: and type: go to the server's own filters; the rest is searched in the text.
function toParameters(q: string): string {
  const rest: string[] = [];
  let out = '';
  for (const word of q.split(/\s+/).filter(Boolean)) {
    const found = /^(source|type):(.+)$/.exec(word);
    if (found) out += `&${found[1]}=${encodeURIComponent(found[2]!)}`;
    else rest.push(word);
  }
  return rest.length ? `${out}&text=${encodeURIComponent(rest.join(' '))}` : out;
}

export function Events() {
  const q = place.value.query.get('q') ?? '';
  const typed = useSignal(q);
  const fresh = useSignal(false);
  const selected = useSignal(-1);
  const pages = usePages<EventRow>(q, (cursor) =>
    get<{ events: EventRow[]; next: string | null }>(`/v1/events?limit=${PAGE}${toParameters(q)}${cursor ? `&cursor=${cursor}` : ''}`).then(({ events, next }) => ({ rows: events, next })),
  );
  const look = () => {
    fresh.value = false;
    selected.value = -1;
    pages.restart();
  };
  useEffect(() => {
    typed.value = q;
    fresh.value = false;
    selected.value = -1;
  }, [q]);
  useLive(['event'], (events) => {
    // At the top of an unsearched list nothing is being read that could jump.
    if (events.some((event) => event.type === 'reset') || (atTop() && selected.value < 0 && !q)) look();
    else fresh.value = true;
  }, 1000);
  const all = pages.rows;
  return (
    <main id="main" class="tall" tabIndex={-1}>
      <div class="bar">
        <h1>Events</h1>
        <form role="search" onSubmit={(event) => (event.preventDefault(), setQuery({ q: typed.value.trim() }, false))}>
          <input type="search" aria-label="search events" placeholder="source:aws.guardduty type:Gua* i-0abc" value={typed.value} onInput={(event) => (typed.value = event.currentTarget.value)} />
        </form>
        {fresh.value && <button type="button" class="pill" onClick={look}>new events</button>}
      </div>
      <Failure error={pages.error} />
      {pages.done && all.length === 0 && (q ? <Empty title="No event fits."><button type="button" class="link" onClick={() => setQuery({ q: null }, false)}>Show all</button></Empty> : <Empty title="No event has come in yet."><p class="dim">Send one:</p><pre tabIndex={0}>{'echo \'{"source":"my.app","detail-type":"Hello","detail":{}}\' | sortie event send -'}</pre></Empty>)}
      {all.length > 0 && (
        <Rows
          fill
          label="events"
          count={all.length}
          rowHeight={44}
          selected={selected.value}
          onSelect={(index) => (selected.value = index)}
          onOpen={(index) => all[index] && go(`/events/${all[index]!.id}`)}
          onEnd={pages.more}
          head={<><HeadCell class="w-time">came in</HeadCell><HeadCell class="w-book">source</HeadCell><HeadCell class="grow">what</HeadCell><HeadCell class="w-kind">rules</HeadCell><HeadCell class="w-book">started</HeadCell></>}
          row={(index) => {
            const row = all[index]!;
            return (
              <>
                <Cell class="w-time"><When at={row.time} /></Cell>
                <Cell class="w-book clip">{visible(row.source)}</Cell>
                <Cell class="grow clip"><a href={`/events/${row.id}`} tabIndex={-1}>{visible(row.detail_type)}</a>{row.duplicate_of && <span class="dim"> duplicate</span>}</Cell>
                <Cell class="w-kind">{row.rules.length || <span class="dim">none</span>}</Cell>
                <Cell class="w-book clip">{row.executions.map((arn) => <a key={arn} href={`/x/${encodeURI(arn)}`} tabIndex={-1}>{visible(playbookOfExecution(arn))} </a>)}</Cell>
              </>
            );
          }}
        />
      )}
      <p class="dim foot">{pages.busy ? 'loading…' : `${plural(all.length, 'event')} loaded${pages.hasMore ? ', more as you scroll' : ''}`}</p>
      <Twin cli="sortie event list" curl="'@/v1/events?limit=50'" />
    </main>
  );
}

interface Outcome {
  [key: string]: Json;
}
interface EventDetail extends EventRow {
  event: { [key: string]: Json };
  matched: { rule: string; duplicateOf?: string; targets?: { id: string; arn: string; deliveryId: string }[] }[];
  outcomes: Outcome[];
}

export function EventPage({ id }: { id: string }) {
  const data = useLoad(`event ${id}`, (abort) => get<EventDetail>(`/v1/events/${encodeURIComponent(id)}`, abort));
  const sending = useSignal(false);
  const error = useSignal<Error | undefined>(undefined);
  useLive(['event', 'execution'], () => (data.value?.outcomes.length ?? 0) < (data.value?.matched.reduce((n, m) => n + (m.targets?.length ?? 0), 0) ?? 0) && data.reload());
  const found = data.value;
  const again = async () => {
    if (!found) return;
    const { source, detail, resources } = found.event;
    try {
      const made = await post<{ id: string }>('/v1/events', { source, 'detail-type': found.event['detail-type'], detail, resources, 'event-bus': found.bus });
      sending.value = false;
      tell('sent');
      go(`/events/${made.id}`);
    } catch (failure) {
      error.value = failure as Error;
    }
  };
  const outcomeOf = (delivery: string) => found?.outcomes.find((o) => o['deliveryId'] === delivery || o['delivery'] === delivery);
  return (
    <main id="main" tabIndex={-1}>
      <p class="crumb"><a href="/events">Events</a></p>
      <h1>{found ? visible(found.detail_type) : 'Event'}</h1>
      <Failure error={data.error} />
      {found && (
        <>
          <p>{visible(found.source)} <span class="dim">on {visible(found.bus)}, from {visible(found.actor)}, <When at={found.time} /> · <span class="mono">{found.id}</span></span></p>
          <div class="actions">
            <button type="button" onClick={() => (sending.value = true)}>Send again…</button>
            <button type="button" onClick={() => download(JSON.stringify({ source: found.event['source'], 'detail-type': found.event['detail-type'], detail: found.event['detail'] }, null, 2), 'event.json')}>Save as a sample</button>
          </div>
          <div class="two">
            <section class="card">
              <h2>What became of it</h2>
              {found.duplicate_of && <p>It repeats <a href={`/events/${found.duplicate_of}`}>an earlier event</a> and started nothing.</p>}
              {found.matched.length === 0 && !found.duplicate_of && <p class="dim">No rule matched it.</p>}
              <ul class="list">
                {found.matched.map((match) => (
                  <li key={match.rule} class="static">
                    <p>rule <b>{visible(match.rule)}</b>{match.duplicateOf && <span class="dim"> (a duplicate: nothing was started)</span>}</p>
                    {(match.targets ?? []).map((target) => {
                      const outcome = outcomeOf(target.deliveryId);
                      const result = typeof outcome?.['result'] === 'string' ? outcome['result'] : '';
                      return (
                        <p key={target.id} class="clip">→ {visible(lastPart(target.arn))}{' '}
                          {result.includes(':execution:') ? <a href={`/x/${encodeURI(result)}`}>execution {visible(lastPart(result))}</a> : outcome ? <span class="dim">{visible(String(outcome['outcome'] ?? outcome['status'] ?? outcome['error'] ?? 'delivered'))}</span> : <span class="dim">on its way</span>}
                        </p>
                      );
                    })}
                  </li>
                ))}
              </ul>
              {found.executions.length > 0 && <p>{plural(found.executions.length, 'execution')}: {found.executions.map((arn) => <a key={arn} href={`/x/${encodeURI(arn)}`}>{visible(playbookOfExecution(arn))} </a>)}</p>}
              {found.outcomes.length > 0 && <details><summary>Deliveries in full</summary><JsonView value={found.outcomes as Json} name={`deliveries-${id}`} /></details>}
            </section>
            <section class="card"><h2>The event</h2><JsonView value={found.event} name={`event-${id}`} /></section>
          </div>
          {sending.value && (
            <Dialog title="Send this event again" onClose={() => (sending.value = false)}>
              <p>A new event with the same content comes in as yours. Every rule that matches starts what it starts; rules that deduplicate may not.</p>
              <Failure error={error.value} />
              <div class="actions"><button type="button" onClick={() => (sending.value = false)}>Cancel</button><button type="button" class="primary" onClick={() => void again()}>Send</button></div>
            </Dialog>
          )}
        </>
      )}
      <Twin cli={`sortie event show ${quoted(id)}`} curl={`'@/v1/events/${id}'`} />
    </main>
  );
}
