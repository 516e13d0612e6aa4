/** What `activate` gives to other extensions. Its types are in `api.d.ts`, which the package brings. */
import * as vscode from 'vscode';
import type {
  Api,
  BackUpResult,
  BundleResult,
  DataLoss as LossEvent,
  TakenBackup,
  VerifyResult,
} from '../api.d.ts';
import type { Backups } from './backups.ts';
import { plainCheckpoints } from './commands/protection.ts';
import type { Disposables } from './disposables.ts';
import { commands } from './contributed.ts';
import type { Checkpoints } from './protection/checkpoints.ts';
import type { LossAlarm } from './protection/lossAlarm.ts';
import type { DataLoss } from './protection/lossWords.ts';

export interface ApiParts {
  alarm: LossAlarm;
  auditLog: string;
  backups: Backups;
  checkpoints: Checkpoints;
}

export function makeApi(
  { alarm, auditLog, backups, checkpoints }: ApiParts,
  owned: Disposables,
): Api {
  const backedUp = owned.add(new vscode.EventEmitter<TakenBackup>());
  const lost = owned.add(new vscode.EventEmitter<LossEvent>());
  const tell = (database: string, path: string, kind: TakenBackup['kind']): void =>
    backedUp.fire({ database: vscode.Uri.file(database), path: vscode.Uri.file(path), kind });
  owned.add(backups.onDidBackUp(({ uri, snapshot }) => tell(uri.fsPath, snapshot.path, 'backup')));
  owned.add(
    checkpoints.onDidTake((taken) => {
      for (const { database, path } of taken.checkpoints) tell(database, path, 'checkpoint');
    }),
  );
  owned.add(alarm.onDidLoseData((loss) => lost.fire(lostEvent(loss))));
  return {
    apiVersion: 1,
    auditLog,
    get databases() {
      return backups.databases.map(({ uri }) => uri);
    },
    onDidChange: backups.onDidChange,
    backUp: (uris) => vscode.commands.executeCommand<BackUpResult>(commands.backUp, [...uris]),
    async checkpoint(uris, { reason, force = false } = {}) {
      const cause = {
        kind: 'manual',
        ...(reason !== undefined && { text: reason.slice(0, 2000) }),
      };
      const trigger = 'manual';
      return plainCheckpoints(await checkpoints.take(uris, cause, { trigger, force }));
    },
    bundle: (uris, options = {}) =>
      vscode.commands.executeCommand<BundleResult>(commands.createBundle, undefined, undefined, {
        ...{ databases: [...uris], companions: [], allowIncomplete: false, ...options },
      }),
    verify: (uris) =>
      uris.length === 0
        ? Promise.resolve({ results: [] })
        : vscode.commands.executeCommand<VerifyResult>(commands.verify, undefined, [...uris]),
    onDidBackUp: backedUp.event,
    onDidLoseData: lost.event,
  };
}

function lostEvent({ database, losses, isGone, backup, ran }: DataLoss): LossEvent {
  return {
    database: vscode.Uri.file(database),
    tables: losses.map(({ table, before, now, columns }) => ({
      ...{ table, before },
      ...(now !== undefined && { now }),
      ...(columns !== undefined && { columns }),
    })),
    isGone,
    ...(backup !== undefined && { backup: vscode.Uri.file(backup) }),
    ...(ran !== undefined && { ran }),
  };
}
