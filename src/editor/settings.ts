import { isAbsolute } from 'node:path';
import * as vscode from 'vscode';
import { keepRules, type Policy } from '../core/catalog/retention.ts';
import type { Destination } from '../core/offsite/destination.ts';
import type { Compression, Method } from '../core/manifest/manifest.ts';
import type { SettingKey, SettingValues } from './contributed.ts';
import { extensionId, section } from './ids.ts';
import { notice } from './inert.ts';
import { problemWith, type SettingProblem, type SettingSchema } from './settingCheck.ts';

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

export interface ProtectionSettings {
  /** For checkpoints; undefined for the data folder's. */
  folder: string | undefined;
  largestTotalBytes: number;
  beforeDebug: boolean;
  /** Of commands; empty for none. */
  beforeCommands: string[];
  /** As written; empty for none. */
  schedule: string;
  lossAlarm: boolean;
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
    return read('backupsFolder', scope);
  }

  /** True when the workspace, and not the person, has chosen the backups folder. */
  isFolderOfWorkspace(scope: vscode.ConfigurationScope | undefined): boolean {
    const found = vscode.workspace
      .getConfiguration(section, scope)
      .inspect<string>('backupsFolder');
    return found?.workspaceValue !== undefined || found?.workspaceFolderValue !== undefined;
  }

  include(scope: vscode.ConfigurationScope): string[] {
    return read('include', scope);
  }

  exclude(scope: vscode.ConfigurationScope): string[] {
    return read('exclude', scope);
  }

  /** The globs of `files.exclude` that are switched on. */
  filesExclude(scope: vscode.ConfigurationScope): string[] {
    const globs = vscode.workspace
      .getConfiguration('files', scope)
      .get<Record<string, unknown>>('exclude', {});
    return Object.keys(globs).filter((glob) => globs[glob] === true);
  }

  method(scope: vscode.ConfigurationScope | undefined): Method {
    return read('method', scope);
  }

  verifyAfterBackup(scope: vscode.ConfigurationScope | undefined): boolean {
    return read('verifyAfterBackup', scope);
  }

  /** How long a backup may take, in ms; undefined for as long as it likes. */
  deadlineMs(scope: vscode.ConfigurationScope | undefined): number | undefined {
    const minutes = read('deadline', scope);
    return minutes > 0 ? Math.min(minutes * 60_000, longestTimerMs) : undefined;
  }

  largestBytes(scope: vscode.ConfigurationScope | undefined): number {
    return read('maxSize', scope) * 1e9;
  }

  /** The same for checkpoints: of the user, because a repository does not decide what is protected. */
  largestCheckpointBytes(): number {
    const { globalValue, defaultValue } =
      vscode.workspace.getConfiguration('sqliteBackup').inspect<unknown>('maxSize') ?? {};
    const [gigabytes] = [globalValue, defaultValue].filter((one) => typeof one === 'number');
    return gigabytes === undefined ? this.largestBytes(undefined) : gigabytes * 1e9;
  }

  snapshotsShown(): number {
    return read('snapshotsShown', undefined);
  }

  autoRefresh(): boolean {
    return read('autoRefresh', undefined);
  }

  /** Age in ms from which the newest backup counts as old; undefined when no age does. */
  staleAfterMs(scope: vscode.ConfigurationScope | undefined): number | undefined {
    const days = read('staleAfter', scope);
    return days > 0 ? days * dayMs : undefined;
  }

  sortDatabases(): SortBy {
    return read('databases.sortBy', undefined);
  }

  sortBackups(): SortBy {
    return read('backups.sortBy', undefined);
  }

  statusBar(): StatusBarSettings {
    return {
      visible: read('statusBar.visible', undefined),
      text: read('statusBar.text', undefined),
      click: read('statusBar.click', undefined),
    };
  }

  compression(scope: vscode.ConfigurationScope | undefined): Compression {
    return read('bundle.compression', scope);
  }

  /** The bundles that the setting describes; what is not a description is left out. */
  bundles(scope: vscode.ConfigurationScope | undefined): SavedBundle[] {
    const all = read('bundles', scope) as Partial<SavedBundle>[];
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
    return read('confirmations', undefined) === 'always';
  }

  /** Whether the person, and not a workspace, has switched retention on for after each backup. */
  retainsAfterBackup(): boolean {
    return read('retention.afterBackup', undefined);
  }

  restore(scope: vscode.ConfigurationScope | undefined): RestoreSettings {
    return {
      stopTask: read('restore.stopTask', scope).trim(),
      startTask: read('restore.startTask', scope).trim(),
      healthUrl: read('restore.healthUrl', scope).trim(),
      spotChecks: read('restore.spotChecks', scope),
    };
  }

  /** All of scope machine: a repository does not decide what is protected, nor where copies go. */
  protection(): ProtectionSettings {
    const folder = read('checkpointsFolder', undefined).trim();
    return {
      folder: isAbsolute(folder) ? folder : undefined,
      largestTotalBytes: read('checkpoints.maxDisk', undefined) * 1e9,
      beforeDebug: read('before.debug', undefined) !== 'off',
      beforeCommands: read('before.commands', undefined),
      schedule: read('schedule', undefined).trim(),
      lossAlarm: read('lossAlarm', undefined),
    };
  }

  /** Of scope machine, as all of protection. */
  branches(): 'off' | 'ask' | 'auto' {
    return read('branches', undefined);
  }

  /** Whether the person has said something about branches. */
  isBranchesChosen(): boolean {
    const { globalValue } = vscode.workspace.getConfiguration(section).inspect('branches') ?? {};
    return globalValue !== undefined;
  }

  /** Of scope machine: a repository sends nothing away. The worker checks each value. */
  offsite(): Destination[] {
    return (read('offsite', undefined) as Partial<Destination>[]).flatMap(
      ({ what = 'newest', when = 'manual', ...rest }) =>
        rest.name === undefined || rest.engine === undefined || rest.repository === undefined
          ? []
          : [
              {
                ...rest,
                name: rest.name,
                engine: rest.engine,
                repository: rest.repository,
                what,
                when,
              },
            ],
    );
  }

  /** Of scope application: neither a repository nor an agent that edits it can change them. */
  agents(): { protect: boolean; whenNotSaved: 'ask' | 'continue'; mcp: boolean } {
    return {
      protect: read('agents.protect', undefined),
      whenNotSaved: read('agents.whenNotSaved', undefined),
      mcp: read('agents.mcp', undefined),
    };
  }

  /** The rules that are switched on; 0 in the settings switches one off. */
  retention(scope: vscode.ConfigurationScope | undefined): Policy {
    const policy: Policy = {};
    for (const rule of keepRules) {
      const value = read(`retention.${rule}`, scope);
      if (value > 0) policy[rule] = value;
    }
    const gigabytes = read('retention.maxTotalSize', scope);
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
    await vscode.workspace.getConfiguration(section, folder).update('backupsFolder', value, target);
  }

  /** Takes the folder out of the settings of the workspace, where it is in them. */
  async clearBackupsFolder(folder: vscode.WorkspaceFolder): Promise<void> {
    const settings = vscode.workspace.getConfiguration(section, folder);
    const found = settings.inspect<string>('backupsFolder');
    const { Workspace, WorkspaceFolder } = vscode.ConfigurationTarget;
    for (const [value, target] of [
      [found?.workspaceFolderValue, WorkspaceFolder],
      [found?.workspaceValue, Workspace],
    ] as const) {
      if (value !== undefined) await settings.update('backupsFolder', undefined, target);
    }
  }

  /** Writes a choice of the person's, for all their workspaces. */
  async remember(key: SettingKey, value: unknown): Promise<void> {
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

/** A value of another kind than the manifest says does not count: the default does, and a person is told. */
function read<K extends SettingKey>(
  key: K,
  scope: vscode.ConfigurationScope | undefined,
): SettingValues[K] {
  const settings = vscode.workspace.getConfiguration(section, scope);
  const value = settings.get<SettingValues[K]>(key);
  const standard = settings.inspect<SettingValues[K]>(key)?.defaultValue;
  if (standard === undefined) throw new Error(`The manifest has no default for ${section}.${key}.`);
  const problem = value === undefined ? undefined : problemWith(value, schemaOf(key));
  if (problem !== undefined) tellBad(key, problem);
  return value === undefined || problem !== undefined ? standard : value;
}

function schemaOf(key: SettingKey): SettingSchema | undefined {
  const { contributes } = (vscode.extensions.getExtension(extensionId)?.packageJSON ?? {}) as {
    contributes?: { configuration?: { properties?: Record<string, SettingSchema> } };
  };
  return contributes?.configuration?.properties?.[`${section}.${key}`];
}

const toldBad = new Map<string, string>();

/** Once for each setting, until it is wrong in another way. */
function tellBad(key: SettingKey, { expected, found }: SettingProblem): void {
  if (toldBad.get(key) === found) return;
  toldBad.set(key, found);
  const { t } = vscode.l10n;
  const openSettings = t('Open Settings');
  const wanted: Record<SettingProblem['expected'], string> = {
    text: t('text'),
    number: t('a number'),
    boolean: t('true or false'),
    texts: t('a list of texts'),
    list: t('a list'),
    commands: t('a list of commands, none of them empty or with ;, & or |'),
    path: t('an absolute path'),
    choice: t('one of its choices'),
    range: t('a number within its limits'),
  };
  void notice
    .warn(
      t(
        'The setting {0} is {1}, but must be {2}. The default is used until you change it.',
        ...[`${section}.${key}`, found, wanted[expected]],
      ),
      openSettings,
    )
    .then((answer) => {
      if (answer === openSettings)
        void vscode.commands.executeCommand('workbench.action.openSettings', `${section}.${key}`);
    });
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}
