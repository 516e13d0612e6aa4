import type { CatalogEntry } from '../core/catalog.ts';
import { newestFirst } from '../core/names.ts';
import type { WorkerClient } from '../worker/client.ts';
import type { Log } from './log.ts';

/** What was last seen in each backups folder; only what has changed since is read again. */
export class Catalogs {
  readonly #worker: WorkerClient;
  readonly #log: Log;
  readonly #seen = new Map<string, CatalogEntry[]>();

  constructor(worker: WorkerClient, log: Log) {
    this.#worker = worker;
    this.#log = log;
  }

  /**
   * The backups in `folder`, newest first. An unusable folder has none: the first attempt to write there says what is
   * wrong with it.
   */
  async list(folder: string): Promise<CatalogEntry[]> {
    const before = this.#seen.get(folder) ?? [];
    try {
      const known = Object.fromEntries(before.map(({ path, stamp }) => [path, stamp]));
      const { entries, unchanged } = await this.#worker.call('list', { folder, known });
      const isUnchanged = new Set(unchanged);
      const all = merge(
        before.filter(({ path }) => isUnchanged.has(path)),
        entries,
      );
      this.#seen.set(folder, all);
      return all;
    } catch (error) {
      this.#log.error(`The backups in ${folder} could not be listed`, error);
      this.#seen.delete(folder);
      return [];
    }
  }
}

/** Both are newest first already, and mostly one of them is short. */
function merge(left: CatalogEntry[], right: CatalogEntry[]): CatalogEntry[] {
  if (right.length === 0) return left;
  return [...left, ...right].sort(newestFirst);
}
