// The icons, as paths of our own: no font has them all, and none may be loaded from elsewhere.
const PATHS: Record<string, string> = {
  run: 'F M5 3v10l8-5z',
  people: 'F M8 8a2.700 2.700 0 1 0 0-5.400A2.700 2.700 0 0 0 8 8zM2.800 14c0-3 2.200-4.800 5.200-4.800s5.200 1.800 5.200 4.800z',
  ok: 'M3 8.500l3.500 3.500L13 4.500',
  bad: 'M4 4l8 8M12 4l-8 8',
  clock: 'M8 2.500a5.500 5.500 0 1 0 0 11 5.500 5.500 0 0 0 0-11zM8 5v3.200l2.200 1.600',
  off: 'F M4 4h8v8H4z',
  retry: 'M12.800 8.300A4.800 4.800 0 1 1 11.300 4.600M11.500 1.800v3.200H8.300',
  caught: 'M3 3v5h9.500M9.500 5l3 3-3 3',
  task: 'F M9.500 1.500L3.500 9h4l-1 5.500 6-7.500h-4z',
  choice: 'M8 2l6 6-6 6-6-6z',
  pass: 'M2 8h11M9 4l4 4-4 4',
  parallel: 'M3.500 3v10M8 3v10M12.500 3v10',
  map: 'M3 4h1.500M3 8h1.500M3 12h1.500M7 4h6M7 8h6M7 12h6',
  missing: 'M5.500 6a2.500 2.500 0 1 1 3.500 2.300c-.7.400-1 .8-1 1.700M8 12.500v.5',
  home: 'M2 8l6-5.500L14 8M4 7v6.500h8V7',
  event: 'M8 2v8M4.500 6.800L8 10.300l3.500-3.500M3 13.500h10',
  book: 'M4 2.500h8v11H4zM6.300 5.500h3.400M6.300 8.500h3.400',
  fn: 'M11 3.200c-2.200-.8-2.700.8-3 2.800l-.8 4.500c-.3 1.800-1 2.900-2.700 2.300M5 7h6',
  find: 'M7 2.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9zM10.300 10.300l3.700 3.700',
  audit: 'M4 2.500h8v11H4zM6.300 6l1 1 1.800-2M6.300 10h3.400',
  warn: 'M8 2.500L14 13.500H2zM8 6.500v3.200M8 11.400v.6',
  dot: 'F M8 6a2 2 0 1 0 0 4 2 2 0 0 0 0-4z',
};

export function Icon({ name, x, y, size }: { name: string; x?: number; y?: number; size?: number }) {
  const found = PATHS[name] ?? PATHS['dot']!;
  const fill = found.startsWith('F ');
  return (
    <svg class={`ico ${fill ? 'fill' : ''}`} viewBox="0 0 16 16" x={x} y={y} width={size ?? 14} height={size ?? 14} aria-hidden="true" focusable="false">
      <path d={fill ? found.slice(2) : found} />
    </svg>
  );
}

const STATUS: Record<string, string> = {
  running: 'run', waiting: 'people', pending: 'people', retrying: 'retry', succeeded: 'ok', approved: 'ok', caught: 'caught',
  failed: 'bad', rejected: 'bad', timed_out: 'clock', expired: 'clock', aborted: 'off', cancelled: 'off', superseded: 'retry',
};
export const statusIcon = (status: string) => STATUS[status.toLowerCase()] ?? 'dot';

const TYPES: Record<string, string> = { Task: 'task', Choice: 'choice', Wait: 'clock', Pass: 'pass', Parallel: 'parallel', Map: 'map', Succeed: 'ok', Fail: 'bad' };
export const typeIcon = (type: string) => TYPES[type] ?? 'dot';
