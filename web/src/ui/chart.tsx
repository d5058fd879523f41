// Points over time, drawn by uPlot when it has been loaded. A picture beside the list that says the same in text.
import { useEffect, useRef } from 'preact/hooks';
import { duration, timeOfDay } from '../format';
import { theme } from '../theme';

export interface Dot {
  at: number; // ms
  value: number; // ms
  failed: boolean;
}

const colour = (name: string) => {
  const probe = document.createElement('span');
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
};

export function DurationChart({ label, dots }: { label: string; dots: Dot[] }) {
  const box = useRef<HTMLDivElement>(null);
  const key = `${dots.length} ${dots[0]?.at ?? 0} ${dots.at(-1)?.at ?? 0} ${theme.value}`;
  useEffect(() => {
    const element = box.current;
    if (!element || dots.length < 2) return;
    let close = () => {};
    let gone = false;
    import('uplot').then(
      ({ default: UPlot }) => {
        if (gone) return;
        const sorted = [...dots].sort((a, b) => a.at - b.at);
        const pick = (failed: boolean) => sorted.map((dot) => (dot.failed === failed ? dot.value : null));
        const [line, dim, ok, bad] = [colour('line'), colour('dim'), colour('ok'), colour('bad')];
        const dotsOf = (stroke: string) => ({ stroke, fill: stroke, paths: () => null, points: { show: true, size: 6, stroke, fill: stroke } });
        const axis = { stroke: dim, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
        const plot = new UPlot(
          {
            width: element.clientWidth,
            height: 150,
            legend: { show: false },
            cursor: { show: false },
            series: [{}, dotsOf(ok), dotsOf(bad)],
            axes: [{ ...axis, size: 28, space: 90, values: (_: unknown, ticks: number[]) => ticks.map((tick) => timeOfDay(tick * 1000)) }, { ...axis, size: 64, values: (_: unknown, ticks: number[]) => ticks.map((tick) => duration(tick)) }],
            scales: { y: { range: (_: unknown, __: number, max: number): [number, number] => [0, (max || 1) * 1.1] } },
          },
          [sorted.map((dot) => dot.at / 1000), pick(false), pick(true)],
          element,
        );
        const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: 150 }));
        observer.observe(element);
        close = () => {
          observer.disconnect();
          plot.destroy();
        };
      },
      () => undefined, // The list is there.
    );
    return () => {
      gone = true;
      close();
    };
  }, [key]);
  if (dots.length < 2) return null;
  const values = dots.map((dot) => dot.value).sort((a, b) => a - b);
  const failed = dots.filter((dot) => dot.failed).length;
  return (
    <figure class="card chart">
      <figcaption>{label}: half of them within {duration(values[Math.floor(values.length / 2)]!)}, the longest {duration(values.at(-1)!)}; {failed === 0 ? 'none failed' : `${failed} of ${dots.length} failed`}.</figcaption>
      <div ref={box} aria-hidden="true" />
    </figure>
  );
}
