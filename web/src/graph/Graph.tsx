// The picture of a playbook or a run. Every state is a button with a name that says it all; the Table view tells the
// same in text.
import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { duration, shorten, visible } from '../format';
import type { NodeState } from '../run/model';
import { Empty, statusWord, tone } from '../ui/basic';
import { Icon, statusIcon, typeIcon } from '../ui/icon';
import { layoutOf } from './client';
import type { Layout, PlacedEdge, PlacedState } from './layout';

interface Props {
  definition: string;
  stateOf?: (name: string) => NodeState | null;
  moved?: (from: string, to: string, byError: boolean) => boolean; // Which ways were taken.
  selected?: string;
  onSelect?: (name: string) => void;
  marks?: Map<string, string>; // State -> what lint says.
}

const MARGIN = 24;

function path(points: [number, number][]): string {
  if (points.length < 2) return '';
  const [first, ...rest] = points as [[number, number], ...[number, number][]];
  let d = `M${first[0]},${first[1]}`;
  for (let i = 0; i < rest.length - 1; i++) {
    const [x, y] = rest[i]!;
    const [nx, ny] = rest[i + 1]!;
    d += ` Q${x},${y} ${(x + nx) / 2},${(y + ny) / 2}`;
  }
  const end = rest.at(-1)!;
  return `${d} L${end[0]},${end[1]}`;
}

// Right angles with round corners, for edges on the rail.
function railPath(points: [number, number][]): string {
  let d = `M${points[0]![0]},${points[0]![1]}`;
  for (let i = 1; i < points.length - 1; i++) {
    const [px, py] = points[i - 1]!;
    const [x, y] = points[i]!;
    const [nx, ny] = points[i + 1]!;
    const r = Math.min(8, Math.hypot(x - px, y - py) / 2, Math.hypot(nx - x, ny - y) / 2);
    const toward = (tx: number, ty: number) => {
      const length = Math.hypot(tx - x, ty - y) || 1;
      return `${x + ((tx - x) / length) * r},${y + ((ty - y) / length) * r}`;
    };
    d += ` L${toward(px, py)} Q${x},${y} ${toward(nx, ny)}`;
  }
  const end = points.at(-1)!;
  return `${d} L${end[0]},${end[1]}`;
}

function Edge({ edge, taken }: { edge: PlacedEdge; taken: boolean }) {
  return (
    <g class={`edge ${edge.kind} ${taken ? 'taken' : ''}`}>
      <path d={(edge.rail ? railPath : path)(edge.points)} marker-end={`url(#arrow${edge.kind === 'catch' ? '-catch' : ''})`}>
        <title>{visible(`${edge.from} → ${edge.to}${edge.label ? `: ${edge.label}` : ''}`)}</title>
      </path>
      {edge.labelAt && (
        <text x={edge.labelAt[0]} y={edge.labelAt[1] + 4} text-anchor="middle">
          {visible(shorten(edge.label, 28))}
        </text>
      )}
    </g>
  );
}

function describe(state: PlacedState, told: NodeState | null, mark: string | undefined): string {
  const parts = [state.name, state.missing ? 'missing: no state has this name' : state.type];
  if (told) {
    parts.push(statusWord(told.status));
    if (told.total > 1) parts.push(`${told.total} times, ${told.failed} failed, ${told.running} running`);
    else if (told.ms > 0) parts.push(duration(told.ms));
  } else if (!state.missing) parts.push('not run');
  if (mark) parts.push(mark);
  return visible(parts.join(', '));
}

function State({ state, props }: { state: PlacedState; props: Props }) {
  const told = props.stateOf?.(state.name) ?? null;
  const mark = props.marks?.get(state.name);
  const kind = state.missing ? 'missing' : told ? `tone-${tone(told.status)}` : props.stateOf ? 'idle' : 'plain';
  const chars = Math.floor((state.w - 52) / 7.4);
  let line = state.missing ? 'missing' : state.type;
  if (told) {
    line = statusWord(told.status);
    if (told.total > 1) {
      const parts = [told.succeeded && `${told.succeeded} ok`, told.caught && `${told.caught} handled`, told.failed && `${told.failed} failed`, told.running && `${told.running} running`, told.aborted && `${told.aborted} aborted`];
      line = parts.filter(Boolean).join(', ');
    } else if (told.ms > 0) line += ` · ${duration(told.ms)}`;
  }
  const pick = () => props.onSelect?.(state.name);
  return (
    <g
      class={`state ${kind} ${state.container ? 'container' : ''} ${props.selected === state.name ? 'chosen' : ''}`}
      transform={`translate(${state.x},${state.y})`}
      role="button"
      tabindex={0}
      aria-pressed={props.selected === state.name}
      data-state={state.name}
      onClick={pick}
      onKeyDown={(event: KeyboardEvent) => {
        if (event.key === 'Enter' || event.key === ' ') {
          event.preventDefault();
          pick();
        }
      }}
    >
      <title>{describe(state, told, mark)}</title>
      <rect width={state.w} height={state.h} rx="8" />
      {state.start && <circle class="startdot" cx={state.w / 2} cy="-7" r="4" />}
      <Icon x={9} y={11} name={told ? statusIcon(told.status) : state.missing ? 'missing' : typeIcon(state.type)} />
      <text class="name" x="30" y="22" aria-hidden="true">
        {visible(shorten(state.name, Math.max(8, chars)))}
      </text>
      <text class="sub" aria-hidden="true" x={state.container ? state.w - 12 : 30} y={state.container ? 22 : 40} text-anchor={state.container ? 'end' : 'start'}>
        {shorten(line, Math.max(8, chars + 4))}
      </text>
      {mark && (
        <g class="mark">
          <Icon x={state.w - 24} y={state.container ? state.h - 24 : 9} size={16} name="warn" />
          <title>{visible(mark)}</title>
        </g>
      )}
    </g>
  );
}

export function GraphView(props: Props) {
  const layout = useSignal<Layout | null | undefined>(undefined);
  const failure = useSignal('');
  useEffect(() => {
    let gone = false;
    layoutOf(props.definition).then(
      (found) => !gone && (layout.value = found),
      (error: Error) => !gone && (failure.value = error.message),
    );
    return () => void (gone = true);
  }, [props.definition]);
  if (failure.value) return <Empty title="The picture could not be drawn."><p>{visible(failure.value)}</p></Empty>;
  if (layout.value === undefined) return <div class="graph busy" aria-busy="true">drawing…</div>;
  if (layout.value === null || layout.value.states.length === 0) {
    return <Empty title="There is nothing to draw."><p>The definition cannot be read as JSON with states; its findings say where.</p></Empty>;
  }
  return <Canvas layout={layout.value} props={props} />;
}

interface View {
  x: number;
  y: number;
  k: number;
}

function Canvas({ layout, props }: { layout: Layout; props: Props }) {
  const box = useRef<HTMLDivElement>(null);
  const view = useSignal<View>({ x: 0, y: 0, k: 1 });
  const touched = useRef(false);
  const fit = (whole = false) => {
    const { clientWidth: w, clientHeight: h } = box.current!;
    const wide = w / (layout.w + 2 * MARGIN);
    const k = Math.min(1, whole ? Math.min(wide, h / (layout.h + 2 * MARGIN)) : Math.max(wide, 0.6));
    const start = layout.states.find((state) => state.start) ?? layout.states[0]!;
    const centred = (w - layout.w * k) / 2;
    const x = centred >= MARGIN / 2 ? centred : Math.min(MARGIN, Math.max(w - layout.w * k - MARGIN, w / 2 - (start.x + start.w / 2) * k));
    view.value = { x, y: MARGIN, k };
  };
  useLayoutEffect(() => {
    touched.current = false;
    fit();
    const observer = new ResizeObserver(() => !touched.current && fit());
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, [layout]);
  useEffect(() => {
    const state = layout.states.find((one) => one.name === props.selected);
    const element = box.current;
    if (!state || !element) return;
    // What is chosen elsewhere (table, timeline, address) comes into view.
    const { x, y, k } = view.value;
    const sx = state.x * k + x;
    const sy = state.y * k + y;
    const w = element.clientWidth;
    const h = element.clientHeight;
    if (sx < 0 || sy < 0 || sx + Math.min(state.w * k, w) > w || sy + 40 > h) {
      view.value = { k, x: w / 2 - (state.x + state.w / 2) * k, y: h / 3 - state.y * k };
    }
  }, [props.selected, layout]);
  const zoom = (factor: number, cx: number, cy: number) => {
    touched.current = true;
    const { x, y, k } = view.value;
    const next = Math.min(2.5, Math.max(0.12, k * factor));
    view.value = { k: next, x: cx - ((cx - x) * next) / k, y: cy - ((cy - y) * next) / k };
  };
  useEffect(() => {
    const element = box.current!;
    const wheel = (event: WheelEvent) => {
      // Plain scrolling belongs to the page; with Ctrl (and pinching, which looks the same) it zooms.
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const r = element.getBoundingClientRect();
      zoom(Math.exp(-event.deltaY / 300), event.clientX - r.left, event.clientY - r.top);
    };
    element.addEventListener('wheel', wheel, { passive: false });
    return () => element.removeEventListener('wheel', wheel);
  }, []);
  const drag = useRef<{ pointers: Map<number, [number, number]>; moved: number }>({ pointers: new Map(), moved: 0 });
  const down = (event: PointerEvent) => {
    drag.current.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (drag.current.pointers.size === 1) drag.current.moved = 0;
  };
  const move = (event: PointerEvent) => {
    const { pointers } = drag.current;
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const after: [number, number] = [event.clientX, event.clientY];
    if (pointers.size === 2) {
      const other = [...pointers.entries()].find(([id]) => id !== event.pointerId)![1];
      const far = (p: [number, number]) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
      const r = box.current!.getBoundingClientRect();
      zoom(far(after) / far(before), (after[0] + other[0]) / 2 - r.left, (after[1] + other[1]) / 2 - r.top);
    } else {
      drag.current.moved += Math.abs(after[0] - before[0]) + Math.abs(after[1] - before[1]);
      if (drag.current.moved > 4) {
        touched.current = true;
        box.current!.setPointerCapture(event.pointerId);
        const { x, y, k } = view.value;
        view.value = { k, x: x + after[0] - before[0], y: y + after[1] - before[1] };
      }
    }
    pointers.set(event.pointerId, after);
  };
  const up = (event: PointerEvent) => drag.current.pointers.delete(event.pointerId);
  const { x, y, k } = view.value;
  const middle = () => [box.current!.clientWidth / 2, box.current!.clientHeight / 2] as const;
  const order = [...layout.states].sort((a, b) => Number(b.container) - Number(a.container));
  return (
    <div class="graph" ref={box} onPointerDown={down} onPointerMove={move} onPointerUp={up} onPointerCancel={up}>
      <svg width="100%" height="100%" role="group" aria-label="graph of the states">
        <defs>
          <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
            <path d="M0,0.500 L7.500,4 L0,7.500 z" />
          </marker>
          <marker id="arrow-catch" class="catch" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
            <path d="M0,0.500 L7.500,4 L0,7.500 z" />
          </marker>
        </defs>
        <g transform={`translate(${x},${y}) scale(${k})`}>
          {order.filter((s) => s.container).map((state) => <State key={state.name} state={state} props={props} />)}
          {layout.scopes.map((scope, i) => (
            <g key={i} class="scope">
              <rect x={scope.x} y={scope.y} width={scope.w} height={scope.h} rx="6" />
            </g>
          ))}
          {layout.edges.map((edge, i) => (
            <Edge key={i} edge={edge} taken={props.moved?.(edge.from, edge.to, edge.kind === 'catch') ?? false} />
          ))}
          {order.filter((s) => !s.container).map((state) => <State key={state.name} state={state} props={props} />)}
        </g>
      </svg>
      <div class="graph-tools">
        <button type="button" aria-label="zoom in" onClick={() => zoom(1.3, ...middle())}>+</button>
        <button type="button" aria-label="zoom out" onClick={() => zoom(1 / 1.3, ...middle())}>−</button>
        <button type="button" aria-label="fit everything" onClick={() => { touched.current = true; fit(true); }}>⤢</button>
      </div>
    </div>
  );
}
