import * as vscode from 'vscode';
import { formatBytes } from '../../core/units.ts';
import { notify } from '../inert.ts';
import { databaseName } from '../messages.ts';
import { isRow } from '../rows.ts';
import { exactTime } from '../times.ts';
import type { Parts } from './parts.ts';
import { pickDatabase } from './pickDatabase.ts';
import { withCancel } from './selection.ts';

/**
 * Fetches a state that Litestream keeps of a database into the backups folder, verified, and opens its restore. `at` is for
 * callers that need not ask: a time, or `newest`.
 */
export async function restoreFromLitestream(
  parts: Parts,
  target?: unknown,
  at?: unknown,
): Promise<{ path?: string; runbook?: string }> {
  const { t } = vscode.l10n;
  if (!vscode.workspace.isTrusted) {
    void notify.warn(t('Off-machine copies need a trusted workspace.'));
    return {};
  }
  const title = t('Restore from Litestream');
  const uri =
    target instanceof vscode.Uri
      ? target
      : isRow(target) && target.kind === 'database'
        ? target.uri
        : await pickDatabase(parts, { title });
  if (uri === undefined) return {};
  const folder = await parts.folder.resolve(vscode.workspace.getWorkspaceFolder(uri));
  if (folder === undefined) {
    void notify.info(t('Choose a backups folder first: Choose Backups Folder…'));
    return {};
  }
  const { fsPath: database } = uri;
  const name = databaseName(uri);
  const asked = typeof at === 'string' ? at : await askForTime(parts, database, { title, name });
  if (asked === undefined) return {};
  const { path } = await withCancel(t('Fetching {0} from Litestream', name), (signal) =>
    parts.worker.call(
      'offsiteFromLitestream',
      { database, folder, at: asked === 'newest' ? undefined : asked },
      { signal },
    ),
  );
  if (path === undefined) return {};
  await parts.backups.refresh();
  const { restore } = await parts.runbooks.open(path, [{ live: database, chosen: true }]);
  return { path, runbook: restore.run.id };
}

/** Undefined when the person lets it be. */
async function askForTime(
  { worker }: Parts,
  database: string,
  { title, name }: { title: string; name: string },
): Promise<string | undefined> {
  const { t } = vscode.l10n;
  const { newestAt, sizeBytes } = await withCancel(
    t('Asking Litestream what it keeps of {0}', name),
    (signal) =>
      worker.call('offsiteFromLitestream', { database, folder: '', planOnly: true }, { signal }),
  );
  const newest = {
    label: t('Newest State'),
    description: [
      ...(newestAt === undefined ? [] : [exactTime(newestAt)]),
      formatBytes(sizeBytes),
    ].join(' · '),
  };
  const earlier = { label: t('State of an Earlier Time…'), description: '' };
  const placeHolder = t('Which state of {0} should be fetched?', name);
  const chosen = await vscode.window.showQuickPick([newest, earlier], { title, placeHolder });
  if (chosen !== earlier) return chosen && 'newest';
  return vscode.window.showInputBox({
    ...{ title, ignoreFocusOut: true, value: newestAt ?? '' },
    prompt: t('Time of the state, as 2026-11-21T13:45:02Z'),
    validateInput: (text) =>
      Number.isNaN(Date.parse(text)) ? t('Write it as 2026-11-21T13:45:02Z.') : undefined,
  });
}
