/** Tasks of the type `sqliteBackup`: for tasks.json, `dependsOn`, and as `preLaunchTask`, which a failure holds back. */
import { isAbsolute, relative, sep } from 'node:path';
import picomatch from 'picomatch';
import * as vscode from 'vscode';
import { fromPlainError } from '../../core/errors.ts';
import { newestNotDamaged } from '../attention.ts';
import type { Backups, Database } from '../backups.ts';
import type { BackupsFolder } from '../backupsFolder.ts';
import type { PlainResult } from '../commands/backUp.ts';
import type { PlainBundle } from '../commands/bundle.ts';
import type { VerifyResult } from '../commands/verify.ts';
import { errorMessage } from '../errorMessages.ts';
import { commands } from '../contributed.ts';
import { inertLine } from '../inert.ts';
import { recordAs } from '../located.ts';
import { databaseName, verdictWord } from '../messages.ts';
import type { VerdictStatus } from '../../core/manifest/manifest.ts';
import type { WorkerClient } from '../../worker/client.ts';
import type { Settings } from '../settings.ts';
import type { Checkpoints } from './checkpoints.ts';
import { takingFor } from './taking.ts';

const taskType = 'sqliteBackup';
const actions = ['backUp', 'checkpoint', 'bundle', 'verify', 'restore'] as const;
type Action = (typeof actions)[number];

export interface TaskParts {
  backups: Backups;
  checkpoints: Checkpoints;
  folder: BackupsFolder;
  settings: Settings;
  toolVersion: string;
  worker: Pick<WorkerClient, 'call'>;
}

/** Not good is thrown, with the reason. */
class Refused extends Error {}

export function registerTasks(parts: TaskParts): vscode.Disposable {
  return vscode.tasks.registerTaskProvider(taskType, {
    async provideTasks() {
      if (!parts.backups.isReady) await parts.backups.refresh();
      if (parts.backups.databases.length === 0) return [];
      return (['checkpoint', 'backUp'] as const).map((action) =>
        taskFor(parts, { type: taskType, action }, vscode.TaskScope.Workspace),
      );
    },
    // The definition has to be the very same object.
    resolveTask: ({ definition, scope }) =>
      taskFor(parts, definition, scope ?? vscode.TaskScope.Workspace),
  });
}

function taskFor(
  parts: TaskParts,
  definition: vscode.TaskDefinition,
  scope: vscode.WorkspaceFolder | vscode.TaskScope,
): vscode.Task {
  const { t } = vscode.l10n;
  const names: Readonly<Record<Action, string>> = {
    backUp: t('Back up all databases'),
    checkpoint: t('Checkpoint of all databases'),
    bundle: t('Create a bundle'),
    verify: t('Verify the newest backups'),
    restore: t('Restore a baseline'),
  };
  const action = actions.find((one) => one === definition['action']);
  const name = action === undefined ? taskType : names[action];
  const folder = typeof scope === 'object' ? scope : undefined;
  const execution = new vscode.CustomExecution(() =>
    Promise.resolve(new TaskTerminal((print) => runTask(parts, definition, folder, print))),
  );
  const task = new vscode.Task(definition, scope, name, 'SQLite Backup', execution);
  task.presentationOptions = { reveal: vscode.TaskRevealKind.Silent };
  return task;
}

/** Ends with 0 when all went well, else with 1. */
class TaskTerminal implements vscode.Pseudoterminal {
  readonly #written = new vscode.EventEmitter<string>();
  readonly #closed = new vscode.EventEmitter<number>();
  readonly onDidWrite = this.#written.event;
  readonly onDidClose = this.#closed.event;
  readonly #work: (print: (line: string) => void) => Promise<void>;

  constructor(work: (print: (line: string) => void) => Promise<void>) {
    this.#work = work;
  }

  open(): void {
    const print = (line: string): void => this.#written.fire(`${inertLine(line)}\r\n`);
    this.#work(print).then(
      () => this.#closed.fire(0),
      (error: unknown) => {
        print(error instanceof Error ? error.message : String(error));
        this.#closed.fire(1);
      },
    );
  }

  close(): void {
    // What runs goes on: a checkpoint is quick, and a backup can be cancelled in its row.
  }
}

async function runTask(
  parts: TaskParts,
  definition: vscode.TaskDefinition,
  folder: vscode.WorkspaceFolder | undefined,
  print: (line: string) => void,
): Promise<void> {
  const { t } = vscode.l10n;
  const action = actions.find((one) => one === definition['action']);
  if (action === undefined)
    throw new Refused(t('The task has no "action" of {0}.', actions.join(', ')));
  if (!parts.backups.isReady) await parts.backups.refresh();
  const bundle: unknown = definition['bundle'];
  if (action === 'bundle' && typeof bundle === 'string')
    return makeBundle({ saved: bundle }, print);
  const databases = await chosen(parts, definition['databases'], folder);
  const uris = databases.map(({ uri }) => uri);
  switch (action) {
    case 'checkpoint':
      return takeCheckpoints(parts, uris, print);
    case 'backUp':
      return backUp(parts, uris, print);
    case 'bundle':
      return makeBundle({ databases: uris }, print);
    case 'verify':
      return verify(databases, print);
    case 'restore':
      return restoreBaselines(parts, databases, definition, print);
  }
}

/** Globs that find nothing are a mistake: a launch must not go on as if it were protected. */
async function chosen(
  { backups }: TaskParts,
  globs: unknown,
  folder: vscode.WorkspaceFolder | undefined,
): Promise<Database[]> {
  const { t } = vscode.l10n;
  if (globs === undefined && backups.databases.length > 0) return backups.databases;
  if (globs === undefined) throw new Refused(t('There is no SQLite database in this workspace.'));
  const texts = [globs].flat().map((one) => (typeof one === 'string' ? one : ''));
  const find = (): Database[][] =>
    texts.map((glob) =>
      backups.databases.filter((one) => picomatch(glob, { dot: true })(nameIn(folder, one))),
    );
  let found = find();
  // It may have been made a moment ago, by the task before this one.
  if (found.some((some) => some.length === 0)) {
    await backups.refresh();
    found = find();
  }
  const missing = texts.find((_glob, index) => found[index]?.length === 0);
  if (missing !== undefined) throw new Refused(t('There is no database "{0}".', missing));
  return [...new Map(found.flat().map((one) => [one.uri.toString(), one])).values()];
}

function nameIn(folder: vscode.WorkspaceFolder | undefined, { uri, path }: Database): string {
  if (folder === undefined) return path;
  const inside = relative(folder.uri.fsPath, uri.fsPath).split(sep).join('/');
  return inside.startsWith('..') || isAbsolute(inside) ? path : inside;
}

async function takeCheckpoints(
  { checkpoints }: TaskParts,
  uris: vscode.Uri[],
  print: (line: string) => void,
): Promise<void> {
  const { t } = vscode.l10n;
  const name = t('Checkpoint of all databases');
  const taken = await checkpoints.take(uris, { kind: 'task', text: name }, { trigger: 'task' });
  for (const { database, id } of taken.checkpoints)
    print(t('Checkpoint {0} of {1}', id, databaseName(vscode.Uri.file(database))));
  for (const { database, id } of taken.unchanged)
    print(t('{0} is unchanged since {1}', databaseName(vscode.Uri.file(database)), id));
  throwIfAny(
    taken.failures.map(({ database, error }) =>
      errorMessage(fromPlainError(error), databaseName(vscode.Uri.file(database))),
    ),
  );
}

/** One after the other: each is as its baseline before the task ends well. */
async function restoreBaselines(
  { checkpoints, settings, toolVersion, worker }: TaskParts,
  databases: readonly Database[],
  { baseline: name, discard }: vscode.TaskDefinition,
  print: (line: string) => void,
): Promise<void> {
  const { t } = vscode.l10n;
  if (typeof name !== 'string' || name === '') throw new Refused(t('The task has no "baseline".'));
  for (const { uri } of databases) {
    const { outcome, kept } = await worker.call('restoreBaseline', {
      name,
      items: [{ target: uri.fsPath, recordAs: recordAs(uri) }],
      discard: discard === true,
      taking: {
        ...takingFor(settings, toolVersion),
        cause: { kind: 'baseline', text: name },
        trigger: 'task',
      },
    });
    const database = databaseName(uri);
    print(
      outcome === 'equal'
        ? t('{0} already equals the baseline {1}', database, name)
        : kept === undefined
          ? t('{0} is as the baseline {1} again', database, name)
          : t('{0} is as the baseline {1} again; before: checkpoint {2}', database, name, kept),
    );
  }
  await checkpoints.refresh();
}

async function backUp(
  { folder }: TaskParts,
  uris: vscode.Uri[],
  print: (line: string) => void,
): Promise<void> {
  const { t } = vscode.l10n;
  for (const uri of uris) {
    const workspaceFolder = vscode.workspace.getWorkspaceFolder(uri);
    // A task does not ask.
    if ((await folder.resolve(workspaceFolder)) === undefined)
      throw new Refused(t('There is no backups folder. Choose one first.'));
  }
  const { backups, failures } = await vscode.commands.executeCommand<PlainResult>(
    commands.backUp,
    uris,
  );
  for (const { path, verified } of backups)
    print(`${path} (${verdictWord(verified as VerdictStatus)})`);
  throwIfAny(failures.map(({ message }) => message));
}

async function makeBundle(
  answers: { saved?: string; databases?: vscode.Uri[] },
  print: (line: string) => void,
): Promise<void> {
  const { t } = vscode.l10n;
  const all = { companions: [], ...answers };
  const { path, failures } = await vscode.commands.executeCommand<PlainBundle>(
    commands.createBundle,
    undefined,
    undefined,
    answers.saved === undefined ? all : answers,
  );
  throwIfAny(failures.map(({ message }) => message));
  if (path === undefined) throw new Refused(t('No bundle was made.'));
  print(path);
}

async function verify(databases: Database[], print: (line: string) => void): Promise<void> {
  const { t } = vscode.l10n;
  const newest = databases.map((one) => ({
    one,
    entry: newestNotDamaged(one) ?? one.snapshots[0],
  }));
  const without = newest.find(({ entry }) => entry === undefined);
  if (without !== undefined)
    throw new Refused(t('{0} has no backup.', databaseName(without.one.uri)));
  const uris = newest.flatMap(({ entry }) => (entry ? [vscode.Uri.file(entry.path)] : []));
  const { results } = await vscode.commands.executeCommand<VerifyResult>(
    commands.verify,
    undefined,
    uris,
  );
  for (const { path, status } of results) print(`${path}: ${verdictWord(status as VerdictStatus)}`);
  throwIfAny(
    results
      .filter(({ status, outOfStep }) => status !== 'ok' && outOfStep === undefined)
      .map(({ path, findings }) => `${path}: ${findings[0]?.message ?? ''}`),
  );
}

function throwIfAny(problems: readonly string[]): void {
  if (problems.length > 0) throw new Refused(problems.join('\r\n'));
}
