/** The table of commands and the boundary where errors become words. */
import * as vscode from 'vscode';
import { isBackupError } from '../../core/errors.ts';
import type { Backups } from '../backups.ts';
import type { BackupsFolder } from '../backupsFolder.ts';
import type { Row } from '../databasesView.ts';
import { commands, type CommandId } from '../ids.ts';
import type { Log } from '../log.ts';
import { databaseName, errorMessage } from '../messages.ts';
import { backUp, backUpAll, quickBackUp } from './backUp.ts';
import { chooseBackupsFolder, openBackupsFolder } from './backupsFolder.ts';
import { refresh } from './refresh.ts';

/** What commands work with. */
export interface Parts {
  backups: Backups;
  folder: BackupsFolder;
  log: Log;
  memory: vscode.Memento;
  viewId: string;
}

type Command = (parts: Parts, ...args: unknown[]) => unknown;

const table: Record<CommandId, Command> = {
  [commands.backUp]: backUp,
  [commands.backUpAll]: backUpAll,
  [commands.quickBackUp]: quickBackUp,
  [commands.cancel]: ({ backups }, target) => {
    backups.cancel(isRow(target) && target.kind !== 'folder' ? target.uri : undefined);
  },
  [commands.refresh]: refresh,
  [commands.chooseBackupsFolder]: chooseBackupsFolder,
  [commands.openBackupsFolder]: openBackupsFolder,
  [commands.showLog]: ({ log }) => log.show(),
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
  const message = isBackupError(error)
    ? errorMessage(error, error.path === undefined ? '' : databaseName(vscode.Uri.file(error.path)))
    : vscode.l10n.t('SQLite Backup ran into a defect of its own. The log has the details.');
  if ((await vscode.window.showErrorMessage(message, showLog)) === showLog) log.show();
}

/** A row of our trees, as VS Code hands it to a command. */
export function isRow(value: unknown): value is Row {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    ('uri' in value || 'folder' in value)
  );
}
