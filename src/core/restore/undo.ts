/** Puts a set-aside back under the live name, byte for byte. The database that it replaces becomes a set-aside in its turn. */
import { lstatSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BackupError } from '../errors.ts';
import { resolveRegularFile } from '../files/paths.ts';
import { newWorkId, sweepLeftovers } from '../files/workplace.ts';
import type { RestoreHooks } from '../job.ts';
import type { Finding, VerdictStatus } from '../manifest/manifest.ts';
import { discardStages, type Intent, type IntentItem, livePath, setAsidePath } from './intent.ts';
import { whileClaimed } from './claim.ts';
import { proveLive } from './proof.ts';
import { differencesFromRecord } from './record.ts';
import { settleRemovals } from './removal.ts';
import { lookAtHolders, moveAll, placeAll } from './run.ts';
import { rememberOld, stageSetAside, stageWhole } from './staging.ts';
import { liveOfSetAside, realSetAside, requireSettled } from './setAside.ts';
import { requireReplaceable } from './target.ts';

export interface UndoRequest {
  /** Path of the set-aside's database file. */
  setAside: string;
  ignoreHolders?: boolean;
  /** Puts it back although it is not any more what was set aside. */
  acceptUnproved?: boolean;
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

/** Throws a BackupError; then all is as it was. */
export async function undoRestore(
  { setAside, ignoreHolders = false, acceptUnproved = false, toolVersion }: UndoRequest,
  hooks: RestoreHooks,
): Promise<Undone> {
  const path = realSetAside(setAside);
  const item = itemFor(path);
  return whileClaimed([livePath(item)], () => {
    settleRemovals(livePath(item));
    return undo(
      resolveRegularFile(path),
      item,
      { ignoreHolders, acceptUnproved, toolVersion },
      hooks,
    );
  });
}

async function undo(
  path: string,
  item: IntentItem,
  {
    ignoreHolders,
    acceptUnproved,
    toolVersion,
  }: { ignoreHolders: boolean; acceptUnproved: boolean; toolVersion: string },
  hooks: RestoreHooks,
): Promise<Undone> {
  requireReplaceable(livePath(item));
  requireSettled(livePath(item));
  lookAtHolders([item, { ...item, name: basename(path) }], { ignoreHolders });
  const differences = differencesFromRecord(path);
  if (!acceptUnproved) requireUnchanged(path, differences);
  await sweepLeftovers(item.folder);
  const intent = intentFor(item, toolVersion);
  try {
    stageAll(intent.id, item, path);
    await hooks.beforePublish();
    rememberOld(intent.id, item, new Date());
    stageWhole(intent.id, item, 'old', { isHeld: ignoreHolders });
  } catch (error) {
    discardStages(intent);
    throw error;
  }
  hooks.onProgress({ phase: 'move', doneBytes: 0, totalBytes: 0 });
  const remarks = await carryOut(intent, ignoreHolders, hooks);
  hooks.onProgress({ phase: 'prove', doneBytes: 0, totalBytes: 0 });
  const { status, findings } = proveLive(livePath(item));
  return {
    target: livePath(item),
    ...keptAs(item),
    verified: status,
    findings: [...differences, ...remarks, ...findings],
  };
}

/** What nothing is recorded of, and what a program was let go on with, is told. What differs in another way is asked. */
function requireUnchanged(path: string, differences: readonly Finding[]): void {
  const [first] = differences.filter(({ code }) => code === 'changed' || code === 'part-missing');
  if (first === undefined) return;
  throw new BackupError('backup-damaged', `${first.message} It is not put back.`, {
    path,
    hint: 'Check it first. To put it back anyway, confirm it (on the command line: --unproved).',
    facts: { reason: first.code },
  });
}

function itemFor(path: string): IntentItem {
  const live = liveOfSetAside(path);
  const stats = lstatSync(live, { throwIfNoEntry: false });
  if (stats !== undefined && !stats.isFile()) {
    throw new BackupError('access', `${live} is not a regular file, so it is not replaced.`, {
      path: live,
      hint: 'Check what it is: the previous database had this name.',
    });
  }
  const [folder, name] = [dirname(live), basename(live)];
  return { index: 0, target: live, folder, name, old: [], from: basename(path) };
}

function intentFor(item: IntentItem, toolVersion: string): Intent {
  const startedAt = new Date().toISOString();
  return {
    id: newWorkId(),
    action: 'undo',
    startedAt,
    toolVersion,
    items: [item],
    folders: [item.folder],
  };
}

function stageAll(id: string, item: IntentItem, setAside: string): void {
  item.staged = stageSetAside(id, item, setAside);
  stageWhole(id, item, 'new');
}

function carryOut(
  intent: Intent,
  ignoreHolders: boolean,
  hooks: RestoreHooks,
): Promise<Undone['findings']> {
  moveAll(intent, { ignoreHolders });
  return placeAll(intent, { ignoreHolders }, hooks);
}

function keptAs(item: IntentItem): { setAside?: string } {
  const setAside = setAsidePath(item);
  return setAside === undefined ? {} : { setAside };
}

/**
 * Takes a restored item back at once: the old database becomes live, or nothing does where nothing was. The restored file
 * stays under the name returned.
 */
export async function putBackSetAside(
  restored: IntentItem,
  toolVersion: string,
  hooks: RestoreHooks,
): Promise<{ setAside?: string }> {
  const { folder, name, target, setAside } = restored;
  const item: IntentItem = { index: 0, target, folder, name, old: [] };
  if (setAside !== undefined) item.from = setAside;
  const intent = intentFor(item, toolVersion);
  const from = setAsidePath(restored);
  stageAll(intent.id, item, from ?? join(folder, `${name}.nothing`));
  rememberOld(intent.id, item, new Date());
  stageWhole(intent.id, item, 'old');
  await carryOut(intent, false, hooks);
  return keptAs(item);
}
