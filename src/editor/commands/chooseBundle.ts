/** What goes into a bundle: from the caller, the boxes, a saved bundle, or from what the person answers. */
import * as vscode from 'vscode';
import { isBackupError } from '../../core/errors.ts';
import type { Method } from '../../core/manifest/manifest.ts';
import { requireBareName } from '../../core/manifest/names.ts';
import { inertLine, notify } from '../inert.ts';
import { databaseDescription, databaseName } from '../messages.ts';
import type { SavedBundle } from '../settings.ts';
import { said } from '../said.ts';
import type { Parts } from './parts.ts';
import { tellNoDatabase } from './pickDatabase.ts';

/** What a caller need not be asked. */
export interface Answers {
  databases?: vscode.Uri[];
  companions?: string[];
  name?: string;
  saved?: string;
  allowIncomplete?: boolean;
}

export interface Choice {
  uris: vscode.Uri[];
  companions: string[];
  name: string | undefined;
  method: Method;
}

/** A saved bundle with the workspace folders that it is about. */
interface Saved {
  bundle: SavedBundle;
  folders: vscode.WorkspaceFolder[];
}

const companionsKey = 'bundleCompanions';

/** `given` are the selected rows. Undefined when the person turns away, or has been told why there is no bundle. */
export async function chooseBundle(
  parts: Parts,
  given: vscode.Uri[],
  answers: Answers,
): Promise<Choice | undefined> {
  const { t } = vscode.l10n;
  const saved = savedBundles(parts);
  if (answers.saved !== undefined) {
    const named = saved.find(({ bundle }) => bundle.name === answers.saved);
    if (named !== undefined) return savedChoice(parts, named);
    void notify.info(t('{0} has no bundle "{1}".', 'sqliteBackup.bundles', answers.saved));
    return undefined;
  }
  if (parts.backups.databases.length === 0 && answers.databases === undefined) {
    tellNoDatabase();
    return undefined;
  }
  // A button above the rows hands over the row that has the focus: what is ticked was meant, and a single row need not be.
  const { ticked } = parts.databasesView;
  const selected = answers.databases ?? (ticked.length > 0 ? ticked : given);
  const { companions, name } = answers;
  if (selected.length > 0 && companions !== undefined) {
    return { uris: selected, companions, name, method: methodFor(parts, selected) };
  }
  if (selected.length === 0 && saved.length > 0) {
    const picked = await pickSaved(saved);
    if (picked === undefined) return undefined;
    if (picked !== 'new') return savedChoice(parts, picked);
  }
  const isSettled = answers.databases !== undefined || ticked.length > 0 || selected.length > 1;
  const databases = isSettled ? selected : await pickDatabases(parts, selected);
  return databases === undefined
    ? undefined
    : askTheRest(parts, databases, isSettled ? [1, 2] : [2, 3]);
}

/** `steps` are the numbers of the two questions: the first question of three is left out where it is answered. */
async function askTheRest(
  parts: Parts,
  uris: vscode.Uri[],
  [second, third]: readonly [number, number],
): Promise<Choice | undefined> {
  const companions = await askCompanions(parts, [second, third]);
  if (companions === undefined) return undefined;
  const name = await askName(third);
  if (name === undefined) return undefined;
  return { uris, companions, name: name === '' ? undefined : name, method: methodFor(parts, uris) };
}

function methodFor({ settings }: Parts, [first]: readonly vscode.Uri[]): Method {
  return settings.method(first);
}

/** What the settings of any workspace folder describe, each once. */
function savedBundles({ settings }: Parts): Saved[] {
  const saved = new Map<string, Saved>();
  for (const folder of vscode.workspace.workspaceFolders ?? []) {
    for (const bundle of settings.bundles(folder.uri)) {
      const key = JSON.stringify(bundle);
      const { folders } = saved.get(key) ?? { folders: [] };
      saved.set(key, { bundle, folders: [...folders, folder] });
    }
  }
  return [...saved.values()];
}

/** The databases that the globs of a saved bundle mean, of those in the workspace. */
async function savedChoice(parts: Parts, { bundle, folders }: Saved): Promise<Choice | undefined> {
  const { databases, others } = parts.backups;
  const known = new Map([...databases, ...others].map(({ uri }) => [uri.fsPath, uri]));
  const meant = new Map<string, vscode.Uri>();
  for (const folder of folders) {
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
      'The bundle "{0}" matches no database of this workspace: {1}.',
      ...[bundle.name, bundle.databases.join(', ')],
    );
    void notify.info(message);
    return undefined;
  }
  const uris = [...meant.values()];
  return {
    uris,
    companions: bundle.companions,
    name: bundle.name,
    method: bundle.method ?? methodFor(parts, uris),
  };
}

async function pickSaved(saved: readonly Saved[]): Promise<Saved | 'new' | undefined> {
  const items = [
    ...saved.map((one) => ({
      label: inertLine(one.bundle.name),
      description: inertLine([...one.bundle.databases, ...one.bundle.companions].join(', ')),
      choice: one,
    })),
    { label: '', kind: vscode.QuickPickItemKind.Separator, choice: undefined },
    { label: vscode.l10n.t('Choose Databases…'), choice: 'new' as const },
  ];
  const placeHolder = vscode.l10n.t('Bundle to create');
  const title = vscode.l10n.t('Create Bundle');
  return (await vscode.window.showQuickPick(items, { title, placeHolder }))?.choice;
}

/** Asks for databases, with `first` ticked, else those of the last time, else all. Undefined also for none. */
async function pickDatabases(
  { backups, databasesView }: Parts,
  first: readonly vscode.Uri[],
): Promise<vscode.Uri[] | undefined> {
  const before = first.length > 0 ? first : databasesView.lastChosen;
  const isTicked = new Set(before.map((uri) => uri.toString()));
  const now = Date.now();
  const items = backups.databases.map((database) => ({
    label: inertLine(databaseName(database.uri)),
    description: databaseDescription(database, now),
    picked: isTicked.size === 0 || isTicked.has(database.uri.toString()),
    uri: database.uri,
  }));
  const picked = await vscode.window.showQuickPick(items, {
    canPickMany: true,
    title: vscode.l10n.t('Create Bundle ({0}/{1})', 1, 3),
    placeHolder: vscode.l10n.t('Databases to bundle at the same moment'),
    ignoreFocusOut: true,
  });
  if (picked === undefined || picked.length === 0) return undefined;
  const uris = picked.map(({ uri }) => uri);
  await databasesView.rememberChosen(uris);
  return uris;
}

async function askCompanions(
  { memory }: Parts,
  [step, last]: readonly [number, number],
): Promise<string[] | undefined> {
  const answer = await vscode.window.showInputBox({
    title: vscode.l10n.t('Create Bundle ({0}/{1})', step, last),
    prompt: vscode.l10n.t('Files that belong to them: globs, separated by commas; empty for none'),
    placeHolder: 'uploads/**, config/*.json',
    value: memory.get<string>(companionsKey) ?? '',
    ignoreFocusOut: true,
  });
  if (answer === undefined) return undefined;
  await memory.update(companionsKey, answer);
  return answer
    .split(/,(?![^{]*\})/) // Not at the commas of {a,b}.
    .map((glob) => glob.trim())
    .filter((glob) => glob !== '');
}

async function askName(step: number): Promise<string | undefined> {
  return vscode.window.showInputBox({
    title: vscode.l10n.t('Create Bundle ({0}/{1})', step, step),
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
        if (isBackupError(error)) return inertLine(said(error.message));
        throw error;
      }
    },
  });
}
