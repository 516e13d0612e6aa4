/** Where backups go: the setting, else `BACKUPS_DIR` in `.env`, else what the person answers, which is remembered. */
import { readFile, realpath, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join, relative, sep } from 'node:path';
import * as vscode from 'vscode';
import {
  environmentVariable,
  expandFolder,
  folderFromEnv,
  isInside,
} from '../core/catalog/folderSetting.ts';
import { notify } from './inert.ts';
import type { Log } from './log.ts';
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
    const useDefault = vscode.l10n.t('Use "{0}"', defaultName);
    const choose = vscode.l10n.t('Choose Folder…');
    const openEnv = vscode.l10n.t('Open .env');
    const answers = folder === undefined ? [choose] : [useDefault, choose, openEnv];
    const answer = await notify.info(
      isOneOfSeveral(folder)
        ? vscode.l10n.t(
            'Where should backups of {0} go? Set {1}, or {2} in .env.',
            folder?.name ?? '',
            'sqliteBackup.backupsFolder',
            environmentVariable,
          )
        : folder === undefined
          ? vscode.l10n.t('Where should backups go? Set {0}.', 'sqliteBackup.backupsFolder')
          : vscode.l10n.t(
              'Where should backups go? Set {0}, or {1} in .env.',
              'sqliteBackup.backupsFolder',
              environmentVariable,
            ),
      ...answers,
    );
    if (answer === useDefault) return this.#remember(folder, defaultName);
    if (answer === choose) return this.choose(folder);
    if (answer === openEnv && folder !== undefined) {
      await openEnvFile(folder);
      void notify.info(vscode.l10n.t('Save .env, then press Back Up again.'));
    }
    return undefined;
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
  const end = document.lineAt(document.lineCount - 1).range.end;
  const separator = end.character > 0 ? '\n' : '';
  await editor.edit((edit) =>
    edit.insert(end, `${separator}${environmentVariable}=${defaultName}\n`),
  );
}

/** True when `folder` lies in a git work tree and has no `.gitignore` of its own. */
export async function shouldOfferIgnoring(folder: string): Promise<boolean> {
  const exists = (path: string): Promise<boolean> =>
    stat(path).then(
      () => true,
      () => false,
    );
  if (await exists(join(folder, '.gitignore'))) return false;
  for (let at = folder; ; at = dirname(at)) {
    if (await exists(join(at, '.git'))) return true;
    if (dirname(at) === at) return false;
  }
}

/** The name people know a folder by: relative to the workspace where it is inside, else its last part. */
export function folderName(path: string): string {
  const shown = vscode.workspace.asRelativePath(path);
  return shown === path ? basename(path) : shown;
}
