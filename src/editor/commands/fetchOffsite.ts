import * as vscode from 'vscode';
import type { Destination } from '../../core/offsite/destination.ts';
import { formatBytes } from '../../core/units.ts';
import { commands } from '../contributed.ts';
import { inertLine, notify } from '../inert.ts';
import { exactTime } from '../times.ts';
import type { Parts } from './parts.ts';
import { withCancel } from './selection.ts';

/** Lists the copies elsewhere, also of other machines, and fetches one into the backups folder. Returns its path. */
export async function fetchOffsite(parts: Parts): Promise<string | undefined> {
  const { t } = vscode.l10n;
  const { backups, offsite, worker } = parts;
  const destination = await chooseDestination(offsite.destinations());
  if (destination === undefined) return undefined;
  const workspaceFolder = vscode.workspace.workspaceFolders?.[0];
  const folder = await parts.folder.resolve(workspaceFolder);
  if (folder === undefined) {
    void notify.info(t('Choose a backups folder first: Choose Backups Folder…'));
    return undefined;
  }
  const { name } = destination;
  const access = { destination, secret: await offsite.secretOf(destination) };
  const copies = await withCancel(t('Looking at the copies in {0}', name), (signal) =>
    worker.call('offsiteList', access, { signal }),
  );
  if (copies.length === 0) {
    void notify.info(t('There is no copy in {0}.', name));
    return undefined;
  }
  const chosen = await vscode.window.showQuickPick(
    copies.map((copy) => ({
      label: inertLine(copy.name),
      description: [
        exactTime(copy.createdAt),
        copy.sizeBytes === undefined ? '' : formatBytes(copy.sizeBytes),
        inertLine(copy.host ?? ''),
      ]
        .filter((one) => one !== '')
        .join(' · '),
      copy,
    })),
    {
      title: t('Fetch Off-Machine Copy'),
      placeHolder: t('Which copy should be fetched?'),
      matchOnDescription: true,
    },
  );
  if (chosen === undefined) return undefined;
  const { path } = await withCancel(t('Fetching from {0}', name), (signal, report) =>
    worker.call(
      'offsiteFetch',
      { ...access, id: chosen.copy.id, folder },
      {
        signal,
        onProgress: ({ doneBytes, totalBytes }) =>
          report(t('{0} of {1}', formatBytes(doneBytes), formatBytes(totalBytes))),
      },
    ),
  );
  await backups.refresh();
  void offerRestore(path);
  return path;
}

async function chooseDestination(all: readonly Destination[]): Promise<Destination | undefined> {
  const { t } = vscode.l10n;
  const [first] = all;
  if (first === undefined) {
    void notify.info(t('No off-machine copies are set up.'));
    return undefined;
  }
  if (all.length === 1) return first;
  const chosen = await vscode.window.showQuickPick(
    all.map((one) => ({ label: inertLine(one.name), description: one.engine, one })),
    { title: t('Fetch Off-Machine Copy'), placeHolder: t('From where?') },
  );
  return chosen?.one;
}

async function offerRestore(path: string): Promise<void> {
  const { t } = vscode.l10n;
  const restore = t('Restore…');
  const file = vscode.Uri.file(path);
  const message = t('Fetched and verified: {0}.', inertLine(file.path.split('/').at(-1) ?? ''));
  if ((await notify.info(message, restore)) === restore)
    await vscode.commands.executeCommand(commands.restore, file);
}
