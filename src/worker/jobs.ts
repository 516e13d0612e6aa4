/** Which jobs run when: those on one database one after another, others side by side up to a limit. */
export class Jobs {
  readonly #most: number;
  readonly #last = new Map<string, Promise<unknown>>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(most: number) {
    this.#most = Math.max(1, most);
  }

  /** Runs `job` after all earlier jobs that share one of its `keys`, and when there is room. */
  async run<T>(keys: readonly string[], job: () => Promise<T>): Promise<T> {
    const before = Promise.all(keys.map((key) => this.#last.get(key) ?? Promise.resolve()));
    const result = before.then(() => this.#withRoom(job));
    const settled = result.then(
      () => undefined,
      () => undefined,
    );
    for (const key of keys) this.#last.set(key, settled);
    void settled.then(() => {
      for (const key of keys) if (this.#last.get(key) === settled) this.#last.delete(key);
    });
    return result;
  }

  async #withRoom<T>(job: () => Promise<T>): Promise<T> {
    // A freed place is handed to the next in line, so that no job overtakes.
    if (this.#running >= this.#most)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await job();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
