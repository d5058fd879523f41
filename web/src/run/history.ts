// The history of one execution as it grows: its compact lines, folded into a Run, page after page while the server has more.
import { signal } from '@preact/signals';
import { ApiError, executionPath, get } from '../api';
import { Run } from './model';
import type { Line } from './model';

const PAGE = 5000;

export class History {
  readonly run = new Run();
  lines: Line[] = [];
  readonly version = signal(0);
  readonly error = signal<Error | undefined>(undefined);
  readonly complete = signal(false);
  private busy = false;
  private again = false;
  gone = false;

  constructor(private readonly arn: string) {}

  async more(): Promise<void> {
    if (this.busy) {
      this.again = true;
      return;
    }
    this.busy = true;
    try {
      for (;;) {
        const from = this.run.lastId + 1;
        const page = await get<{ events: Line[]; next: number | null }>(executionPath(this.arn, `/history?view=compact&limit=${PAGE}&from=${from}`));
        if (this.gone) return;
        const fresh = page.events.filter((line) => line[0] >= from);
        this.run.push(fresh);
        for (const line of fresh) this.lines.push(line);
        if (fresh.length > 0) this.version.value++;
        if (page.next === null) break;
      }
      this.error.value = undefined;
      this.complete.value = true;
    } catch (failure) {
      this.error.value = failure as Error;
      if (failure instanceof ApiError && (failure.status === 0 || failure.status === 503) && !this.gone) setTimeout(() => void this.more(), 2000);
    } finally {
      this.busy = false;
      if (this.again && !this.gone) {
        this.again = false;
        void this.more();
      }
    }
  }
}
