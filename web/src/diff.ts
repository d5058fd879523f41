// Two texts line by line: what both have, what only the old one has, what only the new one has.

export type DiffLine = [mark: ' ' | '-' | '+', text: string];

const CELLS_MAX = 4_000_000;

// Longest common lines between what differs; where that is too much to compare, all of the one and all of the other.
export function diffLines(before: string, after: string): DiffLine[] {
  const a = before.split('\n');
  const b = after.split('\n');
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const x = a.slice(head, a.length - tail);
  const y = b.slice(head, b.length - tail);
  const out: DiffLine[] = a.slice(0, head).map((line): DiffLine => [' ', line]);
  if (x.length * y.length > CELLS_MAX) {
    out.push(...x.map((line): DiffLine => ['-', line]), ...y.map((line): DiffLine => ['+', line]));
  } else {
    // common[i][j]: how many lines x from i and y from j have in common.
    const width = y.length + 1;
    const common = new Uint16Array((x.length + 1) * width);
    for (let i = x.length - 1; i >= 0; i--) {
      for (let j = y.length - 1; j >= 0; j--) {
        common[i * width + j] = x[i] === y[j] ? common[(i + 1) * width + j + 1]! + 1 : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
      }
    }
    for (let i = 0, j = 0; i < x.length || j < y.length; ) {
      if (i < x.length && j < y.length && x[i] === y[j]) {
        out.push([' ', x[i]!]);
        i++;
        j++;
      } else if (j >= y.length || (i < x.length && common[(i + 1) * width + j]! >= common[i * width + j + 1]!)) out.push(['-', x[i++]!]);
      else out.push(['+', y[j++]!]);
    }
  }
  out.push(...a.slice(a.length - tail).map((line): DiffLine => [' ', line]));
  return out;
}

// Only what changed, with `around` lines beside it; a gap is [' ', '…'].
export function changesOnly(lines: DiffLine[], around = 2): DiffLine[] {
  const near = lines.map(() => false);
  lines.forEach(([mark], i) => {
    if (mark !== ' ') for (let k = Math.max(0, i - around); k <= Math.min(lines.length - 1, i + around); k++) near[k] = true;
  });
  const out: DiffLine[] = [];
  lines.forEach((line, i) => {
    if (near[i]) out.push(line);
    else if (i === 0 || near[i - 1]) out.push([' ', '…']);
  });
  return out;
}
