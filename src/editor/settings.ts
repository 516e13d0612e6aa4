import * as vscode from 'vscode';
import { section, settingKeys } from './ids.ts';

/** The only reader of the configuration. Defaults are in the manifest and nowhere else. */
export class Settings {
  /** As written; see `expandFolder` for what it may contain. Empty when nobody has chosen. */
  backupsFolder(scope: vscode.ConfigurationScope | undefined): string {
    return read<string>(settingKeys.backupsFolder, scope);
  }

  include(scope: vscode.ConfigurationScope): string[] {
    return read<string[]>(settingKeys.include, scope);
  }

  exclude(scope: vscode.ConfigurationScope): string[] {
    return read<string[]>(settingKeys.exclude, scope);
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
