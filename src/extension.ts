import { join } from 'node:path';
import * as vscode from 'vscode';
import { Audit } from './editor/audit.ts';
import { Backups } from './editor/backups.ts';
import { BackupsFolder } from './editor/backupsFolder.ts';
import { BackupsView } from './editor/backupsView.ts';
import type { PlainResult } from './editor/commands/backUp.ts';
import { registerCommands } from './editor/commands/register.ts';
import { offerRecoveries } from './editor/commands/restore.ts';
import { DatabasesView } from './editor/databasesView.ts';
import { Documents } from './editor/documents.ts';
import { Filter } from './editor/filter.ts';
import { commands } from './editor/contributed.ts';
import { views } from './editor/ids.ts';
import { Looks } from './editor/looks.ts';
import { Log } from './editor/log.ts';
import { sweepPrivateCopies } from './editor/privateCopies.ts';
import { Runbooks } from './editor/runbooks.ts';
import { Settings } from './editor/settings.ts';
import { StatusBar } from './editor/statusBar.ts';
import { useLanguage } from './core/units.ts';
import { said } from './editor/said.ts';
import { WorkerClient } from './worker/client.ts';

/** For other extensions: `vscode.extensions.getExtension('sqlite-backup.sqlite-backup')?.exports`. */
export interface Api {
  readonly apiVersion: 1;
  /** Backs up these database files, as the command Back Up does. Never rejects for what can go wrong with a backup. */
  backUp(uris: vscode.Uri[]): Thenable<PlainResult>;
  /** The databases that the last search found. */
  readonly databases: readonly vscode.Uri[];
  /** Fires after each search, and when a backup begins or ends. */
  readonly onDidChange: vscode.Event<void>;
  /** The file that has one JSON line for each backup, restore, deletion and prune. */
  readonly auditLog: string;
}

export function activate(context: vscode.ExtensionContext): Api {
  useLanguage(vscode.env.language);
  const log = new Log();
  const settings = new Settings();
  const memory = context.workspaceState;
  const folder = new BackupsFolder(settings, memory, log);
  const worker = new WorkerClient({
    entry: join(context.extensionPath, 'dist', 'worker.cjs'),
    translate: vscode.l10n.bundle === undefined ? undefined : said,
    onLog: (text) => log.warn(`worker: ${text.trimEnd()}`),
    onNote: (text) => log.info(text),
  });
  const { version: toolVersion } = context.extension.packageJSON as { version: string };
  const audit = new Audit(context.logUri.fsPath, log);
  const backups = new Backups({ worker, settings, folder, log, audit, toolVersion });
  const documents = new Documents();
  const filter = new Filter();
  const databasesView = new DatabasesView(backups, settings, filter, memory);
  const backupsView = new BackupsView(backups, settings, filter);
  const shared = { audit, backups, documents, folder, log, memory, settings, toolVersion, worker };
  const runbooks = new Runbooks({ ...shared, extensionUri: context.extensionUri });
  const looks = new Looks({
    ...{ ...shared, extensionUri: context.extensionUri },
    storage: context.globalStorageUri,
  });
  const parts = {
    ...{ ...shared, backupsView, databasesView, filter, looks, runbooks },
    ...{ storage: context.globalStorageUri, viewId: views.databases },
  };
  context.subscriptions.push(
    ...[log, backups, documents, filter, backupsView, databasesView, looks, runbooks],
    new StatusBar(backups, settings),
    registerCommands(parts),
  );
  // Not awaited: activation must not wait for the disk. The views show what is found when it is.
  void vscode.commands.executeCommand(commands.refresh);
  void sweepPrivateCopies(parts);
  offerRecoveries(parts).catch((error: unknown) =>
    log.error('Looking for interrupted restores failed', error),
  );
  return {
    apiVersion: 1,
    auditLog: audit.path,
    backUp: (uris) => vscode.commands.executeCommand<PlainResult>(commands.backUp, uris),
    get databases() {
      return backups.databases.map(({ uri }) => uri);
    },
    onDidChange: backups.onDidChange,
  };
}
