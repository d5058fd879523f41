// What the server says about a definition: diagnostics of what does not compile, findings of what does.
import { post } from './api';
import type { Json } from './api';

export interface LintItem {
  code: string;
  severity?: string;
  message: string;
  line?: number;
  column?: number;
  pointer?: string;
  cure?: string;
}

// Whatever holds a code and a message, wherever the answer has it.
function readLint(value: Json): LintItem[] {
  const out: LintItem[] = [];
  const walk = (v: Json, depth: number) => {
    if (depth > 6 || typeof v !== 'object' || v === null) return;
    if (!Array.isArray(v) && typeof v['code'] === 'string' && typeof v['message'] === 'string') return void out.push(v as unknown as LintItem);
    for (const inner of Array.isArray(v) ? v : Object.values(v)) walk(inner, depth + 1);
  };
  walk(value, 0);
  return out;
}

export const validate = (definition: string) => post<Json>('/v1/validate', { definition }).then(readLint);

// A state's name from a pointer like /States/Ask/Retry, the innermost one.
function stateOf(pointer: string): string {
  const found = [...pointer.matchAll(/\/States\/([^/]+)/g)].at(-1)?.[1];
  return found?.replaceAll('~1', '/').replaceAll('~0', '~') ?? '';
}

// What to write at each state of the picture.
export function marksOf(items: LintItem[]): Map<string, string> {
  const out = new Map<string, string>();
  for (const item of items) {
    const state = stateOf(item.pointer ?? '');
    if (state) out.set(state, `${out.has(state) ? `${out.get(state)}; ` : ''}${item.code} ${item.message}`);
  }
  return out;
}
