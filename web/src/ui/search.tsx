// The search box: the words of the search language are offered as they are typed, and completed by Tab or Enter.
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { visible } from '../format';

export interface Word {
  text: string; // "status:", "failed"
  what: string;
}

export const SEARCH_WORDS: Word[] = [
  { text: 'status:', what: 'running, waiting, succeeded, failed, timed_out, aborted' },
  { text: 'playbook:', what: 'its name; ir-* for all that begin so' },
  { text: 'name:', what: 'of the execution' },
  { text: 'started:>-2h', what: 'within the last two hours' },
  { text: 'started:<', what: 'before a date-time' },
  { text: 'error:', what: 'name of the error, or words of its cause' },
  { text: 'state:', what: 'where it stands, or stopped' },
  { text: 'sev:', what: 'severity of what started it' },
  { text: 'resource:', what: 'anything in the input; i-0abc* for what begins so' },
  { text: 'actor:', what: 'who started it, or on whose behalf' },
  { text: 'label:', what: 'a tag of its playbook' },
  { text: 'has:approval', what: 'people are asked now' },
];
const VALUES: Record<string, string[]> = {
  status: ['running', 'waiting', 'succeeded', 'failed', 'timed_out', 'aborted'],
  sev: ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'],
  has: ['approval'],
  error: ['States.Timeout', 'States.TaskFailed', 'States.Runtime'],
};

// What may stand instead of the last word of the text, which begins at `from`.
export function offers(text: string, playbooks: string[]): { from: number; words: Word[] } {
  const from = text.lastIndexOf(' ') + 1;
  const minus = text[from] === '-' ? '-' : '';
  const word = text.slice(from + minus.length);
  const colon = word.indexOf(':');
  const give = (all: Word[]) => ({ from, words: all.filter((one) => one.text.toLowerCase() !== word.toLowerCase()).map((one) => ({ ...one, text: minus + one.text })).slice(0, 12) });
  if (colon < 0) return give(SEARCH_WORDS.filter((one) => one.text.startsWith(word.toLowerCase())));
  const key = word.slice(0, colon);
  const before = word.slice(0, Math.max(colon, word.lastIndexOf(',')) + 1);
  const typed = word.slice(before.length).toLowerCase();
  const values = key === 'playbook' ? playbooks : (VALUES[key] ?? []);
  return give(values.filter((value) => value.toLowerCase().startsWith(typed)).map((value) => ({ text: before + value, what: '' })));
}

export function SearchBox({ label, value, playbooks, search }: { label: string; value: string; playbooks: string[]; search: (text: string) => void }) {
  const typed = useSignal(value);
  const open = useSignal(false);
  const active = useSignal(-1);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => void (typed.value = value), [value]);
  const { from, words } = offers(typed.value, playbooks);
  const shown = open.value && words.length > 0;
  const accept = (word: Word) => {
    const whole = !word.text.endsWith(':') && !word.text.endsWith('<');
    typed.value = typed.value.slice(0, from) + word.text + (whole ? ' ' : '');
    active.value = -1;
    input.current?.focus();
  };
  const key = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && words.length > 0) {
      event.preventDefault();
      open.value = true;
      active.value = (active.value + step + words.length + (active.value < 0 && step < 0 ? 1 : 0)) % words.length;
    } else if (event.key === 'Escape' && shown) {
      event.preventDefault();
      open.value = false;
      active.value = -1;
    } else if (shown && active.value >= 0 && (event.key === 'Enter' || event.key === 'Tab')) {
      event.preventDefault();
      accept(words[active.value]!);
    }
  };
  return (
    <form
      role="search"
      class="searchbox"
      onSubmit={(event) => {
        event.preventDefault();
        open.value = false;
        search(typed.value.trim());
      }}
    >
      <input
        ref={input}
        type="search"
        role="combobox"
        list={undefined}
        aria-label={label}
        aria-expanded={shown}
        aria-controls="search-offers"
        aria-autocomplete="list"
        aria-activedescendant={shown && active.value >= 0 ? `offer-${active.value}` : undefined}
        autocomplete="off"
        spellcheck={false}
        placeholder="status:failed playbook:ir-* error:States.Timeout started:>-2h"
        value={typed.value}
        onFocus={() => (open.value = true)}
        onBlur={() => (open.value = false)}
        onInput={(event) => {
          typed.value = event.currentTarget.value;
          open.value = true;
          active.value = -1;
        }}
        onKeyDown={key}
      />
      <ul id="search-offers" role="listbox" aria-label="words of the search" class="offers" hidden={!shown}>
        {shown &&
          words.map((word, i) => (
            // Before the box loses the focus: that closes the list.
            <li key={word.text} id={`offer-${i}`} role="option" aria-selected={i === active.value} onPointerDown={(event) => (event.preventDefault(), accept(word))}>
              <code>{visible(word.text)}</code> <span class="dim">{word.what}</span>
            </li>
          ))}
      </ul>
    </form>
  );
}
