// The REST API as the console uses it: one function for every call, the session, and errors that say what to do.
//
// A request that is refused because the session has ended opens the login over the page; what was typed stays, and
// `loggedIn` counts up when somebody is there again, so that pages load what they could not.
import { signal } from '@preact/signals';

export interface Session {
  name: string;
  groups: string[];
  admin: boolean;
  csrf: string;
  expires_at: string;
  now: string;
  version: string;
}

// undefined: not asked yet; null: nobody.
export const session = signal<Session | null | undefined>(undefined);
export const loggedIn = signal(0);
// Server clock minus ours, in milliseconds.
export const clockOffset = signal(0);

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint: string,
  ) {
    super(message);
  }
}

function headers(method: string, body: unknown): Record<string, string> {
  const out: Record<string, string> = { 'X-Sortie-Client': 'console' };
  if (body !== undefined) out['Content-Type'] = 'application/json';
  if (method !== 'GET' && session.value) out['X-Sortie-CSRF'] = session.value.csrf;
  return out;
}

export async function call<T>(method: string, path: string, body?: unknown, signalAbort?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: headers(method, body),
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: 'same-origin',
      cache: 'no-store',
      signal: signalAbort,
    });
  } catch (error) {
    if (signalAbort?.aborted) throw error;
    throw new ApiError(0, 'Unreachable', 'The server does not answer.', 'It may be restarting; this page tries again by itself.');
  }
  const text = await response.text();
  let value: unknown = null;
  try {
    value = text ? JSON.parse(text) : null;
  } catch {
    value = null;
  }
  if (response.ok) return value as T;
  const error = (value as { error?: { code?: string; message?: string; hint?: string } } | null)?.error;
  if (response.status === 401 && path !== '/v1/session') session.value = null;
  throw new ApiError(
    response.status,
    error?.code ?? `HTTP ${response.status}`,
    error?.message ?? (response.status === 503 ? 'The server is starting.' : `The server answered ${response.status}.`),
    error?.hint ?? '',
  );
}

export const get = <T>(path: string, abort?: AbortSignal) => call<T>('GET', path, undefined, abort);
export const post = <T>(path: string, body: unknown = {}) => call<T>('POST', path, body);

function take(found: Session, began: number): void {
  clockOffset.value = Date.parse(found.now) - (began + Date.now()) / 2;
  session.value = found;
  loggedIn.value++;
}

export async function askSession(): Promise<void> {
  const began = Date.now();
  try {
    take(await call<Session>('GET', '/v1/session'), began);
  } catch (error) {
    if (error instanceof ApiError && (error.status === 401 || error.status === 404)) session.value = null;
    else throw error;
  }
}

export async function logIn(proof: { link: string } | { token: string }): Promise<void> {
  const began = Date.now();
  take(await call<Session>('POST', '/v1/session', proof), began);
}

export async function logOut(): Promise<void> {
  try {
    await call('DELETE', '/v1/session');
  } finally {
    session.value = null;
  }
}

export const serverNow = () => Date.now() + clockOffset.value;

// ---------------------------------------------------------------------------------------------- what the API answers

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface ExecutionRow {
  arn: string;
  name: string;
  state_machine: string;
  status: string;
  started_at: string;
  stopped_at: string | null;
  waiting_for_people: number;
}

export interface Execution extends ExecutionRow {
  input: Json;
  output: Json;
  error: string | null;
  cause: string | null;
  actor: string;
  on_behalf_of: string;
  waiting: string[];
  map_run?: string; // Of an item of a distributed Map, and whose item it is.
  parent?: string;
  redrives: number;
  redriven_at: string | null;
  redrive_obstacle: string | null;
}

export interface HistoryEvent {
  id: number;
  previous_id: number;
  time: string;
  type: string;
  details: { [key: string]: Json };
}

export interface Vote {
  person: string;
  vote: string;
  reason: string;
  channel: string;
  at: string;
}

export interface Approval {
  id: string;
  status: string;
  title: string;
  description: string;
  execution_arn: string;
  state_machine_arn: string;
  execution_name: string;
  state: string;
  attempt: number;
  queue: string;
  plan: Json[];
  details: { [key: string]: Json };
  plan_hash: string;
  policy: { name: string; quorum: number; from: string[]; exclude: string[]; veto: boolean; on_expire: string };
  note: string;
  votes: Vote[];
  decision: { decision: string; by: string | null; reason: string; channel: string; at: string } | null;
  requested_at: string;
  expires_at: string;
  initiator?: { actor?: string; on_behalf_of?: string };
  you: { may_decide: boolean; why_not: string | null; code: string | null };
}

export interface EventRow {
  id: string;
  time: string;
  source: string;
  detail_type: string;
  bus: string;
  actor: string;
  duplicate_of: string | null;
  rules: string[];
  executions: string[];
}

export interface StuckRow extends ExecutionRow {
  state: string;
  since: string;
  sentence: string;
}

export interface SavedView {
  name: string;
  q: string;
  person: string;
  shared: boolean;
  mine: boolean;
}

export interface MapRun {
  arn: string;
  status: string;
  max_concurrency: number;
  items: MapRunCounts;
  executions: MapRunCounts;
}
export interface MapRunCounts {
  total: number;
  pending: number;
  running: number;
  succeeded: number;
  failed: number;
  aborted: number;
}

export interface AuditEntry {
  sequence: number;
  time: string;
  actor: string;
  on_behalf_of?: string;
  channel: string;
  action: string;
  subject: string;
  outcome: string;
  reason: string;
  details: Json;
}

export interface FunctionLog {
  request_id: string;
  started_at: string;
  duration_ms: number;
  outcome: string;
  cold_start: string;
  text: string;
}

export interface Overview {
  now: string;
  started_at: string;
  version: string;
  failed: { count: number; latest: ExecutionRow[] };
  project_problems: { message: string; place: string; hint: string }[];
  stuck: { checked_at: string | null; executions: StuckRow[] };
  engine: { open: number; waiting_stimuli: number; transitions: number; commit_failures: number };
  store: { bytes: number; queued: number };
  functions: { workers: number; busy: number; waiting: number; invocations: number; errors: number };
  events: { accepted: number; pending_deliveries: number; retried_deliveries: number; last_lag_ms: number };
  approvals: { pending: number; oldest_age_ms: number };
}

export const executionPath = (arn: string, rest = '') => `/v1/executions/${encodeURIComponent(arn)}${rest}`;
