import { join } from 'node:path';
import * as vscode from 'vscode';
import type { Api } from './api.d.ts';
import { makeApi } from './editor/api.ts';
import { registerAgentTools } from './editor/agentTools.ts';
import { registerMcpServer } from './editor/mcpServer.ts';
import { Audit } from './editor/audit.ts';
import { Backups } from './editor/backups.ts';
import { BackupsFolder } from './editor/backupsFolder.ts';
import { BackupsView } from './editor/backupsView.ts';
import { protectionLines } from './editor/commands/protection.ts';
import { registerCommands } from './editor/commands/register.ts';
import { offerRecoveries } from './editor/commands/restore.ts';
import { DatabasesView } from './editor/databasesView.ts';
import { Disposables } from './editor/disposables.ts';
import { Documents } from './editor/documents.ts';
import { Filter } from './editor/filter.ts';
import { commands } from './editor/contributed.ts';
import { setContext } from './editor/contexts.ts';
import { contextKeys, views } from './editor/ids.ts';
import { Looks } from './editor/looks.ts';
import { Offsite } from './editor/offsite.ts';
import { Log } from './editor/log.ts';
import { sweepPrivateCopies } from './editor/privateCopies.ts';
import { BeforeCommands } from './editor/protection/beforeCommands.ts';
import { Branches } from './editor/protection/branches.ts';
import { Checkpoints } from './editor/protection/checkpoints.ts';
import { LossAlarm } from './editor/protection/lossAlarm.ts';
import { Protection } from './editor/protection/protection.ts';
import { registerTasks } from './editor/protection/tasks.ts';
import { Runbooks } from './editor/runbooks.ts';
import { Settings } from './editor/settings.ts';
import { StatusBar } from './editor/statusBar.ts';
import { Worktrees } from './editor/worktrees.ts';
import { useLanguage } from './core/units.ts';
import { said } from './editor/said.ts';
import { tellAgentsHook } from './worker/agentsRuntime.ts';
import { WorkerClient } from './worker/client.ts';
import { ResidentClient } from './worker/residentClient.ts';
import { ResidentFirst } from './worker/residentFirst.ts';

export type { Api };

export function activate(context: vscode.ExtensionContext): Api {
  useLanguage(vscode.env.language);
  const documents = new Documents();
  const log = new Log(context.logUri.fsPath, documents);
  const settings = new Settings();
  const memory = context.workspaceState;
  const folder = new BackupsFolder(settings, memory, log);
  const entry = join(context.extensionPath, 'dist', 'worker.cjs');
  const translate = vscode.l10n.bundle === undefined ? undefined : said;
  const worker = new WorkerClient({
    entry,
    translate,
    onLog: (text) => log.warn(`worker: ${text.trimEnd()}`),
    onNote: (text) => log.info(text),
    readerIdleMs: 30_000,
  });
  const { version: toolVersion } = context.extension.packageJSON as { version: string };
  const audit = new Audit(context.logUri.fsPath, log);
  const backups = new Backups({ worker, settings, folder, log, audit, toolVersion });
  const filter = new Filter();
  const resident = new ResidentClient({ entry });
  const quick = new ResidentFirst(worker, { entry, mayStart: true, beginWithinMs: 500, translate });
  const checkpoints = new Checkpoints({
    ...{ audit, backups, log, resident, settings, toolVersion, worker },
  });
  const protection = new Protection({
    ...{ backups, checkpoints, log, settings, memory: context.globalState },
    turns: join(context.globalStorageUri.fsPath, 'turns'),
  });
  const branches = new Branches({
    ...{ checkpoints, log, memory: context.globalState, protection, settings, toolVersion, worker },
  });
  const beforeCommands = new BeforeCommands({ backups, checkpoints, log, protection, settings });
  const alarm = new LossAlarm({
    ...{ backups, checkpoints, log, memory, protection, resident, settings, worker },
  });
  const worktrees = new Worktrees({ backups, log, settings, toolVersion, worker });
  const shown = { backups, checkpoints, worktrees };
  const databasesView = new DatabasesView(shown, settings, filter, memory);
  const backupsView = new BackupsView(backups, settings, filter);
  const shared = { audit, backups, documents, folder, log, memory, settings, toolVersion, worker };
  const runbooks = new Runbooks({ ...shared, extensionUri: context.extensionUri });
  const looks = new Looks({
    ...{ ...shared, extensionUri: context.extensionUri },
    storage: context.globalStorageUri,
  });
  const offsite = new Offsite({ ...shared, secrets: context.secrets });
  const parts = {
    offsite,
    ...{
      ...shared,
      backupsView,
      checkpoints,
      databasesView,
      filter,
      looks,
      protection,
      runbooks,
      worktrees,
    },
    ...{ storage: context.globalStorageUri, viewId: views.databases },
  };
  const owned = new Disposables();
  context.subscriptions.push(
    owned,
    ...[log, backups, documents, filter, backupsView, databasesView, looks, runbooks],
    ...[
      offsite,
      worker,
      resident,
      quick,
      checkpoints,
      protection,
      alarm,
      branches,
      beforeCommands,
      worktrees,
    ],
    new StatusBar(backups, settings, {
      lines: () => protectionLines({ checkpoints, protection, settings }),
      changes: [checkpoints.onDidChange, protection.onDidChange],
    }),
    registerTasks({ ...{ backups, checkpoints, folder }, settings, toolVersion, worker: quick }),
    registerCommands(parts),
    registerAgentTools(parts),
    registerMcpServer(parts, { dist: context.asAbsolutePath('dist'), version: toolVersion }),
  );
  // Not awaited: activation must not wait for the disk. The views show what is found when it is.
  void vscode.commands.executeCommand(commands.refresh);
  void sweepPrivateCopies(parts);
  context.subscriptions.push(settings.onDidChange(() => tellHook(settings, log)));
  tellHook(settings, log);
  // https://code.visualstudio.com/updates/v1_114: the plugin brings its skill from then on.
  const [major = 0, minor = 0] = vscode.version.split('.').map(Number);
  setContext(contextKeys.withoutPlugins, major === 1 && minor < 114);
  offerRecoveries(parts).catch((error: unknown) =>
    log.error('Looking for interrupted restores failed', error),
  );
  return makeApi({ alarm, auditLog: audit.path, backups, checkpoints }, owned);
}

/** The hook of agents runs outside of the editor, and has to know where a Node is. */
function tellHook(settings: Settings, log: Log): void {
  const { protect, whenNotSaved } = settings.agents();
  const { folder: checkpoints, largestTotalBytes } = settings.protection();
  try {
    const told = { execPath: process.execPath, whenNotSaved, checkpoints, largestTotalBytes };
    tellAgentsHook(protect ? told : undefined);
  } catch (error) {
    log.error('The hook of agents was not told which Node to use', error);
  }
}
