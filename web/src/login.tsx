// Logging in: by a one-time link (its secret is in the fragment, which browsers never send), or by a token. Opens over
// the page when a session ends, so that nothing typed is lost.
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { logIn } from './api';
import { go } from './router';
import { Failure } from './ui/basic';

export function Login({ again }: { again: boolean }) {
  const token = useSignal('');
  const error = useSignal<Error | undefined>(undefined);
  const busy = useSignal(false);
  const box = useRef<HTMLDialogElement>(null);
  const run = async (proof: { link: string } | { token: string }) => {
    busy.value = true;
    error.value = undefined;
    try {
      await logIn(proof);
      if (location.pathname === '/login') go('/', true);
    } catch (failure) {
      error.value = failure as Error;
    } finally {
      busy.value = false;
    }
  };
  useEffect(() => {
    box.current?.showModal();
    const link = location.pathname === '/login' ? location.hash.slice(1) : '';
    if (link) {
      // Out of the address bar and the history before anything else.
      history.replaceState(null, '', '/login');
      void run({ link });
    }
    return () => box.current?.close();
  }, []);
  return (
    <dialog ref={box} class="login" aria-labelledby="login-title" onCancel={(event) => event.preventDefault()}>
      <img src="/icon.svg" alt="" width="40" height="40" />
      <h1 id="login-title">{again ? 'Your session has ended' : 'Sortie'}</h1>
      {again && <p>Log in again; what you were doing is still there.</p>}
      {busy.value ? (
        <p aria-busy="true">Logging in…</p>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (token.value.trim()) void run({ token: token.value.trim() });
          }}
        >
          <label>
            Token
            <input
              type="password"
              autocomplete="current-password"
              value={token.value}
              onInput={(event) => (token.value = event.currentTarget.value)}
            />
          </label>
          <Failure error={error.value} />
          <button type="submit" class="primary">Log in</button>
          <p class="dim">
            A one-time link instead: <code>sortie login-link NAME</code>. A person and a token: <code>sortie user add NAME</code>.
          </p>
        </form>
      )}
    </dialog>
  );
}
