import type {
  ContentSearch as ContentSearchRequest,
  FoundByContent,
  SearchedFolder,
} from '../core/catalog/byContent.ts';
import { isInside } from '../core/catalog/folderSetting.ts';
import type { WorkerClient } from '../worker/client.ts';
import type { Log } from './log.ts';

/** So long a search may take on a workspace that is large or slow. */
const limitMs = 5_000;
/** A file system that does not answer is left alone after so long. */
const hangsAfterMs = 30_000;
const newFilesSettleMs = 2_000;
/** A program that makes a database may not have written to it yet. */
const mostLooksAtFile = 3;
const mostFilesLookedAt = 10_000;

/** Where to search, and what to pass over. */
interface Where {
  places: SearchedFolder[];
  leaveOut: string[];
}

interface Parts {
  worker: WorkerClient;
  log: Pick<Log, 'info' | 'error'>;
  where: () => Promise<Where>;
  /** True for a database that is shown already. */
  isKnown: (path: string) => boolean;
  /** Called when something was found, or has vanished, outside of `search`. */
  onNews: () => void;
}

/** The databases of the workspace that only their content tells. They are searched for beside everything else. */
export class ContentSearch {
  readonly #parts: Parts;
  #paths = new Set<string>();
  /** Since the last search began. */
  #addedMeanwhile: string[] = [];
  #isComplete = true;
  #searched = '';
  #running: Promise<boolean> | undefined;
  #again = false;
  readonly #looks = new Map<string, number>();
  #newFiles = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  readonly #ended = new AbortController();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get paths(): readonly string[] {
    return [...this.#paths];
  }

  /** False when the last search stopped before it had seen all files. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Searches everywhere; true when the result is another one. Calls during a search are answered by one more. */
  async search(): Promise<boolean> {
    if (this.#running !== undefined) {
      this.#again = true;
      return this.#running;
    }
    this.#running = this.#searchUntilSettled();
    try {
      return await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  /** Searches when the settings or the folders have changed since the last search. */
  async searchIfMoved(): Promise<void> {
    if (JSON.stringify(await this.#parts.where()) === this.#searched) return;
    if (await this.search()) this.#parts.onNews();
  }

  /** A file has come: it may be a database, or tell by its name that there is one beside it. */
  noteNewFile(path: string, sizeBytes: number): void {
    const database = path.replace(/(?<=[^/\\])-(wal|journal)$/, '');
    if (database !== path) this.#lookSoon(database);
    if (sizeBytes > 0 && sizeBytes % 512 === 0) this.#lookSoon(path);
  }

  /** What is not there any more. */
  forget(path: string): void {
    this.#paths.delete(path);
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#ended.abort();
  }

  async #searchUntilSettled(): Promise<boolean> {
    let isNews = false;
    do {
      this.#again = false;
      const where = await this.#parts.where();
      const isElsewhere = JSON.stringify(where) !== this.#searched;
      this.#searched = JSON.stringify(where);
      isNews = (await this.#searchOnce(where, isElsewhere)) || isNews;
    } while (this.#again);
    return isNews;
  }

  async #searchOnce(where: Where, isElsewhere: boolean): Promise<boolean> {
    const before = this.#paths;
    const wasComplete = this.#isComplete;
    this.#addedMeanwhile = [];
    try {
      const { paths, complete } =
        where.places.length === 0
          ? { paths: [], complete: true }
          : await this.#call({ ...where, limitMs });
      if (!complete) this.#parts.log.info('Not all files were looked at for databases by content.');
      // A search that stopped early has not seen that something vanished.
      const kept = complete || isElsewhere ? this.#addedMeanwhile : this.#paths;
      this.#paths = new Set([...paths, ...kept]);
      this.#isComplete = complete;
    } catch (error) {
      this.#tell(error);
      this.#isComplete = false;
    }
    const isSame =
      before.size === this.#paths.size && [...before].every((path) => this.#paths.has(path));
    return !isSame || wasComplete !== this.#isComplete;
  }

  #lookSoon(path: string): void {
    const looks = this.#looks.get(path) ?? 0;
    if (this.#paths.has(path) || looks >= mostLooksAtFile) return;
    if (looks === 0 && this.#looks.size >= mostFilesLookedAt) return;
    this.#newFiles.add(path);
    this.#timer ??= setTimeout(() => void this.#lookAtNewFiles(), newFilesSettleMs);
  }

  async #lookAtNewFiles(): Promise<void> {
    const files = [...this.#newFiles];
    this.#newFiles = new Set();
    this.#timer = undefined;
    try {
      const where = await this.#parts.where();
      // Most are backups, or have the name of a database and are known by now.
      const only = files.filter(
        (path) =>
          !this.#parts.isKnown(path) && !where.leaveOut.some((folder) => isInside(path, folder)),
      );
      if (only.length === 0) return;
      for (const path of only) this.#looks.set(path, (this.#looks.get(path) ?? 0) + 1);
      const { paths } = await this.#call({ ...where, only, limitMs });
      if (paths.length === 0) return;
      for (const path of paths) this.#paths.add(path);
      this.#addedMeanwhile.push(...paths);
      this.#parts.onNews();
    } catch (error) {
      this.#tell(error);
    }
  }

  #call(params: ContentSearchRequest): Promise<FoundByContent> {
    const options = { signal: this.#ended.signal, deadlineMs: hangsAfterMs };
    return this.#parts.worker.call('findByContent', params, options);
  }

  #tell(error: unknown): void {
    if (!this.#ended.signal.aborted)
      this.#parts.log.error('Looking for databases by content failed', error);
  }
}
