import { basename } from 'node:path';
import * as vscode from 'vscode';
import { isBackupError, type BackupError } from '../../core/errors.ts';
import type { Method } from '../../core/manifest.ts';
import { requireBareName } from '../../core/names.ts';
import { formatBytes, formatDuration } from '../../core/units.ts';
import { recordAs, type Database } from '../backups.ts';
import type { BundleOrder, BundleResult } from '../bundleOrder.ts';
import { inertLine, notify } from '../inert.ts';
import { databaseDescription, databaseName, errorMessage, verdictWord } from '../messages.ts';
import { isRow } from '../rows.ts';
import type { SavedBundle } from '../settings.ts';
import { urisOf } from './backUp.ts';
import type { Parts } from './register.ts';
import { reveal } from './reveal.ts';

/** Plain data, for callers outside. */
export interface PlainBundle {
  path?: string;
  cut?: string;
  complete?: boolean;
  members: string[];
  failures: { path: string; code: string; message: string }[];
  cancelled: boolean;
}

/** What a caller need not be asked. */
interface Answers {
  databases?: vscode.Uri[];
  companions?: string[];
  name?: string;
  saved?: string;
  allowIncomplete?: boolean;
}

interface Choice {
  uris: vscode.Uri[];
  companions: string[];
  name: string | undefined;
  method: Method;
}

const nothing: PlainBundle = { members: [], failures: [], cancelled: true };
const companionsKey = 'bundleCompanions';

/**
 * Several databases at one instant, with the files that belong to them, in one zip. Takes rows or Uris, the databases that
 * are ticked in the view, a saved bundle, or asks; `answers` are for callers that need not be asked.
 */
export async function createBundle(
  parts: Parts,
  target?: unknown,
  selection?: unknown,
  answers: Answers = {},
): Promise<PlainBundle> {
  if (!parts.backups.isReady) await parts.backups.refresh();
  const choice = await choose(parts, urisOf(target, selection), answers);
  if (choice === undefined) return nothing;
  const order = await orderFor(parts, choice, answers.allowIncomplete === true);
  return order === undefined ? nothing : make(parts, order);
}

async function choose(
  parts: Parts,
  given: vscode.Uri[] | undefined,
  answers: Answers,
): Promise<Choice | undefined> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const saved = parts.settings.bundles(folder);
  const byName = saved.find(({ name }) => name === answers.saved);
  if (byName !== undefined) return savedChoice(parts, byName);
  const method = parts.settings.method(folder);
  const uris = answers.databases ?? given ?? parts.databasesView.ticked;
  if (uris.length > 0 && answers.companions !== undefined) {
    return { uris, companions: answers.companions, name: answers.name, method };
  }
  if (uris.length === 0 && saved.length > 0) {
    const picked = await pickSaved(saved);
    if (picked === undefined) return undefined;
    if (picked !== 'new') return savedChoice(parts, picked);
  }
  const databases = uris.length > 0 ? uris : await pickDatabases(parts);
  if (databases === undefined || databases.length === 0) return undefined;
  const companions = await askCompanions(parts);
  if (companions === undefined) return undefined;
  const name = await askName();
  return name === undefined
    ? undefined
    : { uris: databases, companions, name: name === '' ? undefined : name, method };
}

/** The databases that the globs of a saved bundle mean, of those in the workspace. */
async function savedChoice(parts: Parts, bundle: SavedBundle): Promise<Choice | undefined> {
  const known = new Map(parts.backups.databases.map(({ uri }) => [uri.fsPath, uri]));
  const meant = new Map<string, vscode.Uri>();
  for (const folder of vscode.workspace.workspaceFolders ?? []) {
    for (const glob of bundle.databases) {
      const pattern = new vscode.RelativePattern(folder, glob);
      for (const { fsPath } of await vscode.workspace.findFiles(pattern, null)) {
        const uri = known.get(fsPath);
        if (uri !== undefined) meant.set(fsPath, uri);
      }
    }
  }
  if (meant.size === 0) {
    const message = vscode.l10n.t(
      'The bundle "{0}" means no database of this workspace.',
      bundle.name,
    );
    void notify.info(message);
    return undefined;
  }
  const [first] = meant.values();
  return {
    uris: [...meant.values()],
    companions: bundle.companions,
    name: bundle.name,
    method: bundle.method ?? parts.settings.method(first),
  };
}

async function pickSaved(saved: readonly SavedBundle[]): Promise<SavedBundle | 'new' | undefined> {
  const items = [
    ...saved.map((bundle) => ({
      label: inertLine(bundle.name),
      description: inertLine([...bundle.databases, ...bundle.companions].join(', ')),
      bundle,
    })),
    { label: vscode.l10n.t('Choose Databases…'), bundle: 'new' as const },
  ];
  const placeHolder = vscode.l10n.t('Bundle to create');
  return (await vscode.window.showQuickPick(items, { placeHolder }))?.bundle;
}

async function pickDatabases({ backups }: Parts): Promise<vscode.Uri[] | undefined> {
  const item = (database: Database): vscode.QuickPickItem & { uri: vscode.Uri } => ({
    label: inertLine(databaseName(database.uri)),
    description: databaseDescription(database, Date.now()),
    picked: true,
    uri: database.uri,
  });
  const items = backups.databases.map(item);
  if (items.length === 0) {
    void notify.info(vscode.l10n.t('There is no SQLite database in this workspace.'));
    return undefined;
  }
  const title = vscode.l10n.t('Create Bundle (1/3)');
  const placeHolder = vscode.l10n.t('Databases at one instant');
  const picked = await vscode.window.showQuickPick(items, {
    canPickMany: true,
    title,
    placeHolder,
  });
  return picked?.map(({ uri }) => uri);
}

async function askCompanions({ memory }: Parts): Promise<string[] | undefined> {
  const answer = await vscode.window.showInputBox({
    title: vscode.l10n.t('Create Bundle (2/3)'),
    prompt: vscode.l10n.t('Files that belong to them: globs, separated by commas; empty for none'),
    placeHolder: 'uploads/**, config/*.json',
    value: memory.get<string>(companionsKey) ?? '',
    ignoreFocusOut: true,
  });
  if (answer === undefined) return undefined;
  await memory.update(companionsKey, answer);
  return answer
    .split(',')
    .map((glob) => glob.trim())
    .filter((glob) => glob !== '');
}

async function askName(): Promise<string | undefined> {
  return vscode.window.showInputBox({
    title: vscode.l10n.t('Create Bundle (3/3)'),
    prompt: vscode.l10n.t(
      'Name of the bundle; the time is added. Empty for the name of the workspace',
    ),
    ignoreFocusOut: true,
    validateInput: (value) => {
      if (value === '') return undefined;
      try {
        requireBareName(value);
        return undefined;
      } catch (error) {
        if (isBackupError(error)) return inertLine(error.message);
        throw error;
      }
    },
  });
}

async function orderFor(
  { folder }: Parts,
  { uris, companions, name, method }: Choice,
  allowIncomplete: boolean,
): Promise<BundleOrder | undefined> {
  const [first] = uris;
  if (first === undefined) return undefined;
  const workspaceFolder =
    vscode.workspace.getWorkspaceFolder(first) ?? vscode.workspace.workspaceFolders?.[0];
  const path = (await folder.resolve(workspaceFolder)) ?? (await folder.ask(workspaceFolder));
  if (path === undefined) return undefined;
  const folders = new Set(
    uris.flatMap((uri) => vscode.workspace.getWorkspaceFolder(uri) ?? workspaceFolder ?? []),
  );
  return {
    databases: uris.map((uri) => ({ path: uri.fsPath, recordAs: recordAs(uri) })),
    companions:
      companions.length === 0
        ? []
        : [...folders].map(({ uri }) => ({
            ...{ root: uri.fsPath, globs: companions, workspace: basename(uri.fsPath) },
          })),
    ...{ folder: path, name, method, allowIncomplete },
    workspace: workspaceFolder && basename(workspaceFolder.uri.fsPath),
  };
}

async function make(parts: Parts, order: BundleOrder): Promise<PlainBundle> {
  const result = await vscode.window.withProgress({ location: { viewId: parts.viewId } }, () =>
    parts.backups.bundle(order, 'manual'),
  );
  void tell(parts, order, result).catch((error: unknown) =>
    parts.log.error('Telling the result failed', error),
  );
  return plain(result);
}

async function tell(parts: Parts, order: BundleOrder, result: BundleResult): Promise<void> {
  const { t } = vscode.l10n;
  const { bundle, failures } = result;
  const showLog = t('Show Log');
  const [first] = failures;
  if (bundle === undefined) {
    const without =
      failures.length === 1 && first !== undefined
        ? t('Create without {0}', basename(first.path))
        : t('Create without Them');
    const isWorthIt = failures.length < order.databases.length;
    const answer = await notify.error(
      failureMessage(failures),
      ...(isWorthIt ? [without] : []),
      showLog,
    );
    if (answer === without) await make(parts, { ...order, allowIncomplete: true });
    if (answer === showLog) parts.log.show();
    return;
  }
  const revealIt = t('Reveal');
  const answer = await notify.info(doneMessage(bundle, failures.length), revealIt, showLog);
  if (answer === revealIt) await reveal(vscode.Uri.file(bundle.path));
  if (answer === showLog) parts.log.show();
}

function failureMessage(failures: BundleResult['failures']): string {
  const { t } = vscode.l10n;
  const [first] = failures;
  const reason = first === undefined ? '' : explain(first);
  return failures.length > 1
    ? t('No bundle was made: {0} And {1} more failed.', reason, failures.length - 1)
    : t('No bundle was made: {0}', reason);
}

function explain({ path, error }: { path: string; error: BackupError }): string {
  return errorMessage(error, databaseName(vscode.Uri.file(path)));
}

function doneMessage(
  { manifest, durationMs }: NonNullable<BundleResult['bundle']>,
  failed: number,
): string {
  const { t } = vscode.l10n;
  const { entries, cut, sizeBytes, verdict } = manifest;
  const databases = entries.filter(({ kind }) => kind === 'database').length;
  const files = entries.length - databases;
  const what =
    files === 0
      ? t('{0} databases', databases)
      : t('{0} databases and {1} files', databases, files);
  const facts = t(
    '{0} in {1}, {2}',
    formatBytes(sizeBytes),
    formatDuration(durationMs),
    verdictWord(verdict.status),
  );
  const message =
    cut.label === 'one-instant'
      ? t('Bundled {0} at one instant: {1}.', what, facts)
      : t('Bundled {0}, each consistent in itself: {1}.', what, facts);
  return failed === 0 ? message : t('{0} It is incomplete: {1} left out.', message, failed);
}

function plain({ bundle, failures }: BundleResult): PlainBundle {
  const manifest = bundle?.manifest;
  return {
    ...(bundle !== undefined && { path: bundle.path }),
    ...(manifest !== undefined && { cut: manifest.cut.label, complete: manifest.complete }),
    members: (manifest?.entries ?? []).map(({ name }) => name),
    failures: failures.map(({ path, error }) => ({
      ...{ path, code: error.code, message: explain({ path, error }) },
    })),
    cancelled: false,
  };
}

/** Extracts a bundle, or the selected members of one, into a folder. `to` is for callers that need not ask. */
export async function extract(
  parts: Parts,
  target: unknown,
  selection?: unknown,
  to?: unknown,
): Promise<{ paths: string[] }> {
  const rows = (Array.isArray(selection) && selection.length > 0 ? selection : [target]).filter(
    isRow,
  );
  const members = rows.flatMap((row) => (row.kind === 'member' ? [row] : []));
  const entry =
    members[0]?.entry ?? rows.flatMap((row) => (row.kind === 'snapshot' ? [row.entry] : []))[0];
  if (entry?.bundle === undefined) {
    void notify.info(vscode.l10n.t('Select a bundle, or something in it.'));
    return { paths: [] };
  }
  const folder = to instanceof vscode.Uri ? to : await pickFolder();
  if (folder === undefined) return { paths: [] };
  const names = members
    .filter((row) => row.entry.path === entry.path)
    .map(({ member }) => member.name);
  const files = await parts.worker.call('extract', {
    ...{ bundle: entry.path, folder: folder.fsPath },
    ...(names.length > 0 && { members: names }),
  });
  void notify.info(vscode.l10n.t('Extracted {0} files, each proved.', files.length));
  return { paths: files.map(({ path }) => path) };
}

async function pickFolder(): Promise<vscode.Uri | undefined> {
  const [folder] =
    (await vscode.window.showOpenDialog({
      ...{ canSelectFiles: false, canSelectFolders: true },
      title: vscode.l10n.t('Extract To'),
      openLabel: vscode.l10n.t('Extract Here'),
    })) ?? [];
  return folder;
}
