// A field for JSON: a plain one at once, the editor when it has been loaded. Fingers get the plain one, which their keyboards know.
import { useSignal } from '@preact/signals';
import type { Signal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { visible } from '../format';
import type { Editor } from './editor';

export function jsonProblem(text: string): string {
  try {
    JSON.parse(text || '{}');
    return '';
  } catch (failure) {
    return (failure as Error).message;
  }
}

interface FieldProps {
  label: string;
  text: Signal<string>;
  rows?: number;
  fill?: boolean; // As high as there is room.
  ready?: (editor: Editor | null) => void;
}

export function CodeField({ label, text, rows = 8, fill = false, ready }: FieldProps) {
  const host = useRef<HTMLDivElement>(null);
  const plain = useRef<HTMLTextAreaElement>(null);
  const editor = useRef<Editor | null>(null);
  const loaded = useSignal(false);
  useEffect(() => {
    if (matchMedia('(pointer: coarse)').matches) return;
    let gone = false;
    import('./editor').then(
      ({ mount }) => {
        if (gone || !host.current) return;
        const hadFocus = document.activeElement === plain.current;
        editor.current = mount(host.current, label, text.value, (changed) => (text.value = changed));
        loaded.value = true;
        ready?.(editor.current);
        if (hadFocus) editor.current.focus();
      },
      () => undefined, // The plain field stays.
    );
    return () => {
      gone = true;
      ready?.(null);
      editor.current?.close();
    };
  }, []);
  // Before anybody can type again: after the next paint it would undo what was typed meanwhile.
  useLayoutEffect(() => editor.current?.set(text.value), [text.value]);
  return (
    <>
      {!loaded.value && (
        <label class={fill ? 'fillfield' : ''}>
          {label}
          <textarea ref={plain} class="mono" rows={rows} spellcheck={false} value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} />
        </label>
      )}
      {loaded.value && <span class="fieldname" aria-hidden="true">{label}</span>}
      <div ref={host} class={`editor ${fill ? 'fill' : ''}`} hidden={!loaded.value} style={fill ? undefined : { height: `${rows * 20 + 14}px` }} />
    </>
  );
}

export function JsonInput(props: FieldProps) {
  const problem = jsonProblem(props.text.value);
  return (
    <div class="jsoninput">
      <CodeField {...props} />
      {problem && <p class="error-text" role="status">{visible(problem)}</p>}
    </div>
  );
}
