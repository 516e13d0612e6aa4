/*
 * Bringing a backup back. The order of the steps is the guarantee: prove the backup -> nobody has the database open ->
 * safety snapshot -> stage a copy beside the target and prove that -> write the intent -> link the old database with its
 * siblings to the set-aside, complete -> remove the siblings -> rename the staged copy over the live name -> drop the
 * intent -> prove what is live now. Whatever stops the process leaves the old database, the new one, or an intent with
 * a complete set-aside.
 */
import { BackupError, type PlainError } from './errors.ts';
import type { Holder, HoldersKnown } from './holders.ts';
import type { Finding, TableFacts, VerdictStatus } from './manifest.ts';
import type { MigrationState } from './migrations.ts';
import type { SnapshotHooks } from './snapshot.ts';

/** One database of a backup and where it goes. */
export interface RestoreItem {
  /** The name inside a bundle; undefined for a snapshot. */
  member?: string;
  /** The live path, or a new file. A symbolic link is followed and kept. */
  target: string;
}

export interface RestoreRequest {
  /** A snapshot or a bundle. */
  backup: string;
  items: RestoreItem[];
}

export interface PlanRequest extends RestoreRequest {
  /** Takes the verdict from the manifest instead of checking the backup anew. */
  trustManifest?: boolean;
}

export const targetStates = [
  'missing',
  'readable',
  'empty',
  'damaged',
  'not-a-database',
  'unreadable',
] as const;
export type TargetState = (typeof targetStates)[number];

export interface TableChange {
  name: string;
  /** Rows that only the live database has: what the restore would lose. */
  lost: number;
  /** Rows that only the backup has. */
  gained: number;
  changed: number;
  /** False when the numbers could not be found out; `notCompared` says why. */
  compared: boolean;
}

export const migrationVerdicts = ['same', 'behind', 'ahead', 'different', 'unknown'] as const;
export type MigrationVerdict = (typeof migrationVerdicts)[number];

export interface MigrationComparison {
  backup: MigrationState[];
  live: MigrationState[];
  /** Of the backup against the live database. */
  verdict: MigrationVerdict;
  /** The verdict as sentences for a person. */
  words: string;
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
  findings: Finding[];
  items: PlannedItem[];
}

/** What taking a safety snapshot needs. */
export interface SafetyOptions {
  /** The backups folder for the safety snapshots; beside each database when undefined. */
  folder?: string;
  busyTimeoutMs: number;
  /** Of this extension, for the manifest of the safety snapshot and the intent. */
  toolVersion: string;
  /** How the manifest of the safety snapshot names the workspace and the database, one for each item. */
  recordAs?: { path: string; workspace?: string }[];
}

export interface ApplyRequest extends RestoreRequest, SafetyOptions {
  /** Goes on although programs have the database open. */
  ignoreHolders?: boolean;
  /** `liveState` of the plan, one for each item: a database that has changed since is not replaced. */
  liveStates?: string[];
}

/** An old database moved aside, while the live one is still in place. */
export interface MovedItem {
  member?: string;
  target: string;
  realTarget: string;
  /** Undefined when there was no file. */
  setAside?: string;
  /** Undefined when the live database could not be read, or was not there. */
  safetySnapshot?: string;
  /** Why there is no safety snapshot of a file that exists. */
  safetyFailure?: PlainError;
}

export interface MovedAside {
  /** Of the restore; all its intents carry it. */
  id: string;
  /** Path of the intent, for `putInPlace` and `recoverInterrupted`. */
  intent: string;
  items: MovedItem[];
}

export interface RestoredItem extends MovedItem {
  /** Of the live file as it is now. */
  verified: VerdictStatus;
  findings: Finding[];
  tables: TableFacts[];
  migrations: MigrationState[];
}

export interface Restored {
  id: string;
  items: RestoredItem[];
}

export interface PutInPlaceRequest {
  /** Of `moveAside`. */
  intent: string;
  ignoreHolders?: boolean;
}

/** A restore that was stopped in the middle, as its intent and the disk tell it. */
export interface Interrupted {
  id: string;
  intent: string;
  action: 'restore' | 'undo';
  /** ISO 8601. */
  startedAt: string;
  backup?: string;
  items: {
    realTarget: string;
    setAside?: string;
    /** What is under the live name now. */
    live: 'old' | 'new' | 'missing' | 'other';
    /** The old database has been written to after the interruption. */
    changedSince: boolean;
  }[];
  /** The directions in which it can be brought to an end. */
  can: ('finish' | 'roll-back')[];
  /** For a person: where it stopped, and why a direction is not possible. */
  words: string;
}

export interface RecoverRequest {
  intent: string;
  how: 'finish' | 'roll-back';
  ignoreHolders?: boolean;
}

export interface Recovered {
  id: string;
  how: 'finish' | 'roll-back';
  items: { realTarget: string; live: 'old' | 'new'; setAside?: string }[];
  remarks: Finding[];
}

export interface UndoRequest {
  /** Path of the set-aside's database file. */
  setAside: string;
  ignoreHolders?: boolean;
  toolVersion: string;
}

export interface Undone {
  /** The live path that holds the old database again. */
  target: string;
  /** Where the database that was live until now is kept; undefined when there was none. */
  setAside?: string;
  verified: VerdictStatus;
  findings: Finding[];
}

export interface Proof {
  realTarget: string;
  status: VerdictStatus;
  findings: Finding[];
  tables: TableFacts[];
  migrations: MigrationState[];
}

function notYet(): never {
  throw new BackupError('feature-missing', 'This part of the restore is not built yet.');
}

/** Says what a restore would do. Only reads: nothing appears beside target or backup. */
export function planRestore(
  _request: PlanRequest,
  _hooks: Pick<SnapshotHooks, 'onProgress'>,
): RestorePlan {
  return notYet();
}

/** The whole restore in one go. */
export function applyRestore(_request: ApplyRequest, _hooks: SnapshotHooks): Promise<Restored> {
  return notYet();
}

/** Step "move": safety snapshots, then the complete set-asides. The live files stay where they are. */
export function moveAside(_request: ApplyRequest, _hooks: SnapshotHooks): Promise<MovedAside> {
  return notYet();
}

/** Step "copy": stages and proves the backup, and puts it under the live names. */
export function putInPlace(_request: PutInPlaceRequest, _hooks: SnapshotHooks): Promise<Restored> {
  return notYet();
}

/** Step "verify": the live files against the backup. Only reads. */
export function proveRestored(_request: RestoreRequest): Proof[] {
  return notYet();
}

/** The restores that were stopped in the middle, by the intents in `folder`. Only reads. */
export function findInterrupted(_folder: string): Interrupted[] {
  return notYet();
}

export function recoverInterrupted(
  _request: RecoverRequest,
  _hooks: SnapshotHooks,
): Promise<Recovered> {
  return notYet();
}

/** Puts a set-aside back under the live name; what is live now becomes a set-aside in its turn. */
export function undoRestore(_request: UndoRequest, _hooks: SnapshotHooks): Promise<Undone> {
  return notYet();
}
