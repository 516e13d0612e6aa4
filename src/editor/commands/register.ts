/** The table of commands and the boundary where errors become words. */
import * as vscode from 'vscode';
import { isBackupError } from '../../core/errors.ts';
import { type CommandId, commands } from '../contributed.ts';
import { walkthrough } from '../ids.ts';
import { notify } from '../inert.ts';
import { databaseName } from '../messages.ts';
import { errorMessage } from '../errorMessages.ts';
import { isRow } from '../rows.ts';
import { protectAgents, unprotectAgents } from './agents.ts';
import { backUp, backUpAll, quickBackUp } from './backUp.ts';
import { chooseBackupsFolder, openBackupsFolder } from './backupsFolder.ts';
import { createBundle } from './bundle.ts';
import { compareSelected, compareWithLive } from './compare.ts';
import { doctor } from './doctor.ts';
import { extract } from './extract.ts';
import { copyPath, copySha256, openReadOnly, revealBackup, saveCopyAs } from './handOut.ts';
import { note, pin, remove, rename } from './keep.ts';
import { release, setDatabase } from './lineage.ts';
import { lookInside } from './lookInside.ts';
import { showHolders } from './holders.ts';
import { fetchOffsite } from './fetchOffsite.ts';
import { restoreFromLitestream } from './litestream.ts';
import { forgetOffsite } from './forgetOffsite.ts';
import { sendOffsite, setUpOffsite } from './offsite.ts';
import type { Parts } from './parts.ts';
import { protectAutomatically } from './protectAutomatically.ts';
import {
  checkpointNow,
  deleteEveryCopy,
  deleteGoneCheckpoints,
  pauseProtection,
  restoreCheckpoint,
} from './protection.ts';
import { refresh } from './refresh.ts';
import { deleteSetAside, exportRunbook, recoverRestore, restore, undoRestore } from './restore.ts';
import { applyRetention } from './retention.ts';
import { saveOpenFiles } from './saveOpen.ts';
import { undoTurn } from './undoTurn.ts';
import { verify, verifyAll } from './verify.ts';
import { setFilter, showInBackups, sort } from './view.ts';
import { copyToWorktree } from './worktrees.ts';

type Command = (parts: Parts, ...args: unknown[]) => unknown;

const table: Record<CommandId, Command> = {
  [commands.backUp]: (parts, target, selection) => backUp(parts, target, selection),
  [commands.backUpAll]: backUpAll,
  [commands.backUpCompact]: (parts, target, selection) =>
    backUp(parts, target, selection, { method: 'compact' }),
  [commands.quickBackUp]: quickBackUp,
  [commands.cancel]: ({ backups }, target) => {
    backups.cancel(isRow(target) && target.kind === 'database' ? target.uri : undefined);
  },
  [commands.refresh]: refresh,
  [commands.chooseBackupsFolder]: chooseBackupsFolder,
  [commands.openBackupsFolder]: openBackupsFolder,
  [commands.showLog]: ({ log }) => log.show(),
  [commands.doctor]: doctor,
  [commands.getStarted]: () =>
    vscode.commands.executeCommand('workbench.action.openWalkthrough', walkthrough, false),
  [commands.showAll]: ({ databasesView, backupsView }, id) => {
    databasesView.showAll(String(id));
    backupsView.showMore(String(id));
  },
  [commands.lookInside]: lookInside,
  [commands.verify]: (parts, target, selection) =>
    verify(parts, target, selection, { drill: false }),
  [commands.proveRestorable]: (parts, target, selection) =>
    verify(parts, target, selection, { drill: true }),
  [commands.verifyAll]: verifyAll,
  [commands.compareWithLive]: compareWithLive,
  [commands.compareSelected]: compareSelected,
  [commands.openReadOnly]: openReadOnly,
  [commands.saveCopyAs]: saveCopyAs,
  [commands.revealBackup]: revealBackup,
  [commands.copyPath]: copyPath,
  [commands.copySha256]: copySha256,
  [commands.rename]: rename,
  [commands.note]: note,
  [commands.pin]: (parts, target, selection) => pin(parts, target, selection, { pinned: true }),
  [commands.unpin]: (parts, target, selection) => pin(parts, target, selection, { pinned: false }),
  [commands.delete]: remove,
  [commands.release]: (parts, target, _selection, tables) => release(parts, target, tables),
  [commands.setDatabase]: setDatabase,
  [commands.applyRetention]: applyRetention,
  [commands.createBundle]: (parts, target, selection, answers) =>
    createBundle(parts, target, selection, answers as Parameters<typeof createBundle>[3]),
  [commands.chooseForBundle]: ({ databasesView }) => databasesView.showBoxes(true),
  [commands.stopChoosing]: ({ databasesView }) => databasesView.showBoxes(false),
  [commands.extract]: extract,
  [commands.restore]: restore,
  [commands.showHolders]: showHolders,
  [commands.showInBackups]: showInBackups,
  [commands.saveOpenFiles]: saveOpenFiles,
  [commands.undoRestore]: undoRestore,
  [commands.recoverRestore]: recoverRestore,
  [commands.deleteSetAside]: deleteSetAside,
  [commands.exportRunbook]: exportRunbook,
  [commands.checkpointNow]: checkpointNow,
  [commands.protectAgents]: protectAgents,
  [commands.unprotectAgents]: unprotectAgents,
  [commands.protectAutomatically]: protectAutomatically,
  [commands.pauseProtection]: pauseProtection,
  [commands.resumeProtection]: ({ protection }) => protection.resume(),
  [commands.restoreCheckpoint]: restoreCheckpoint,
  [commands.undoTurn]: undoTurn,
  [commands.deleteGoneCheckpoints]: deleteGoneCheckpoints,
  [commands.deleteEveryCopy]: deleteEveryCopy,
  [commands.setUpOffsite]: setUpOffsite,
  [commands.sendOffsite]: sendOffsite,
  [commands.fetchOffsite]: fetchOffsite,
  [commands.forgetOffsite]: forgetOffsite,
  [commands.restoreLitestream]: (parts, target, _selection, at) =>
    restoreFromLitestream(parts, target, at),
  [commands.copyToWorktree]: copyToWorktree,
  [commands.filter]: setFilter,
  [commands.clearFilter]: ({ filter }) => filter.set(''),
  [commands.sort]: sort,
  [commands.showInEditorTitle]: ({ settings }) => settings.remember('editorTitleButton', true),
  [commands.hideFromEditorTitle]: ({ settings }) => settings.remember('editorTitleButton', false),
};

export function registerCommands(parts: Parts): vscode.Disposable {
  return vscode.Disposable.from(
    ...Object.entries(table).map(([id, command]) =>
      vscode.commands.registerCommand(id, async (...args: unknown[]) => {
        try {
          return await command(parts, ...args);
        } catch (error) {
          parts.log.error(`${id} failed`, error);
          void tell(parts, error);
          return undefined;
        }
      }),
    ),
  );
}

async function tell({ log }: Parts, error: unknown): Promise<void> {
  const showLog = vscode.l10n.t('Show Log');
  const runDoctor = vscode.l10n.t('Run Doctor');
  if (isBackupError(error) && error.code === 'cancelled') {
    void notify.info(errorMessage(error, ''));
    return;
  }
  const isInternal = !isBackupError(error) || error.code === 'worker-died';
  const message = isBackupError(error)
    ? errorMessage(error, error.path === undefined ? '' : databaseName(vscode.Uri.file(error.path)))
    : vscode.l10n.t('Internal error in SQLite Backup. The log has the details.');
  const answer = await notify.error(message, showLog, ...(isInternal ? [runDoctor] : []));
  if (answer === showLog) log.show();
  if (answer === runDoctor) await vscode.commands.executeCommand(commands.doctor);
}
