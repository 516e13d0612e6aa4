import { createHash } from 'node:crypto';
import { stat } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { sep } from 'node:path';
import type { CatalogEntry } from '../core/catalog/catalog.ts';
import { newestFirst } from '../core/manifest/names.ts';
import { answers, hangs, laterAnswer, type WorkerClient } from '../worker/client.ts';
import type { Log } from './log.ts';

interface SeenFolder {
  entries: CatalogEntry[];
  /** How the folder looked just before; undefined when it could not be read. */
  look: string | undefined;
}

/** What `list` returns of a folder that it could not list. */
export const unlisted: CatalogEntry[] = [];

/** What was last seen in each backups folder; only what has changed since is read again. */
export class Catalogs {
  readonly #worker: WorkerClient;
  readonly #log: Pick<Log, 'error'>;
  readonly #seen = new Map<string, SeenFolder>();
  readonly #problems = new Map<string, string>();
  readonly #onAnswer: () => void;
  readonly #silent = new Set<string>();

  /** @param onAnswer Called when a folder answers again that did not. */
  constructor(
    worker: WorkerClient,
    log: Pick<Log, 'error'>,
    onAnswer: () => void = () => undefined,
  ) {
    this.#worker = worker;
    this.#log = log;
    this.#onAnswer = onAnswer;
  }

  /**
   * The backups in `folder`, newest first. An unusable folder has `unlisted`: `problemOf` says what is wrong with it.
   */
  async list(folder: string): Promise<CatalogEntry[]> {
    if (!(await answers(folder))) return this.#noteSilent(folder);
    // The look comes before the list: what changes while the list is made is seen by the next look.
    const look = await lookAt(folder);
    const seen = this.#seen.get(folder);
    if (look !== undefined && look === seen?.look) return seen.entries;
    const before = seen?.entries ?? [];
    try {
      const known = Object.fromEntries(before.map(({ path, stamp }) => [path, stamp]));
      const { entries: changed, unchanged } = await this.#worker.call('list', { folder, known });
      const isUnchanged = new Set(unchanged);
      const entries = merge(
        before.filter(({ path }) => isUnchanged.has(path)),
        changed,
      );
      this.#seen.set(folder, { entries, look });
      this.#problems.delete(folder);
      return entries;
    } catch (error) {
      return this.#noteProblem(folder, error);
    }
  }

  /** The log names each silence once: the folder is looked at again and again. */
  #noteSilent(folder: string): CatalogEntry[] {
    const isKnown = this.#silent.has(folder);
    if (!isKnown) {
      this.#silent.add(folder);
      void laterAnswer(folder)?.then(() => {
        this.#silent.delete(folder);
        this.#onAnswer();
      });
    }
    return this.#noteProblem(folder, hangs(folder), !isKnown);
  }

  #noteProblem(folder: string, error: unknown, isLogged = true): CatalogEntry[] {
    this.#seen.delete(folder);
    this.#problems.set(folder, error instanceof Error ? error.message : String(error));
    if (isLogged) this.#log.error(`The backups in ${folder} could not be listed`, error);
    return unlisted;
  }

  /** Why the folder could not be listed when that was tried last. */
  problemOf(folder: string): string | undefined {
    return this.#problems.get(folder);
  }
}

/** Both are newest first already, and mostly one of them is short. */
function merge(left: CatalogEntry[], right: CatalogEntry[]): CatalogEntry[] {
  if (right.length === 0) return left;
  return [...left, ...right].sort(newestFirst);
}

/**
 * Files that are looked at in one go: few, so that others get the threads of the system in between, and more where the disk
 * is quick, which saves a quarter of the time.
 */
const fewAtOnce = 256;
const manyAtOnce = 1024;
const quickMs = 10;

/**
 * Changes whenever a file in the folder comes, goes or is written to. Opens none of them, and a look at thousands takes
 * less time than the start of a worker does. Undefined where it cannot be looked.
 */
async function lookAt(folder: string): Promise<string | undefined> {
  const names = await readdir(folder).catch(() => undefined);
  if (names === undefined) return undefined;
  // The numbers are hashed as they are: to write them out takes as long as to ask for them.
  const states = new Float64Array(3 * names.length);
  let atOnce = fewAtOnce;
  for (let from = 0, to: number; from < names.length; from = to) {
    to = from + atOnce;
    const startedAt = performance.now();
    await lookAtAll(names.slice(from, to), folder, states.subarray(3 * from));
    const perFewMs = ((performance.now() - startedAt) * fewAtOnce) / atOnce;
    atOnce = perFewMs < quickMs ? manyAtOnce : fewAtOnce;
  }
  // No name of a file has a slash.
  return createHash('sha256').update(names.join('/')).update(states).digest('hex');
}

/** Gives each file three numbers in `states`. Uses callbacks, because promises take twice as long. */
function lookAtAll(names: string[], folder: string, states: Float64Array): Promise<void> {
  return new Promise((resolve) => {
    let left = names.length;
    for (const [index, name] of names.entries()) {
      stat(`${folder}${sep}${name}`, (error, stats) => {
        const state =
          error === null ? [stats.size, stats.mtimeMs, stats.ctimeMs] : [error.errno ?? -1, 0, 0];
        states.set(state, 3 * index);
        if (--left === 0) resolve();
      });
    }
  });
}
