// A list that comes in pages by the server's cursor. A new key begins anew; an answer that comes too late is dropped.
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { loggedIn } from '../api';

interface Page<T> {
  rows: T[];
  next: string | null;
}

export interface Pages<T> {
  rows: T[];
  error: Error | undefined;
  busy: boolean;
  done: boolean; // The first page is there.
  hasMore: boolean;
  more: () => void;
  restart: () => void;
}

export function usePages<T>(key: string, load: (cursor: string | null) => Promise<Page<T>>): Pages<T> {
  const state = useSignal<{ rows: T[]; next: string | null; busy: boolean; done: boolean; error: Error | undefined }>({ rows: [], next: null, busy: false, done: false, error: undefined });
  const generation = useRef(0);
  const run = async (cursor: string | null) => {
    const mine = generation.current;
    state.value = { ...state.value, busy: true };
    try {
      const page = await load(cursor);
      if (mine !== generation.current) return;
      state.value = { rows: cursor ? state.value.rows.concat(page.rows) : page.rows, next: page.next, busy: false, done: true, error: undefined };
    } catch (failure) {
      if (mine === generation.current) state.value = { ...state.value, busy: false, error: failure as Error };
    }
  };
  const restart = () => {
    generation.current++;
    void run(null);
  };
  const login = loggedIn.value;
  useEffect(() => {
    state.value = { ...state.value, done: false };
    restart();
    return () => void generation.current++;
  }, [key, login]);
  const { rows, next, busy, done, error } = state.value;
  return { rows, error, busy, done, hasMore: next !== null, more: () => next !== null && !state.value.busy && void run(next), restart };
}
