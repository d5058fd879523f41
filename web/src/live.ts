// The live stream: one connection for all tabs of a browser.
//
// Browsers allow six connections to a server, so tabs elect a leader (Web Locks) that holds the stream and hands every
// event to the others (BroadcastChannel). When the leader goes, the next tab goes on from the last event id. Where Web
// Locks are missing (plain HTTP off loopback) every visible tab holds its own stream.
//
// The stream says that something changed, never what: subscribers load it. `reset` means that events were missed.
import { effect, signal } from '@preact/signals';
import { ApiError, askSession, serverNow, session } from './api';

export type LiveState = 'off' | 'connecting' | 'live' | 'reconnecting';
export const liveState = signal<LiveState>('off');
// How far behind the stream was at its last event, and when that was (our clock).
export const liveLag = signal(0);
export const lastHeard = signal(0);

export interface LiveEvent {
  type: string; // "execution", "approval", "event", "reset"
  data: { [key: string]: unknown };
}
type Listener = (event: LiveEvent) => void;

const listeners = new Set<Listener>();
const TYPES = ['execution', 'approval', 'event', 'reset'];
const KEY = 'sortie-live';
let lastId = '';
let source: EventSource | null = null;
let retry = 0;
let missed = false; // The stream was broken before its first word: nobody can tell what was missed.
let timer = 0;
let isLeader = false;
const channel = 'BroadcastChannel' in globalThis ? new BroadcastChannel(KEY) : null;

export function onLive(types: string[], listener: (event: LiveEvent) => void): () => void {
  const filtered: Listener = (event) => {
    if (event.type === 'reset' || types.includes(event.type)) listener(event);
  };
  listeners.add(filtered);
  return () => void listeners.delete(filtered);
}

function deliver(event: LiveEvent, at: number): void {
  lastHeard.value = Date.now();
  if (at > 0) liveLag.value = Math.max(0, serverNow() - at);
  if (event.type === 'ping') return;
  for (const listener of [...listeners]) listener(event);
}

function setState(state: LiveState): void {
  liveState.value = state;
  if (isLeader) channel?.postMessage({ state });
}

function take(message: MessageEvent<string>, type: string): void {
  if (message.lastEventId) lastId = message.lastEventId;
  let data: { [key: string]: unknown } = {};
  try {
    data = JSON.parse(message.data);
  } catch {
    return;
  }
  const at = typeof data['at'] === 'number' ? data['at'] : 0;
  const event = { type, data };
  deliver(event, at);
  if (isLeader) channel?.postMessage({ event, at, lastId });
}

function close(): void {
  clearTimeout(timer);
  source?.close();
  source = null;
}

function open(): void {
  close();
  setState(retry === 0 && lastId === '' ? 'connecting' : 'reconnecting');
  const stream = new EventSource(`/v1/stream${lastId ? `?last_event_id=${encodeURIComponent(lastId)}` : ''}`);
  source = stream;
  stream.onopen = () => {
    retry = 0;
    lastHeard.value = Date.now();
    setState('live');
    if (missed && lastId === '') {
      deliver({ type: 'reset', data: {} }, 0);
      channel?.postMessage({ event: { type: 'reset', data: {} }, at: 0, lastId });
    }
    missed = false;
  };
  stream.onerror = () => {
    setState('reconnecting');
    missed = true;
    if (stream.readyState !== EventSource.CLOSED) return;
    // The server refused: it is starting, or the session has ended. Asking tells which.
    const delay = Math.min(10_000, 500 * 2 ** Math.min(retry++, 5));
    timer = window.setTimeout(() => {
      askSession().then(
        () => session.value && open(),
        (error: unknown) => error instanceof ApiError && open(),
      );
    }, delay);
  };
  for (const type of [...TYPES, 'ping']) {
    stream.addEventListener(type, (message) => take(message as MessageEvent<string>, type));
  }
}

channel?.addEventListener('message', (message: MessageEvent) => {
  if (isLeader) {
    if (message.data.hello) channel.postMessage({ state: liveState.value, lastId });
    return;
  }
  const { state, event, at, lastId: id } = message.data;
  if (id) lastId = id;
  if (state) {
    liveState.value = state;
    lastHeard.value = Date.now();
  }
  if (event) deliver(event, at);
});

let resign: (() => void) | null = null;

function start(): void {
  if (resign || source) return;
  if (navigator.locks) {
    setState('connecting');
    channel?.postMessage({ hello: true });
    const abort = new AbortController();
    resign = () => abort.abort();
    navigator.locks
      .request(KEY, { signal: abort.signal }, () => {
        isLeader = true;
        open();
        return new Promise<void>((done) => (resign = done));
      })
      .catch(() => undefined);
  } else if (!document.hidden) {
    open();
  }
}

function stop(): void {
  isLeader = false;
  close();
  resign?.();
  resign = null;
  liveState.value = 'off';
}

export function startLive(): void {
  effect(() => (session.value ? start() : session.value === null ? stop() : undefined));
  if (!navigator.locks) {
    document.addEventListener('visibilitychange', () => {
      if (!session.value) return;
      if (document.hidden) close();
      else open();
    });
  }
}
