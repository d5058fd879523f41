// Asks the worker for layouts and keeps the last ones, because the same definition is drawn again and again.
import workerUrl from './layout.worker.ts?worker&url';
import type { Layout } from './layout';

interface TrustedPolicy {
  createScriptURL(url: string): string;
}
interface TrustedFactory {
  createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): TrustedPolicy;
}

// The only address that ever becomes a script: our own worker, from where this page came.
function trusted(url: string): string {
  const factory = (globalThis as { trustedTypes?: TrustedFactory }).trustedTypes;
  const check = (given: string) => {
    const full = new URL(given, location.href);
    if (full.origin !== location.origin || !full.pathname.startsWith('/assets/')) throw new TypeError('not our script');
    return full.href;
  };
  return factory ? factory.createPolicy('sortie', { createScriptURL: check }).createScriptURL(url) : check(url);
}

let worker: Worker | null = null;
let lastId = 0;
const waiting = new Map<number, (answer: { layout: Layout | null; error?: string }) => void>();
const kept = new Map<string, Promise<Layout | null>>();

export function layoutOf(definition: string): Promise<Layout | null> {
  const known = kept.get(definition);
  if (known) return known;
  if (!worker) {
    worker = new Worker(trusted(workerUrl), { type: 'module' });
    worker.addEventListener('message', (message) => {
      waiting.get(message.data.id)?.(message.data);
      waiting.delete(message.data.id);
    });
  }
  const id = ++lastId;
  const answer = new Promise<Layout | null>((done, fail) => {
    waiting.set(id, ({ layout, error }) => (error ? fail(new Error(error)) : done(layout)));
  });
  if (kept.size > 20) kept.clear();
  kept.set(definition, answer);
  worker.postMessage({ id, definition });
  return answer;
}
