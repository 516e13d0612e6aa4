/** The restores of a workspace that a window which was closed, crashed or reloaded goes on with. */
import { isCopied, isUnderWay, type Run } from './run.ts';
import { parseRun } from './storedRun.ts';

/** The part of a memento of VS Code that is needed. */
export interface Memory {
  get: <T>(key: string) => T | undefined;
  update: (key: string, value: unknown) => Thenable<void>;
}

const key = 'runbooks';
const mostRemembered = 20;

export class RememberedRuns {
  readonly #memory: Memory;

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  get all(): Run[] {
    const stored = this.#memory.get<unknown>(key);
    if (typeof stored !== 'object' || stored === null) return [];
    return Object.values(stored).flatMap((one) => parseRun(one) ?? []);
  }

  find(id: string): Run | undefined {
    return this.all.find((run) => run.id === id);
  }

  /** Those that were left before the backup was live. */
  get unfinished(): Run[] {
    return this.all.filter((run) => isUnderWay(run) && !isCopied(run));
  }

  /** Forgets the oldest when there are many, and what is under way last. */
  async save(run: Run): Promise<void> {
    const others = this.all
      .filter(({ id }) => id !== run.id)
      .sort(
        (a, b) =>
          Number(isUnderWay(b)) - Number(isUnderWay(a)) || b.startedAt.localeCompare(a.startedAt),
      )
      .slice(0, mostRemembered - 1);
    const kept = Object.fromEntries([run, ...others].map((one) => [one.id, one]));
    await this.#memory.update(key, kept);
  }
}
