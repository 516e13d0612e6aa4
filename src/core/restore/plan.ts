/** What a restore would do: only reads, and leaves nothing beside target or backup. */
import { lstatSync } from 'node:fs';
import { compareDatabases, type Comparison } from '../compare/compare.ts';
import { explain, isBackupError } from '../errors.ts';
import { findHolders, type Holder, type HoldersKnown } from '../holders/holders.ts';
import type { SnapshotHooks } from '../job.ts';
import type { Finding, OutOfStep, TableFacts, VerdictStatus } from '../manifest/manifest.ts';
import { describeDatabase } from '../sqlite/contents.ts';
import { withReadableCopy } from '../sqlite/guardedCopy.ts';
import { readHeader } from '../sqlite/header.ts';
import {
  compareMigrations,
  type MigrationComparison,
  type MigrationState,
} from '../sqlite/migrations.ts';
import { withReadable } from '../sqlite/readable.ts';
import { liveStateOf, siblingsOf } from '../sqlite/siblings.ts';
import type { RestoreRequest } from './request.ts';
import {
  factsOf,
  inspectBackup,
  type InspectedBackup,
  type SourceFacts,
  withSource,
} from './source.ts';
import { surroundingsOf } from './surroundings.ts';
import { resolveTargets, type Target } from './target.ts';

export interface PlanRequest extends RestoreRequest {
  /** Takes the verdict from the manifest instead of checking the backup anew. */
  trustManifest?: boolean;
}

export type TargetState =
  | 'missing'
  | 'readable'
  | 'empty'
  | 'damaged'
  | 'not-a-database'
  | 'unreadable';

export interface TableChange {
  name: string;
  /** Rows that only the live database has: what the restore would lose. */
  lost: number;
  /** Rows that only the backup has. */
  gained: number;
  changed: number;
  /** False when the numbers could not be found out; `notCompared` says why. */
  compared: boolean;
  /** The side that has the table, when the other one does not, not even an empty one. */
  only?: 'live' | 'backup';
}

export interface PlannedItem {
  member?: string;
  /** Absolute, as asked for. */
  target: string;
  /** The file itself, behind symbolic links. */
  realTarget: string;
  targetExists: boolean;
  targetState: TargetState;
  /** Why the state is not `readable` or `missing`. */
  targetReason?: string;
  targetSizeBytes: number;
  /** Of the existing target; undefined where there is none, and on Windows. */
  permissions?: { mode: number; uid: number; gid: number };
  /** The siblings that exist: `-wal`, `-shm`, `-journal`. */
  siblings: string[];
  holders: Holder[];
  holdersKnown: HoldersKnown;
  /** Empty when there is no live database that could be read. */
  tables: TableChange[];
  notCompared: { name: string; reason: string }[];
  schema: {
    same: boolean;
    /** Statements only in the live database with `- `, only in the backup with `+ `. */
    diff: string;
  };
  migrations: MigrationComparison;
  /** Changes when the live database does: a preview with another one is stale. */
  liveState: string;
  /** What the backup holds for this item. */
  source: {
    sha256?: string;
    sizeBytes: number;
    /** Of the application; the backup itself is in rollback mode. */
    journalMode: string;
    tables?: TableFacts[];
  };
}

/** What a restore would do. */
export interface RestorePlan {
  /** Absolute. */
  backup: string;
  kind: 'snapshot' | 'bundle';
  /** ISO 8601; of a backup without a manifest, when the file was last written. */
  createdAt: string;
  sizeBytes: number;
  verified: VerdictStatus;
  /** Present when the backup has all rows, and something derived that does not fit them. */
  outOfStep?: OutOfStep[];
  findings: Finding[];
  items: PlannedItem[];
}

const busyTimeoutMs = 5000;

type Tell = SnapshotHooks['onProgress'];

/** Throws a BackupError when the backup cannot be read at all, or a target cannot be one. Damage is part of the plan. */
export async function planRestore(
  { backup, items, trustManifest = false }: PlanRequest,
  { onProgress }: Pick<SnapshotHooks, 'onProgress'>,
): Promise<RestorePlan> {
  const members = items.map(({ member }) => member);
  const inspected = await inspectBackup(backup, members, { trustManifest }, onProgress);
  const targets = resolveTargets(
    inspected.path,
    items.map(({ target }) => target),
  );
  const { path, kind, createdAt, sizeBytes, verified, outOfStep, findings } = inspected;
  const planned: PlannedItem[] = [];
  for (const [index, target] of targets.entries())
    planned.push(await planItem(inspected, members[index], target, onProgress));
  return {
    backup: path,
    kind,
    createdAt,
    sizeBytes,
    verified,
    ...(outOfStep !== undefined && { outOfStep }),
    findings: [...findings, ...planned.flatMap(({ realTarget }) => surroundingsOf(realTarget))],
    items: planned,
  };
}

async function planItem(
  backup: InspectedBackup,
  member: string | undefined,
  { target, realTarget }: Target,
  onProgress: Tell,
): Promise<PlannedItem> {
  const liveState = liveStateOf(realTarget);
  const stats = lstatSync(realTarget, { throwIfNoEntry: false });
  const facts = await factsOf(backup.path, member);
  const { holders, known } = findHolders([realTarget]);
  return {
    ...(member !== undefined && { member }),
    target,
    realTarget,
    targetExists: stats !== undefined,
    targetSizeBytes: stats?.size ?? 0,
    ...(stats !== undefined &&
      process.platform !== 'win32' && {
        permissions: { mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid },
      }),
    siblings: [...siblingsOf(realTarget).keys()],
    holders,
    holdersKnown: known,
    liveState,
    source: {
      ...(facts.sha256 !== undefined && { sha256: facts.sha256 }),
      sizeBytes: facts.sizeBytes,
      journalMode: facts.journalMode,
      ...(facts.recorded?.tables !== undefined && { tables: facts.recorded.tables }),
    },
    ...(await look(backup, member, facts, realTarget, onProgress)),
  };
}

type Look = Pick<
  PlannedItem,
  'targetState' | 'targetReason' | 'tables' | 'notCompared' | 'schema' | 'migrations'
>;

async function look(
  backup: InspectedBackup,
  member: string | undefined,
  facts: SourceFacts,
  live: string,
  onProgress: Tell,
): Promise<Look> {
  const nothing = {
    tables: [],
    notCompared: [],
    schema: { same: false, diff: '' },
    migrations: compareMigrations(facts.recorded?.migrations ?? [], undefined),
  };
  const early = stateByHeader(live);
  if (early !== undefined) return { ...nothing, ...early };
  // A damaged backup says nothing that could be compared.
  if (backup.verified === 'damaged') return { ...nothing, targetState: 'readable' };
  return withSource(backup.path, member, (source) => {
    const tell = (done: number, total: number): void =>
      onProgress({ phase: 'compare', doneBytes: done, totalBytes: total });
    const sides = ['the live database', 'the backup'] as const;
    const states = migrationsOf(source);
    try {
      return readLive(live, (path) => ({
        ...inTheseWords(compareDatabases(path, source, tell, { sides })),
        migrations: compareMigrations(states, migrationsOf(path)),
      }));
    } catch (error) {
      // What is wrong with the backup says nothing about the live database.
      if (isBackupError(error) && error.path === source) throw error;
      return {
        ...nothing,
        migrations: compareMigrations(states, undefined),
        ...stateByError(error, live),
      };
    }
  });
}

function inTheseWords({
  tables,
  notCompared,
  schema,
  damaged,
}: Comparison): Omit<Look, 'migrations'> {
  return {
    ...(damaged.includes('left')
      ? {
          targetState: 'damaged' as const,
          targetReason: 'Some of its tables are damaged and could not be compared.',
        }
      : { targetState: 'readable' as const }),
    tables: tables.map(({ name, onlyLeft, onlyRight, changed, compared, only }) => ({
      name,
      lost: onlyLeft,
      gained: onlyRight,
      changed,
      compared,
      ...(only && { only: only === 'left' ? ('live' as const) : ('backup' as const) }),
    })),
    notCompared,
    schema,
  };
}

function migrationsOf(database: string): MigrationState[] {
  return withReadable(
    [database],
    ([path = database]) => describeDatabase(path, busyTimeoutMs).migrations,
  );
}

/** In the middle of an interrupted transaction, a private copy is put in order and read. */
function readLive<T>(live: string, use: (path: string) => T): T {
  try {
    return use(live);
  } catch (error) {
    if (explain(error, 'source', live).code !== 'hot-journal') throw error;
    return withReadableCopy(live, use);
  }
}

function stateByHeader(
  live: string,
): { targetState: TargetState; targetReason?: string } | undefined {
  if (lstatSync(live, { throwIfNoEntry: false }) === undefined) return { targetState: 'missing' };
  try {
    const header = readHeader(live);
    switch (header.kind) {
      case 'sqlite':
        return undefined;
      case 'empty':
        return { targetState: 'empty', targetReason: 'The file is empty (0 bytes).' };
      case 'other':
        return {
          targetState: 'not-a-database',
          targetReason: header.encrypted
            ? 'The file is encrypted, or not a SQLite database.'
            : 'The file is not a SQLite database.',
        };
      case 'newer':
        return { targetState: 'unreadable', targetReason: 'The file needs a newer SQLite.' };
      case 'invalid':
        return { targetState: 'damaged', targetReason: 'The header of the file is not valid.' };
    }
  } catch (error) {
    return stateByError(error, live);
  }
}

function stateByError(
  error: unknown,
  live: string,
): { targetState: TargetState; targetReason: string } {
  const { code, message: targetReason } = explain(error, 'source', live);
  if (code === 'corrupt') return { targetState: 'damaged', targetReason };
  const isForeign = code === 'not-a-database' || code === 'encrypted-or-not-sqlite';
  return { targetState: isForeign ? 'not-a-database' : 'unreadable', targetReason };
}
