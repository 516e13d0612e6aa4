/**
 * When the rows of a database are counted again: soon after it was written, when it is quiet, and at the latest after a
 * while under a steady writer. Nothing here knows vscode, a clock or a disk.
 */
export const lookMs = 1000;
export const quietMs = 2000;
const longestMs = 60_000;

export interface Looks {
  /** Of the file and its WAL; undefined where there is no file. */
  state: string | undefined;
  /** ms since 1970. */
  at: number;
}

/** One database. */
export class Watched {
  /** What was counted last; undefined before the first time. */
  #counted: string | undefined;
  #seen: Looks | undefined;
  /** Since when something is not counted yet. */
  #changedAt: number | undefined;
  #isFirst = true;

  /** True when it is time to count, or to tell that the file is gone. */
  isDue({ state, at }: Looks): boolean {
    const isNew = this.#isFirst || state !== this.#seen?.state;
    if (isNew) this.#seen = { state, at };
    this.#isFirst = false;
    if (state === this.#counted) {
      this.#changedAt = undefined;
      return false;
    }
    this.#changedAt ??= at;
    const isQuiet = !isNew && at - (this.#seen?.at ?? at) >= quietMs;
    return isQuiet || at - this.#changedAt >= longestMs;
  }

  /** What is in this state is known, or is not to be known. */
  settle(state: string | undefined): void {
    this.#counted = state;
    this.#changedAt = undefined;
  }
}
