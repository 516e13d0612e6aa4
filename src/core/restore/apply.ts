/*
 * Bringing a backup back. The order of the steps is the guarantee: claim the target -> prove the backup -> no program has
 * the database open -> safety snapshot -> stage a copy beside the target and prove that -> write the intent -> link the
 * old database with its siblings to the set-aside, complete, and record that -> lock other programs out -> change the
 * names, see states.ts -> let them in again -> drop the intent -> prove the live database. Whatever stops the process leaves
 * a whole database under the live name: the old one, the new one, or one of them with an intent beside it that is
 * finished or rolled back.
 */
import { existsSync, lstatSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BackupError, type PlainError, toPlainError } from '../errors.ts';
import { resolveRegularFile } from '../files/paths.ts';
import { intentPath, newWorkId, sweepLeftovers } from '../files/workplace.ts';
import type { RestoreHooks, SnapshotHooks } from '../job.ts';
import type { Finding, TableFacts, VerdictStatus } from '../manifest/manifest.ts';
import type { MigrationState } from '../sqlite/migrations.ts';
import { liveStateOf } from '../sqlite/siblings.ts';
import { sweepClaims, whileClaimed } from './claim.ts';
import {
  discardStages,
  foldersOf,
  type Intent,
  type IntentItem,
  livePath,
  readIntent,
  setAsidePath,
  writeIntent,
} from './intent.ts';
import { proveLive } from './proof.ts';
import { settleRemovals } from './removal.ts';
import type { ApplyRequest } from './request.ts';
import { keepAndRecord, lookAtHolders, moveAll, placeAll } from './run.ts';
import { safetyFailureOf, takeSafetySnapshot } from './safetySnapshot.ts';
import {
  factsOf,
  inspectBackup,
  requireProved,
  requireUsable,
  type SourceFacts,
  unprovedFinding,
} from './source.ts';
import { rememberOld, stageBackup, stageWhole } from './staging.ts';
import { requireSettled } from './setAside.ts';
import {
  requireReplaceable,
  requireRoomForSetAside,
  resolveTarget,
  resolveTargets,
} from './target.ts';
import { putBackSetAside } from './undo.ts';

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

/** The whole restore in one go. Throws a BackupError; then the old databases are live, or the message says what is. */
export async function applyRestore(request: ApplyRequest, hooks: RestoreHooks): Promise<Restored> {
  const intent = await prepare(request);
  return whileClaimed(intent.items.map(livePath), () => apply(intent, request, hooks));
}

async function apply(
  intent: Intent,
  request: ApplyRequest,
  hooks: RestoreHooks,
): Promise<Restored> {
  await lookBefore(intent, request);
  const { ignoreHolders = false, acceptDamaged = false } = request;
  let sources: SourceFacts[];
  try {
    sources = await stageAll(intent, hooks, { acceptDamaged });
    for (const item of intent.items) await takeSafetySnapshot(item, request, hooks);
    await hooks.beforePublish();
    requireLiveStates(intent, request.liveStates);
    rememberAll(intent);
    for (const item of intent.items) stageWhole(intent.id, item, 'old', { isHeld: ignoreHolders });
  } catch (error) {
    discardStages(intent);
    throw error;
  }
  tell(hooks, 'move');
  moveAll(intent, { ignoreHolders });
  return putAllInPlace(intent, sources, { ignoreHolders, acceptDamaged }, hooks);
}

/** Step "move": safety snapshots, then the complete set-asides. The live files stay where they are. */
export async function moveAside(request: ApplyRequest, hooks: SnapshotHooks): Promise<MovedAside> {
  const intent = await prepare(request);
  return whileClaimed(intent.items.map(livePath), () => moveAsideClaimed(intent, request, hooks));
}

async function moveAsideClaimed(
  intent: Intent,
  request: ApplyRequest,
  hooks: SnapshotHooks,
): Promise<MovedAside> {
  await lookBefore(intent, request);
  const members = request.items.map(({ member }) => member);
  const known = { trustManifest: false };
  requireUsable(await inspectBackup(request.backup, members, known, hooks.onProgress));
  for (const item of intent.items) await takeSafetySnapshot(item, request, hooks);
  await hooks.beforePublish();
  requireLiveStates(intent, request.liveStates);
  tell(hooks, 'move');
  try {
    rememberAll(intent);
  } catch (error) {
    discardStages(intent);
    throw error;
  }
  moveAll(intent, { ignoreHolders: request.ignoreHolders === true });
  return {
    id: intent.id,
    intent: intentPath(intent.folders[0] ?? '', intent.id),
    items: intent.items.map(movedItem),
  };
}

/**
 * Step "copy": stages and proves the backup, and puts it under the live names. Until the first name changes, a failure
 * leaves everything as it was, the set-aside and its intent too; after that, it brings the old databases back.
 */
export async function putInPlace(
  { intent: path, ignoreHolders = false }: PutInPlaceRequest,
  hooks: RestoreHooks,
): Promise<Restored> {
  return whileClaimed(readIntent(path).items.map(livePath), async () => {
    const intent = readIntent(path); // As it is now that no other process works on it.
    requireSameTargets(intent);
    const sources = await stageAll(intent, hooks);
    await hooks.beforePublish();
    requireSameTargets(intent);
    lookAtHolders(intent.items, { ignoreHolders });
    for (const item of intent.items) {
      stageWhole(intent.id, item, 'old', { isHeld: ignoreHolders });
      // A program may have used the database since it was set aside; what is kept must be the whole of it.
      keepAndRecord(intent.id, item, { ignoreHolders });
    }
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
      `${item.target} now leads to ${realTarget}, not to ${livePath(item)}.`,
      {
        path: item.target,
        hint: 'Point it there again, or roll back and restore again.',
      },
    );
  }
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
    folders: foldersOf(targets.map(({ realTarget }) => ({ folder: dirname(realTarget) }))),
  };
  for (const [index, { target, realTarget }] of targets.entries()) {
    if (existsSync(realTarget)) requireRoomForSetAside(realTarget);
    const member = request.items[index]?.member;
    if (request.acceptDamaged === true) requireNew(realTarget);
    const facts = await factsOf(backup, member, request);
    if (request.acceptUnproved !== true && request.acceptDamaged !== true)
      requireProved(backup, facts);
    const { sha256 } = facts;
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
  return intent;
}

function requireNew(realTarget: string): void {
  if (lstatSync(realTarget, { throwIfNoEntry: false }) === undefined) return;
  throw new BackupError(
    'name-taken',
    `${realTarget} exists. A damaged backup never replaces a file.`,
    {
      path: realTarget,
      hint: 'Name a new file.',
    },
  );
}

/** Before anything is named or copied. */
async function lookBefore(intent: Intent, request: ApplyRequest): Promise<void> {
  for (const item of intent.items) {
    requireReplaceable(livePath(item));
    requireSettled(livePath(item));
    settleRemovals(livePath(item));
  }
  lookAtHolders(intent.items, { ignoreHolders: request.ignoreHolders === true });
  requireLiveStates(intent, request.liveStates);
  for (const folder of intent.folders) {
    await sweepLeftovers(folder);
    sweepClaims(folder);
  }
}

function requireLiveStates({ items }: Intent, expected: string[] | undefined): void {
  if (expected === undefined) return;
  for (const [index, item] of items.entries()) {
    const path = livePath(item);
    if (liveStateOf(path) === expected[index]) continue;
    throw new BackupError('target-in-use', `${path} has changed since the preview.`, {
      path,
      hint: 'Check the preview again, then restore.',
      facts: { reason: 'changed' },
    });
  }
}

/** All are staged and proved before the first is moved. After this, the backup is not needed any more. */
async function stageAll(
  intent: Intent,
  hooks: SnapshotHooks,
  options: { acceptDamaged?: boolean } = {},
): Promise<SourceFacts[]> {
  const sources: SourceFacts[] = [];
  for (const item of intent.items) {
    const { files, facts } = await stageBackup(
      intent.id,
      item,
      intent.backup ?? '',
      hooks,
      options,
    );
    item.staged = files;
    sources.push(facts);
  }
  return sources;
}

function rememberAll({ id, items }: Intent): void {
  const now = new Date();
  for (const item of items) rememberOld(id, item, now);
}

function tell({ onProgress }: SnapshotHooks, phase: 'move' | 'prove'): void {
  onProgress({ phase, doneBytes: 0, totalBytes: 0 });
}

async function putAllInPlace(
  intent: Intent,
  sources: readonly SourceFacts[],
  options: { ignoreHolders: boolean; acceptDamaged?: boolean },
  hooks: RestoreHooks,
): Promise<Restored> {
  const remarks = await placeAll(intent, options, hooks);
  tell(hooks, 'prove');
  const items = intent.items.map((item, index): RestoredItem => {
    const sha256 = item.staged?.find(({ part }) => part === '')?.sha256;
    const proof = proveLive(livePath(item), sources[index], sha256);
    const { status, findings, tables, migrations } = proof;
    const unproved =
      sources[index]?.sha256 === undefined ? [unprovedFinding(intent.backup ?? '')] : [];
    return {
      ...movedItem(item),
      verified: unproved.length > 0 && status === 'ok' ? 'partial' : status,
      findings: [...remarks, ...unproved, ...findings],
      tables,
      migrations,
    };
  });
  const damaged = items.find(({ verified }) => verified === 'damaged');
  if (damaged !== undefined && options.acceptDamaged !== true)
    throw await takeBack(intent, damaged, hooks);
  return { id: intent.id, items };
}

/** The disk has not kept what was written to it, so the old databases come back. */
async function takeBack(
  intent: Intent,
  { realTarget, findings }: RestoredItem,
  hooks: RestoreHooks,
): Promise<BackupError> {
  const what = `${realTarget} was restored, but its check failed: ${findings[0]?.message ?? ''}`;
  try {
    // A program that has begun to use it is not robbed of its files.
    lookAtHolders(intent.items, { ignoreHolders: false });
    const kept: string[] = [];
    for (const item of intent.items.toReversed()) {
      const { setAside } = await putBackSetAside(item, intent.toolVersion, hooks);
      if (setAside !== undefined) kept.push(setAside);
    }
    return new BackupError(
      'backup-damaged',
      `${what} The previous database is live again. The restored file is kept as ${kept.join(', ')}.`,
      { path: realTarget, hint: 'Check the disk, then try again or choose another backup.' },
    );
  } catch (error) {
    const setAside = intent.items.map((item) => setAsidePath(item)).join(', ');
    return new BackupError(
      'backup-damaged',
      `${what} The previous database could not be put back either: ${toPlainError(error).message}`,
      {
        path: realTarget,
        hint: `The previous database is kept complete as ${setAside}. Put it back: sqlite-backup restore --undo PREVIOUS_DATABASE`,
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
