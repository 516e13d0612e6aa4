import * as vscode from 'vscode';
import { BackupError } from '../core/errors.ts';

/** A server is started by a task that never ends: after this long it counts as running. */
const patienceMs = { start: 3000, stop: 60_000 };

/**
 * Runs a task of the workspace by its name. Its exit code, or undefined when it goes on in the background. VS Code
 * itself runs no tasks in Restricted Mode.
 */
export async function runTask(
  name: string,
  purpose: keyof typeof patienceMs,
): Promise<{ exitCode: number | undefined }> {
  const tasks = await vscode.tasks.fetchTasks();
  const task = tasks.find((one) => one.name === name || `${one.source}: ${one.name}` === name);
  if (task === undefined) {
    throw new BackupError('bad-setting', vscode.l10n.t('There is no task "{0}".', name), {
      hint: vscode.l10n.t('Check its name in tasks.json and in the settings.'),
    });
  }
  return new Promise((resolve, reject) => {
    let execution: vscode.TaskExecution | undefined;
    const ended = new Map<vscode.TaskExecution, number | undefined>();
    const finish = (exitCode: number | undefined): void => {
      clearTimeout(timer);
      listener.dispose();
      resolve({ exitCode });
    };
    const timer = setTimeout(() => finish(undefined), patienceMs[purpose]);
    const listener = vscode.tasks.onDidEndTaskProcess(({ execution: one, exitCode }) => {
      ended.set(one, exitCode);
      if (one === execution) finish(exitCode);
    });
    vscode.tasks.executeTask(task).then((started) => {
      execution = started;
      if (ended.has(started)) finish(ended.get(started));
    }, reject);
  });
}
