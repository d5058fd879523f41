// All executions: pages of summary rows from the server's cursor, as many in the page as can be seen.
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { get, serverNow } from '../api';
import type { ExecutionRow, SavedView } from '../api';
import { count, duration, playbookOfExecution, plural, quoted, shorten, visible } from '../format';
import { go, place, setQuery } from '../router';
import { Empty, Failure, now, Status, statusWord, Twin, useLive, useLoad, When } from '../ui/basic';
import { Cell, HeadCell, Rows } from '../ui/rows';
import { SearchBox } from '../ui/search';
import { ViewsDialog } from './views';

interface PageOf {
  executions: ExecutionRow[];
  next: string | null;
  looked_at: number;
  reached: string | null;
}
type Counts = Record<string, number>;
const CHIPS = ['WAITING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'ABORTED'];
const PAGE = 200;
const SKEW_MS = 1000; // Between our idea of the server's clock and its own.
const COUNT_MS = 2000; // Counting 100,000 takes the server some milliseconds: not with every change.
const FILL = 30; // Rows that a page needs at least.
const PATIENCE = 100; // Requests that a search goes on by itself without filling the page.

const chipOf = (q: string) => /(?:^|\s)status:([a-z_,-]+)/i.exec(q)?.[1]?.toUpperCase().replaceAll('-', '_').split(',') ?? [];
// The one playbook that the search names whole: then the chips count its executions only.
const onlyPlaybook = (q: string) => /(?:^|\s)playbook:([^\s*,"]+)(?=\s|$)/i.exec(q)?.[1] ?? '';
function withStatus(q: string, status: string): string {
  const rest = q.replace(/(?:^|\s)status:[^\s]+/gi, '').trim();
  const on = chipOf(q).includes(status);
  return on ? rest : `status:${status.toLowerCase()} ${rest}`.trim();
}

export function Executions() {
  const q = place.value.query.get('q') ?? '';
  const of = place.value.query.get('of') ?? ''; // A map run, whose items these are.
  const looked = useSignal({ rows: 0, reached: '' });
  const showViews = useSignal(false);
  const rows = useSignal<ExecutionRow[]>([]);
  const next = useSignal<string | null>(null);
  const busy = useSignal(false);
  const done = useSignal(false);
  const error = useSignal<Error | undefined>(undefined);
  const fresh = useSignal(0);
  const selected = useSignal(-1);
  const generation = useRef(0);
  const known = useRef(new Map<string, number>());
  const unseen = useRef(new Set<string>());
  const listed = useRef(0); // When the list was asked for, by the server's clock.
  const one = of || onlyPlaybook(q);
  const counts = useLoad(`counts ${one}`, (abort) => get<{ counts: Counts }>(`/v1/executions/counts${one ? `?state_machine=${encodeURIComponent(one)}` : ''}`, abort));
  const views = useLoad('views', (abort) => get<{ views: SavedView[] }>('/v1/views', abort));
  const playbooks = useLoad('playbook names', (abort) => get<{ playbooks: { name: string }[] }>('/v1/playbooks', abort).then((all) => all.playbooks.map((playbook) => playbook.name)));

  const load = async (from: string | null, mine: number): Promise<void> => {
    busy.value = true;
    try {
      // A search may look at many rows and find few; it goes on until there is something to see, or too much was looked at.
      let cursor = from;
      for (let turn = 0; ; turn++) {
        const page: PageOf = await get(`/v1/executions?limit=${rows.value.length > 0 && cursor ? PAGE * 5 : PAGE}&q=${encodeURIComponent(q)}${of ? `&state_machine=${encodeURIComponent(of)}` : ''}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`);
        if (mine !== generation.current) return;
        const isFirst = cursor === null;
        if (isFirst) known.current.clear();
        const begin = isFirst ? 0 : rows.value.length;
        const all = isFirst ? page.executions : rows.value.concat(page.executions);
        for (let i = begin; i < all.length; i++) known.current.set(all[i]!.arn, i);
        if (isFirst || page.executions.length > 0) rows.value = all;
        looked.value = { rows: (isFirst ? 0 : looked.value.rows) + page.looked_at, reached: page.reached ?? looked.value.reached };
        next.value = cursor = page.next;
        error.value = undefined;
        done.value = true;
        if (!cursor || all.length >= FILL || page.executions.length >= FILL || turn >= PATIENCE) break;
      }
    } catch (failure) {
      if (mine === generation.current) error.value = failure as Error;
    } finally {
      if (mine === generation.current) busy.value = false;
    }
  };
  const restart = () => {
    listed.current = serverNow();
    fresh.value = 0;
    unseen.current.clear();
    selected.value = -1;
    void load(null, ++generation.current);
    counts.reload();
  };
  useEffect(() => {
    done.value = false;
    restart();
    return () => void generation.current++;
  }, [q, of]);
  useLive(['execution', 'approval'], counts.reload, COUNT_MS);
  useLive(['execution', 'approval'], (events) => {
    if (events.some((event) => event.type === 'reset')) return restart();
    let copy: ExecutionRow[] | null = null;
    for (const { type, data } of events) {
      const arn = String(type === 'execution' ? data['arn'] : data['execution']);
      const at = known.current.get(arn);
      if (at === undefined) {
        // What was there when this list was made and is not in it is further down, or did not fit.
        if (type === 'execution' && Number(data['started_at']) > listed.current - SKEW_MS) {
          unseen.current.add(arn);
          fresh.value = unseen.current.size;
        }
        continue;
      }
      copy ??= rows.value.slice();
      const row = copy[at]!;
      if (type === 'approval') copy[at] = { ...row, waiting_for_people: data['status'] === 'PENDING' ? Math.max(1, row.waiting_for_people) : 0 };
      else if (row.status !== data['status']) {
        copy[at] = { ...row, status: String(data['status']), waiting_for_people: 0, stopped_at: data['status'] === 'RUNNING' ? null : new Date(Number(data['at'])).toISOString() };
      }
    }
    if (copy) rows.value = copy;
  }, 400);

  const shown = counts.value?.counts;
  const all = rows.value;
  const open = (index: number) => all[index] && go(`/x/${encodeURI(all[index]!.arn)}`);
  return (
    <main id="main" class="tall" tabIndex={-1}>
      <div class="bar">
        <h1>{of ? 'Items of a map run' : 'Executions'}</h1>
        {of && <button type="button" class="link" onClick={() => setQuery({ of: null }, false)}>all executions</button>}
        <SearchBox label="search executions" value={q} playbooks={playbooks.value ?? []} search={(text) => setQuery({ q: text }, false)} />
        <button type="button" onClick={() => (showViews.value = true)}>Views…</button>
      </div>
      <div class="chips" role="group" aria-label="by status">
        {CHIPS.map((status) => (
          <button key={status} type="button" class="chip" aria-pressed={chipOf(q).includes(status)} onClick={() => setQuery({ q: withStatus(q, status) }, false)}>
            {statusWord(status)} <b>{shown && !(one && status === 'WAITING') ? count(shown[status] ?? 0) : '·'}</b>
          </button>
        ))}
        {(views.value?.views ?? []).slice(0, 5).map((view) => (
          <button key={`${view.person} ${view.name}`} type="button" class="chip view" aria-pressed={q === view.q} onClick={() => setQuery({ q: q === view.q ? null : view.q }, false)}>
            {visible(shorten(view.name, 24))}
          </button>
        ))}
        {q && <button type="button" class="link" onClick={() => setQuery({ q: null }, false)}>clear</button>}
        {fresh.value > 0 && <button type="button" class="pill" onClick={restart}>{count(fresh.value)} new{q ? ', search again' : ''}</button>}
      </div>
      <Failure error={error.value} />
      {done.value && all.length === 0 && !busy.value && !error.value && (
        q ? <Empty title={next.value ? 'Nothing was found so far.' : 'No execution fits.'}><p>Searched for <code>{visible(q)}</code>. <button type="button" class="link" onClick={() => setQuery({ q: null }, false)}>Show all</button></p></Empty>
          : <Empty title="No playbook has run yet."><p class="dim">Start one here under <a href="/playbooks">Playbooks</a>, or from a terminal:</p><pre tabIndex={0}>sortie run start PLAYBOOK --wait</pre></Empty>
      )}
      {all.length > 0 && (
        <Rows
          fill
          label="executions"
          count={all.length}
          total={q ? undefined : shown?.['total']}
          rowHeight={44}
          selected={selected.value}
          onSelect={(index) => (selected.value = index)}
          onOpen={open}
          onEnd={() => next.value && !busy.value && void load(next.value, generation.current)}
          head={<><HeadCell class="w-status">status</HeadCell><HeadCell class="w-book">playbook</HeadCell><HeadCell class="grow">name</HeadCell><HeadCell class="w-time">started</HeadCell><HeadCell class="w-dur">took</HeadCell></>}
          row={(index) => {
            const row = all[index]!;
            const took = (row.stopped_at ? Date.parse(row.stopped_at) : now.value) - Date.parse(row.started_at);
            return (
              <>
                <Cell class="w-status"><Status status={row.waiting_for_people > 0 && row.status === 'RUNNING' ? 'WAITING' : row.status} /></Cell>
                <Cell class="w-book clip"><b>{visible(playbookOfExecution(row.arn))}</b></Cell>
                <Cell class="grow clip"><span class="phone">{visible(playbookOfExecution(row.arn))}</span><a class="mono" href={`/x/${encodeURI(row.arn)}`} tabIndex={-1}>{visible(row.name)}</a></Cell>
                <Cell class="w-time"><When at={row.started_at} /></Cell>
                <Cell class="w-dur">{duration(took)}</Cell>
              </>
            );
          }}
        />
      )}
      <p class="dim foot" role="status">
        {busy.value ? 'searching… ' : ''}
        {plural(all.length, 'row')} loaded{!busy.value && next.value && all.length >= FILL ? ', more as you scroll' : ''}
        {!q && shown ? ` of ${count(shown['total'] ?? 0)}` : ''}
        {q && looked.value.rows > all.length && <>; looked at {count(looked.value.rows)}{next.value && looked.value.reached && <>, back to <When at={looked.value.reached} /></>}</>}
        {!busy.value && next.value && all.length < FILL && <> <button type="button" class="link" onClick={() => void load(next.value, generation.current)}>search further back</button></>}
      </p>
      {showViews.value && <ViewsDialog q={q} views={views} close={() => (showViews.value = false)} />}
      <Twin cli={`sortie run list${q ? ` -q ${quoted(q)}` : ''}`} curl={`'@/v1/executions?limit=100&q=${encodeURIComponent(q)}'`} />
    </main>
  );
}
