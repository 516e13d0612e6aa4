/** Puts a set-aside back under the live name, byte for byte. What is live until then becomes a set-aside in its turn. */
import { lstatSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BackupError } from '../errors.ts';
import { resolveRegularFile } from '../files/paths.ts';
import { newWorkId, sweepLeftovers } from '../files/workplace.ts';
import type { SnapshotHooks } from '../job.ts';
import type { Finding, VerdictStatus } from '../manifest/manifest.ts';
import { discardStages, type Intent, type IntentItem, livePath, setAsidePath } from './intent.ts';
import { whileClaimed } from './claim.ts';
import { proveLive } from './proof.ts';
import { lookAtHolders, moveAll, placeAll } from './run.ts';
import { stageSetAside } from './staging.ts';
import { liveOfSetAside, requireSettled } from './setAside.ts';
import { freeSetAside, statesOf } from './swap.ts';

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

/** Throws a BackupError; then all is as it was. */
export async function undoRestore(
  { setAside, ignoreHolders = false, toolVersion }: UndoRequest,
  hooks: SnapshotHooks,
): Promise<Undone> {
  const path = resolveRegularFile(setAside);
  const item = itemFor(path);
  return whileClaimed([livePath(item)], () =>
    undo(path, item, { ignoreHolders, toolVersion }, hooks),
  );
}

async function undo(
  path: string,
  item: IntentItem,
  { ignoreHolders, toolVersion }: { ignoreHolders: boolean; toolVersion: string },
  hooks: SnapshotHooks,
): Promise<Undone> {
  requireSettled(livePath(item));
  lookAtHolders([item, { ...item, name: basename(path) }], { ignoreHolders });
  await sweepLeftovers(item.folder);
  const intent = intentFor(item, toolVersion);
  try {
    item.staged = stageSetAside(intent.id, item, path);
    await hooks.beforePublish();
    rememberOld(item);
  } catch (error) {
    discardStages(intent);
    throw error;
  }
  hooks.onProgress({ phase: 'move', doneBytes: 0, totalBytes: 0 });
  const remarks = carryOut(intent, ignoreHolders);
  hooks.onProgress({ phase: 'prove', doneBytes: 0, totalBytes: 0 });
  const { status, findings } = proveLive(livePath(item));
  return {
    target: livePath(item),
    ...keptAs(item),
    verified: status,
    findings: [...remarks, ...findings],
  };
}

function itemFor(path: string): IntentItem {
  const live = liveOfSetAside(path);
  const stats = lstatSync(live, { throwIfNoEntry: false });
  if (stats !== undefined && !stats.isFile()) {
    throw new BackupError('access', `${live} is no regular file, so it is not replaced.`, {
      path: live,
      hint: 'Look at what it is: the database that was set aside had this name.',
    });
  }
  const [folder, name] = [dirname(live), basename(live)];
  return { index: 0, target: live, folder, name, old: [], from: basename(path) };
}

function intentFor(item: IntentItem, toolVersion: string): Intent {
  const startedAt = new Date().toISOString();
  return { id: newWorkId(), action: 'undo', startedAt, toolVersion, items: [item] };
}

function rememberOld(item: IntentItem): void {
  item.old = statesOf(livePath(item));
  if (item.old.length > 0) item.setAside = freeSetAside(item.folder, item.name, new Date());
}

function carryOut(intent: Intent, ignoreHolders: boolean): Undone['findings'] {
  moveAll(intent, { ignoreHolders });
  return placeAll(intent, { ignoreHolders });
}

function keptAs(item: IntentItem): { setAside?: string } {
  const setAside = setAsidePath(item);
  return setAside === undefined ? {} : { setAside };
}

/**
 * Takes a restored item back at once: the old database becomes live, or nothing does where nothing was. The restored file
 * stays under the name returned.
 */
export function putBackSetAside(restored: IntentItem, toolVersion: string): { setAside?: string } {
  const { folder, name, target, setAside } = restored;
  const item: IntentItem = { index: 0, target, folder, name, old: [] };
  if (setAside !== undefined) item.from = setAside;
  const intent = intentFor(item, toolVersion);
  const from = setAsidePath(restored);
  item.staged = stageSetAside(intent.id, item, from ?? join(folder, `${name}.nothing`));
  rememberOld(item);
  carryOut(intent, true);
  return keptAs(item);
}
