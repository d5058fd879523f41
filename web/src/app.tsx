// The frame around every page: navigation, who and how live, the login, keys, and the words said by the way.
import { effect, signal, useSignal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';
import { get, logOut, session } from './api';
import type { Approval } from './api';
import { lastHeard, liveLag, liveState, onLive } from './live';
import { Login } from './login';
import { Home } from './pages/home';
import { go, place } from './router';
import { keysOn, nextTheme, theme, toggleKeys } from './theme';
import { Icon } from './ui/icon';
import { copy, Dialog, now, told, twinCommand } from './ui/basic';
import { visible } from './format';

type Page = ComponentType<{ id: string }>;
const PAGES: [pattern: RegExp, title: string, load: () => Promise<Page>][] = [
  [/^\/executions$/, 'Executions', () => import('./pages/executions').then((m) => m.Executions)],
  [/^\/x\/(.+)$/, 'Execution', () => import('./pages/execution/page').then((m) => m.ExecutionPage)],
  [/^\/approvals$/, 'Approvals', () => import('./pages/approvals').then((m) => m.Approvals)],
  [/^\/(?:a|approvals)\/([^/]+)$/, 'Approval', () => import('./pages/approvals').then((m) => m.ApprovalPage)],
  [/^\/events$/, 'Events', () => import('./pages/events').then((m) => m.Events)],
  [/^\/events\/([^/]+)$/, 'Event', () => import('./pages/events').then((m) => m.EventPage)],
  [/^\/playbooks$/, 'Playbooks', () => import('./pages/playbooks').then((m) => m.Playbooks)],
  [/^\/playbooks\/([^/]+)$/, 'Playbook', () => import('./pages/playbooks').then((m) => m.PlaybookPage)],
  [/^\/functions$/, 'Functions', () => import('./pages/functions').then((m) => m.Functions)],
  [/^\/audit$/, 'Audit', () => import('./pages/audit').then((m) => m.Audit)],
  [/^\/functions\/([^/]+)$/, 'Function', () => import('./pages/functions').then((m) => m.FunctionPage)],
];

const NAV: [path: string, word: string, icon: string, key: string][] = [
  ['/', 'Home', 'home', 'h'],
  ['/executions', 'Executions', 'run', 'e'],
  ['/approvals', 'Approvals', 'people', 'a'],
  ['/events', 'Events', 'event', 'v'],
  ['/playbooks', 'Playbooks', 'book', 'p'],
  ['/functions', 'Functions', 'fn', 'f'],
  ['/audit', 'Audit', 'audit', 'u'],
];

const decoded = (text: string) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

// ----------------------------------------------------------------------------------------------------- waiting on me

export const waitingOnMe = signal(0);
async function countMine(): Promise<void> {
  try {
    const { approvals } = await get<{ approvals: Approval[] }>('/v1/approvals?status=pending&limit=200');
    waitingOnMe.value = approvals.filter((approval) => approval.you.may_decide).length;
  } catch {
    // The badge stays as it is; the stream's state says that the server is away.
  }
}

function watchApprovals(): void {
  effect(() => {
    if (session.value) void countMine();
  });
  onLive(['approval'], () => void countMine());
}

// --------------------------------------------------------------------------------------------------------------- live

function Live() {
  const state = liveState.value;
  const silent = now.value > 0 && Date.now() - lastHeard.value > 45_000;
  const word = state === 'live' ? (silent ? 'no word for a while' : 'live') : state === 'off' ? 'paused' : state === 'connecting' ? 'connecting' : 'reconnecting';
  const lag = state === 'live' && !silent ? `${(liveLag.value / 1000).toFixed(1)} s` : '';
  return (
    <span class={`live ${state === 'live' && !silent ? 'on' : ''}`} title="How current this page is: changes come over one stream for all tabs.">
      <span class="dot" aria-hidden="true" /> {word}
      {lag && <span class="dim"> {lag}</span>}
    </span>
  );
}

function Nav() {
  const path = place.value.path;
  const mine = waitingOnMe.value;
  return (
    <nav aria-label="pages">
      <a class="brand" href="/" aria-label="Sortie, home">
        <img src="/icon.svg" alt="" width="24" height="24" /> <b>Sortie</b>
      </a>
      {NAV.map(([to, word, icon]) => {
        const here = to === '/' ? path === '/' : path.startsWith(to) || (to === '/executions' && path.startsWith('/x/')) || (to === '/approvals' && path.startsWith('/a/'));
        return (
          <a key={to} href={to} aria-current={here ? 'page' : undefined}>
            <span class="nav-icon"><Icon name={icon} size={18} /></span> <span>{word}</span>
            {to === '/approvals' && mine > 0 && <span class="badge" aria-label={`${mine} waiting on you`}>{mine > 99 ? '99+' : mine}</span>}
          </a>
        );
      })}
    </nav>
  );
}

function Top({ help, commands }: { help: () => void; commands: () => void }) {
  const who = session.value;
  return (
    <header class="top">
      <Live />
      <span class="grow" />
      <button type="button" class="ghost" onClick={commands} aria-label="go to or do" title="go to or do (Ctrl K)"><Icon name="find" size={16} /></button>
      <button type="button" class="ghost" onClick={help} aria-label="help and keys">?</button>
      <button type="button" class="ghost" onClick={nextTheme} aria-label={`theme: ${theme.value}`} title={`theme: ${theme.value}`}>
        {theme.value === 'dark' ? '☾' : theme.value === 'light' ? '☀' : '◐'}
      </button>
      {who && (
        <>
          <span class="who" title={`groups: ${who.groups.join(', ') || 'none'}`}>{visible(who.name)}</span>
          <button type="button" class="ghost" onClick={() => void logOut()}>Log out</button>
        </>
      )}
    </header>
  );
}

function Help({ close }: { close: () => void }) {
  const keys: [string, string][] = [
    ['Ctrl K', 'go to a page, playbook or function, or do what this page can'],
    ['/', 'search'],
    ['j  k', 'next and previous row'],
    ['Enter', 'open the row'],
    ['1 … 5', 'views of an execution'],
    ['[  ]', 'previous and next entry of a state'],
    ...NAV.map(([, word, , key]): [string, string] => [`g ${key}`, word]),
    ['a', 'open the decision of what is shown (it never decides)'],
    ['y', 'copy the command of this page'],
    ['.', 'copy the id'],
    ['t', 'theme'],
    ['?', 'this help'],
  ];
  return (
    <Dialog title="Keys" onClose={close}>
      <dl class="keys">
        {keys.map(([key, what]) => (
          <div key={key}>
            <dt><kbd>{key}</kbd></dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <label class="check">
        <input type="checkbox" checked={keysOn.value} onChange={toggleKeys} /> single keys are shortcuts
      </label>
      <p class="dim">Server {session.value?.version}. Everything here is also a command: <code>sortie --help</code></p>
    </Dialog>
  );
}

// --------------------------------------------------------------------------------------------------------------- keys

let afterG = 0;
function onKey(event: KeyboardEvent, help: () => void, commands: () => void): void {
  const target = event.target as HTMLElement;
  if (event.key === 'k' && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
    if (document.querySelector('dialog[open]')) return;
    event.preventDefault();
    return commands();
  }
  if (!keysOn.value || event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.isContentEditable || target.classList.contains('editor-box') || document.querySelector('dialog[open]')) return;
  const page = NAV.find(([, , , key]) => key === event.key);
  if (performance.now() - afterG < 1200 && page) {
    afterG = 0;
    event.preventDefault();
    return go(page[0]);
  }
  afterG = 0;
  const press = (selector: string) => {
    const found = document.querySelector<HTMLElement>(selector);
    if (!found) return;
    event.preventDefault();
    found.focus();
    if (found.matches('button, a')) found.click();
  };
  const arrow = (key: string) => {
    const body = document.querySelector<HTMLElement>('main .rows-body');
    if (!body) return;
    event.preventDefault();
    body.focus({ preventScroll: true });
    body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
  };
  if (event.key === 'g') afterG = performance.now();
  else if (event.key === '?') help();
  else if (event.key === '/') press('input[type=search]');
  else if (event.key === 'j') arrow('ArrowDown');
  else if (event.key === 'k') arrow('ArrowUp');
  else if (event.key === 't') nextTheme();
  else if (event.key === 'a') press('[data-key=a]');
  else if (event.key === '[' || event.key === ']' || /^[1-9]$/.test(event.key)) press(`[data-key="${event.key}"]`);
  else if (event.key === 'y' && twinCommand.value) void copy(twinCommand.value, 'command copied');
  else if (event.key === '.') {
    const id = decoded(place.value.path.replace(/^\/[^/]+\/?/, ''));
    if (id) void copy(id, 'id copied');
  }
}

// ---------------------------------------------------------------------------------------------------------------- app

function Body() {
  const path = place.value.path;
  const found = PAGES.find(([pattern]) => pattern.test(path));
  const page = useSignal<{ load: unknown; Page: Page } | null>(null);
  const failed = useSignal(false);
  useEffect(() => {
    document.title = `${path === '/' ? 'Home' : (found?.[1] ?? 'Not found')} · Sortie`;
  }, [path]);
  useEffect(() => {
    if (!found) return;
    let gone = false;
    failed.value = false;
    found[2]().then(
      (Page) => !gone && (page.value = { load: found, Page }),
      () => !gone && (failed.value = true),
    );
    return () => void (gone = true);
  }, [found]);
  if (path === '/' || path === '/login') return <Home />;
  if (!found) return <main id="main"><h1>Nothing is here</h1><p><a href="/">Home</a></p></main>;
  if (failed.value) {
    return (
      <main id="main">
        <h1>This page could not be loaded</h1>
        <p>The server may have been updated. <button type="button" onClick={() => location.reload()}>Load again</button></p>
      </main>
    );
  }
  if (!page.value || page.value.load !== found) return <main id="main" aria-busy="true" />;
  const id = decoded(found[0].exec(path)?.[1] ?? '');
  const { Page } = page.value;
  return <Page key={`${found[1]} ${id}`} id={id} />;
}

watchApprovals();

export function App() {
  const help = useSignal(false);
  const commands = useSignal(false);
  const palette = useSignal<{ Palette: ComponentType<{ pages: { path: string; word: string }[]; close: () => void }> } | null>(null);
  const seen = useSignal(false);
  const openCommands = () => {
    if (!session.value) return;
    commands.value = true;
    if (!palette.value) import('./ui/palette').then(({ Palette }) => (palette.value = { Palette }), () => (commands.value = false));
  };
  useEffect(() => {
    const listener = (event: KeyboardEvent) => onKey(event, () => (help.value = true), openCommands);
    addEventListener('keydown', listener);
    return () => removeEventListener('keydown', listener);
  }, []);
  const who = session.value;
  if (who) seen.value = true;
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), document.querySelector<HTMLElement>('main')?.focus())}>
        to the content
      </a>
      {(seen.value || who) && (
        <div class="frame">
          <Nav />
          <div class="page">
            <Top help={() => (help.value = true)} commands={openCommands} />
            <Body />
          </div>
        </div>
      )}
      {who === null && <Login again={seen.value} />}
      {who === undefined && location.pathname === '/login' && location.hash.length > 1 && <Login again={false} />}
      {commands.value && palette.value && who && <palette.value.Palette pages={NAV.map(([path, word]) => ({ path, word }))} close={() => (commands.value = false)} />}
      {help.value && <Help close={() => (help.value = false)} />}
      <div class="told" role="status" aria-live="polite">{told.value}</div>
    </>
  );
}
