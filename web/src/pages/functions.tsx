// Functions: configuration, recent invocations with their logs, and a test invocation.
import { useSignal } from '@preact/signals';
import { get, post } from '../api';
import type { FunctionLog, Json } from '../api';
import { duration, quoted, visible } from '../format';
import { place, setQuery } from '../router';
import { Empty, Failure, Status, Tabs, Twin, useAction, useLive, useLoad, When } from '../ui/basic';
import { DurationChart } from '../ui/chart';
import { JsonView } from '../ui/json';
import { JsonInput, jsonProblem } from '../ui/jsoninput';
import { NamedList } from '../ui/named';

interface FunctionRow {
  name: string;
  arn: string;
  runtime: string;
  handler: string;
  timeout_s: number;
  memory_mib: number;
  origin: string;
  actions: string[];
  last_modified: string;
  problem: string | null;
}
export function Functions() {
  const data = useLoad('functions', (abort) => get<{ functions: FunctionRow[] }>('/v1/functions', abort).then((all) => all.functions));
  return (
    <NamedList
      title="Functions"
      path="/functions"
      data={data}
      changed={(fn) => fn.last_modified}
      words={(fn) => <>{fn.problem && <span class="status tone-bad">{visible(fn.problem)}</span>}<span class="dim">{visible(fn.runtime)}</span></>}
      empty="There is no function yet."
      hint={<p class="dim">A folder functions/NAME with function.yaml and its code is one.</p>}
      twin="sortie function list"
    />
  );
}

interface Answer {
  request_id: string;
  duration_ms: number;
  function_error: string | null;
  payload: Json;
  log: string;
}

function Invoke({ name, done }: { name: string; done: () => void }) {
  const text = useSignal('{}');
  const answer = useSignal<Answer | undefined>(undefined);
  const action = useAction();
  const ready = jsonProblem(text.value) === '' && !action.busy;
  const run = async () => {
    answer.value = await post<Answer>(`/v1/functions/${encodeURIComponent(name)}/invoke`, { payload: JSON.parse(text.value || '{}') as Json });
    done();
  };
  return (
    <section class="card" aria-labelledby="h-invoke">
      <h2 id="h-invoke">Test</h2>
      <p class="dim">It really runs, with its own credentials, and does what it does.</p>
      <form onSubmit={(event) => (event.preventDefault(), ready && action.run(run))}>
        <JsonInput label="Payload (JSON)" text={text} />
        <Failure error={action.error} />
        <div class="actions"><button type="submit" class="primary" disabled={!ready}>{action.busy ? 'Running…' : 'Invoke'}</button></div>
      </form>
      {answer.value && (
        <div role="status">
          <p><Status status={answer.value.function_error ? 'failed' : 'succeeded'} /> {duration(answer.value.duration_ms)} <span class="mono dim">{answer.value.request_id}</span></p>
          <JsonView value={answer.value.payload} name={`${name}-answer`} />
          <pre class="log" tabIndex={0} aria-label="log">{visible(answer.value.log)}</pre>
        </div>
      )}
    </section>
  );
}

export function FunctionPage({ id }: { id: string }) {
  const tab = place.value.query.get('tab') ?? 'invocations';
  const list = useLoad('functions', (abort) => get<{ functions: FunctionRow[] }>('/v1/functions', abort));
  const logs = useLoad(`logs of ${id}`, (abort) => get<{ logs: FunctionLog[] }>(`/v1/functions/${encodeURIComponent(id)}/logs`, abort));
  useLive(['execution'], logs.reload, 2000);
  const fn = list.value?.functions.find((one) => one.name === id);
  const recent = [...(logs.value?.logs ?? [])].reverse().slice(0, 200);
  return (
    <main id="main" tabIndex={-1}>
      <p class="crumb"><a href="/functions">Functions</a></p>
      <h1>{visible(id)}</h1>
      <Failure error={list.error} />
      {list.value && !fn && <Empty title="There is no such function." />}
      {fn && (
        <>
          {fn.problem && <div class="failure" role="alert">{visible(fn.problem)}</div>}
          <Tabs label="views" current={tab} pick={(name) => setQuery({ tab: name === 'invocations' ? null : name }, false)} items={[['invocations', 'Invocations'], ['test', 'Test'], ['configuration', 'Configuration']]} />
          {tab === 'invocations' && (
            <>
              <Failure error={logs.error} />
              <DurationChart label="Durations" dots={recent.filter((log) => log.outcome !== 'running').map((log) => ({ at: Date.parse(log.started_at), value: log.duration_ms, failed: log.outcome !== 'succeeded' }))} />
              {logs.value && recent.length === 0 && <Empty title="It has not been called since the server started." />}
              <ul class="list">
                {recent.map((log) => (
                  <li key={`${log.request_id} ${log.started_at}`} class="static">
                    <details>
                      <summary><Status status={log.outcome === 'succeeded' || log.outcome === 'running' ? log.outcome : 'failed'} /> {log.outcome !== 'succeeded' && log.outcome !== 'running' && <b>{visible(log.outcome)} </b>}<When at={log.started_at} /> · {duration(log.duration_ms)}{log.cold_start && <span class="dim"> · cold start {log.cold_start}</span>} <span class="mono dim">{log.request_id}</span></summary>
                      <pre class="log" tabIndex={0} aria-label="log">{visible(log.text)}</pre>
                    </details>
                  </li>
                ))}
              </ul>
            </>
          )}
          {tab === 'test' && <Invoke name={id} done={logs.reload} />}
          {tab === 'configuration' && (
            <section class="card">
              <dl class="facts">
                <div><dt>runtime</dt><dd>{visible(fn.runtime)}</dd></div>
                <div><dt>handler</dt><dd class="mono">{visible(fn.handler)}</dd></div>
                <div><dt>timeout</dt><dd>{fn.timeout_s} s</dd></div>
                <div><dt>memory</dt><dd>{fn.memory_mib} MiB</dd></div>
                <div><dt>made by</dt><dd>{fn.origin === 'project' ? 'the project folder' : 'the API'}</dd></div>
                <div><dt>changed</dt><dd><When at={fn.last_modified} /></dd></div>
                <div><dt>ARN</dt><dd class="mono clip">{fn.arn}</dd></div>
              </dl>
              <h2>What it may call</h2>
              {fn.actions.length === 0 ? <p class="dim">Nothing of Sortie and AWS beyond its credentials.</p> : <ul class="plain">{fn.actions.map((action) => <li key={action} class="mono">{visible(action)}</li>)}</ul>}
            </section>
          )}
        </>
      )}
      <Twin cli={`sortie function logs ${quoted(id)}`} curl={`'@/v1/functions/${encodeURIComponent(id)}/logs'`} />
    </main>
  );
}
