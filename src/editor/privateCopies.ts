/** Backups, and members of bundles, as files that can be opened: private copies, each proved when it is made. */
import { createHash } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../core/catalog/catalog.ts';
import { isBackupError } from '../core/errors.ts';
import type { WorkerClient } from '../worker/client.ts';
import type { Log } from './log.ts';

const keptMs = 7 * 24 * 60 * 60 * 1000;

export interface CopyParts {
  worker: WorkerClient;
  /** A folder of our own that outlives the window. */
  storage: vscode.Uri;
}

/**
 * A private read-only copy of a backup, or of a member of a bundle; made once for each state of it. Viewers that write, or
 * that make a `-wal`, never touch the backup.
 */
export async function privateCopy(
  { worker, storage }: CopyParts,
  { path, stamp }: CatalogEntry,
  member?: string,
): Promise<string> {
  const key = createHash('sha256')
    .update([path, stamp, member ?? ''].join('\0'))
    .digest('hex')
    .slice(0, 16);
  const folder = await makeFolder(storage, key);
  const copy = join(folder, basename(member ?? path));
  if (await exists(copy)) return copy;
  try {
    if (member === undefined) await worker.call('copyOut', { path, to: copy, readOnly: true });
    else {
      const request = { bundle: path, member, folder, name: basename(copy) };
      await worker.call('extractMember', { ...request, readOnly: true });
    }
  } catch (error) {
    // Asked for twice at the same time, here or in another window: both want the same.
    if (!isBackupError(error) || error.code !== 'name-taken') throw error;
  }
  return copy;
}

export async function makeFolder(storage: vscode.Uri, name: string): Promise<string> {
  const folder = vscode.Uri.joinPath(storage, 'opened', name);
  await vscode.workspace.fs.createDirectory(folder);
  return folder.fsPath;
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Takes away the private copies of last week. What is still open somewhere stays until the next start. */
export async function sweepPrivateCopies({
  storage,
  log,
}: {
  storage: vscode.Uri;
  log: Log;
}): Promise<void> {
  const folder = join(storage.fsPath, 'opened');
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    const path = join(folder, name);
    try {
      const { mtimeMs } = await stat(path);
      if (Date.now() - mtimeMs > keptMs) await rm(path, { recursive: true, force: true });
    } catch (error) {
      log.error(`${path} could not be removed`, error);
    }
  }
}
