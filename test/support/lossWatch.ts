/** Looks at one database as the loss alarm does, by the same rule, with the same worker and at the same pace. */
import { isBackupError } from '../../src/core/errors.ts';
import type { Counted } from '../../src/core/checkpoint/rows.ts';
import { findLosses, findLostColumns, lossText } from '../../src/core/manifest/loss.ts';
import { stateOf } from '../../src/editor/protection/liveState.ts';
import { lookMs, quietMs, Watched } from '../../src/editor/protection/watched.ts';
import type { ResidentClient } from '../../src/worker/residentClient.ts';

/** The look that sees the last change, those until it is quiet, and one for a timer that is a moment early. */
export const mostLooks = 1 + quietMs / lookMs + 1;

export class LossWatch {
  readonly #path: string;
  readonly #client: ResidentClient;
  readonly #watched = new Watched();
  readonly #timer: NodeJS.Timeout;
  #isLooking = false;
  #known: Counted | undefined;
  #failure: unknown;
  #told: { text: string; at: number; looks: number } | undefined;
  /** Looks so far. */
  looks = 0;

  constructor(path: string, client: ResidentClient) {
    this.#path = path;
    this.#client = client;
    this.#timer = setInterval(() => void this.#lookSafely(), lookMs);
  }

  get isKnown(): boolean {
    return this.#known !== undefined;
  }

  /** What the alarm says, when, and at which look. */
  get told(): { text: string; at: number; looks: number } | undefined {
    if (this.#failure !== undefined) throw this.#failure as Error;
    return this.#told;
  }

  async #lookSafely(): Promise<void> {
    if (this.#isLooking || this.#told !== undefined) return;
    this.#isLooking = true;
    try {
      await this.#look();
    } catch (error) {
      this.#failure = error;
    } finally {
      this.#isLooking = false;
    }
  }

  async #look(): Promise<void> {
    this.looks += 1;
    const looks = this.looks;
    const state = await stateOf(this.#path);
    if (!this.#watched.isDue({ state: state?.text, at: Date.now() })) return;
    this.#watched.settle(state?.text);
    const texts = state === undefined ? ['the file is gone'] : await this.#losses();
    if (texts.length > 0) this.#told = { text: texts.join('; '), at: Date.now(), looks };
  }

  async #losses(): Promise<string[]> {
    let counted: Counted;
    try {
      counted = await this.#client.call('countRows', {
        database: this.#path,
        busyTimeoutMs: 1000,
      });
    } catch (error) {
      if (isBackupError(error) && error.code === 'not-a-database') return [error.message];
      throw error;
    }
    const before = this.#known;
    this.#known = counted;
    if (before === undefined) return [];
    return [...findLosses(before, counted), ...findLostColumns(before, counted)].map((loss) =>
      lossText(loss, 'before'),
    );
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
