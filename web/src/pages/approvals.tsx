// Questions to people: the inbox, and the page on which one is decided. Nothing here decides by one key or one click:
// a decision needs a reason, is bound to the plan that was shown, and a change has to be confirmed by its target's name.
import { useSignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { ApiError, executionPath, get, post } from '../api';
import type { Approval, Json } from '../api';
import { duration, lastPart, quoted, visible } from '../format';
import { findState } from '../graph/model';
import { ruleText } from '../graph/model';
import { place, setQuery } from '../router';
import { Dialog, Empty, Failure, now, Status, Tabs, tell, Twin, useLive, useLoad, When } from '../ui/basic';
import { JsonView } from '../ui/json';
import { describePlan, targetName } from '../plan';
import type { Change } from '../plan';

// -------------------------------------------------------------------------------------------------------------- inbox

export function Approvals() {
  const tab = place.value.query.get('tab') ?? 'mine';
  const open = tab !== 'decided';
  const data = useLoad(`approvals ${open}`, (abort) => get<{ approvals: Approval[]; next: string | null }>(`/v1/approvals?limit=200${open ? '&status=pending' : ''}`, abort));
  useLive(['approval'], data.reload);
  const all = data.value?.approvals ?? [];
  const shown = tab === 'mine' ? all.filter((a) => a.you.may_decide) : tab === 'decided' ? all.filter((a) => a.status !== 'PENDING') : all;
  const sorted = open ? [...shown].sort((a, b) => Date.parse(a.expires_at) - Date.parse(b.expires_at)) : shown;
  return (
    <main id="main" tabIndex={-1}>
      <h1>Approvals</h1>
      <Tabs label="which approvals" current={tab} pick={(id) => setQuery({ tab: id === 'mine' ? null : id }, false)} items={[['mine', 'Waiting on me'], ['all', 'All open'], ['decided', 'Decided']]} />
      <Failure error={data.error} />
      {data.value && sorted.length === 0 && (
        <Empty title={tab === 'mine' ? 'Nothing waits for you.' : tab === 'all' ? 'Nothing waits for anybody.' : 'Nothing has been decided yet.'}>
          <p class="dim">A playbook asks people with a task that waits for a token, sent to a queue that sortie.yaml maps to approvals.</p>
        </Empty>
      )}
      <ul class="list big">
        {sorted.map((a) => (
          <li key={a.id}>
            <a href={`/a/${a.id}`}>
              <Status status={a.status} />
              <b class="title">{visible(a.title || a.state)}</b>
              <span class="dim">{visible(lastPart(a.state_machine_arn))}</span>
              <span>{a.policy.from.length ? a.policy.from.map(visible).join(', ') : 'anybody'} {a.votes.filter((v) => v.vote === 'approve').length}/{a.policy.quorum}</span>
              {a.status === 'PENDING' ? <span class="expires">{duration(Date.parse(a.expires_at) - now.value)} left</span> : <span class="dim">{a.decision ? <>{visible(a.decision.by ?? 'nobody')} <When at={a.decision.at} relative /></> : visible(a.note)}</span>}
            </a>
          </li>
        ))}
      </ul>
      <Twin cli="sortie approvals list" curl="'@/v1/approvals?status=pending'" />
    </main>
  );
}

// ----------------------------------------------------------------------------------------------------------- the plan

function ChangeView({ change }: { change: Change }) {
  const side = (value: Json) => (Array.isArray(value) && value.every((v) => typeof v !== 'object') ? value.map(String).join(', ') || 'none' : typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value ?? 'none'));
  return (
    <div class="change">
      <p><b>{visible(change.resource)}</b> {visible(change.what)}</p>
      <p class="minus"><span aria-hidden="true">− </span><span class="sr">before: </span>{visible(side(change.before))}</p>
      <p class="plus"><span aria-hidden="true">+ </span><span class="sr">after: </span>{visible(side(change.after))}</p>
    </div>
  );
}

function Plan({ approval }: { approval: Approval }) {
  const items = describePlan(approval.plan);
  return (
    <section class="card" aria-labelledby="h-what">
      <h2 id="h-what">What will be done <span class="dim">plan <code>{approval.plan_hash.slice(0, 12)}</code></span></h2>
      {items.length === 0 && <p class="dim">The playbook names no planned changes; what it asks stands above.</p>}
      <ol class="plan">
        {items.map((item, i) => (
          <li key={i}>
            <p>
              <b>{visible(item.action)}</b>{' '}
              {item.reversible === null ? null : item.reversible ? <span class="status tone-ok">can be undone</span> : <span class="status tone-bad">cannot be undone</span>}
            </p>
            {item.changes.map((change, n) => <ChangeView key={n} change={change} />)}
            {item.notes.map((note) => <p key={note} class="dim">{visible(note)}</p>)}
            {item.rest !== undefined && <JsonView value={item.rest} name={`plan-${i + 1}`} />}
          </li>
        ))}
      </ol>
    </section>
  );
}

// ----------------------------------------------------------------------------------------------------- what comes next

type Obj = { [key: string]: unknown };
const list = (value: unknown): Obj[] => (Array.isArray(value) ? value.filter((v): v is Obj => typeof v === 'object' && v !== null) : []);

// Where each outcome leads, read from the definition that runs.
function outcomes(definition: string, approval: Approval): { approved: string; rejected: string; expired: string } {
  const state = findState(definition, approval.state);
  const unknown = { approved: '', rejected: '', expired: '' };
  if (!state) return unknown;
  const next = state['End'] === true ? 'the playbook ends' : String(state['Next'] ?? '');
  const catcher = (errors: string[]) => list(state['Catch']).find((c) => Array.isArray(c['ErrorEquals']) && c['ErrorEquals'].some((e) => errors.includes(String(e))));
  const onTimeout = catcher(['States.Timeout', 'States.TaskFailed', 'States.ALL']);
  const expired = approval.policy.on_expire === 'reject' ? `counts as a decision “expired”: ${next}` : onTimeout ? String(onTimeout['Next']) : 'the execution fails with States.Timeout';
  const follow = findState(definition, next);
  if (follow?.['Type'] === 'Choice') {
    const branches = list(follow['Choices']).map((rule) => `${ruleText(rule)} → ${String(rule['Next'])}`);
    const pick = (word: string) => branches.filter((branch) => branch.toLowerCase().includes(word));
    const otherwise = follow['Default'] ? `otherwise → ${String(follow['Default'])}` : '';
    const say = (found: string[]) => `${next}: ${found.join('; ') || otherwise || branches.join('; ')}`;
    return { approved: say(pick('approve')), rejected: say(pick('reject')), expired };
  }
  return { approved: next, rejected: `${next} (the playbook does not branch on the answer here)`, expired };
}

function Outcomes({ approval }: { approval: Approval }) {
  const loaded = useLoad(`definition ${approval.execution_arn}`, (abort) => get<{ definition: string }>(executionPath(approval.execution_arn, '/definition'), abort));
  const found = useMemo(() => (loaded.value ? outcomes(loaded.value.definition, approval) : null), [loaded.value, approval]);
  if (!found || !found.approved) return null;
  return (
    <section class="card" aria-labelledby="h-then">
      <h2 id="h-then">What happens then</h2>
      <dl class="facts wide">
        <div><dt>approved</dt><dd>{visible(found.approved)}</dd></div>
        <div><dt>rejected</dt><dd>{visible(found.rejected)}</dd></div>
        <div><dt>nobody decides</dt><dd>{visible(found.expired)}</dd></div>
      </dl>
    </section>
  );
}

// -------------------------------------------------------------------------------------------------------------- decide

function Confirm({ approval, approve, reason, close, done }: { approval: Approval; approve: boolean; reason: string; close: () => void; done: (a: Approval) => void }) {
  const target = targetName(approval);
  const typed = useSignal('');
  const error = useSignal<Error | undefined>(undefined);
  const busy = useSignal(false);
  const needsName = approve && target !== '';
  const ready = !busy.value && (!needsName || typed.value.trim() === target);
  const send = async () => {
    busy.value = true;
    error.value = undefined;
    try {
      done(await post<Approval>(`/v1/approvals/${approval.id}/decision`, { decision: approve ? 'approve' : 'reject', reason, plan_hash: approval.plan_hash }));
    } catch (failure) {
      error.value = failure as Error;
      busy.value = false;
      if (failure instanceof ApiError && failure.status === 409) tell(failure.message);
    }
  };
  return (
    <Dialog title={approve ? 'Approve this plan' : 'Reject this plan'} onClose={close}>
      <form onSubmit={(event) => (event.preventDefault(), ready && void send())}>
        <p><b>{visible(approval.title)}</b></p>
        <p>Your reason: “{visible(reason)}”</p>
        {needsName && (
          <label>
            Type <code class="pick">{visible(target)}</code> to confirm
            <input autocomplete="off" autocapitalize="off" spellcheck={false} value={typed.value} onInput={(event) => (typed.value = event.currentTarget.value)} />
          </label>
        )}
        <Failure error={error.value} />
        <div class="actions">
          <button type="button" onClick={close}>Back</button>
          <button type="submit" class={approve ? 'primary' : 'danger'} disabled={!ready}>{approve ? 'Approve' : 'Reject'}</button>
        </div>
      </form>
    </Dialog>
  );
}

function Decide({ approval, done }: { approval: Approval; done: (a: Approval) => void }) {
  const reason = useSignal('');
  const asking = useSignal<'' | 'approve' | 'reject'>('');
  const good = reason.value.trim().length >= 3;
  if (!approval.you.may_decide) {
    return <section class="card"><h2>Your decision</h2><p>You cannot decide this: {visible(approval.you.why_not ?? '')}</p></section>;
  }
  return (
    <section class="card decide" aria-labelledby="h-decide">
      <h2 id="h-decide">Your decision</h2>
      <label>
        Reason (goes into the audit trail and to everybody who was asked)
        <textarea rows={2} maxLength={2000} value={reason.value} onInput={(event) => (reason.value = event.currentTarget.value)} />
      </label>
      <div class="actions">
        <button type="button" class="danger ghosted" disabled={!good} onClick={() => (asking.value = 'reject')}>Reject…</button>
        <button type="button" class="primary" disabled={!good} onClick={() => (asking.value = 'approve')}>Approve…</button>
        {!good && <span class="dim">a reason of three characters or more is needed</span>}
      </div>
      {asking.value && <Confirm approval={approval} approve={asking.value === 'approve'} reason={reason.value.trim()} close={() => (asking.value = '')} done={(a) => { asking.value = ''; done(a); }} />}
    </section>
  );
}

function Votes({ approval }: { approval: Approval }) {
  const { policy } = approval;
  const who = policy.from.length ? policy.from.map(visible).join(', ') : 'any person';
  return (
    <section class="card" aria-labelledby="h-who">
      <h2 id="h-who">Who decides</h2>
      <p>{policy.quorum} of {who}{policy.exclude.length ? `, not the ${policy.exclude.join(', ')}` : ''}. {policy.veto ? 'One rejection decides.' : ''} <span class="dim">policy {visible(policy.name)}</span></p>
      {approval.votes.length === 0 && <p class="dim">Nobody has voted.</p>}
      <ul class="votes">
        {approval.votes.map((vote) => (
          <li key={`${vote.person} ${vote.at}`}><Status status={vote.vote === 'approve' ? 'APPROVED' : 'REJECTED'} /> <b>{visible(vote.person)}</b> <When at={vote.at} /> in {visible(vote.channel)}: “{visible(vote.reason)}”</li>
        ))}
      </ul>
    </section>
  );
}

// What is asked of people now, in place of what nobody can decide any more.
function Newer({ approval }: { approval: Approval }) {
  const found = useLoad(`newer than ${approval.id}`, (abort) => get<{ approvals: Approval[] }>(`/v1/approvals?status=pending&execution=${encodeURIComponent(approval.execution_arn)}`, abort));
  useLive(['approval'], found.reload);
  return (
    <>
      {(found.value?.approvals ?? []).map((other) => <p key={other.id}>{other.state === approval.state ? 'It is asked again' : 'The playbook now asks'}: <a class="button" href={`/a/${other.id}`}>{visible(other.title || other.state)}</a></p>)}
    </>
  );
}

function Ended({ approval }: { approval: Approval }) {
  const { decision } = approval;
  return (
    <section class={`card ended tone-${approval.status === 'APPROVED' ? 'ok' : 'bad'}`} role="status">
      <h2><Status status={approval.status} /></h2>
      {decision ? <p>{decision.by ? <><b>{visible(decision.by)}</b> decided</> : 'Nobody decided in time'} <When at={decision.at} />{decision.channel && ` in ${visible(decision.channel)}`}{decision.reason && <>: “{visible(decision.reason)}”</>}</p> : <p>{visible(approval.note || 'It is closed.')}</p>}
      {approval.status !== 'APPROVED' && approval.status !== 'REJECTED' && <Newer approval={approval} />}
      <p><a class="button" href={`/x/${encodeURI(approval.execution_arn)}?state=${encodeURIComponent(approval.state)}`}>Go to the execution</a></p>
    </section>
  );
}

export function ApprovalPage({ id }: { id: string }) {
  const data = useLoad(`approval ${id}`, (abort) => get<Approval>(`/v1/approvals/${encodeURIComponent(id)}`, abort));
  const newer = useSignal<Approval | null>(null);
  useLive(['approval'], (events) => {
    if (events.some(({ type, data: d }) => type === 'reset' || d['id'] === id || d['execution'] === data.value?.execution_arn)) {
      newer.value = null;
      data.reload();
    }
  });
  const approval = newer.value ?? data.value;
  if (!approval) {
    return (
      <main id="main" tabIndex={-1}>
        <h1>Approval</h1>
        <Failure error={data.error} />
        {!data.error && <p class="dim" aria-busy="true">loading…</p>}
        <p><a href="/approvals">All approvals</a></p>
      </main>
    );
  }
  const asked = Date.parse(approval.requested_at);
  const left = Date.parse(approval.expires_at) - now.value;
  const part = Math.max(0, Math.min(1, left / Math.max(1, Date.parse(approval.expires_at) - asked)));
  const details = Object.keys(approval.details).length > 0;
  return (
    <main id="main" class="narrow" tabIndex={-1}>
      <p class="crumb"><a href="/approvals">Approvals</a> · <a href={`/x/${encodeURI(approval.execution_arn)}?state=${encodeURIComponent(approval.state)}`}>{visible(lastPart(approval.state_machine_arn))} › {visible(approval.state)}</a></p>
      <h1>{visible(approval.title || approval.state)}</h1>
      {approval.status === 'PENDING' ? (
        <div class="expiry">
          <Status status="PENDING" />
          <span>asked <When at={approval.requested_at} relative />, expires <When at={approval.expires_at} /> (<b>{duration(left)}</b> left)</span>
          <progress max={1} value={part} aria-label="time left" />
        </div>
      ) : (
        <Ended approval={approval} />
      )}
      <Failure error={data.error} />
      {(approval.description || details) && (
        <section class="card" aria-labelledby="h-why">
          <h2 id="h-why">Why</h2>
          {approval.description && <p class="pre">{visible(approval.description)}</p>}
          {details && <details><summary>Everything the playbook says</summary><JsonView value={approval.details} name={`${approval.id}-details`} /></details>}
        </section>
      )}
      <Plan approval={approval} />
      <Votes approval={approval} />
      <Outcomes approval={approval} />
      {approval.status === 'PENDING' && <Decide approval={approval} done={(a) => { newer.value = a; tell(a.status === 'PENDING' ? 'your vote counts; more are needed' : a.status.toLowerCase()); }} />}
      <Twin cli={`sortie approve ${quoted(approval.id)} --plan-hash ${approval.plan_hash.slice(0, 64)} --reason 'WHY'`} curl={`'@/v1/approvals/${approval.id}'`} />
    </main>
  );
}
