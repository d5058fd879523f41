// All executions: pages of summary rows from the server's cursor, as many in the page as can be seen.
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { get } from '../api';
import type { ExecutionRow } from '../api';
import { count, duration, lastPart, plural, quoted, visible } from '../format';
import { go, place, setQuery } from '../router';
import { Empty, Failure, now, Status, statusWord, Twin, useLive, useLoad, When } from '../ui/basic';
import { Cell, HeadCell, Rows } from '../ui/rows';

interface PageOf {
  executions: ExecutionRow[];
  next: string | null;
}
type Counts = Record<string, number>;
const CHIPS = ['WAITING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'ABORTED'];
const PAGE = 200;

const chipOf = (q: string) => /(?:^|\s)status:([a-z_,-]+)/i.exec(q)?.[1]?.toUpperCase().replaceAll('-', '_').split(',') ?? [];
function withStatus(q: string, status: string): string {
  const rest = q.replace(/(?:^|\s)status:[^\s]+/gi, '').trim();
  const on = chipOf(q).includes(status);
  return on ? rest : `status:${status.toLowerCase()} ${rest}`.trim();
}

export function Executions() {
  const q = place.value.query.get('q') ?? '';
  const typed = useSignal(q);
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
  const counts = useLoad('counts', (abort) => get<{ counts: Counts }>('/v1/executions/counts', abort));

  const load = async (from: string | null, mine: number): Promise<void> => {
    busy.value = true;
    try {
      const page = await get<PageOf>(`/v1/executions?limit=${PAGE}&q=${encodeURIComponent(q)}${from ? `&cursor=${encodeURIComponent(from)}` : ''}`);
      if (mine !== generation.current) return;
      if (from === null) known.current.clear();
      const all = from === null ? page.executions : rows.value.concat(page.executions);
      for (let i = from === null ? 0 : rows.value.length; i < all.length; i++) known.current.set(all[i]!.arn, i);
      rows.value = all;
      next.value = page.next;
      error.value = undefined;
      done.value = true;
      // A search may look at many rows and find few; it goes on until there is something to see.
      if (page.next && all.length < 30) await load(page.next, mine);
    } catch (failure) {
      if (mine === generation.current) error.value = failure as Error;
    } finally {
      if (mine === generation.current) busy.value = false;
    }
  };
  const restart = () => {
    fresh.value = 0;
    unseen.current.clear();
    selected.value = -1;
    void load(null, ++generation.current);
    counts.reload();
  };
  useEffect(() => {
    typed.value = q;
    done.value = false;
    restart();
    return () => void generation.current++;
  }, [q]);
  useLive(['execution', 'approval'], (events) => {
    if (events.some((event) => event.type === 'reset')) return restart();
    counts.reload();
    let copy: ExecutionRow[] | null = null;
    for (const { type, data } of events) {
      const arn = String(type === 'execution' ? data['arn'] : data['execution']);
      const at = known.current.get(arn);
      if (at === undefined) {
        if (type === 'execution' && !q) {
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
  const search = (event: Event) => {
    event.preventDefault();
    setQuery({ q: typed.value.trim() }, false);
  };
  const all = rows.value;
  const open = (index: number) => all[index] && go(`/x/${encodeURI(all[index]!.arn)}`);
  return (
    <main id="main" class="tall" tabIndex={-1}>
      <div class="bar">
        <h1>Executions</h1>
        <form role="search" onSubmit={search}>
          <input type="search" aria-label="search executions" placeholder="status:failed playbook:ir-* started:>-2h has:approval" value={typed.value} onInput={(event) => (typed.value = event.currentTarget.value)} />
        </form>
      </div>
      <div class="chips" role="group" aria-label="by status">
        {CHIPS.map((status) => (
          <button key={status} type="button" class="chip" aria-pressed={chipOf(q).includes(status)} onClick={() => setQuery({ q: withStatus(q, status) }, false)}>
            {statusWord(status)} <b>{shown ? count(shown[status] ?? 0) : '·'}</b>
          </button>
        ))}
        {q && <button type="button" class="link" onClick={() => setQuery({ q: null }, false)}>clear</button>}
        {fresh.value > 0 && <button type="button" class="pill" onClick={restart}>{count(fresh.value)} new</button>}
      </div>
      <Failure error={error.value} />
      {done.value && all.length === 0 && !busy.value && !error.value && (
        q ? <Empty title="No execution fits."><p>Searched for <code>{visible(q)}</code>. <button type="button" class="link" onClick={() => setQuery({ q: null }, false)}>Show all</button></p></Empty>
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
                <Cell class="w-book clip"><b>{visible(lastPart(row.state_machine))}</b></Cell>
                <Cell class="grow clip"><span class="phone">{visible(lastPart(row.state_machine))}</span><a class="mono" href={`/x/${encodeURI(row.arn)}`} tabIndex={-1}>{visible(row.name)}</a></Cell>
                <Cell class="w-time"><When at={row.started_at} /></Cell>
                <Cell class="w-dur">{duration(took)}</Cell>
              </>
            );
          }}
        />
      )}
      <p class="dim foot">
        {busy.value ? 'loading…' : `${plural(all.length, 'row')} loaded${next.value ? ', more as you scroll' : ''}`}
        {!q && shown ? ` of ${count(shown['total'] ?? 0)}` : ''}
      </p>
      <Twin cli={`sortie run list${q ? ` -q ${quoted(q)}` : ''}`} curl={`'@/v1/executions?limit=100&q=${encodeURIComponent(q)}'`} />
    </main>
  );
}
