import * as vscode from 'vscode';
import { formatBytes } from '../../core/units.ts';
import { commands } from '../contributed.ts';
import { section } from '../ids.ts';
import { notify } from '../inert.ts';
import type { Parts } from './parts.ts';

const everyMinutes = 15;
const offeredKey = 'automaticCheckpointsOffered';

/** One click: a schedule, and each debug session. Says at once what it takes of the disk, and how to go back. */
export async function protectAutomatically({
  backups,
  protection,
  settings,
}: Parts): Promise<{ schedule: string }> {
  const { t } = vscode.l10n;
  const before = settings.protection();
  const { pausedUntil } = protection;
  // A schedule that a person has chosen stays.
  const schedule = before.schedule === '' ? `every ${everyMinutes}m` : before.schedule;
  await settings.remember('schedule', schedule);
  await settings.remember('before.debug', 'onlyIfChanged');
  await protection.resume();
  if (!backups.isReady) await backups.refresh();
  const { databases } = backups;
  const sizeBytes = databases.reduce((sum, { file }) => sum + (file?.sizeBytes ?? 0), 0);
  const [undo, open] = [t('Undo'), t('Open Settings')];
  const message = [
    before.schedule === ''
      ? t('Checkpoints are taken every {0} minutes and before debugging.', everyMinutes)
      : t('Checkpoints are taken by the schedule "{0}" and before debugging.', schedule),
    t(
      'Only databases that have changed are copied: at most {0} each time for those of this workspace. Old checkpoints are removed automatically, so that all together take at most {1}.',
      formatBytes(sizeBytes),
      formatBytes(before.largestTotalBytes),
    ),
  ].join(' ');
  void notify.info(message, undo, open).then(async (answer) => {
    if (answer === undo) {
      await settings.remember('schedule', before.schedule);
      await settings.remember('before.debug', before.beforeDebug ? 'onlyIfChanged' : 'off');
      if (pausedUntil !== undefined) await protection.pause(new Date(pausedUntil));
    }
    if (answer === open) await openSettings();
  });
  return { schedule };
}

/** The button of the first backup in a workspace, where nothing is taken by itself yet. */
export async function firstOffer({ memory, settings }: Parts): Promise<string[]> {
  if (settings.protection().schedule !== '' || memory.get(offeredKey) === true) return [];
  await memory.update(offeredKey, true);
  return [offerLabel()];
}

export async function takeOffer(answer: string | undefined): Promise<void> {
  if (answer === offerLabel()) await vscode.commands.executeCommand(commands.protectAutomatically);
}

function offerLabel(): string {
  return vscode.l10n.t('Take Checkpoints Automatically');
}

/** Of scope machine: beside a remote machine they are not among those of the user. */
async function openSettings(): Promise<void> {
  const command =
    vscode.env.remoteName === undefined
      ? 'workbench.action.openSettings'
      : 'workbench.action.openRemoteSettings';
  const keys = ['schedule', 'before.debug', 'checkpoints.maxDisk', 'checkpointsFolder'];
  const query = `@id:${keys.map((key) => `${section}.${key}`).join(',')}`;
  await vscode.commands.executeCommand(command, { query });
}
