// Saved views: searches kept under a name, for oneself or for everybody.
import { useSignal } from '@preact/signals';
import { call, post } from '../api';
import type { SavedView } from '../api';
import { visible } from '../format';
import { setQuery } from '../router';
import { Dialog, DialogEnd, Empty, Failure, tell, useAction } from '../ui/basic';
import type { Loaded } from '../ui/basic';

export type Views = Loaded<{ views: SavedView[] }>;

export function ViewsDialog({ q, views, close }: { q: string; views: Views; close: () => void }) {
  const name = useSignal('');
  const shared = useSignal(false);
  const saving = useAction();
  const deleting = useAction();
  const all = views.value?.views ?? [];
  const save = async () => {
    await post(`/v1/views/${encodeURIComponent(name.value.trim())}`, { q, shared: shared.value });
    tell('saved');
    views.reload();
    close();
  };
  const remove = async (view: SavedView) => {
    await call('DELETE', `/v1/views/${encodeURIComponent(view.person)}/${encodeURIComponent(view.name)}`);
    views.reload();
  };
  const open = (view: SavedView) => {
    setQuery({ q: view.q }, false);
    close();
  };
  return (
    <Dialog title="Saved views" onClose={close}>
      <Failure error={views.error ?? deleting.error} />
      {views.value && all.length === 0 && <Empty title="None is saved yet." />}
      <ul class="list">
        {all.map((view) => (
          <li key={`${view.person} ${view.name}`} class="static viewline">
            <button type="button" class="link" onClick={() => open(view)}>{visible(view.name)}</button>
            <code class="clip">{visible(view.q) || 'everything'}</code>
            <span class="dim">{view.mine ? (view.shared ? 'shared by you' : '') : `by ${visible(view.person)}`}</span>
            {view.mine && <button type="button" class="ghost" aria-label={`delete ${visible(view.name)}`} onClick={() => deleting.run(() => remove(view))}>✕</button>}
          </li>
        ))}
      </ul>
      <form onSubmit={(event) => (event.preventDefault(), saving.run(save))}>
        <p>Keep what is shown now: <code>{q ? visible(q) : 'everything'}</code></p>
        <label>Name<input maxLength={60} value={name.value} onInput={(event) => (name.value = event.currentTarget.value)} /></label>
        <label class="check"><input type="checkbox" checked={shared.value} onChange={(event) => (shared.value = event.currentTarget.checked)} /> for everybody</label>
        <DialogEnd action={saving} close={close} verb="Save" ready={name.value.trim() !== '' && !name.value.includes('/')} />
      </form>
    </Dialog>
  );
}
