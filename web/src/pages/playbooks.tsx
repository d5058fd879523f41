// Playbooks: the definition with its graph, what lint says and where, and a start with an input.
import { useSignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { get, post } from '../api';
import type { ExecutionRow, Json } from '../api';
import { lastPart, plural, quoted, visible } from '../format';
import { GraphView } from '../graph/Graph';
import { go, place, setQuery } from '../router';
import { Copy, Dialog, Empty, Failure, Status, Tabs, tell, Twin, useLive, useLoad, When } from '../ui/basic';
import { Rows, Cell } from '../ui/rows';

interface Playbook {
  name: string;
  arn: string;
  type: string;
  role_arn: string;
  origin: string;
  revision: string;
  created_at: string;
  updated_at: string;
  definition: string;
}
interface LintItem {
  code: string;
  severity?: string;
  message: string;
  line?: number;
  column?: number;
  pointer?: string;
  cure?: string;
}

export function Playbooks() {
  const data = useLoad('playbooks', (abort) => get<{ playbooks: Playbook[] }>('/v1/playbooks', abort));
  const all = data.value?.playbooks ?? [];
  return (
    <main id="main" tabIndex={-1}>
      <h1>Playbooks</h1>
      <Failure error={data.error} />
      {data.value && all.length === 0 && <Empty title="There is no playbook yet."><p class="dim">Put one into the project's playbooks/ folder, or publish one:</p><pre tabIndex={0}>sortie playbook publish contain.asl.json</pre></Empty>}
      <ul class="list big">
        {all.map((playbook) => (
          <li key={playbook.arn}>
            <a href={`/playbooks/${encodeURIComponent(playbook.name)}`}>
              <b>{visible(playbook.name)}</b>
              <span class="dim">{playbook.origin === 'project' ? 'from the project folder' : 'published by API'}</span>
              <span class="dim">changed <When at={playbook.updated_at} relative /></span>
            </a>
          </li>
        ))}
      </ul>
      <Twin cli="sortie playbook list" curl="@/v1/playbooks" />
    </main>
  );
}

const pretty = (text: string) => {
  try {
    return text.includes('\n') ? text : JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
};

// A state's name from a pointer like /States/Ask/Retry, the innermost one.
function stateOf(pointer: string): string {
  const found = [...pointer.matchAll(/\/States\/([^/]+)/g)].at(-1)?.[1];
  return found?.replaceAll('~1', '/').replaceAll('~0', '~') ?? '';
}

function readLint(value: Json): LintItem[] {
  const out: LintItem[] = [];
  const walk = (v: Json, depth: number) => {
    if (depth > 6 || typeof v !== 'object' || v === null) return;
    if (!Array.isArray(v) && typeof v['code'] === 'string' && typeof v['message'] === 'string') return void out.push(v as unknown as LintItem);
    for (const inner of Array.isArray(v) ? v : Object.values(v)) walk(inner, depth + 1);
  };
  walk(value, 0);
  return out;
}

function Code({ text, items }: { text: string; items: LintItem[] }) {
  const lines = useMemo(() => text.split('\n'), [text]);
  const at = new Map<number, LintItem[]>();
  for (const item of items) if (item.line) at.set(item.line, [...(at.get(item.line) ?? []), item]);
  const picked = Number(place.value.query.get('line') ?? 0);
  return (
    <Rows
      fill
      label="definition"
      count={lines.length}
      rowHeight={20}
      selected={picked - 1}
      onSelect={(index) => setQuery({ line: String(index + 1) })}
      rowClass={(index) => `code ${at.has(index + 1) ? 'marked' : ''}`}
      row={(index) => (
        <>
          <Cell class="lineno">{index + 1}</Cell>
          <Cell class="grow codeline">{visible(lines[index] ?? '')}{at.get(index + 1)?.map((item) => <span key={item.code} class="lintnote"> {item.code} {visible(item.message)}</span>)}</Cell>
        </>
      )}
    />
  );
}

function Start({ playbook, close }: { playbook: Playbook; close: () => void }) {
  const text = useSignal('{}');
  const name = useSignal('');
  const error = useSignal<Error | undefined>(undefined);
  const busy = useSignal(false);
  let problem = '';
  try {
    JSON.parse(text.value || '{}');
  } catch (failure) {
    problem = (failure as Error).message;
  }
  const start = async () => {
    busy.value = true;
    try {
      const made = await post<{ arn: string }>('/v1/executions', { playbook: playbook.arn, input: JSON.parse(text.value || '{}') as Json, ...(name.value ? { name: name.value } : {}) });
      tell('started');
      go(`/x/${encodeURI(made.arn)}`);
    } catch (failure) {
      error.value = failure as Error;
      busy.value = false;
    }
  };
  return (
    <Dialog title={`Start ${visible(playbook.name)}`} onClose={close}>
      <form onSubmit={(event) => (event.preventDefault(), !problem && !busy.value && void start())}>
        <label>Input (JSON)<textarea class="mono" rows={10} spellcheck={false} value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} /></label>
        {problem && <p class="error-text" role="status">{visible(problem)}</p>}
        <label>Name (optional)<input value={name.value} onInput={(event) => (name.value = event.currentTarget.value)} /></label>
        <Failure error={error.value} />
        <div class="actions"><button type="button" onClick={close}>Cancel</button><button type="submit" class="primary" disabled={!!problem || busy.value}>Start</button></div>
      </form>
    </Dialog>
  );
}

export function PlaybookPage({ id }: { id: string }) {
  const view = place.value.query.get('view') ?? 'graph';
  const starting = useSignal(false);
  const data = useLoad(`playbook ${id}`, async (abort) => {
    const playbook = await get<Playbook>(`/v1/playbooks/${encodeURIComponent(id)}`, abort);
    const definition = pretty(playbook.definition);
    const lint = await post<Json>('/v1/validate', { definition }).then(readLint, () => [] as LintItem[]);
    return { playbook, definition, lint };
  });
  const runs = useLoad(`runs ${id}`, (abort) => get<{ executions: ExecutionRow[] }>(`/v1/executions?limit=10&state_machine=${encodeURIComponent(id)}`, abort));
  useLive(['execution'], runs.reload, 1000);
  const found = data.value;
  const marks = useMemo(() => {
    const out = new Map<string, string>();
    for (const item of found?.lint ?? []) {
      const state = stateOf(item.pointer ?? '');
      if (state) out.set(state, `${out.has(state) ? `${out.get(state)}; ` : ''}${item.code} ${item.message}`);
    }
    return out;
  }, [found]);
  const selected = place.value.query.get('state') ?? '';
  const jump = (line: number | undefined) => setQuery({ view: 'code', line: String(line ?? 1) }, false);
  return (
    <main id="main" class="tall" tabIndex={-1}>
      <p class="crumb"><a href="/playbooks">Playbooks</a></p>
      <div class="bar">
        <h1>{visible(id)}</h1>
        {found && <button type="button" class="primary" onClick={() => (starting.value = true)}>Start…</button>}
      </div>
      <Failure error={data.error} />
      {found && (
        <>
          <p class="dim">{found.playbook.type} · revision <span class="mono">{found.playbook.revision.slice(0, 8)}</span> · changed <When at={found.playbook.updated_at} /> · {found.playbook.origin === 'project' ? 'from the project folder' : 'published by API'} · <Copy text={found.playbook.arn} label="copy ARN" /></p>
          <Tabs label="views" current={view} pick={(name) => setQuery({ view: name === 'graph' ? null : name }, false)} items={[['graph', 'Graph'], ['code', 'Definition'], ['lint', <>Findings {found.lint.length > 0 && <span class="badge warn">{found.lint.length}</span>}</>], ['runs', 'Executions']]} />
          {view === 'graph' && <GraphView definition={found.definition} marks={marks} selected={selected} onSelect={(state) => setQuery({ state })} />}
          {view === 'graph' && selected && marks.get(selected) && <p class="ask" role="status">{visible(marks.get(selected)!)}</p>}
          {view === 'code' && <Code text={found.definition} items={found.lint} />}
          {view === 'lint' && (found.lint.length === 0 ? <Empty title="Lint finds nothing." /> : (
            <ul class="list findings">
              {found.lint.map((item, i) => (
                <li key={i} class="static">
                  <p><b>{visible(item.code)}</b> {visible(item.message)} <button type="button" class="link" onClick={() => jump(item.line)}>line {item.line ?? '?'}</button></p>
                  {item.cure && <p class="dim">{visible(item.cure)}</p>}
                </li>
              ))}
            </ul>
          ))}
          {view === 'runs' && (
            <>
              <Failure error={runs.error} />
              {runs.value?.executions.length === 0 && <Empty title="It has not run yet." />}
              <ul class="list">
                {runs.value?.executions.map((row) => <li key={row.arn}><a href={`/x/${encodeURI(row.arn)}`}><Status status={row.waiting_for_people > 0 ? 'WAITING' : row.status} /><span class="mono clip">{visible(lastPart(row.name))}</span><When at={row.started_at} relative /></a></li>)}
              </ul>
              <p><a href={`/executions?q=playbook:${encodeURIComponent(id)}`}>all of them</a></p>
            </>
          )}
          {starting.value && <Start playbook={found.playbook} close={() => (starting.value = false)} />}
          <p class="dim foot">{plural(found.lint.length, 'finding')}</p>
        </>
      )}
      <Twin cli={`sortie run start ${quoted(id)} --input FILE`} curl={`'@/v1/playbooks/${encodeURIComponent(id)}'`} />
    </main>
  );
}
