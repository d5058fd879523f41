// Who did what: the audit trail, newest first. Export is the command line's (`sortie audit export`).
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get } from '../api';
import type { AuditEntry, Json } from '../api';
import { lastPart, plural, visible } from '../format';
import { place, setQuery } from '../router';
import { Copy, Empty, Failure, statusWord, Twin, useLive, When } from '../ui/basic';
import { JsonView } from '../ui/json';
import { usePages } from '../ui/pages';
import { atTop, Cell, HeadCell, Rows } from '../ui/rows';

const FILTERS = ['actor', 'action', 'subject', 'text'] as const;
const HINTS: Record<(typeof FILTERS)[number], string> = { actor: 'person:alice, person:*', action: 'approval.*', subject: 'its ARN, id or name', text: 'any words' };
const ACTIONS = ['approval.*', 'execution.*', 'state_machine.*', 'person.*', 'keys.create', 'session.*', 'token.use'];

// A link to what an entry is about, where the console shows it.
function subjectLink(entry: AuditEntry): string {
  if (/:execution:/.test(entry.subject)) return `/x/${encodeURI(entry.subject)}`;
  if (/:stateMachine:[^:]+$/.test(entry.subject)) return `/playbooks/${encodeURIComponent(lastPart(entry.subject))}`;
  if (entry.action.startsWith('approval.')) return `/a/${encodeURIComponent(entry.subject)}`;
  return '';
}

function Line({ entry, close }: { entry: AuditEntry; close: () => void }) {
  const link = subjectLink(entry);
  const details = typeof entry.details === 'object' && entry.details !== null && Object.keys(entry.details).length > 0;
  return (
    <aside class="pane" aria-label={`entry ${entry.sequence}`}>
      <header>
        <h2>{visible(entry.action)}</h2>
        <button type="button" class="ghost" aria-label="close the entry" onClick={close}>✕</button>
      </header>
      <dl class="facts wide">
        <div><dt>when</dt><dd><When at={entry.time} /></dd></div>
        <div><dt>who</dt><dd>{visible(entry.actor)}{entry.on_behalf_of && `, on behalf of ${visible(entry.on_behalf_of)}`}</dd></div>
        <div><dt>through</dt><dd>{visible(entry.channel) || 'not told'}</dd></div>
        <div><dt>outcome</dt><dd>{visible(entry.outcome)}</dd></div>
        <div><dt>what</dt><dd>{link ? <a href={link}>{visible(entry.subject)}</a> : visible(entry.subject)} <Copy text={entry.subject} /></dd></div>
        {entry.reason && <div><dt>reason</dt><dd>“{visible(entry.reason)}”</dd></div>}
      </dl>
      {details && <JsonView value={entry.details as Json} name={`audit-${entry.sequence}`} />}
    </aside>
  );
}

export function Audit() {
  const query = place.value.query;
  const filter = new URLSearchParams();
  for (const name of FILTERS) if (query.get(name)) filter.set(name, query.get(name)!);
  const text = filter.toString();
  const at = Number(query.get('at') ?? 0);
  const pages = usePages<AuditEntry>(text, (cursor) =>
    get<{ entries: AuditEntry[]; next: string | null }>(`/v1/audit?limit=200&${text}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`).then(({ entries, next }) => ({ rows: entries, next })),
  );
  const fresh = useSignal(false);
  const look = () => {
    fresh.value = false;
    pages.restart();
  };
  // Rows that are being read do not jump.
  useLive(['approval'], () => (atTop() && at === 0 ? look() : void (fresh.value = true)), 1000);
  useEffect(() => void (fresh.value = false), [text]);
  const index = pages.rows.findIndex((entry) => entry.sequence === at);
  const open = pages.rows[index];
  return (
    <main id="main" class="tall" tabIndex={-1}>
      <div class="bar">
        <h1>Audit</h1>
        {fresh.value && <button type="button" class="pill" onClick={look}>new entries</button>}
      </div>
      <form role="search" class="filters" onSubmit={(event) => event.preventDefault()}>
        {FILTERS.map((name) => (
          <label key={name}>
            {name === 'text' ? 'words' : name === 'subject' ? 'what' : name === 'actor' ? 'who' : 'action'}
            <input type="search" list={name === 'action' ? 'audit-actions' : undefined} placeholder={HINTS[name]} value={query.get(name) ?? ''} onChange={(event) => setQuery({ [name]: event.currentTarget.value.trim(), at: null }, false)} />
          </label>
        ))}
        <datalist id="audit-actions">{ACTIONS.map((action) => <option key={action} value={action} />)}</datalist>
      </form>
      <Failure error={pages.error} />
      {pages.done && pages.rows.length === 0 && <Empty title={text ? 'No entry fits.' : 'Nothing has been done yet.'}>{text && <button type="button" class="link" onClick={() => setQuery(Object.fromEntries(FILTERS.map((name) => [name, null])), false)}>Show all</button>}</Empty>}
      {pages.rows.length > 0 && (
        <div class={`split ${open ? 'open' : ''}`}>
          <Rows
            fill
            label="audit entries"
            count={pages.rows.length}
            rowHeight={44}
            selected={index}
            onSelect={(row) => pages.rows[row] && setQuery({ at: String(pages.rows[row]!.sequence) })}
            onEnd={pages.more}
            rowClass={(row) => (pages.rows[row]?.outcome === 'done' ? '' : 'bad')}
            head={<><HeadCell class="w-time">when</HeadCell><HeadCell class="w-book">who</HeadCell><HeadCell class="w-book">action</HeadCell><HeadCell class="grow">what</HeadCell><HeadCell class="w-dur">outcome</HeadCell></>}
            row={(row) => {
              const entry = pages.rows[row]!;
              return (
                <>
                  <Cell class="w-time"><When at={entry.time} /></Cell>
                  <Cell class="w-book clip"><b>{visible(entry.actor)}</b></Cell>
                  <Cell class="w-book clip">{visible(entry.action)}</Cell>
                  <Cell class="grow clip"><span class="phone">{visible(entry.actor)} {visible(entry.action)}</span>{visible(lastPart(entry.subject))} {entry.reason && <span class="dim">“{visible(entry.reason)}”</span>}</Cell>
                  <Cell class="w-dur">{visible(statusWord(entry.outcome))}</Cell>
                </>
              );
            }}
          />
          {open && <Line entry={open} close={() => setQuery({ at: null })} />}
        </div>
      )}
      <p class="dim foot" role="status">{pages.busy ? 'loading…' : `${plural(pages.rows.length, 'entry', 'entries')} loaded${pages.hasMore ? ', more as you scroll' : ''}`}</p>
      <Twin cli="sortie audit export" curl={`'@/v1/audit?${text}'`} />
    </main>
  );
}
