/** Where backups go: the setting, else `BACKUPS_DIR` in `.env`, else what the person answers, which is remembered. */
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join, relative, sep } from 'node:path';
import * as vscode from 'vscode';
import { mountedFolders, namesFor, type Place, placesFor } from '../core/catalog/backupPlaces.ts';
import {
  environmentVariable,
  expandFolder,
  folderFromEnv,
  isInside,
} from '../core/catalog/folderSetting.ts';
import { dataFolderIn } from '../core/files/dataFolderPath.ts';
import { answers, hangs } from '../worker/client.ts';
import { commands } from './contributed.ts';
import { inertLine, notify } from './inert.ts';
import type { Log } from './log.ts';
import { said } from './said.ts';
import type { Settings } from './settings.ts';

/** A backups folder, and whether the workspace chose it rather than the person. */
interface Choice {
  path: string;
  byWorkspace: boolean;
}

const consentKey = 'foldersAgreedTo';
const longestEnvBytes = 256 * 1024;
const defaultName = 'backups';

export class BackupsFolder {
  readonly #settings: Settings;
  readonly #memory: vscode.Memento;
  readonly #log: Log;

  constructor(settings: Settings, memory: vscode.Memento, log: Log) {
    this.#settings = settings;
    this.#memory = memory;
    this.#log = log;
  }

  /**
   * The chosen folder as an absolute path, or undefined when none is chosen yet, or the workspace has chosen one
   * outside of itself that the person has not agreed to. Asks nothing.
   */
  async resolve(folder: vscode.WorkspaceFolder | undefined): Promise<string | undefined> {
    const choice = await this.#choiceFor(folder);
    return choice === undefined || (await this.#needsConsent(choice)) ? undefined : choice.path;
  }

  async #choiceFor(folder: vscode.WorkspaceFolder | undefined): Promise<Choice | undefined> {
    const base = { workspaceFolder: folder?.uri.fsPath, home: homedir() };
    const fromSetting = expandFolder(this.#settings.backupsFolder(folder), base);
    if (fromSetting !== undefined) {
      return { path: fromSetting, byWorkspace: this.#settings.isFolderOfWorkspace(folder) };
    }
    const remembered = this.#memory.get<string>(memoryKey(folder));
    if (remembered !== undefined) return { path: remembered, byWorkspace: false };
    // A folder chosen by a workspace that is not trusted does not count, however it is written down.
    if (folder === undefined || !vscode.workspace.isTrusted) return undefined;
    const fromEnv = folderFromEnv(await this.#readEnv(folder));
    const path = fromEnv === undefined ? undefined : expandFolder(fromEnv, base);
    return path === undefined ? undefined : { path, byWorkspace: true };
  }

  /** A workspace may come from a stranger, so a folder outside of it counts only when the person agrees. */
  async #needsConsent({ path, byWorkspace }: Choice): Promise<boolean> {
    if (!byWorkspace || this.#consented().includes(path)) return false;
    if (!(await answers(path))) return true;
    const place = await realPlace(path);
    for (const { uri } of vscode.workspace.workspaceFolders ?? []) {
      if (isInside(path, uri.fsPath) && isInside(place, await realPlace(uri.fsPath))) return false;
    }
    return true;
  }

  #consented(): string[] {
    return this.#memory.get<string[]>(consentKey) ?? [];
  }

  async #consent(path: string): Promise<string> {
    await this.#memory.update(consentKey, [...new Set([...this.#consented(), path])]);
    return path;
  }

  /**
   * Asks where backups should go, or whether the folder that the workspace wants may be used. Undefined when the person
   * turns away or goes to edit `.env` instead.
   */
  async ask(folder: vscode.WorkspaceFolder | undefined): Promise<string | undefined> {
    const choice = await this.#choiceFor(folder);
    if (choice !== undefined && !(await answers(choice.path))) {
      void notify.error(said(hangs(choice.path).message));
      return undefined;
    }
    if (choice !== undefined && (await this.#needsConsent(choice))) {
      const [use, choose] = [vscode.l10n.t('Use This Folder'), vscode.l10n.t('Choose Folder…')];
      const message = vscode.l10n.t(
        'This workspace wants its backups in {0}, outside the workspace. Nothing is written there until you agree.',
        choice.path,
      );
      const answer = await notify.info(message, use, choose);
      if (answer === use) return this.#consent(choice.path);
      return answer === choose ? this.choose(folder) : undefined;
    }
    return this.#askPlace(folder);
  }

  /**
   * A list that stays until the person has answered, with what follows from each answer. The first answer is the safest.
   */
  async #askPlace(folder: vscode.WorkspaceFolder | undefined): Promise<string | undefined> {
    if (folder === undefined) return this.choose(folder);
    const { t } = vscode.l10n;
    const current = await this.resolve(folder);
    const places = await placesOf(folder);
    const another: Answer = {
      ...{ label: t('Another Folder…'), iconPath: new vscode.ThemeIcon('folder-opened') },
      detail: t('Choose any folder, such as one on another disk.'),
      answer: 'another',
    };
    const env: Answer = {
      label: t('{0} in .env', environmentVariable),
      iconPath: new vscode.ThemeIcon('edit'),
      detail: t('Opens .env. The command line and scripts then use the same folder.'),
      answer: 'env',
    };
    const items = [
      ...places.map((place) => answerFor(place, current)),
      another,
      // In Restricted Mode .env does not count.
      ...(vscode.workspace.isTrusted ? [env] : []),
    ];
    const picked = await vscode.window.showQuickPick(items, {
      title: isOneOfSeveral(folder)
        ? t('Where should backups of {0} go?', inertLine(folder.name))
        : t('Where should backups go?'),
      placeHolder: t('Asked once for this workspace. Choose Backups Folder… changes it later.'),
      ignoreFocusOut: true,
    });
    if (picked === undefined) {
      void this.#tellWaiting(current);
      return undefined;
    }
    if (picked.answer === 'another') return this.choose(folder);
    if (picked.answer === 'env') {
      await this.#memory.update(memoryKey(folder), undefined);
      await this.#settings.clearBackupsFolder(folder);
      await openEnvFile(folder);
      void notify.info(t('Save .env, then press Back Up again.'));
      return undefined;
    }
    const { kind, path } = picked.answer;
    if (kind === 'workspace') return this.#remember(folder, defaultName);
    // A path of this machine does not belong into settings that a team shares.
    if (vscode.workspace.isTrusted) await this.#settings.clearBackupsFolder(folder);
    await this.#memory.update(memoryKey(folder), path);
    await this.#consent(path);
    // A setting of the person for all workspaces would win.
    if ((await this.resolve(folder)) !== path) await this.#settings.setBackupsFolder(folder, path);
    this.#log.info(`The backups folder is now ${path}.`);
    return path;
  }

  /** Asks again where backups should go, however it was answered before. */
  change(folder: vscode.WorkspaceFolder | undefined): Promise<string | undefined> {
    return this.#askPlace(folder);
  }

  async #tellWaiting(current: string | undefined): Promise<void> {
    if (current !== undefined) return;
    const { t } = vscode.l10n;
    const choose = t('Choose Folder…');
    const text = t('Nothing was backed up: no backups folder is chosen yet.');
    if ((await notify.info(text, choose)) === choose)
      await vscode.commands.executeCommand(commands.chooseBackupsFolder);
  }

  /** Lets the person pick a folder and remembers it. Undefined when the person turns away. */
  async choose(folder: vscode.WorkspaceFolder | undefined): Promise<string | undefined> {
    const [picked] =
      (await vscode.window.showOpenDialog({
        canSelectFiles: false,
        canSelectFolders: true,
        openLabel: vscode.l10n.t('Keep Backups Here'),
        title: vscode.l10n.t('Backups Folder'),
        ...(folder !== undefined && { defaultUri: folder.uri }),
      })) ?? [];
    if (picked === undefined) return undefined;
    return this.#remember(
      folder,
      folder === undefined ? picked.fsPath : shorten(picked.fsPath, folder),
    );
  }

  async #remember(
    folder: vscode.WorkspaceFolder | undefined,
    text: string,
  ): Promise<string | undefined> {
    const base = { workspaceFolder: folder?.uri.fsPath, home: homedir() };
    const path = expandFolder(text, base);
    if (vscode.workspace.isTrusted) {
      if (path !== undefined) await this.#consent(path);
      await this.#settings.setBackupsFolder(folder, text);
    } else {
      // Restricted Mode ignores the workspace's own setting, but this is the person's answer.
      await this.#memory.update(memoryKey(folder), path);
    }
    this.#log.info(`The backups folder is now ${path}.`);
    return path;
  }

  async #readEnv(folder: vscode.WorkspaceFolder): Promise<string> {
    const path = envPath(folder);
    try {
      const { size } = await stat(path);
      if (size <= longestEnvBytes) return await readFile(path, 'utf8');
      this.#log.warn(`${path} was not read: it is larger than ${longestEnvBytes} bytes.`);
    } catch (error) {
      const missing = error instanceof Error && Reflect.get(error, 'code') === 'ENOENT';
      if (!missing) this.#log.error(`${path} could not be read`, error);
    }
    return '';
  }
}

type Answer = vscode.QuickPickItem & { answer: Place | 'another' | 'env' };

function answerFor(place: Place, current: string | undefined): Answer {
  const { t } = vscode.l10n;
  const { kind, path, diesWithContainer } = place;
  const labels: Record<Place['kind'], string> = {
    outside: t('Outside the Work Tree'),
    'outside-used': t('Outside the Work Tree, with Backups That Are There'),
    mounted: t('On a Mounted Disk'),
    workspace: t('In the Workspace: {0}', defaultName),
  };
  const consequence = diesWithContainer
    ? t('Lost when the container is rebuilt.')
    : kind === 'workspace'
      ? t('"git clean -fdX" or deleting the checkout removes it with the database.')
      : kind === 'outside-used'
        ? t('A workspace of the same name has backups there already.')
        : kind === 'mounted'
          ? t('Stays when the container is rebuilt and when the checkout is deleted.')
          : t('Stays when the checkout is deleted or cleaned. Recommended.');
  return {
    label: labels[kind],
    description: path === current ? t('{0} (now)', inertLine(path)) : inertLine(path),
    detail: consequence,
    iconPath: new vscode.ThemeIcon(
      kind === 'workspace' || diesWithContainer ? 'warning' : 'shield',
    ),
    answer: place,
  };
}

/** The places for the backups of a workspace folder, with what this machine says of them. */
async function placesOf({ uri }: vscode.WorkspaceFolder): Promise<Place[]> {
  const workspace = uri.fsPath;
  const isContainer =
    /^(dev-container|attached-container|codespaces)$/.test(vscode.env.remoteName ?? '') ||
    [process.env['REMOTE_CONTAINERS'], process.env['CODESPACES']].includes('true');
  const facts = { workspace, dataFolder: dataFolder() };
  const used = new Set<string>();
  for (const path of namesFor(facts)) {
    const names = await readdir(path).catch(() => []);
    if (names.length > 0) used.add(path);
  }
  const mounts = isContainer ? await readFile('/proc/mounts', 'utf8').catch(() => '') : '';
  return placesFor({ ...facts, isContainer, used, mounted: mountedFolders(mounts, workspace) });
}

function dataFolder(): string {
  const { env, platform } = process;
  return dataFolderIn({ env, platform, homes: () => [homedir()] });
}

/** The git work tree that a folder is in, which need not exist; undefined outside of any. */
export async function workTreeOf(folder: string): Promise<string | undefined> {
  for (let at = folder; ; at = dirname(at)) {
    const isRoot = await stat(join(at, '.git')).then(
      () => true,
      () => false,
    );
    if (isRoot) return at;
    if (dirname(at) === at) return undefined;
  }
}

/** Where a path leads to when links are followed, those of its parents too while it is not there itself. */
async function realPlace(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    return dirname(path) === path ? path : join(await realPlace(dirname(path)), basename(path));
  }
}

function isOneOfSeveral(folder: vscode.WorkspaceFolder | undefined): boolean {
  return folder !== undefined && (vscode.workspace.workspaceFolders ?? []).length > 1;
}

function memoryKey(folder: vscode.WorkspaceFolder | undefined): string {
  return `backupsFolder:${folder?.uri.toString() ?? ''}`;
}

function envPath(folder: vscode.WorkspaceFolder): string {
  return join(folder.uri.fsPath, '.env');
}

/** Inside the workspace folder a path is written relative to it, so that the setting serves the whole team. */
function shorten(path: string, folder: vscode.WorkspaceFolder): string {
  const inside = relative(folder.uri.fsPath, path);
  return inside === '' || inside.startsWith('..') || dirname(inside) === inside
    ? path
    : inside.split(sep).join('/');
}

/** Shows `.env` with a line to complete, not saved: the file is the person's. */
async function openEnvFile(folder: vscode.WorkspaceFolder): Promise<void> {
  const uri = vscode.Uri.joinPath(folder.uri, '.env');
  const exists = await stat(uri.fsPath).then(
    () => true,
    () => false,
  );
  const document = await vscode.workspace.openTextDocument(
    exists ? uri : uri.with({ scheme: 'untitled' }),
  );
  const editor = await vscode.window.showTextDocument(document);
  const blank = new RegExp(`^\\s*(?:export\\s+)?${environmentVariable}[ \\t]*=[ \\t]*$`, 'm').exec(
    document.getText(),
  );
  const last = document.lineAt(document.lineCount - 1).range.end;
  const separator = last.character > 0 ? '\n' : '';
  const [place, text] =
    blank === null
      ? [last, `${separator}${environmentVariable}=${defaultName}\n`]
      : [document.positionAt(blank.index + blank[0].length), defaultName];
  await editor.edit((edit) => edit.insert(place, text));
}

/** True when `folder` lies in a git work tree and has no `.gitignore` of its own. */
export async function shouldOfferIgnoring(folder: string): Promise<boolean> {
  const exists = (path: string): Promise<boolean> =>
    stat(path).then(
      () => true,
      () => false,
    );
  return !(await exists(join(folder, '.gitignore'))) && (await workTreeOf(folder)) !== undefined;
}

/** The name people know a folder by: relative to the workspace where it is inside, else its last part. */
export function folderName(path: string): string {
  const shown = vscode.workspace.asRelativePath(path);
  return shown === path ? basename(path) : shown;
}
