// Small parts that every page uses.
import { signal, useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useCallback, useEffect, useRef } from 'preact/hooks';
import { ApiError, loggedIn, serverNow } from '../api';
import { ago, fullMoment, moment, visible } from '../format';
import { onLive } from '../live';
import type { LiveEvent } from '../live';
import { Icon, statusIcon } from './icon';

// ------------------------------------------------------------------------------------------------------------- status

const WORDS: Record<string, string> = { TIMED_OUT: 'timed out', timed_out: 'timed out', WAITING: 'waiting for people', waiting: 'waiting for people', caught: 'error handled' };
export const statusWord = (status: string) => WORDS[status] ?? status.toLowerCase();
const TONES: Record<string, string> = {
  running: 'run', waiting: 'wait', pending: 'wait', retrying: 'wait', succeeded: 'ok', approved: 'ok', caught: 'wait',
  failed: 'bad', timed_out: 'bad', rejected: 'bad', expired: 'bad', aborted: 'off', cancelled: 'off', superseded: 'off',
};
export const tone = (status: string) => TONES[status.toLowerCase()] ?? 'off';

export function Status({ status }: { status: string }) {
  return (
    <span class={`status tone-${tone(status)}`}>
      <Icon name={statusIcon(status)} /> {statusWord(status)}
    </span>
  );
}

// --------------------------------------------------------------------------------------------------------------- time

// The server's clock, once a second; whoever reads it is drawn again.
export const now = signal(serverNow());
setInterval(() => {
  if (!document.hidden) now.value = serverNow();
}, 1000);
document.addEventListener('visibilitychange', () => (now.value = serverNow()));

export function When({ at, relative = false }: { at: string | number | null | undefined; relative?: boolean }) {
  if (at === null || at === undefined || at === '') return null;
  const ms = typeof at === 'number' ? at : Date.parse(at);
  return (
    <time dateTime={new Date(ms).toISOString()} title={fullMoment(ms)}>
      {relative ? ago(now.value - ms) : moment(ms, now.value)}
    </time>
  );
}

// ------------------------------------------------------------------------------------------------------------ loading

export interface Loaded<T> {
  value: T | undefined;
  error: Error | undefined;
  reload: () => void;
}

// Loads, loads again when told to and after a login; keeps what it has while loading and while the server is away.
export function useLoad<T>(key: string, load: (abort: AbortSignal) => Promise<T>): Loaded<T> {
  const value = useSignal<T | undefined>(undefined);
  const error = useSignal<Error | undefined>(undefined);
  const state = useRef<{ key: string; abort?: AbortController; again: boolean; busy: boolean }>({ key: '', again: false, busy: false });
  const loader = useRef(load);
  loader.current = load;
  const run = useCallback(() => {
    const mine = state.current;
    if (mine.busy) {
      mine.again = true;
      return;
    }
    mine.busy = true;
    const abort = new AbortController();
    mine.abort = abort;
    loader
      .current(abort.signal)
      .then((loaded) => {
        if (abort.signal.aborted) return;
        value.value = loaded;
        error.value = undefined;
      })
      .catch((failure: Error) => {
        if (abort.signal.aborted) return;
        error.value = failure;
        // The server is away or starting: what is on the page stays, and we ask again.
        if (failure instanceof ApiError && (failure.status === 0 || failure.status === 503)) setTimeout(run, 2000);
      })
      .finally(() => {
        if (mine.abort !== abort) return;
        mine.busy = false;
        if (mine.again) {
          mine.again = false;
          run();
        }
      });
  }, []);
  const login = loggedIn.value;
  useEffect(() => {
    const mine = state.current;
    if (mine.key !== key) {
      value.value = undefined;
      error.value = undefined;
    }
    mine.key = key;
    mine.abort?.abort();
    mine.busy = mine.again = false;
    run();
    return () => mine.abort?.abort();
  }, [key, login]);
  return { value: value.value, error: error.value, reload: run };
}

// Calls back when one of these happened, at most once in `pause` ms.
export function useLive(types: string[], react: (events: LiveEvent[]) => void, pause = 300): void {
  const callback = useRef(react);
  callback.current = react;
  useEffect(() => {
    let seen: LiveEvent[] = [];
    let timer = 0;
    const stop = onLive(types, (event) => {
      seen.push(event);
      if (seen.length > 5000) seen = [{ type: 'reset', data: {} }];
      timer ||= window.setTimeout(() => {
        timer = 0;
        const batch = seen;
        seen = [];
        callback.current(batch);
      }, pause);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, []);
}

export function Failure({ error }: { error: Error | undefined }) {
  if (!error) return null;
  const hint = error instanceof ApiError ? error.hint : '';
  return (
    <div class="failure" role="alert">
      <b>{visible(error.message)}</b>
      {hint && <span> {visible(hint)}</span>}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p>
        <b>{title}</b>
      </p>
      {children}
    </div>
  );
}

// ------------------------------------------------------------------------------------------------------------ copying

export const told = signal('');
let toldTimer = 0;
// Says something to the eye for a moment and to screen readers.
export function tell(text: string): void {
  told.value = text;
  clearTimeout(toldTimer);
  toldTimer = window.setTimeout(() => (told.value = ''), 4000);
}

export async function copy(text: string, what = 'copied'): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    tell(what);
  } catch {
    tell('the browser did not allow copying');
  }
}

export function Copy({ text, label = 'copy' }: { text: string; label?: string }) {
  return (
    <button type="button" class="link" onClick={() => void copy(text)}>
      {label}
    </button>
  );
}

export const twinCommand = signal('');

// The same thing from a terminal. `y` copies the first.
export function Twin({ cli, curl }: { cli: string; curl: string }) {
  useEffect(() => {
    twinCommand.value = cli;
    return () => {
      if (twinCommand.value === cli) twinCommand.value = '';
    };
  }, [cli]);
  const full = `curl -sS -H "Authorization: Bearer $SORTIE_TOKEN" ${curl.replace('@', location.origin)}`;
  return (
    <details class="twin">
      <summary>From a terminal</summary>
      <pre tabIndex={0} aria-label="command">{cli}</pre> <Copy text={cli} />
      <pre tabIndex={0} aria-label="curl command">{full}</pre> <Copy text={full} />
    </details>
  );
}

// ------------------------------------------------------------------------------------------------------------ actions

export interface Action {
  busy: boolean;
  error: Error | undefined;
  run: (work: () => Promise<unknown>) => void;
}

// One thing at a time: while it runs a second is not begun, and what went wrong stays to be read.
export function useAction(): Action {
  const busy = useSignal(false);
  const error = useSignal<Error | undefined>(undefined);
  const run = useCallback((work: () => Promise<unknown>) => {
    if (busy.value) return;
    busy.value = true;
    error.value = undefined;
    work().then(
      () => (busy.value = false),
      (failure: Error) => {
        error.value = failure;
        busy.value = false;
      },
    );
  }, []);
  return { busy: busy.value, error: error.value, run };
}

// The last lines of every dialog: what went wrong, the way back, and what is about to be done.
export function DialogEnd({ action, close, verb, ready = true, danger = false }: { action: Action; close: () => void; verb: string; ready?: boolean; danger?: boolean }) {
  return (
    <>
      <Failure error={action.error} />
      <div class="actions">
        <button type="button" onClick={close}>Cancel</button>
        <button type="submit" class={danger ? 'danger' : 'primary'} disabled={!ready || action.busy}>{verb}</button>
      </div>
    </>
  );
}

// ------------------------------------------------------------------------------------------------------------- dialog

export function Dialog({ title, onClose, children }: { title: string; onClose: () => void; children: ComponentChildren }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = box.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog ref={box} aria-label={title} onCancel={(event) => (event.preventDefault(), onClose())}>
      <header>
        <h2>{title}</h2>
        <button type="button" class="ghost" aria-label="close" onClick={onClose}>
          ✕
        </button>
      </header>
      {children}
    </dialog>
  );
}

export function Tabs({ label, items, current, pick }: { label: string; items: [id: string, text: ComponentChildren][]; current: string; pick: (id: string) => void }) {
  return (
    <div class="tabs" role="group" aria-label={label}>
      {items.map(([id, text]) => (
        <button key={id} type="button" aria-pressed={current === id} onClick={() => pick(id)}>
          {text}
        </button>
      ))}
    </div>
  );
}
