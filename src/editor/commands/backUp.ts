import * as vscode from 'vscode';
import { ownLosses } from '../../core/manifest/loss.ts';
import type { Method } from '../../core/manifest/manifest.ts';
import type { BackUpResult } from '../backupJobs.ts';
import { shouldOfferIgnoring } from '../backupsFolder.ts';
import { commands } from '../contributed.ts';
import { inertLine, notify } from '../inert.ts';
import { databaseDescription, databaseName, resultMessage } from '../messages.ts';
import { errorMessage } from '../errorMessages.ts';
import { isRow } from '../rows.ts';
import { adopt } from './lineage.ts';
import type { Parts } from './parts.ts';
import { tellNoDatabase } from './pickDatabase.ts';
import { firstOffer, takeOffer } from './protectAutomatically.ts';
import { ignoreInGit, reveal } from './reveal.ts';

/** What commands and the public API return: plain data, no classes of ours. */
export interface PlainResult {
  backups: {
    database: string;
    path: string;
    sizeBytes: number;
    sha256: string;
    verified: string;
  }[];
  failures: { database: string; code: string; message: string }[];
  /** Whether several backups share an instant: `one-instant` or `per-database`. */
  cut?: string;
  /** What retention did afterwards, when it ran. */
  retention?: { removed: string[]; problems: string[] };
  /** True when the person turned away before anything ran. */
  cancelled: boolean;
}

const nothing: PlainResult = { backups: [], failures: [], cancelled: true };

/** Takes a Uri, a row, several of either, or nothing: then it asks which. `method` goes before the setting. */
export async function backUp(
  parts: Parts,
  target: unknown,
  selection: unknown,
  { method }: { method?: Method } = {},
): Promise<PlainResult> {
  const uris = urisOf(target, selection) ?? (await pick(parts, { several: true }));
  if (uris === undefined || uris.length === 0) return nothing;
  return run(parts, uris, method);
}

/** All databases of the workspace, at one moment if possible. */
export async function backUpAll(parts: Parts): Promise<PlainResult> {
  if (!parts.backups.isReady) await parts.backups.refresh();
  const { databases } = parts.backups;
  if (databases.length > 0)
    return run(
      parts,
      databases.map(({ uri }) => uri),
    );
  tellNoDatabase();
  return nothing;
}

/** The only database, else the one last backed up, else asks. */
export async function quickBackUp(parts: Parts): Promise<PlainResult> {
  const { databases } = parts.backups;
  const last = parts.memory.get<string>(lastUsedKey);
  const chosen =
    databases.length === 1 ? databases[0] : databases.find(({ uri }) => uri.toString() === last);
  const uris = chosen === undefined ? await pick(parts, { several: false }) : [chosen.uri];
  return uris === undefined ? nothing : run(parts, uris);
}

const lastUsedKey = 'lastBackedUp';

/** The databases among the selected rows, else of the row or the Uri; undefined when there are none. */
export function urisOf(target: unknown, selection: unknown): vscode.Uri[] | undefined {
  const chosen =
    Array.isArray(selection) && selection.length > 0 ? (selection as unknown[]) : [target].flat();
  const uris = chosen.flatMap((one) =>
    one instanceof vscode.Uri ? [one] : isRow(one) && one.kind === 'database' ? [one.uri] : [],
  );
  const unique = new Map(uris.map((uri) => [uri.toString(), uri]));
  return unique.size > 0 ? [...unique.values()] : undefined;
}

async function pick(
  { backups, memory }: Parts,
  { several }: { several: boolean },
): Promise<vscode.Uri[] | undefined> {
  if (!backups.isReady) await backups.refresh();
  const { databases } = backups;
  if (databases.length === 0) {
    tellNoDatabase();
    return undefined;
  }
  const last = memory.get<string>(lastUsedKey);
  const items = databases.map((database) => ({
    label: inertLine(databaseName(database.uri)),
    description: databaseDescription(database, Date.now()),
    picked: databases.length === 1 || database.uri.toString() === last,
    uri: database.uri,
  }));
  if (several) {
    const title = vscode.l10n.t('Back Up Databases');
    const placeHolder = vscode.l10n.t('Databases to back up');
    const picked = await vscode.window.showQuickPick(items, {
      ...{ canPickMany: true, title, placeHolder },
    });
    return picked?.map(({ uri }) => uri);
  }
  const placeHolder = vscode.l10n.t('Database to back up');
  const title = vscode.l10n.t('Back Up a Database');
  const picked = await vscode.window.showQuickPick(items, { title, placeHolder });
  return picked && [picked.uri];
}

async function run(parts: Parts, uris: vscode.Uri[], method?: Method): Promise<PlainResult> {
  const folders = await foldersFor(parts, uris);
  if (folders === undefined) return nothing;
  const result = await vscode.window.withProgress({ location: { viewId: parts.viewId } }, () =>
    parts.backups.backUp(uris, folders, {
      trigger: 'manual',
      ...(method !== undefined && { method }),
    }),
  );
  const [last] = uris.slice(-1);
  if (last !== undefined) await parts.memory.update(lastUsedKey, last.toString());
  // The caller has the result; the notification may stay for as long as the person likes.
  void tell(parts, result, { method, folders }).catch((error: unknown) =>
    parts.log.error('Telling the result failed', error),
  );
  return plain(result);
}

/** The backups folder for each database, asked for once per workspace folder. Undefined when the person turns away. */
export async function foldersFor(
  { folder }: Pick<Parts, 'folder'>,
  uris: readonly vscode.Uri[],
): Promise<Map<string, string> | undefined> {
  const answers = new Map<vscode.WorkspaceFolder | undefined, string>();
  const result = new Map<string, string>();
  for (const uri of uris) {
    const workspaceFolder =
      vscode.workspace.getWorkspaceFolder(uri) ?? vscode.workspace.workspaceFolders?.[0];
    const path =
      answers.get(workspaceFolder) ??
      (await folder.resolve(workspaceFolder)) ??
      (await folder.ask(workspaceFolder));
    if (path === undefined) return undefined;
    answers.set(workspaceFolder, path);
    result.set(uri.toString(), path);
  }
  return result;
}

/** What may be over by the next try; text does not become a database by trying again. */
export const passingCodes: ReadonlySet<string> = new Set<string>([
  'source-busy',
  'source-missing',
  'hot-journal',
  'source-fs-full',
  'target-full',
  'access',
  'incomplete',
  'worker-died',
  'deadline',
  'io-error',
]);

async function tell(
  parts: Parts,
  result: BackUpResult,
  { method, folders }: { method: Method | undefined; folders: ReadonlyMap<string, string> },
): Promise<void> {
  const { t } = vscode.l10n;
  const showLog = t('Show Log');
  const { done, failed } = result;
  if (failed.length > 0) {
    const retry = t('Retry');
    const onlyCancelled = failed.every(({ error }) => error.code === 'cancelled');
    const save = t('Save It');
    const runDoctor = t('Run Doctor');
    const stillOpen = failed.find(({ error }) => error.facts?.['reason'] === 'still-open');
    const mayPass = failed.filter(({ error }) => passingCodes.has(error.code));
    const chooseFolder = t('Choose Folder…');
    const isFolderAtFault = failed.some(
      ({ uri, error }) =>
        error.code === 'target-full' ||
        (error.path !== undefined && error.path === folders.get(uri.toString())),
    );
    const actions = [
      ...(isFolderAtFault ? [chooseFolder] : []),
      ...(stillOpen === undefined ? [] : [save]),
      ...(mayPass.length > 0 ? [retry, showLog] : [showLog]),
      ...(failed.some(({ error }) => error.code === 'worker-died') ? [runDoctor] : []),
    ];
    const show = onlyCancelled ? notify.info : notify.error;
    const answer = await show(resultMessage(result), ...actions);
    if (answer === retry)
      await run(
        parts,
        mayPass.map(({ uri }) => uri),
        method,
      );
    if (answer === chooseFolder) await vscode.commands.executeCommand(commands.chooseBackupsFolder);
    if (answer === showLog) parts.log.show();
    if (answer === runDoctor) await vscode.commands.executeCommand(commands.doctor);
    if (answer === save)
      await vscode.commands.executeCommand(commands.saveOpenFiles, stillOpen?.uri);
    return;
  }
  const [last] = done.slice(-1);
  if (last === undefined) return;
  const revealIt = t('Reveal');
  const ignore = t('Ignore in Git');
  const folder = vscode.Uri.joinPath(vscode.Uri.file(last.snapshot.path), '..');
  const offerIgnoring = await shouldOfferIgnoring(folder.fsPath);
  const areFilesLost = done.some(({ snapshot: { manifest } }) =>
    manifest.warnings?.some(({ code }) => code === 'lost-files' || code === 'hidden-wal'),
  );
  const lost = done.find(({ snapshot }) => ownLosses(snapshot.manifest).length > 0);
  const offering = done.filter(({ snapshot }) => snapshot.offer !== undefined);
  const [releaseIt, together] = [t('Release…'), t('Count Together')];
  const hasProblems = (result.retained?.problems ?? []).length > 0;
  const show = hasProblems || areFilesLost || lost !== undefined ? notify.warn : notify.info;
  const answer = await show(
    resultMessage(result),
    ...(lost === undefined ? [] : [releaseIt]),
    ...(offering.length === 0 ? [] : [together]),
    revealIt,
    showLog,
    ...(offerIgnoring ? [ignore] : []),
    ...(await firstOffer(parts)),
  );
  await takeOffer(answer);
  if (answer === revealIt) await reveal(vscode.Uri.file(last.snapshot.path));
  if (answer === showLog) parts.log.show();
  if (answer === releaseIt && lost !== undefined)
    await vscode.commands.executeCommand(commands.release, vscode.Uri.file(lost.snapshot.path));
  if (answer === together) await countTogether(parts, offering);
  if (answer === ignore) await ignoreInGit(folder);
}

async function countTogether(parts: Parts, offering: BackUpResult['done']): Promise<void> {
  for (const { uri, snapshot } of offering) {
    await adopt(parts, uri, snapshot.offer?.backups ?? []);
  }
}

function plain({ done, failed, cut, retained }: BackUpResult): PlainResult {
  return {
    backups: done.map(({ uri, snapshot: { path, manifest } }) => ({
      database: uri.fsPath,
      path,
      sizeBytes: manifest.sizeBytes,
      sha256: manifest.sha256,
      verified: manifest.verdict.status,
    })),
    failures: failed.map(({ uri, error }) => ({
      database: uri.fsPath,
      code: error.code,
      message: errorMessage(error, databaseName(uri)),
    })),
    ...(cut !== undefined && { cut }),
    ...(retained !== undefined && {
      retention: { removed: retained.removed, problems: retained.problems },
    }),
    cancelled: false,
  };
}
