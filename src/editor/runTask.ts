import * as vscode from 'vscode';
import { BackupError } from '../core/errors.ts';
import type { TaskOutcome } from '../runbook/host.ts';

/** A server is started by a task that never ends: after this long it counts as running. */
const patienceMs = { start: 3000, stop: 60_000 };
/** A task without a process of its own has no exit code; one that has a process tells it before the task ends. */
const exitCodeMs = 300;

/**
 * Runs a task of the workspace by its name, and waits until it ends or counts as running. What is in the tasks of a
 * folder that is not trusted is not run.
 */
export async function runTask(
  name: string,
  purpose: keyof typeof patienceMs,
  signal?: AbortSignal,
): Promise<TaskOutcome> {
  if (!vscode.workspace.isTrusted) {
    throw new BackupError('bad-setting', vscode.l10n.t('The task "{0}" was not run.', name), {
      hint: vscode.l10n.t('This folder is not trusted: tasks are not run. Do it by hand.'),
    });
  }
  const tasks = await vscode.tasks.fetchTasks();
  const task = tasks.find((one) => one.name === name || `${one.source}: ${one.name}` === name);
  if (task === undefined) {
    throw new BackupError('bad-setting', vscode.l10n.t('There is no task "{0}".', name), {
      hint: vscode.l10n.t('Check its name in tasks.json and in the settings.'),
    });
  }
  // The search for tasks takes seconds on a busy machine.
  if (signal?.aborted === true) throw cancelled();
  return waitFor(task, patienceMs[purpose], signal);
}

async function waitFor(
  task: vscode.Task,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<TaskOutcome> {
  const { promise, resolve, reject } = Promise.withResolvers<TaskOutcome>();
  let execution: vscode.TaskExecution | undefined;
  const outcomes = new Map<vscode.TaskExecution, TaskOutcome>();
  const end = (one: vscode.TaskExecution, outcome: TaskOutcome): void => {
    if (!outcomes.has(one)) outcomes.set(one, outcome);
    if (one === execution) resolve(outcomes.get(one) ?? outcome);
  };
  const stopWaiting = (): void => reject(cancelled());
  const timers = [setTimeout(() => resolve({ ended: false }), timeoutMs)];
  const listeners = [
    vscode.tasks.onDidEndTaskProcess(({ execution: one, exitCode }) =>
      end(one, { ended: true, exitCode }),
    ),
    vscode.tasks.onDidEndTask(({ execution: one }) => {
      timers.push(setTimeout(() => end(one, { ended: true }), exitCodeMs));
    }),
  ];
  signal?.addEventListener('abort', stopWaiting);
  try {
    vscode.tasks.executeTask(task).then(
      (started) => {
        execution = started;
        const early = outcomes.get(started);
        if (early !== undefined) resolve(early);
      },
      (cause: unknown) => reject(notStarted(task, cause)),
    );
    return await promise;
  } finally {
    signal?.removeEventListener('abort', stopWaiting);
    for (const timer of timers) clearTimeout(timer);
    for (const listener of listeners) listener.dispose();
  }
}

function cancelled(): BackupError {
  return new BackupError('cancelled', 'Cancelled.');
}

function notStarted(task: vscode.Task, cause: unknown): BackupError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = vscode.l10n.t('The task "{0}" could not be started: {1}', task.name, reason);
  return new BackupError('bad-setting', message, { cause });
}
