/**
 * What the tools of agents do, the same in the editor and by MCP. Paths are looked at before anything is opened, answers are
 * short and hold no values of cells. What is refused is refused in words: an agent reads them.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, dirname, relative, resolve, sep } from 'node:path';
import * as v from 'valibot';
import type { CatalogEntry } from '../core/catalog/catalog.ts';
import { isInside } from '../core/catalog/folderSetting.ts';
import type { Checkpoints } from '../core/checkpoint/checkpoint.ts';
import { isBackupError } from '../core/errors.ts';
import { realPathOf } from '../core/files/paths.ts';
import type { Cause } from '../core/manifest/manifest.ts';
import { formatBytes } from '../core/units.ts';
import type { Method, Params, Result } from '../worker/protocol.ts';
import { fitting } from './fitting.ts';
import { oneLine } from './hookEvent.ts';
import { comparisonLines, planLines, rowsOf } from './toolLines.ts';
import type { ToolName } from './toolList.ts';

export interface ToolHost {
  call<M extends Method>(method: M, params: Params<M>, deadlineMs: number): Promise<Result<M>>;
  checkpoint: (databases: readonly string[], cause: Cause) => Promise<Checkpoints>;
  /** The workspace: nothing outside of it is looked at. */
  folders: () => readonly string[];
  /** The folder for checkpoints, where it is not the data folder's. */
  checkpoints: () => string | undefined;
  backupsFolder: () => Promise<string | undefined>;
  now: () => number;
  /** Of the editor that opens links, where it is known: a build of its own has another one. */
  uriScheme?: string;
}

export interface ToolAnswer {
  text: string;
  isError: boolean;
}

const checkpointEveryMs = 5000;
const mostAtOnce = 2;
const answerWithinMs = 60_000;

class Refusal extends Error {}

interface Backup {
  id: string;
  path: string;
  createdAt: string;
  sizeBytes: number;
  verified: string;
  /** The database that it is of, as a real path. */
  database: string;
  what: string;
}

const id = v.pipe(v.string(), v.regex(/^b?[0-9a-f]{4,12}$/, 'A backup is named by its id.'));
const path = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));
const inputs = {
  'sqlite-backup_list_databases': v.object({}),
  'sqlite-backup_list_backups': v.object({
    database_path: path,
    limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(20)), 10),
  }),
  'sqlite-backup_create_checkpoint': v.object({
    database_paths: v.pipe(v.array(path), v.minLength(1), v.maxLength(20)),
    reason: v.string(),
  }),
  'sqlite-backup_compare': v.object({
    left: path,
    right: path,
    table: v.optional(v.string()),
  }),
  'sqlite-backup_verify': v.object({ backup_id: id }),
  'sqlite-backup_plan_restore': v.object({ backup_id: id }),
} as const satisfies Record<ToolName, v.GenericSchema>;
type Input<N extends ToolName> = v.InferOutput<(typeof inputs)[N]>;

export class AgentTools {
  readonly #host: ToolHost;
  /** When a checkpoint of a database was last asked for, in ms since 1970. */
  readonly #asked = new Map<string, number>();
  #running = 0;

  constructor(host: ToolHost) {
    this.#host = host;
  }

  /** Never rejects for what an agent can do wrong, nor for what can go wrong with a database. */
  async run(name: ToolName, input: unknown): Promise<ToolAnswer> {
    if (this.#running >= mostAtOnce)
      return refused('Two tools are at work already. Wait for their answers, then ask again.');
    this.#running += 1;
    try {
      return { text: fitting(await this.#lines(name, input)), isError: false };
    } catch (error) {
      if (error instanceof Refusal) return refused(error.message);
      if (!isBackupError(error)) throw error;
      return refused(
        oneLine(`${error.message}${error.hint === undefined ? '' : ` ${error.hint}`}`, 1000),
      );
    } finally {
      this.#running -= 1;
    }
  }

  /** The only backup of the workspace whose id begins so. */
  async find(named: string): Promise<Backup | undefined> {
    if (!v.is(id, named)) return undefined;
    try {
      return await this.#backup(named);
    } catch (error) {
      if (error instanceof Refusal) return undefined;
      throw error;
    }
  }

  /** What is known of it, as JSON. */
  async describe(named: string): Promise<string | undefined> {
    const backup = await this.find(named);
    if (backup === undefined) return undefined;
    const { id: of, createdAt, sizeBytes, verified, what, database } = backup;
    return JSON.stringify({
      ...{ id: of, createdAt, sizeBytes, verified, what },
      database: this.#shown(database),
    });
  }

  #lines(name: ToolName, input: unknown): Promise<string[]> {
    const given = <N extends ToolName>(of: N): Input<N> => {
      const result = v.safeParse(inputs[of], input ?? {});
      if (result.success) return result.output;
      const [issue] = result.issues;
      const key = issue.path?.map(({ key: part }) => String(part)).join('.') ?? 'the arguments';
      throw new Refusal(oneLine(`${key}: ${issue.message}`));
    };
    switch (name) {
      case 'sqlite-backup_list_databases':
        return this.#listDatabases();
      case 'sqlite-backup_list_backups':
        return this.#listBackups(given(name));
      case 'sqlite-backup_create_checkpoint':
        return this.#createCheckpoint(given(name));
      case 'sqlite-backup_compare':
        return this.#compare(given(name));
      case 'sqlite-backup_verify':
        return this.#verify(given(name));
      case 'sqlite-backup_plan_restore':
        return this.#planRestore(given(name));
    }
  }

  async #listDatabases(): Promise<string[]> {
    const lines: string[] = [];
    for (const folder of this.#roots()) {
      const { databases } = await this.#call('find', { folder });
      for (const { path: found, sizeBytes, journalMode } of databases)
        lines.push(`${oneLine(found, 500)}  ${formatBytes(sizeBytes)}  ${journalMode}`);
    }
    return lines.length === 0 ? ['There is no SQLite database in the workspace.'] : lines;
  }

  async #listBackups({
    database_path,
    limit,
  }: Input<'sqlite-backup_list_backups'>): Promise<string[]> {
    // It may be gone: then its backups are what is asked for.
    const database = this.#inside(database_path);
    const own = (await this.#backups()).filter((one) => one.database === database);
    if (own.length === 0) return [`There is no backup of ${this.#shown(database)}.`];
    const rest = own.length - limit;
    return [
      ...own
        .slice(0, limit)
        .map(
          (one) =>
            `${one.id}  ${one.createdAt}  ${formatBytes(one.sizeBytes)}  ${one.verified}  ${one.what}`,
        ),
      ...(rest > 0 ? [`and ${rest} older ones`] : []),
    ];
  }

  async #createCheckpoint({
    database_paths,
    reason,
  }: Input<'sqlite-backup_create_checkpoint'>): Promise<string[]> {
    // What is asked for too often costs no look at the file.
    for (const one of database_paths) {
      const database = this.#inside(one);
      const left = (this.#asked.get(database) ?? -Infinity) + checkpointEveryMs - this.#host.now();
      if (left > 0)
        throw new Refusal(
          `${this.#shown(database)} was saved just now. Ask again in ${Math.ceil(left / 1000)} s.`,
        );
    }
    const databases: string[] = [];
    for (const one of database_paths) databases.push(await this.#databaseAt(one));
    for (const database of databases) this.#asked.set(database, this.#host.now());
    const taken = await this.#host.checkpoint(databases, { kind: 'agent', text: oneLine(reason) });
    return [
      ...taken.failures.map(
        ({ database, error }) =>
          `${this.#shown(database)}: NOT saved. ${oneLine(error.message, 500)}`,
      ),
      ...taken.checkpoints.map(
        ({ database, id: of }) => `${this.#shown(database)}: saved as ${of}`,
      ),
      ...taken.unchanged.map(
        ({ database, id: of }) => `${this.#shown(database)}: unchanged since ${of}`,
      ),
    ];
  }

  async #compare({ left, right, table }: Input<'sqlite-backup_compare'>): Promise<string[]> {
    const [a, b] = [await this.#either(left), await this.#either(right)];
    const deadlineMs = answerWithinMs / 2;
    const comparison = await this.#call('compare', { left: a.path, right: b.path, deadlineMs });
    return comparisonLines(comparison, { left: a.name, right: b.name, table });
  }

  async #verify({ backup_id }: Input<'sqlite-backup_verify'>): Promise<string[]> {
    const { id: of, path: file } = await this.#backup(backup_id);
    const { status, findings } = await this.#call('verify', {
      ...{ path: file, folder: dirname(file), drill: false },
    });
    return [
      `${of}: ${verdictWords[status]}`,
      ...findings.map(({ message }) => oneLine(message, 300)),
    ];
  }

  async #planRestore({ backup_id }: Input<'sqlite-backup_plan_restore'>): Promise<string[]> {
    const { id: of, path: file, database } = await this.#backup(backup_id);
    const plan = await this.#call('planRestore', { backup: file, items: [{ target: database }] });
    return [
      `Restore of ${of} over ${this.#shown(database)}. Nothing has been done.`,
      `The backup is ${verdictWords[plan.verified]}.`,
      ...planLines(plan),
      `The person opens it here: ${this.#host.uriScheme ?? 'vscode'}://sqlite-backup.sqlite-backup/runbook?backup=${of}`,
    ];
  }

  #call<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
    return this.#host.call(method, params, answerWithinMs);
  }

  #roots(): string[] {
    const folders = this.#host.folders().map((folder) => realPathOf(folder));
    if (folders.length === 0) throw new Refusal('No folder is open.');
    return folders;
  }

  #isInside(real: string): boolean {
    return this.#roots().some((root) => real !== root && isInside(real, root));
  }

  /** Where the database of a backup of ours lies; undefined where that cannot be told, as of another project's. */
  #databaseOf({ kept, database, workspace }: CatalogEntry): string | undefined {
    if (kept?.livePath !== undefined) return realPathOf(kept.livePath);
    if (database === undefined) return undefined;
    const roots = this.#roots();
    // Made outside of a workspace, by the command line: then only a database that is there can be meant.
    const [only, ...others] =
      workspace === undefined
        ? roots.filter((root) => existsSync(resolve(root, database)))
        : roots.filter((root) => basename(root) === workspace);
    return only === undefined || others.length > 0
      ? undefined
      : realPathOf(resolve(only, database));
  }

  /** The real path of what lies in the workspace, there or not. The words are the same whatever is outside. */
  #inside(given: string): string {
    const [root = '.'] = this.#roots();
    const real = given.includes('\0') ? undefined : realPathOf(resolve(root, given));
    if (real === undefined || !this.#isInside(real))
      throw new Refusal(`${oneLine(given)} is not in the workspace.`);
    return real;
  }

  /** The same, of a file that is a SQLite database by its header. */
  async #databaseAt(given: string): Promise<string> {
    const real = this.#inside(given);
    const { databases, skipped } = await this.#call('inspect', { paths: [real] });
    if (databases.length > 0) return real;
    throw new Refusal(
      `${this.#shown(real)} is no live SQLite database: ${skipped[0]?.reason ?? ''}`,
    );
  }

  async #either(given: string): Promise<{ path: string; name: string }> {
    if (!v.is(id, given)) {
      const real = await this.#databaseAt(given);
      return { path: real, name: this.#shown(real) };
    }
    const { id: of, path: file } = await this.#backup(given);
    return { path: file, name: of };
  }

  /** The only one in the workspace whose id begins so. */
  async #backup(named: string): Promise<Backup> {
    const found = (await this.#backups()).filter((one) => one.id.startsWith(named));
    const [only] = found;
    if (only === undefined) throw new Refusal(`There is no backup ${named} of this workspace.`);
    if (found.some((one) => one.id !== only.id))
      throw new Refusal(`${named} is the beginning of several ids. Give more digits.`);
    return only;
  }

  /** Those of databases of the workspace, newest first. */
  async #backups(): Promise<Backup[]> {
    const { host, all } = { host: this.#host, all: [] as Backup[] };
    const checkpoints = host.checkpoints();
    for (const one of await this.#call('listCheckpoints', { checkpoints })) {
      const { createdAt, sizeBytes, verdict, livePath, cause, tables } = one.manifest;
      // The path in `source` is one for people. Without the real one it is not known whose it is.
      if (livePath === undefined) continue;
      const why = [cause?.kind ?? 'checkpoint', ...(cause?.text ? [cause.text] : [])].join(': ');
      all.push({
        ...{
          id: one.id,
          path: one.path,
          createdAt,
          sizeBytes,
          verified: verdictWords[verdict.status],
        },
        ...{ database: realPathOf(livePath), what: `${oneLine(why, 80)}${rowsOf(tables)}` },
      });
    }
    const folder = await host.backupsFolder();
    if (folder !== undefined)
      for (const entry of (await this.#call('list', { folder })).entries) {
        if (entry.kept === undefined || entry.kind !== 'snapshot') continue;
        const database = this.#databaseOf(entry);
        if (database === undefined) continue;
        const hash = createHash('sha256').update(entry.path).digest('hex').slice(0, 11);
        all.push({
          ...{
            id: `b${hash}`,
            path: entry.path,
            createdAt: entry.createdAt,
            sizeBytes: entry.sizeBytes,
          },
          ...{ verified: verdictWords[entry.verified], database, what: 'backup' },
        });
      }
    return all
      .filter((one) => this.#isInside(one.database))
      .sort((a, b) => b.createdAt.localeCompare(a.createdAt));
  }

  #shown(real: string): string {
    const root = this.#roots().find((one) => real.startsWith(one + sep));
    return oneLine(root === undefined ? basename(real) : relative(root, real), 300);
  }
}

const verdictWords = {
  ok: 'verified',
  partial: 'verified as far as possible',
  unchecked: 'not checked yet',
  damaged: 'DAMAGED',
} as const;

function refused(text: string): ToolAnswer {
  return { text: fitting([text]), isError: true };
}
