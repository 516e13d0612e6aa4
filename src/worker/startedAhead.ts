/** Processes that are given out once each, and of which the next one may be started before it is asked for. */
export class StartedAhead<T> {
  readonly #start: () => T;
  readonly #isAlive: (one: T) => boolean;
  #ready: T | undefined;

  constructor(start: () => T, isAlive: (one: T) => boolean) {
    this.#start = start;
    this.#isAlive = isAlive;
  }

  /** Starts the next one, unless it is there. */
  warm(): void {
    if (!this.#isReady(this.#ready)) this.#ready = this.#start();
  }

  take(): T {
    return this.takeReady() ?? this.#start();
  }

  /** Undefined where none is ready. */
  takeReady(): T | undefined {
    const ready = this.#ready;
    this.#ready = undefined;
    return this.#isReady(ready) ? ready : undefined;
  }

  #isReady(one: T | undefined): one is T {
    return one !== undefined && this.#isAlive(one);
  }
}
