/** What the page of a look inside a backup knows, and what a press on it does. Nothing here changes anything. */
import type { Comparison } from '../../core/compare/compare.ts';
import { type BackupError, isBackupError } from '../../core/errors.ts';
import type { Inside } from '../../core/inspect/inspect.ts';
import type { FirstRows, Glance } from '../../core/sqlite/peek.ts';
import type { WorkerClient } from '../../worker/client.ts';

/** The database at another moment, which the backup is compared with. */
export interface OtherMoment {
  id: 'before' | 'live';
  title: string;
  /** What is said instead, where there is nothing to compare with. */
  missing?: string;
  /** Of both files. */
  sizeBytes: number;
  /** A path that a worker may open. */
  path: () => Promise<string>;
}

export interface LookHost {
  worker: WorkerClient;
  path: string;
  member: string | undefined;
  /** A private copy of a member of a bundle, made when it is first needed. */
  copy: (() => Promise<string>) | undefined;
  moments: OtherMoment[];
  explain: (error: BackupError) => string;
  /** Does what a button says that is no matter of the page. */
  run: (action: LookAction) => Promise<void>;
}

export const lookActions = ['restore', 'compare', 'test', 'save', 'viewer'] as const;
export type LookAction = (typeof lookActions)[number];

interface OpenTable {
  from: number;
  rows?: FirstRows;
  error?: string;
}

export interface Change {
  moment: OtherMoment;
  status: 'offered' | 'running' | 'done' | 'failed' | 'missing';
  progress?: { done: number; total: number };
  comparison?: Comparison;
  error?: string;
}

/** Files of this size together are compared without being asked to. */
const comparedAtOnceBytes = 50_000_000;
/** The time of a comparison grows with the square of this. */
const comparedAtOnceTables = 5000;
const lookDeadlineMs = 60_000;
const tablesAtOnce = 200;
const rowsAtOnce = 100;

export class LookSession {
  readonly host: LookHost;
  readonly changes: Change[];
  readonly open = new Map<number, OpenTable>();
  glance: Glance | undefined;
  from = 0;
  error: string | undefined;
  schema: { isOpen: boolean; text?: string; isAll?: boolean; error?: string } = { isOpen: false };
  readonly #abort = new AbortController();
  readonly #onChange: () => void;
  #copy: Promise<string> | undefined;
  #working = 0;

  constructor(host: LookHost, onChange: () => void) {
    this.host = host;
    this.#onChange = onChange;
    this.changes = host.moments.map((moment) => ({
      moment,
      status: moment.missing === undefined ? 'offered' : 'missing',
    }));
  }

  get isBusy(): boolean {
    return this.#working > 0;
  }

  /** The first look; then what changed, one comparison after the other, where that is quick. */
  async start(): Promise<void> {
    await this.#lookFrom(0);
    if (this.glance === undefined || this.glance.total > comparedAtOnceTables) return;
    for (const change of this.changes) {
      const isQuick = change.moment.sizeBytes <= comparedAtOnceBytes;
      if (change.status === 'offered' && isQuick) await this.#compare(change);
    }
  }

  dispose(): void {
    this.#abort.abort();
  }

  async act(id: string): Promise<void> {
    const action = lookActions.find((one) => one === id);
    if (action !== undefined) return this.host.run(action);
    const change = this.changes.find(({ moment }) => id === `compare-${moment.id}`);
    if (change !== undefined) return this.#compare(change);
    if (id === 'schema') return this.#toggleSchema();
    if (id === 'tables.next') return this.#lookFrom(this.from + tablesAtOnce);
    if (id === 'tables.previous') return this.#lookFrom(Math.max(0, this.from - tablesAtOnce));
    const [, table, way] = /^t(\d+)(?:\.(next|previous))?$/.exec(id) ?? [];
    if (table !== undefined) await this.#act(Number(table), way);
  }

  async #act(table: number, way: string | undefined): Promise<void> {
    const open = this.open.get(table);
    if (way === undefined) {
      if (open !== undefined) {
        this.open.delete(table);
        return this.#onChange();
      }
      return this.#readRows(table, 0);
    }
    const step = way === 'next' ? rowsAtOnce : -rowsAtOnce;
    await this.#readRows(table, Math.max(0, (open?.from ?? 0) + step));
  }

  async #readRows(table: number, from: number): Promise<void> {
    const before = this.open.get(table);
    const wanted: OpenTable = {
      from: before?.from ?? 0,
      ...(before?.rows && { rows: before.rows }),
    };
    this.open.set(table, wanted);
    await this.#work(
      async (inside) => {
        const rows = await this.host.worker.call(
          'rowsInside',
          { ...inside, table, from },
          this.#options,
        );
        // It may have been closed meanwhile.
        if (this.open.get(table) === wanted) this.open.set(table, { from, rows });
      },
      (error) => {
        if (this.open.get(table) === wanted) this.open.set(table, { ...wanted, error });
      },
    );
  }

  async #lookFrom(from: number): Promise<void> {
    await this.#work(
      async (inside) => {
        this.glance = await this.host.worker.call('lookInside', { ...inside, from }, this.#options);
        this.from = from;
        this.open.clear();
      },
      (error) => (this.error = error),
    );
  }

  async #toggleSchema(): Promise<void> {
    this.schema.isOpen = !this.schema.isOpen;
    if (!this.schema.isOpen || this.schema.text !== undefined) return this.#onChange();
    await this.#work(
      async (inside) => {
        const found = await this.host.worker.call('schemaInside', inside, this.#options);
        this.schema = { isOpen: true, ...found };
      },
      (error) => (this.schema = { isOpen: true, error }),
    );
  }

  async #compare(change: Change): Promise<void> {
    if (change.status === 'running') return;
    change.status = 'running';
    await this.#work(
      async (inside) => {
        const here = inside.copy ?? inside.path;
        const other = await change.moment.path();
        const [left, right] = change.moment.id === 'before' ? [other, here] : [here, other];
        change.comparison = await this.host.worker.call(
          'compare',
          { left, right },
          {
            signal: this.#abort.signal,
            onProgress: ({ doneBytes: done, totalBytes: total }) => {
              change.progress = { done, total };
              this.#onChange();
            },
          },
        );
        change.status = 'done';
      },
      (error) => {
        change.error = error;
        change.status = 'failed';
      },
    );
  }

  get #options(): { signal: AbortSignal; deadlineMs: number } {
    return { signal: this.#abort.signal, deadlineMs: lookDeadlineMs };
  }

  async #inside(): Promise<Inside> {
    const { path, member, copy } = this.host;
    this.#copy ??= copy?.();
    return { path, member, copy: await this.#copy };
  }

  /** Draws before and after. What the page can say of a failure, it says; a page that is closed says nothing. */
  async #work(
    action: (inside: Inside) => Promise<void>,
    onError: (text: string) => void,
  ): Promise<void> {
    this.#working++;
    this.#onChange();
    try {
      await action(await this.#inside());
    } catch (error) {
      if (!isBackupError(error)) throw error;
      if (!this.#abort.signal.aborted) onError(this.host.explain(error));
    } finally {
      this.#working--;
      if (!this.#abort.signal.aborted) this.#onChange();
    }
  }
}
