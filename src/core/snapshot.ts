/*
 * Consistent copies of live databases, proved and published. The order of the steps is the guarantee:
 * look at the files -> make sure of the target -> pin an instant -> copy -> unpin -> compare and check the copies ->
 * hash -> publish. Until the last step nothing exists under a final name, and the sources are only ever read.
 */
import { statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { takeCut } from './cut.ts';
import {
  BackupError,
  explain,
  fromPlainError,
  isBackupError,
  toPlainError,
  type PlainError,
} from './errors.ts';
import {
  createPrivateFile,
  fileIdentity,
  makePrivateFolder,
  prepareFolder,
  publishPair,
  sha256File,
  syncFileBeside,
  sweepLeftovers,
} from './files.ts';
import { readGitHead } from './gitHead.ts';
import {
  boundTables,
  manifestFormat,
  serializeManifest,
  type CutLabel,
  type Facts,
  type Finding,
  type Manifest,
  type Method,
  type Trigger,
} from './manifest.ts';
import { snapshotNames } from './names.ts';
import { PinWatch } from './pinWatch.ts';
import {
  inspectSource,
  openWherePossible,
  requireSize,
  requireSpace,
  retarget,
  type Source,
} from './source.ts';
import {
  checkDatabase,
  compactInto,
  differingFacts,
  pin,
  settleCopy,
  sqliteVersion,
  type Check,
  type Contents,
  type Pin,
} from './sqlite.ts';

/** The last four are those of a restore. */
type Phase = 'copy' | 'check' | 'hash' | 'publish' | 'compare' | 'stage' | 'move' | 'prove';

/**
 * Bytes of the phase over all databases; a comparison counts tables. A check, and compacting, have no measurable
 * progress: they report 0 done.
 */
export interface Progress {
  phase: Phase;
  doneBytes: number;
  totalBytes: number;
}

/** How a manifest names a database: `path` relative to the folder called `workspace`. */
export interface RecordAs {
  path: string;
  workspace?: string;
}

export interface SnapshotOptions {
  /** The backups folder; made when it is missing. */
  folder: string;
  method: Method;
  trigger: Trigger;
  /** Whether to check the copies with SQLite and to count rows. Size, facts and hash are always looked at. */
  verify: boolean;
  /** How long to wait for another program's lock, in ms. */
  busyTimeoutMs: number;
  /** Databases larger than this are refused before anything is written. */
  largestBytes: number;
  /** Of this extension, for the manifest. */
  toolVersion: string;
}

export interface SnapshotRequest extends SnapshotOptions {
  /** The live database. A symbolic link is followed. */
  database: string;
  recordAs: RecordAs;
}

export interface SnapshotsRequest extends SnapshotOptions {
  databases: { database: string; recordAs: RecordAs }[];
}

export interface SnapshotHooks {
  /** Called between steps; what it throws ends the job and leaves nothing behind. */
  onProgress: (progress: Progress) => void;
  /** Called once when all is proved. After it resolves the job can no longer be cancelled; a rejection ends it. */
  beforePublish: () => Promise<void>;
  /** SHA-256 of a file beside this thread's own work. Without it, the file is hashed here. */
  hashBeside?: (path: string) => Promise<string>;
}

export interface Snapshot {
  path: string;
  manifestPath: string;
  /** The database as asked for. */
  requested: string;
  /** Its real path. */
  database: string;
  manifest: Manifest;
  durationMs: number;
}

export interface Snapshots {
  snapshots: Snapshot[];
  /** The databases, as asked for, that have no backup now. */
  failures: { database: string; error: PlainError }[];
  /** Whether the snapshots share an instant, and why not. */
  cut: { label: CutLabel; reason?: string };
}

/** Takes one snapshot. Throws a BackupError; whatever it throws, nothing is left under a final name. */
export async function takeSnapshot(
  { database, recordAs, ...options }: SnapshotRequest,
  hooks: SnapshotHooks,
): Promise<Snapshot> {
  const { snapshots, failures } = await takeSnapshots(
    { ...options, databases: [{ database, recordAs }] },
    hooks,
  );
  const [snapshot] = snapshots;
  if (snapshot !== undefined) return snapshot;
  throw fromPlainError(failures[0]?.error ?? toPlainError(new Error('nothing was backed up')));
}

/**
 * Takes snapshots of several databases, at one instant where that can be had. What is wrong with one database is in
 * `failures`, and the others go on; what is wrong with the target ends all. A file under two names is backed up once.
 */
export async function takeSnapshots(
  request: SnapshotsRequest,
  hooks: SnapshotHooks,
): Promise<Snapshots> {
  const job = new Job(request, hooks);
  return job.run();
}

interface Member {
  /** As asked for. */
  database: string;
  recordAs: RecordAs;
  source: Source;
}

interface Copied extends Member {
  /** The private copy. */
  copy: string;
  /** Of the database at the instant of the copy. */
  journalMode: string;
  contents: Contents;
  at: Date;
  warnings: Finding[];
}

interface Proved extends Copied {
  /** Undefined when no check was asked for. */
  check: Check | undefined;
  sha256: string;
  sizeBytes: number;
}

/** One run over one or several databases. */
class Job {
  readonly #request: SnapshotsRequest;
  readonly #hooks: SnapshotHooks;
  readonly #startedAt = performance.now();
  readonly #failures: Snapshots['failures'] = [];
  #cut: Snapshots['cut'] = { label: 'one-instant' };
  /** The real path of the backups folder. */
  #folder = '';
  /** A private folder in it. */
  #scratch = '';

  constructor(request: SnapshotsRequest, hooks: SnapshotHooks) {
    this.#request = request;
    this.#hooks = hooks;
  }

  async run(): Promise<Snapshots> {
    const members = this.#inspectAll();
    const snapshots = members.length === 0 ? [] : await this.#runIn(members);
    return { snapshots, failures: this.#failures, cut: this.#cut };
  }

  async #runIn(members: Member[]): Promise<Snapshot[]> {
    const target = prepareFolder(this.#request.folder);
    this.#folder = target.path;
    try {
      const stuck = await sweepLeftovers(target.path);
      requireSpace(target.path, sum(members.map(({ source }) => source.sizeBytes)));
      const scratch = makePrivateFolder(target.path);
      this.#scratch = scratch.path;
      try {
        const copied =
          this.#request.method === 'compact'
            ? this.#compactAll(members)
            : await this.#copyAll(members);
        const proved = await this.#proveAll(copied);
        if (proved.length === 0) return [];
        await this.#hooks.beforePublish();
        return this.#publishAll(proved, stuck);
      } finally {
        scratch.remove();
      }
    } catch (error) {
      throw explain(error, 'target', target.path);
    } finally {
      target.undo(); // Removes only what this run has made and left empty.
    }
  }

  #fail({ database }: { database: string }, error: unknown): void {
    this.#failures.push({ database, error: toPlainError(explain(error, 'target', this.#folder)) });
  }

  /** Runs `action` for one database; what it throws is that database's failure, unless the target is to blame. */
  #attempt<T>(one: { database: string }, action: () => T): T | undefined {
    try {
      return action();
    } catch (error) {
      if (isBackupError(error) && error.code === 'target-full') throw error;
      this.#fail(one, error);
      return undefined;
    }
  }

  #inspectAll(): Member[] {
    const members = new Map<string, Member>();
    for (const { database, recordAs } of this.#request.databases) {
      const source = this.#attempt({ database }, () =>
        inspectSource(database, this.#request.largestBytes),
      );
      if (source === undefined || members.has(source.identity)) continue;
      members.set(source.identity, { database, recordAs, source });
    }
    return [...members.values()];
  }

  async #copyAll(members: Member[]): Promise<Copied[]> {
    const readable = this.#findReadable(members);
    const held = await this.#pinAll(readable);
    const at = new Date();
    try {
      const totalBytes = sum(held.map(({ pin: { facts } }) => facts.pageCount * facts.pageSize));
      requireSpace(this.#folder, totalBytes);
      const copied: Copied[] = [];
      let before = 0;
      const watches = held.map(({ member, pin: { facts } }) => new PinWatch(member.source, facts));
      for (const [index, { member, pin: one }] of held.entries()) {
        const { facts } = one;
        const copy = join(this.#scratch, `copy-${index}.db`);
        try {
          await copyPinned(one, copy, this.#folder, (donePages) => {
            const doneBytes = before + donePages * facts.pageSize;
            requireSpace(this.#folder, totalBytes - doneBytes);
            for (const watch of watches.slice(index)) watch.look();
            this.#hooks.onProgress({ phase: 'copy', doneBytes, totalBytes });
          });
          one.release();
          const contents = settle(copy, facts, this.#folder);
          const { journalMode } = facts;
          const warnings = watches[index]?.findings() ?? [];
          copied.push({ ...member, copy, journalMode, contents, at, warnings });
        } catch (error) {
          if (isBackupError(error) && error.code === 'target-full') throw error;
          this.#fail(member, error);
        }
        before += facts.pageCount * facts.pageSize;
      }
      return copied;
    } finally {
      for (const { pin: one } of held) one.release();
    }
  }

  /** Opens each database once for a moment: what cannot be read must not keep the others from a shared instant. */
  #findReadable(members: Member[]): { member: Member; path: string }[] {
    return members.flatMap((member) => {
      const path = this.#attempt(member, () =>
        openWherePossible(member.source, this.#scratch, (candidate) => {
          pin(candidate, this.#request.busyTimeoutMs, member.source.path).release();
          return candidate;
        }),
      );
      return path === undefined ? [] : [{ member, path }];
    });
  }

  async #pinAll(
    readable: { member: Member; path: string }[],
  ): Promise<{ member: Member; pin: Pin }[]> {
    if (readable.length === 0) return [];
    const shownAs = new Map(readable.map(({ path, member }) => [path, member.source.path]));
    const { busyTimeoutMs, largestBytes } = this.#request;
    const { pins, failures, ...cut } = await takeCut(
      [...shownAs.keys()],
      (path, timeoutMs) => pin(path, timeoutMs, shownAs.get(path)),
      busyTimeoutMs,
    );
    // A copy by hand was made before the others were pinned.
    const byHand = readable.find(({ path, member }) => path !== member.source.path);
    this.#cut =
      byHand === undefined || readable.length === 1
        ? cut
        : {
            label: 'per-database',
            reason: `${byHand.member.source.path} is on a read-only medium.`,
          };
    return readable.flatMap(({ member, path }) => {
      const one = pins.get(path);
      if (one === undefined) {
        this.#fail(member, failures.get(path));
        return [];
      }
      const isAcceptable = this.#attempt(member, () => {
        // What is still in the WAL counts as well.
        requireSize(member.source.path, one.facts.pageCount * one.facts.pageSize, largestBytes);
        return true;
      });
      if (isAcceptable === true) return [{ member, pin: one }];
      one.release();
      return [];
    });
  }

  #compactAll(members: Member[]): Copied[] {
    if (members.length > 1) {
      this.#cut = {
        label: 'per-database',
        reason: 'Compacting cannot take part in a shared instant.',
      };
    }
    return members.flatMap((member, index) => {
      const copied = this.#attempt(member, () =>
        this.#compactOne(member, join(this.#scratch, `copy-${index}.db`)),
      );
      return copied === undefined ? [] : [copied];
    });
  }

  #compactOne(member: Member, copy: string): Copied {
    const { source } = member;
    this.#hooks.onProgress({ phase: 'copy', doneBytes: 0, totalBytes: source.sizeBytes });
    createPrivateFile(copy);
    const at = new Date();
    const watch = new PinWatch(source, undefined);
    const { before, after } = openWherePossible(source, this.#scratch, (path) => {
      try {
        const { busyTimeoutMs, verify: check } = this.#request;
        return compactInto(path, copy, { busyTimeoutMs, shownAs: source.path, check });
      } catch (error) {
        throw retarget(error, copy, { folder: this.#folder, wantedBytes: source.sizeBytes });
      }
    });
    const contents = settleIn(copy, this.#folder);
    const differs = (facts: Facts): Finding[] =>
      differingFacts({ ...facts, pageCount: contents.facts.pageCount }, contents.facts);
    if (differs(before).length > 0 && differs(after).length > 0)
      throw incomplete(differs(after), source.path);
    return {
      ...member,
      copy,
      journalMode: after.journalMode,
      contents,
      at,
      warnings: watch.findings(),
    };
  }

  async #proveAll(copied: Copied[]): Promise<Proved[]> {
    const totalBytes = sum(copied.map(({ copy }) => statSync(copy).size));
    const proved: Proved[] = [];
    let before = 0;
    for (const one of copied) {
      const sizeBytes = statSync(one.copy).size;
      // Started first, it runs beside the check, which keeps this thread busy.
      const hashing = this.#request.verify ? this.#hooks.hashBeside?.(one.copy) : undefined;
      const syncing = syncFileBeside(one.copy);
      syncing.catch(() => undefined); // It is awaited below; until then a failure must not count as unhandled.
      let check: Check | undefined;
      if (this.#request.verify) {
        this.#hooks.onProgress({ phase: 'check', doneBytes: before, totalBytes });
        check = this.#check(one.copy, sizeBytes);
      }
      const sha256 = await (hashing ??
        sha256File(one.copy, (bytes) =>
          this.#hooks.onProgress({ phase: 'hash', doneBytes: before + bytes, totalBytes }),
        ));
      await syncing;
      proved.push({ ...one, check, sha256, sizeBytes });
      before += sizeBytes;
    }
    return proved;
  }

  #check(copy: string, wantedBytes: number): Check {
    try {
      return checkDatabase(copy, { access: 'read-only' });
    } catch (error) {
      throw retarget(error, copy, { folder: this.#folder, wantedBytes });
    }
  }

  /** Publishes the good copies; keeps a damaged one under a name that nobody takes for a backup, and fails it. */
  #publishAll(proved: Proved[], stuck: string[]): Snapshot[] {
    const totalBytes = sum(proved.map(({ sizeBytes }) => sizeBytes));
    this.#hooks.onProgress({ phase: 'publish', doneBytes: totalBytes, totalBytes });
    const members = proved.filter(({ check }) => check?.status !== 'damaged').length;
    return proved.flatMap((one) => {
      const warnings = [...one.warnings, ...stuck.map(leftover)];
      const git = readGitHead(dirname(one.source.path));
      const manifest: Manifest = {
        ...this.#describe(one),
        ...(git !== undefined && { git }),
        ...(members > 1 && { cut: { ...this.#cut, members } }),
        ...(warnings.length > 0 && { warnings }),
      };
      const snapshot = this.#attempt(one, () => this.#publishOne(one, manifest));
      return snapshot === undefined ? [] : [snapshot];
    });
  }

  #describe({ at, recordAs, contents, journalMode, check, sha256, sizeBytes }: Proved): Manifest {
    const { method, trigger, toolVersion } = this.#request;
    return {
      format: manifestFormat,
      kind: 'snapshot',
      tool: { name: 'sqlite-backup', version: toolVersion, sqlite: sqliteVersion() },
      createdAt: at.toISOString(),
      source: recordAs,
      method,
      trigger,
      sizeBytes,
      sha256,
      facts: { ...contents.facts, journalMode },
      verdict:
        check === undefined
          ? { status: 'unchecked', findings: [] }
          : {
              status: check.status,
              checkedAt: new Date().toISOString(),
              findings: [...check.findings, ...check.remarks],
            },
      ...boundTables(check?.contents?.tables ?? contents.tables),
      ...(contents.migrations.length > 0 && { migrations: contents.migrations }),
    };
  }

  #publishOne({ database, source, copy }: Proved, manifest: Manifest): Snapshot {
    const names = snapshotNames(source.path, new Date(manifest.createdAt));
    const isDamaged = manifest.verdict.status === 'damaged';
    const { path, manifestPath } = publishPair(
      copy,
      this.#folder,
      isDamaged ? suspectNames(names) : names,
      () => serializeManifest(manifest),
    );
    if (isDamaged) throw damaged(source.path, path, manifest.verdict.findings);
    const durationMs = performance.now() - this.#startedAt;
    return { path, manifestPath, requested: database, database: source.path, manifest, durationMs };
  }
}

async function copyPinned(
  one: Pin,
  copy: string,
  folder: string,
  onStep: (donePages: number) => void,
): Promise<void> {
  try {
    createPrivateFile(copy);
    const created = fileIdentity(copy);
    await one.copyTo(copy, onStep);
    const sizeBytes = one.facts.pageCount * one.facts.pageSize;
    const actual = statSync(copy).size;
    if (fileIdentity(copy) === created && actual === sizeBytes) return;
    throw new BackupError('incomplete', `The copy has ${actual} of ${sizeBytes} bytes.`, {
      path: folder,
      hint: 'Try again.',
      facts: { reason: 'size' },
    });
  } catch (error) {
    const wantedBytes = one.facts.pageCount * one.facts.pageSize;
    throw retarget(error, copy, { folder, wantedBytes });
  }
}

/** Makes the copy stand alone, and insists that it says of itself what the pinned database said. */
function settle(copy: string, recorded: Facts, folder: string): Contents {
  const contents = settleIn(copy, folder);
  const differing = differingFacts(recorded, contents.facts);
  if (differing.length > 0) throw incomplete(differing, folder);
  return contents;
}

function settleIn(copy: string, folder: string): Contents {
  try {
    return settleCopy(copy);
  } catch (error) {
    throw retarget(error, copy, { folder, wantedBytes: statSync(copy).size });
  }
}

function incomplete([first]: Finding[], path: string): BackupError {
  return new BackupError('incomplete', `The copy differs from the database: ${first?.message}`, {
    path,
    hint: 'Try again.',
    facts: { reason: 'facts' },
  });
}

function damaged(database: string, suspect: string, findings: Finding[]): BackupError {
  const [first] = findings;
  return new BackupError(
    'corrupt',
    `${database} is damaged: ${first?.message ?? 'its check failed'}. This is no backup; the damaged copy is kept as ${basename(suspect)}.`,
    {
      path: database,
      hint: 'Restore it from an older backup, or try `sqlite3 DATABASE .recover` on the kept copy.',
      facts: { suspect, findings: findings.length },
    },
  );
}

function* suspectNames(names: Iterable<string>): Generator<string> {
  for (const name of names) yield `${name}.suspect`;
}

function leftover(name: string): Finding {
  return {
    code: 'leftover',
    message: `${name} was left by an interrupted backup and could not be removed.`,
  };
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
