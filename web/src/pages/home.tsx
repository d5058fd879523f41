// What is going on now, and what wants a person.
import { get } from '../api';
import type { Approval, ExecutionRow, Overview } from '../api';
import { bytes, count, duration, lastPart, plural, shorten, visible } from '../format';
import { Empty, Failure, now, Status, Twin, useLive, useLoad, When } from '../ui/basic';

const executionLink = (row: { arn: string }) => `/x/${encodeURI(row.arn)}`;

function Row({ row }: { row: ExecutionRow }) {
  return (
    <li>
      <a href={executionLink(row)}>
        <Status status={row.waiting_for_people > 0 ? 'WAITING' : row.status} />
        <b>{visible(lastPart(row.state_machine))}</b>
        <span class="dim mono clip">{visible(row.name)}</span>
        <When at={row.started_at} relative />
      </a>
    </li>
  );
}

function Waiting({ approvals }: { approvals: Approval[] }) {
  const mine = approvals.filter((a) => a.you.may_decide);
  const others = approvals.length - mine.length;
  return (
    <section class={`card ${mine.length > 0 ? 'urgent' : ''}`} aria-labelledby="h-mine">
      <h2 id="h-mine">Waiting on you {mine.length > 0 && <span class="badge">{mine.length}</span>}</h2>
      {mine.length === 0 && <p class="dim">Nothing waits for your decision{others > 0 ? `; ${plural(others, 'other')} for somebody else's` : ''}.</p>}
      <ul class="list">
        {mine.map((approval) => (
          <li key={approval.id}>
            <a href={`/a/${approval.id}`}>
              <b class="title">{visible(approval.title || approval.state)}</b>
              <span class="dim">{visible(lastPart(approval.state_machine_arn))}</span>
              <span class="dim">asked <When at={approval.requested_at} relative /></span>
              <span class="expires">{duration(Math.max(0, Date.parse(approval.expires_at) - now.value))} left</span>
            </a>
          </li>
        ))}
      </ul>
      {others > 0 && mine.length > 0 && <p><a href="/approvals">{plural(others, 'more approval')} for others</a></p>}
    </section>
  );
}

// Files of the project folder that could not be read; what they held before stays in force.
function ProjectProblems({ problems }: { problems: Overview['project_problems'] }) {
  if (problems.length === 0) return null;
  return (
    <section class="card bad" aria-labelledby="h-project">
      <h2 id="h-project">The project folder has problems</h2>
      <ul class="plain">
        {problems.slice(0, 20).map((problem, i) => <li key={i}>{problem.place && <code>{visible(problem.place)}</code>} {visible(problem.message)} {problem.hint && <span class="dim">{visible(problem.hint)}</span>}</li>)}
      </ul>
    </section>
  );
}

// What waits longer than it should, with its sentence. Where nothing does, one line says when that was looked at.
function Stuck({ stuck }: { stuck: Overview['stuck'] }) {
  const rows = stuck.executions;
  return (
    <section class={`card ${rows.length > 0 ? 'bad' : ''}`} aria-labelledby="h-stuck">
      <h2 id="h-stuck">Stuck {rows.length > 0 && <span class="badge warn">{rows.length}</span>}</h2>
      {rows.length === 0 && <p class="dim">{stuck.checked_at ? <>Nothing waits longer than it should; looked <When at={stuck.checked_at} relative />.</> : 'Being looked for…'}</p>}
      <ul class="list">
        {rows.slice(0, 8).map((row) => (
          <li key={row.arn}>
            <a href={`${executionLink(row)}?state=${encodeURIComponent(row.state)}`} class="tallrow">
              <span><b>{visible(lastPart(row.state_machine))}</b> <span class="dim mono">{visible(shorten(row.name, 30))}</span></span>
              <span>{visible(row.sentence)}</span>
            </a>
          </li>
        ))}
      </ul>
      {rows.length > 8 && <p class="dim">and {count(rows.length - 8)} more</p>}
    </section>
  );
}

function Health({ overview }: { overview: Overview }) {
  const o = overview;
  const problems = [
    o.engine.commit_failures > 0 && `${plural(o.engine.commit_failures, 'change')} could not be written since the start`,
    o.events.last_lag_ms > 10_000 && `the last event took ${duration(o.events.last_lag_ms)} to reach its target`,
    o.events.pending_deliveries > 50 && `${count(o.events.pending_deliveries)} deliveries wait`,
    o.functions.waiting > 20 && `${count(o.functions.waiting)} invocations wait for a worker`,
  ].filter(Boolean) as string[];
  return (
    <section class="card" aria-labelledby="h-health">
      <h2 id="h-health">Engine {problems.length === 0 ? <span class="status tone-ok">healthy</span> : <span class="status tone-bad">look here</span>}</h2>
      {problems.map((problem) => <p key={problem}>{problem}</p>)}
      <dl class="facts">
        <div><dt>up for</dt><dd>{duration(now.value - Date.parse(o.started_at))}</dd></div>
        <div><dt>open executions</dt><dd>{count(o.engine.open)}</dd></div>
        <div><dt>events accepted</dt><dd>{count(o.events.accepted)}</dd></div>
        <div><dt>ingest lag</dt><dd>{o.events.accepted > 0 ? duration(o.events.last_lag_ms) : 'no event yet'}</dd></div>
        <div><dt>deliveries waiting</dt><dd>{count(o.events.pending_deliveries)}{o.events.retried_deliveries > 0 && ` (${count(o.events.retried_deliveries)} being retried)`}</dd></div>
        <div><dt>function workers</dt><dd>{count(o.functions.workers)} ({count(o.functions.busy)} busy)</dd></div>
        <div><dt>function errors</dt><dd>{count(o.functions.errors)} of {count(o.functions.invocations)}</dd></div>
        <div><dt>store</dt><dd>{bytes(o.store.bytes)}</dd></div>
        <div><dt>version</dt><dd>{o.version}</dd></div>
      </dl>
    </section>
  );
}

export function Home() {
  const data = useLoad('home', async (abort) => {
    const [overview, approvals, running] = await Promise.all([
      get<Overview>('/v1/overview', abort),
      get<{ approvals: Approval[] }>('/v1/approvals?status=pending&limit=100', abort),
      get<{ executions: ExecutionRow[] }>('/v1/executions?status=running&limit=8', abort),
    ]);
    return { overview, approvals: approvals.approvals, running: running.executions };
  });
  useLive(['execution', 'approval', 'event'], data.reload, 1000);
  const loaded = data.value;
  return (
    <main id="main" tabIndex={-1}>
      <h1>Now</h1>
      <Failure error={data.error} />
      {loaded && (
        <div class="cards">
          <Waiting approvals={loaded.approvals} />
          <ProjectProblems problems={loaded.overview.project_problems} />
          <Stuck stuck={loaded.overview.stuck} />
          <section class="card" aria-labelledby="h-open">
            <h2 id="h-open">Open <a class="more" href="/executions?q=status:running">{count(loaded.overview.engine.open)}</a></h2>
            {loaded.running.length === 0 && <Empty title="Nothing runs."><p class="dim">An event that matches a rule starts a playbook; so does</p><pre tabIndex={0}>sortie run start PLAYBOOK</pre></Empty>}
            <ul class="list">{loaded.running.map((row) => <Row key={row.arn} row={row} />)}</ul>
          </section>
          <section class="card" aria-labelledby="h-failed">
            <h2 id="h-failed">Failed in 24 h <a class="more" href="/executions?q=status:failed,timed_out,aborted started:>-24h">{count(loaded.overview.failed.count)}</a></h2>
            {loaded.overview.failed.count === 0 && <p class="dim">Nothing failed.</p>}
            <ul class="list">{loaded.overview.failed.latest.map((row) => <Row key={row.arn} row={{ ...row, waiting_for_people: 0 }} />)}</ul>
          </section>
          <Health overview={loaded.overview} />
        </div>
      )}
      <Twin cli="sortie approvals list --status pending" curl="@/v1/overview" />
    </main>
  );
}
