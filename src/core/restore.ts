/*
 * Bringing a backup back. The order of the steps is the guarantee: prove the backup -> nobody has the database open ->
 * safety snapshot -> stage a copy beside the target and prove that -> write the intent -> link the old database with its
 * siblings to the set-aside, complete -> remove the siblings -> rename the staged copy over the live name -> drop the
 * intent -> prove what is live now. Whatever stops the process leaves the old database, the new one, or an intent with
 * a complete set-aside.
 */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BackupError, toPlainError, type PlainError } from './errors.ts';
import { intentPath, newWorkId, resolveRegularFile, sweepLeftovers } from './files.ts';
import type { Holder, HoldersKnown } from './holders.ts';
import type { Finding, TableFacts, VerdictStatus } from './manifest.ts';
import type { MigrationComparison, MigrationState } from './migrations.ts';
import {
  discardStages,
  foldersOf,
  livePath,
  makeStage,
  readIntent,
  setAsidePath,
  whileClaimed,
  writeIntent,
  type Intent,
  type IntentItem,
} from './restoreIntent.ts';
import { liveStateOf } from './restorePlan.ts';
import { lookAtHolders, moveAll, placeAll, proveLive } from './restoreRun.ts';
import { factsOf, inspectBackup, requireUsable, type SourceFacts } from './restoreSource.ts';
import { stageBackup } from './restoreStaging.ts';
import { requireRoomForSetAside, resolveTarget, resolveTargets } from './restoreTarget.ts';
import { safetyFailureOf, takeSafetySnapshot } from './safetySnapshot.ts';
import type { RecordAs, SnapshotHooks } from './snapshot.ts';
import { freeSetAside, linkAside, statesOf } from './swap.ts';
import { putBackSetAside } from './undo.ts';

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

export type TargetState =
  'missing' | 'readable' | 'empty' | 'damaged' | 'not-a-database' | 'unreadable';

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
  recordAs?: RecordAs[];
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
    /** Its -wal or -journal, without which the old database is another one, is only beside the set-aside. */
    lacksSiblings: boolean;
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
  items: { realTarget: string; live: 'old' | 'new' | 'missing' | 'other'; setAside?: string }[];
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

/** The whole restore in one go. Throws a BackupError; then the old databases are live, or the message says what is. */
export async function applyRestore(request: ApplyRequest, hooks: SnapshotHooks): Promise<Restored> {
  const intent = await prepare(request);
  let sources: SourceFacts[];
  try {
    sources = await stageAll(intent, hooks);
    for (const item of intent.items) await takeSafetySnapshot(item, request, hooks);
    await hooks.beforePublish();
    requireLiveStates(intent, request.liveStates);
    rememberOld(intent);
  } catch (error) {
    discardStages(intent);
    throw error;
  }
  tell(hooks, 'move');
  const ignoreHolders = request.ignoreHolders === true;
  moveAll(intent, { ignoreHolders });
  return putAllInPlace(intent, sources, { ignoreHolders }, hooks);
}

/** Step "move": safety snapshots, then the complete set-asides. The live files stay where they are. */
export async function moveAside(request: ApplyRequest, hooks: SnapshotHooks): Promise<MovedAside> {
  const intent = await prepare(request);
  const members = request.items.map(({ member }) => member);
  const known = { trustManifest: false };
  requireUsable(await inspectBackup(request.backup, members, known, hooks.onProgress));
  for (const item of intent.items) await takeSafetySnapshot(item, request, hooks);
  await hooks.beforePublish();
  requireLiveStates(intent, request.liveStates);
  tell(hooks, 'move');
  try {
    for (const item of intent.items) makeStage(intent.id, item);
    rememberOld(intent);
  } catch (error) {
    discardStages(intent);
    throw error;
  }
  moveAll(intent, { ignoreHolders: request.ignoreHolders === true });
  return {
    id: intent.id,
    intent: intentPath(foldersOf(intent)[0] ?? '', intent.id),
    items: intent.items.map(movedItem),
  };
}

/**
 * Step "copy": stages and proves the backup, and puts it under the live names. Until the first name changes, a failure
 * leaves everything as it was, the set-aside and its intent too; after that, it brings the old databases back.
 */
export async function putInPlace(
  { intent: path, ignoreHolders = false }: PutInPlaceRequest,
  hooks: SnapshotHooks,
): Promise<Restored> {
  const intent = readIntent(path);
  return whileClaimed(intent, async () => {
    requireSameTargets(intent);
    const sources = await stageAll(intent, hooks);
    await hooks.beforePublish();
    requireSameTargets(intent);
    lookAtHolders(intent.items, { ignoreHolders });
    // Somebody may have used the database since it was set aside; what is kept must be the whole of it.
    for (const item of intent.items) linkAside(intent.id, item, { isHeld: ignoreHolders });
    tell(hooks, 'move');
    writeIntent(intent);
    return putAllInPlace(intent, sources, { ignoreHolders }, hooks);
  });
}

/** A link that leads to another file since the step "move" would go on showing that one. */
function requireSameTargets({ items }: Intent): void {
  for (const item of items) {
    const { realTarget } = resolveTarget(item.target);
    if (realTarget === livePath(item)) continue;
    throw new BackupError(
      'target-in-use',
      `${item.target} leads to ${realTarget} now, and not to ${livePath(item)} any more.`,
      {
        path: item.target,
        hint: 'Let it lead there again, or roll back and plan the restore anew.',
      },
    );
  }
}

/** Step "verify": the live files against the backup. Only reads. */
export async function proveRestored({ backup, items }: RestoreRequest): Promise<Proof[]> {
  const path = resolveRegularFile(backup);
  const targets = resolveTargets(
    path,
    items.map(({ target }) => target),
  );
  const proofs: Proof[] = [];
  for (const [index, { realTarget }] of targets.entries())
    proofs.push(proveLive(realTarget, await factsOf(path, items[index]?.member)));
  return proofs;
}

/** Resolves the targets and looks at them: nothing is written. */
async function prepare(request: ApplyRequest): Promise<Intent> {
  const backup = resolveRegularFile(request.backup);
  const targets = resolveTargets(
    backup,
    request.items.map(({ target }) => target),
  );
  const intent: Intent = {
    id: newWorkId(),
    action: 'restore',
    startedAt: new Date().toISOString(),
    toolVersion: request.toolVersion,
    backup,
    items: [],
  };
  for (const [index, { target, realTarget }] of targets.entries()) {
    if (existsSync(realTarget)) requireRoomForSetAside(realTarget);
    const member = request.items[index]?.member;
    const { sha256 } = await factsOf(backup, member);
    intent.items.push({
      index,
      ...(member !== undefined && { member }),
      ...(sha256 !== undefined && { sha256 }),
      target,
      folder: dirname(realTarget),
      name: basename(realTarget),
      old: [],
    });
  }
  lookAtHolders(intent.items, { ignoreHolders: request.ignoreHolders === true });
  requireLiveStates(intent, request.liveStates);
  for (const folder of foldersOf(intent)) await sweepLeftovers(folder);
  return intent;
}

function requireLiveStates({ items }: Intent, expected: string[] | undefined): void {
  if (expected === undefined) return;
  for (const [index, item] of items.entries()) {
    const path = livePath(item);
    if (liveStateOf(path) === expected[index]) continue;
    throw new BackupError('target-in-use', `${path} has changed since the preview.`, {
      path,
      hint: 'Look at the preview again, then restore.',
      facts: { reason: 'changed' },
    });
  }
}

/** All are staged and proved before the first is moved. After this, the backup is not needed any more. */
async function stageAll(intent: Intent, hooks: SnapshotHooks): Promise<SourceFacts[]> {
  const sources: SourceFacts[] = [];
  for (const item of intent.items) {
    const { files, facts } = await stageBackup(intent.id, item, intent.backup ?? '', hooks);
    item.staged = files;
    sources.push(facts);
  }
  return sources;
}

/** The old files as they are now, and the name that will keep them. */
function rememberOld(intent: Intent): void {
  const now = new Date();
  for (const item of intent.items) {
    item.old = statesOf(livePath(item));
    if (item.old.length > 0) item.setAside = freeSetAside(item.folder, item.name, now);
  }
}

function tell({ onProgress }: SnapshotHooks, phase: 'move' | 'prove'): void {
  onProgress({ phase, doneBytes: 0, totalBytes: 0 });
}

function putAllInPlace(
  intent: Intent,
  sources: readonly SourceFacts[],
  options: { ignoreHolders: boolean },
  hooks: SnapshotHooks,
): Restored {
  const remarks = placeAll(intent, options);
  tell(hooks, 'prove');
  const items = intent.items.map((item, index): RestoredItem => {
    const sha256 = item.staged?.find(({ part }) => part === '')?.sha256;
    const proof = proveLive(livePath(item), sources[index], sha256);
    const { status, findings, tables, migrations } = proof;
    return {
      ...movedItem(item),
      verified: status,
      findings: [...remarks, ...findings],
      tables,
      migrations,
    };
  });
  const damaged = items.find(({ verified }) => verified === 'damaged');
  if (damaged !== undefined) throw takeBack(intent, damaged);
  return { id: intent.id, items };
}

/** The disk has not kept what was written to it, so the old databases come back. */
function takeBack(intent: Intent, { realTarget, findings }: RestoredItem): BackupError {
  const what = `${realTarget} was restored, but its check failed: ${findings[0]?.message ?? ''}`;
  try {
    const kept = intent.items.toReversed().flatMap((item) => {
      const { setAside } = putBackSetAside(item, intent.toolVersion);
      return setAside === undefined ? [] : [setAside];
    });
    return new BackupError(
      'backup-damaged',
      `${what} The old database is live again; the restored file is kept as ${kept.join(', ')}.`,
      { path: realTarget, hint: 'Check the disk, then try again or choose another backup.' },
    );
  } catch (error) {
    const setAside = intent.items.map((item) => setAsidePath(item)).join(', ');
    return new BackupError(
      'backup-damaged',
      `${what} Putting the old database back failed as well: ${toPlainError(error).message}`,
      {
        path: realTarget,
        hint: `It is complete as ${setAside}. Put it back: sqlite-backup restore --undo SET_ASIDE`,
        cause: error,
      },
    );
  }
}

function movedItem(item: IntentItem): MovedItem {
  const { member, target, safetySnapshot } = item;
  const setAside = setAsidePath(item);
  const safetyFailure = safetyFailureOf(item);
  return {
    ...(member !== undefined && { member }),
    target,
    realTarget: join(item.folder, item.name),
    ...(setAside !== undefined && { setAside }),
    ...(safetySnapshot !== undefined && { safetySnapshot }),
    ...(safetyFailure !== undefined && { safetyFailure }),
  };
}
