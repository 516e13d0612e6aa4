/** The restores of a workspace that a window which was closed, crashed or reloaded goes on with. */
import { isCopied, isUnderWay, setAsidesOf, type Run } from './run.ts';

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

  get all(): Record<string, Run> {
    return this.#memory.get<Record<string, Run>>(key) ?? {};
  }

  /** Those that were left before the backup was live. */
  get unfinished(): Run[] {
    return Object.values(this.all).filter((run) => isUnderWay(run) && !isCopied(run));
  }

  /** The one that has kept an old database under this path. */
  keeperOf(setAside: string): Run | undefined {
    return Object.values(this.all).find((run) => setAsidesOf(run).includes(setAside));
  }

  /** Forgets the oldest when there are many, and what is under way last. */
  async save(run: Run): Promise<void> {
    const others = Object.values(this.all)
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
