import * as vscode from 'vscode';
import { keepRules, type Policy } from '../core/catalog/retention.ts';
import type { Compression, Method } from '../core/manifest/manifest.ts';
import { section, settingKeys } from './ids.ts';

const longestTimerMs = 2_147_483_647;
const dayMs = 24 * 60 * 60 * 1000;

export const sortOrders = ['name', 'size', 'age'] as const;
export type SortBy = (typeof sortOrders)[number];

export interface StatusBarSettings {
  visible: boolean;
  text: 'lastBackup' | 'attention' | 'icon';
  click: 'quickBackUp' | 'backUpAll' | 'backUp' | 'showView';
}

/** `sqliteBackup.bundles`: what belongs together. */
export interface SavedBundle {
  name: string;
  /** Globs relative to the workspace folder. */
  databases: string[];
  companions: string[];
  method?: Method;
}

/** Empty where nothing was set. */
export interface RestoreSettings {
  stopTask: string;
  startTask: string;
  healthUrl: string;
  spotChecks: string[];
}

/** The only reader of the configuration. Defaults are in the manifest and nowhere else. */
export class Settings {
  /** As written; see `expandFolder` for what it may contain. Empty when none is chosen. */
  backupsFolder(scope: vscode.ConfigurationScope | undefined): string {
    return read<string>(settingKeys.backupsFolder, scope);
  }

  /** True when the workspace, and not the person, has chosen the backups folder. */
  isFolderOfWorkspace(scope: vscode.ConfigurationScope | undefined): boolean {
    const found = vscode.workspace
      .getConfiguration(section, scope)
      .inspect<string>(settingKeys.backupsFolder);
    return found?.workspaceValue !== undefined || found?.workspaceFolderValue !== undefined;
  }

  include(scope: vscode.ConfigurationScope): string[] {
    return read<string[]>(settingKeys.include, scope);
  }

  exclude(scope: vscode.ConfigurationScope): string[] {
    return read<string[]>(settingKeys.exclude, scope);
  }

  /** The globs of `files.exclude` that are switched on. */
  filesExclude(scope: vscode.ConfigurationScope): string[] {
    const globs = vscode.workspace
      .getConfiguration('files', scope)
      .get<Record<string, unknown>>('exclude', {});
    return Object.keys(globs).filter((glob) => globs[glob] === true);
  }

  method(scope: vscode.ConfigurationScope | undefined): Method {
    return read<Method>(settingKeys.method, scope);
  }

  verifyAfterBackup(scope: vscode.ConfigurationScope | undefined): boolean {
    return read<boolean>(settingKeys.verifyAfterBackup, scope);
  }

  /** How long a backup may take, in ms; undefined for as long as it likes. */
  deadlineMs(scope: vscode.ConfigurationScope | undefined): number | undefined {
    const minutes = read<number>(settingKeys.deadline, scope);
    return minutes > 0 ? Math.min(minutes * 60_000, longestTimerMs) : undefined;
  }

  largestBytes(scope: vscode.ConfigurationScope | undefined): number {
    return read<number>(settingKeys.maxSize, scope) * 1e9;
  }

  snapshotsShown(): number {
    return read<number>(settingKeys.snapshotsShown, undefined);
  }

  autoRefresh(): boolean {
    return read<boolean>(settingKeys.autoRefresh, undefined);
  }

  /** Age in ms from which the newest backup counts as old; undefined when no age does. */
  staleAfterMs(scope: vscode.ConfigurationScope | undefined): number | undefined {
    const days = read<number>(settingKeys.staleAfter, scope);
    return days > 0 ? days * dayMs : undefined;
  }

  sortDatabases(): SortBy {
    return read<SortBy>(settingKeys.sortDatabases, undefined);
  }

  sortBackups(): SortBy {
    return read<SortBy>(settingKeys.sortBackups, undefined);
  }

  statusBar(): StatusBarSettings {
    return {
      visible: read<boolean>(settingKeys.statusBarVisible, undefined),
      text: read<StatusBarSettings['text']>(settingKeys.statusBarText, undefined),
      click: read<StatusBarSettings['click']>(settingKeys.statusBarClick, undefined),
    };
  }

  compression(scope: vscode.ConfigurationScope | undefined): Compression {
    return read<Compression>(settingKeys.compression, scope);
  }

  /** The bundles that the setting describes; what is not a description is left out. */
  bundles(scope: vscode.ConfigurationScope | undefined): SavedBundle[] {
    const all = read<Partial<SavedBundle>[]>(settingKeys.bundles, scope);
    return all.flatMap(({ name, databases, companions, method }) =>
      typeof name !== 'string' || !isTexts(databases)
        ? []
        : [
            {
              ...{ name, databases, companions: isTexts(companions) ? companions : [] },
              ...(method !== undefined && { method }),
            },
          ],
    );
  }

  /** Whether to ask also before what can be undone. */
  confirmsAlways(): boolean {
    return read<string>(settingKeys.confirmations, undefined) === 'always';
  }

  /** Whether the person, and not a workspace, has switched retention on for after each backup. */
  retainsAfterBackup(): boolean {
    return read<boolean>(settingKeys.retainAfterBackup, undefined);
  }

  restore(scope: vscode.ConfigurationScope | undefined): RestoreSettings {
    return {
      stopTask: read<string>(settingKeys.stopTask, scope).trim(),
      startTask: read<string>(settingKeys.startTask, scope).trim(),
      healthUrl: read<string>(settingKeys.healthUrl, scope).trim(),
      spotChecks: read<string[]>(settingKeys.spotChecks, scope),
    };
  }

  /** The rules that are switched on; 0 in the settings switches one off. */
  retention(scope: vscode.ConfigurationScope | undefined): Policy {
    const policy: Policy = {};
    for (const rule of keepRules) {
      const value = read<number>(settingKeys[rule], scope);
      if (value > 0) policy[rule] = value;
    }
    const gigabytes = read<number>(settingKeys.maxTotalSize, scope);
    if (gigabytes > 0) policy.maxTotalSize = gigabytes * 1e9;
    return policy;
  }

  /** Remembers the folder where it belongs: in the folder's settings when the workspace has several, else in its own. */
  async setBackupsFolder(folder: vscode.WorkspaceFolder | undefined, value: string): Promise<void> {
    const target =
      folder === undefined
        ? vscode.ConfigurationTarget.Global
        : (vscode.workspace.workspaceFolders ?? []).length > 1
          ? vscode.ConfigurationTarget.WorkspaceFolder
          : vscode.ConfigurationTarget.Workspace;
    await vscode.workspace
      .getConfiguration(section, folder)
      .update(settingKeys.backupsFolder, value, target);
  }

  /** Writes a choice of the person's, for all their workspaces. */
  async remember(
    key: (typeof settingKeys)[keyof typeof settingKeys],
    value: unknown,
  ): Promise<void> {
    await vscode.workspace
      .getConfiguration(section)
      .update(key, value, vscode.ConfigurationTarget.Global);
  }

  onDidChange(listener: () => void): vscode.Disposable {
    return vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(section)) listener();
    });
  }
}

function read<T>(key: string, scope: vscode.ConfigurationScope | undefined): T {
  const value = vscode.workspace.getConfiguration(section, scope).get<T>(key);
  if (value === undefined) throw new Error(`The manifest has no default for ${section}.${key}.`);
  return value;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}
