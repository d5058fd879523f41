// The command palette (Ctrl or Cmd with K): pages, playbooks, functions, what this page can do, and any execution by its name.
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { get, logOut } from '../api';
import { visible } from '../format';
import { go } from '../router';
import { nextTheme } from '../theme';
import { copy, Dialog, twinCommand, useLoad } from './basic';

interface Command {
  text: string;
  kind: string;
  run: () => void;
}

// Buttons of the page that open something: their dots say that they only ask.
function pageCommands(): Command[] {
  return [...document.querySelectorAll<HTMLButtonElement>('main button:not(:disabled)')]
    .filter((button) => button.textContent?.trim().endsWith('…') && button.offsetParent !== null)
    .map((button) => ({ text: button.textContent!.trim(), kind: 'this page', run: () => button.click() }));
}

const names = (path: string, key: string, abort: AbortSignal) => get<Record<string, { name: string }[]>>(path, abort).then((found) => found[key]!.map((one) => one.name), () => [] as string[]);

export function Palette({ pages, close }: { pages: { path: string; word: string }[]; close: () => void }) {
  const typed = useSignal('');
  const active = useSignal(0);
  const list = useRef<HTMLUListElement>(null);
  // Asked each time: the page behind may still have been loading when the palette was opened.
  const here = [...pageCommands(), ...(twinCommand.value ? [{ text: 'Copy the command of this page', kind: 'this page', run: () => void copy(twinCommand.value, 'command copied') }] : [])];
  const loaded = useLoad('palette', async (abort) => {
    const [playbooks, functions] = await Promise.all([names('/v1/playbooks', 'playbooks', abort), names('/v1/functions', 'functions', abort)]);
    return { playbooks, functions };
  });
  const to = (path: string) => () => go(path);
  const all: Command[] = [
    ...here,
    ...pages.map(({ path, word }) => ({ text: word, kind: 'page', run: to(path) })),
    ...(loaded.value?.playbooks ?? []).map((name) => ({ text: name, kind: 'playbook', run: to(`/playbooks/${encodeURIComponent(name)}`) })),
    ...(loaded.value?.functions ?? []).map((name) => ({ text: name, kind: 'function', run: to(`/functions/${encodeURIComponent(name)}`) })),
    { text: 'Change the theme', kind: 'setting', run: nextTheme },
    { text: 'Log out', kind: 'setting', run: () => void logOut() },
  ];
  const text = typed.value.trim();
  const words = text.toLowerCase().split(/\s+/);
  const found = all.filter((command) => words.every((word) => `${command.kind} ${command.text}`.toLowerCase().includes(word))).slice(0, 40);
  if (text.startsWith('arn:') && text.includes(':execution:')) found.unshift({ text: `Open ${text}`, kind: 'execution', run: to(`/x/${encodeURI(text)}`) });
  else if (text) found.push({ text: `Search executions for ${text}`, kind: 'execution', run: to(`/executions?q=${encodeURIComponent(text)}`) });
  const at = Math.min(active.value, found.length - 1);
  useEffect(() => list.current?.children[at]?.scrollIntoView({ block: 'nearest' }), [at]);
  const pick = (command: Command | undefined) => {
    close();
    // After the dialog has gone, so that what opens gets the focus.
    if (command) setTimeout(command.run);
  };
  const key = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && found.length > 0) {
      event.preventDefault();
      active.value = (at + step + found.length) % found.length;
    } else if (event.key === 'Enter') {
      event.preventDefault();
      pick(found[at]);
    }
  };
  return (
    <Dialog title="Go to or do" onClose={close}>
      <input
        type="search"
        role="combobox"
        list={undefined}
        aria-label="command"
        aria-expanded={true}
        aria-controls="palette-list"
        aria-activedescendant={at >= 0 ? `command-${at}` : undefined}
        autocomplete="off"
        placeholder="a page, a playbook, a function, an execution"
        value={typed.value}
        onInput={(event) => {
          typed.value = event.currentTarget.value;
          active.value = 0;
        }}
        onKeyDown={key}
      />
      <ul ref={list} id="palette-list" role="listbox" aria-label="commands" class="palette">
        {found.map((command, i) => (
          <li key={`${command.kind} ${command.text}`} id={`command-${i}`} role="option" aria-selected={i === at} onClick={() => pick(command)} onPointerMove={() => (active.value = i)}>
            <span class="clip">{visible(command.text)}</span> <span class="dim">{command.kind}</span>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
