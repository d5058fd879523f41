// Playbooks: the definition with its graph, what lint says and where, and a start with an input.
import { useSignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { get, post } from '../api';
import type { ExecutionRow, Json } from '../api';
import { lastPart, plural, quoted, visible } from '../format';
import { GraphView } from '../graph/Graph';
import { go, place, setQuery } from '../router';
import { Copy, Dialog, DialogEnd, Empty, Failure, Status, Tabs, tell, Twin, useAction, useLive, useLoad, When } from '../ui/basic';
import { JsonInput, jsonProblem } from '../ui/jsoninput';
import { marksOf, validate } from '../lint';
import type { LintItem } from '../lint';
import { NamedList } from '../ui/named';
import { Draft, Findings, Versions } from './draft';
import { Rows, Cell } from '../ui/rows';

export interface Playbook {
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
const origin = (playbook: Playbook) => (playbook.origin === 'project' ? 'from the project folder' : 'published by API');

export function Playbooks() {
  const data = useLoad('playbooks', (abort) => get<{ playbooks: Playbook[] }>('/v1/playbooks', abort).then((all) => all.playbooks));
  return (
    <NamedList
      title="Playbooks"
      path="/playbooks"
      data={data}
      changed={(playbook) => playbook.updated_at}
      words={(playbook) => <span class="dim">{origin(playbook)}</span>}
      empty="There is no playbook yet."
      hint={<><p class="dim">Put one into the project's playbooks/ folder, or publish one:</p><pre tabIndex={0}>sortie playbook publish contain.asl.json</pre></>}
      twin="sortie playbook list"
    />
  );
}

const pretty = (text: string) => {
  try {
    return text.includes('\n') ? text : JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
};

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
  const action = useAction();
  const start = async () => {
    const made = await post<{ arn: string }>('/v1/executions', { playbook: playbook.arn, input: JSON.parse(text.value || '{}') as Json, ...(name.value ? { name: name.value } : {}) });
    tell('started');
    go(`/x/${encodeURI(made.arn)}`);
  };
  return (
    <Dialog title={`Start ${visible(playbook.name)}`} onClose={close}>
      <form onSubmit={(event) => (event.preventDefault(), jsonProblem(text.value) === '' && action.run(start))}>
        <JsonInput label="Input (JSON)" text={text} rows={12} />
        <label>Name (optional)<input value={name.value} onInput={(event) => (name.value = event.currentTarget.value)} /></label>
        <DialogEnd action={action} close={close} verb="Start" ready={jsonProblem(text.value) === ''} />
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
    const lint = await validate(definition).catch(() => [] as LintItem[]);
    return { playbook, definition, lint };
  });
  const runs = useLoad(`runs ${id}`, (abort) => get<{ executions: ExecutionRow[] }>(`/v1/executions?limit=10&state_machine=${encodeURIComponent(id)}`, abort));
  useLive(['execution'], runs.reload, 1000);
  const found = data.value;
  const marks = useMemo(() => marksOf(found?.lint ?? []), [found]);
  const selected = place.value.query.get('state') ?? '';
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
          <p class="dim">{found.playbook.type} · revision <span class="mono">{found.playbook.revision.slice(0, 8)}</span> · changed <When at={found.playbook.updated_at} /> · {origin(found.playbook)} · <Copy text={found.playbook.arn} label="copy ARN" /></p>
          <Tabs label="views" current={view} pick={(name) => setQuery({ view: name === 'graph' ? null : name }, false)} items={[['graph', 'Graph'], ['code', 'Definition'], ['lint', <>Findings {found.lint.length > 0 && <span class="badge warn">{found.lint.length}</span>}</>], ['edit', 'Edit'], ['versions', 'Versions'], ['runs', 'Executions']]} />
          {view === 'graph' && <GraphView definition={found.definition} marks={marks} selected={selected} onSelect={(state) => setQuery({ state })} />}
          {view === 'graph' && selected && marks.get(selected) && <p class="ask" role="status">{visible(marks.get(selected)!)}</p>}
          {view === 'code' && <Code text={found.definition} items={found.lint} />}
          {view === 'lint' && <Findings items={found.lint} jump={(line) => setQuery({ view: 'code', line: String(line) }, false)} />}
          {view === 'edit' && <Draft playbook={found.playbook} definition={found.definition} published={() => { data.reload(); setQuery({ view: null }, false); }} />}
          {view === 'versions' && <Versions name={id} current={found.definition} />}
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
