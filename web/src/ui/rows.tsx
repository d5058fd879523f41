// A table of any length: only the rows in view are there. Rows have one height, so where a row is costs nothing, and
// 100,000 of them scroll like ten.
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';

interface Props {
  label: string;
  count: number;
  total?: number; // Where more exist than are loaded.
  rowHeight: number;
  head?: ComponentChildren;
  row: (index: number) => ComponentChildren;
  rowClass?: (index: number) => string;
  selected?: number;
  onSelect?: (index: number) => void;
  onOpen?: (index: number) => void;
  onEnd?: () => void;
  fill?: boolean;
}

const OVERSCAN = 6;
// Browsers give up on elements beyond some tens of millions of pixels; until then every row has its own place.
const HEIGHT_MAX = 12_000_000;

export function Rows(props: Props) {
  const { count, rowHeight } = props;
  const box = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const height = useSignal(600);
  useLayoutEffect(() => {
    const element = box.current!;
    const measure = () => (height.value = element.clientHeight || 600);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const full = count * rowHeight;
  const drawn = Math.min(full, HEIGHT_MAX);
  const scale = full > drawn ? (full - height.value) / (drawn - height.value) : 1;
  const virtualTop = top.value * scale;
  const first = Math.max(0, Math.floor(virtualTop / rowHeight) - OVERSCAN);
  const last = Math.min(count, Math.ceil((virtualTop + height.value) / rowHeight) + OVERSCAN);
  useEffect(() => {
    if (props.onEnd && last >= count - 30) props.onEnd();
  }, [last, count]);
  useEffect(() => {
    const element = box.current;
    const index = props.selected;
    if (!element || index === undefined || index < 0) return;
    const at = (index * rowHeight) / scale;
    if (at < element.scrollTop) element.scrollTop = at;
    else if (at + rowHeight > element.scrollTop + element.clientHeight - 4) element.scrollTop = at + rowHeight - element.clientHeight + 8;
  }, [props.selected]);
  const rows = [];
  for (let i = first; i < last; i++) {
    const chosen = i === props.selected;
    rows.push(
      <div
        key={i}
        role="row"
        aria-rowindex={i + 1}
        aria-selected={props.onSelect ? chosen : undefined}
        class={`row ${chosen ? 'chosen' : ''} ${props.rowClass?.(i) ?? ''}`}
        style={{ transform: `translateY(${i * rowHeight - virtualTop + top.value}px)`, height: `${rowHeight}px` }}
        onClick={() => props.onSelect?.(i)}
      >
        {props.row(i)}
      </div>,
    );
  }
  const key = (event: KeyboardEvent) => {
    if (!props.onSelect || count === 0) return;
    const at = props.selected ?? -1;
    const page = Math.max(1, Math.floor(height.value / rowHeight) - 1);
    const to: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: count - 1 };
    if (event.key in to) {
      event.preventDefault();
      props.onSelect(Math.min(count - 1, Math.max(0, to[event.key]!)));
    } else if (event.key === 'Enter' && at >= 0 && event.target === box.current) {
      event.preventDefault();
      props.onOpen?.(at);
    }
  };
  return (
    <div class={`rows ${props.fill ? 'fill' : ''}`} role={props.onSelect ? 'grid' : 'table'} aria-label={props.label} aria-rowcount={props.total ?? count}>
      {props.head && <div role="rowgroup" class="rows-head"><div role="row" class="row head">{props.head}</div></div>}
      <div class="rows-body" role="rowgroup" tabIndex={0} aria-label={props.label} ref={box} onScroll={() => (top.value = box.current!.scrollTop)} onKeyDown={key}>
        <div class="rows-space" role="presentation" style={{ height: `${drawn}px` }}>
          {rows}
        </div>
      </div>
    </div>
  );
}

export const Cell = ({ class: name = '', children }: { class?: string; children?: ComponentChildren }) => (
  <div role="cell" class={`cell ${name}`}>
    {children}
  </div>
);
export const HeadCell = ({ class: name = '', children }: { class?: string; children?: ComponentChildren }) => (
  <div role="columnheader" class={`cell ${name}`}>
    {children}
  </div>
);

// Whether the first row is in view: what is added above it would not be noticed otherwise.
export const atTop = () => (document.querySelector('main .rows-body')?.scrollTop ?? 0) === 0;
