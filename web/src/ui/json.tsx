// A JSON value to look into: folded, opened on demand, never more on the page than a person can read. Everything is text.
import { useSignal } from '@preact/signals';
import type { Json } from '../api';
import { bytes, visible } from '../format';
import { Copy } from './basic';

const SHOWN_BYTES = 64 * 1024;
const CHILDREN = 100;
const TEXT = 600;

function Scalar({ value }: { value: null | boolean | number | string }) {
  const all = useSignal(false);
  if (typeof value !== 'string') return <span class="j-atom">{String(value)}</span>;
  const long = value.length > TEXT && !all.value;
  return (
    <span class="j-text">
      "{visible(long ? value.slice(0, TEXT) : value)}"
      {long && (
        <button type="button" class="link" onClick={() => (all.value = true)}>
          … {bytes(value.length - TEXT)} more
        </button>
      )}
    </span>
  );
}

function Node({ name, value, depth, open }: { name?: string; value: Json; depth: number; open: boolean }) {
  const isOpen = useSignal(open);
  const shown = useSignal(CHILDREN);
  const label = name === undefined ? null : <span class="j-key">{visible(name)}: </span>;
  if (value === null || typeof value !== 'object') {
    return (
      <li>
        {label}
        <Scalar value={value} />
      </li>
    );
  }
  const list = Array.isArray(value);
  const keys = list ? null : Object.keys(value);
  const size = keys ? keys.length : (value as Json[]).length;
  const summary = size === 0 ? (list ? '[]' : '{}') : list ? `[ ${size} ]` : `{ ${keys!.slice(0, 4).map(visible).join(', ')}${size > 4 ? ', …' : ''} }`;
  if (size === 0) {
    return (
      <li>
        {label}
        <span class="j-atom">{summary}</span>
      </li>
    );
  }
  const count = Math.min(size, shown.value);
  return (
    <li>
      <button type="button" class="j-fold" aria-expanded={isOpen.value} onClick={() => (isOpen.value = !isOpen.value)}>
        <span aria-hidden="true">{isOpen.value ? '▾' : '▸'}</span> {label}
        {(!isOpen.value || name === undefined) && <span class="j-dim">{isOpen.value ? (list ? '[' : '{') : summary}</span>}
      </button>
      {isOpen.value && (
        <ul>
          {Array.from({ length: count }, (_, i) => {
            const key = keys ? keys[i]! : String(i);
            const inner = (value as { [key: string]: Json })[key] as Json;
            return <Node key={key} name={key} value={inner} depth={depth + 1} open={depth < 2 && JSON.stringify(inner)?.length < 600} />;
          })}
          {count < size && (
            <li>
              <button type="button" class="link" onClick={() => (shown.value += CHILDREN * 5)}>
                … {size - count} more
              </button>
            </li>
          )}
        </ul>
      )}
    </li>
  );
}

function download(text: string, name: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

export function JsonView({ value, name = 'value' }: { value: Json | undefined; name?: string }) {
  if (value === undefined) return <p class="dim">nothing yet</p>;
  const text = JSON.stringify(value, null, 2);
  const large = text.length > SHOWN_BYTES;
  return (
    <div class="json">
      <div class="json-tools">
        <span class="dim">{bytes(new TextEncoder().encode(text).length)}</span> <Copy text={text} />{' '}
        <button type="button" class="link" onClick={() => download(text, `${name}.json`)}>
          download
        </button>
      </div>
      <ul class="j-root" key={large ? 'large' : 'small'}>
        <Node value={value} depth={0} open={!large} />
      </ul>
    </div>
  );
}

export { download };
