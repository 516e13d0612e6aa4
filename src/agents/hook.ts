/*
 * What happens around each tool of an agent. Commands are not judged: whatever the tool is, a database that has changed
 * since its last checkpoint gets one before the tool runs. This process reads stamps and never opens SQLite, so an
 * unchanged database costs milliseconds; a worker takes the checkpoint.
 */
import { existsSync } from 'node:fs';
import { relative } from 'node:path';
import type { Checkpoints } from '../core/checkpoint/checkpoint.ts';
import type { RowChange } from '../core/checkpoint/rows.ts';
import { readStamp } from '../core/checkpoint/stamp.ts';
import { checkpointsFolder, storedIn } from '../core/checkpoint/store.ts';
import { changeText, turnBegins, turnEnds } from '../core/checkpoint/turns.ts';
import { stateOf } from '../core/checkpoint/unchanged.ts';
import { type ErrorCode, isBackupError, toPlainError } from '../core/errors.ts';
import type { Cause } from '../core/manifest/manifest.ts';
import { type Answer, ask, context, nothing } from './answers.ts';
import { type HookEvent, oneLine, onlyReads } from './hookEvent.ts';
import {
  forgetOld,
  type Project,
  readProject,
  readSession,
  rememberProject,
  rememberSession,
  rootOf,
  type Session,
} from './project.ts';

/** What the hook cannot do in its own process. */
export interface HookWorker {
  find: (folder: string) => Promise<string[]>;
  checkpoint: (databases: readonly string[], cause: Cause) => Promise<Checkpoints>;
  /** Rejects when they cannot be counted in time. */
  changes: (checkpoint: string, database: string) => Promise<RowChange[]>;
}

export interface HookOptions {
  worker: HookWorker;
  /** As asked for; undefined for the data folder's. */
  checkpoints: string | undefined;
  whenNotSaved: 'ask' | 'continue';
  now: () => number;
}

/** A search at every tool would cost more than the checkpoints. */
const searchAgainAfterMs = 10 * 60 * 1000;

/** What has no content to lose: it is gone, or is no database any more. */
const nothingToSave: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'source-missing',
  'not-a-database',
  'encrypted-or-not-sqlite',
]);

export async function respond(event: HookEvent, options: HookOptions): Promise<Answer> {
  const root = rootOf(event.cwd ?? process.cwd());
  if (root === undefined) return nothing;
  switch (event.name) {
    case 'SessionStart':
      return startSession(event, root, options);
    case 'UserPromptSubmit':
      return startTurn(event, root, options);
    case 'PreToolUse':
      return onlyReads(event.tool) ? nothing : beforeTool(event, root, options);
    case 'PostToolUse':
      return onlyReads(event.tool) ? nothing : afterTool(event, root, options);
    case 'Stop':
      return endTurn(event, root, options);
  }
}

async function startSession(event: HookEvent, root: string, options: HookOptions): Promise<Answer> {
  forgetOld(options.now());
  const { databases } = await projectOf(root, 0, options);
  const names = databases.filter((path) => existsSync(path)).map((path) => relative(root, path));
  if (names.length === 0) return nothing;
  const shown =
    names.slice(0, 5).join(', ') + (names.length > 5 ? ` and ${names.length - 5} more` : '');
  return context(
    event,
    `SQLite Backup takes a checkpoint of ${shown} before each tool that can change it. To take one yourself: sqlite-backup checkpoint FILE --reason TEXT. A restore is the person's to start.`,
  );
}

async function startTurn(event: HookEvent, root: string, options: HookOptions): Promise<Answer> {
  const session = readSession(event.session);
  session.turn += 1;
  const project = await projectOf(root, 0, options);
  const problem = await save(event, project, session, options);
  return problem === undefined ? nothing : context(event, problem);
}

/** What the turn has changed is its own then, whatever the person does before the next one. */
async function endTurn(event: HookEvent, root: string, options: HookOptions): Promise<Answer> {
  const session = readSession(event.session);
  if (session.turn === 0) return nothing;
  const project = await projectOf(root, searchAgainAfterMs, options);
  await save(event, project, session, options);
  return nothing;
}

async function beforeTool(event: HookEvent, root: string, options: HookOptions): Promise<Answer> {
  const project = await projectOf(root, searchAgainAfterMs, options);
  const problem = await save(event, project, readSession(event.session), options);
  if (problem === undefined) return nothing;
  return options.whenNotSaved === 'ask' ? ask(event, problem) : context(event, problem);
}

/** Takes checkpoints of what has changed, and remembers them. Returns what could not be saved, in words. */
async function save(
  event: HookEvent,
  { root, databases }: Project,
  session: Session,
  { worker, checkpoints, now }: HookOptions,
): Promise<string | undefined> {
  const stored = storedIn(checkpointsFolder(checkpoints));
  const states = databases
    .filter((path) => existsSync(path))
    .map((path) => stateOf(path, stored, { now }));
  const stamps = new Map(states.map(({ database, stamp }) => [database, stamp.text]));
  const before: Session['before'] = {};
  const note = (database: string, { id, path }: { id: string; path: string }): void => {
    before[database] = { id, path, stamp: stamps.get(database) ?? '' };
  };
  for (const { database, newest, isUnchanged } of states)
    if (newest !== undefined && isUnchanged) note(database, newest);
  const changed = states.filter(({ isUnchanged }) => !isUnchanged).map(({ database }) => database);
  const failures = changed.length === 0 ? [] : await take();
  rememberSession(event.session, { ...session, before });
  const [first, ...others] = failures.filter(({ code }) => !nothingToSave.has(code));
  if (first === undefined) return undefined;
  const more = others.length === 0 ? '' : ` ${others.length} more could not be saved either.`;
  return `${relative(root, first.database)} could not be saved before this: ${first.message}${more}`;

  async function take(): Promise<{ database: string; code: ErrorCode; message: string }[]> {
    const cause: Cause = {
      kind: 'agent',
      text: event.name === 'Stop' ? turnEnds : event.tool === '' ? turnBegins : event.tool,
      ...(event.session !== '' && { session: event.session }),
      ...(session.turn > 0 && { turn: String(session.turn) }),
    };
    try {
      const taken = await worker.checkpoint(changed, cause);
      for (const one of [...taken.checkpoints, ...taken.unchanged]) note(one.database, one);
      return taken.failures.map(({ database, error }) => ({ database, ...error }));
    } catch (error) {
      const { code, message } = toPlainError(error);
      return changed.map((database) => ({ database, code, message }));
    }
  }
}

/** Says what has changed since the checkpoint before the tool. */
async function afterTool(event: HookEvent, root: string, options: HookOptions): Promise<Answer> {
  const { before } = readSession(event.session);
  const lines: string[] = [];
  for (const [database, checkpoint] of Object.entries(before)) {
    const name = relative(root, database);
    if (readStamp(database).text === checkpoint.stamp) continue;
    const what = await changeOf(database, checkpoint.path, options.worker);
    lines.push(`${name} ${what}; state before: checkpoint ${checkpoint.id.slice(0, 8)}.`);
  }
  if (lines.length === 0) return nothing;
  return context(event, `${lines.join(' ')} Tell the person.`);
}

async function changeOf(database: string, checkpoint: string, worker: HookWorker): Promise<string> {
  if (!existsSync(database)) return 'is gone';
  try {
    const changes = await worker.changes(checkpoint, database);
    const said = changes
      .slice(0, 4)
      .map((one) => changeText({ ...one, table: oneLine(one.table, 60) }))
      .join(', ');
    const more = changes.length > 4 ? ` and ${changes.length - 4} more tables` : '';
    return said === '' ? 'changed, with as many rows as before' : `changed: ${said}${more}`;
  } catch (error) {
    if (!isBackupError(error)) throw error;
    return nothingToSave.has(error.code)
      ? 'is no database any more'
      : 'changed, and its rows could not be counted';
  }
}

/** The databases below the root, searched when the list is older than `mostMs`. */
async function projectOf(root: string, mostMs: number, options: HookOptions): Promise<Project> {
  const known = readProject(root);
  const age = options.now() - (known?.at ?? 0);
  if (known !== undefined && age >= 0 && age < mostMs) return known;
  let found: string[];
  try {
    found = await options.worker.find(root);
  } catch (error) {
    if (!isBackupError(error)) throw error;
    // What was known stays protected, and not every tool waits for a folder that is too large to be searched.
    found = [];
  }
  // What was known and is there stays, also where this search did not come to it.
  const databases = [
    ...new Set([...found, ...(known?.databases.filter((path) => existsSync(path)) ?? [])]),
  ];
  const project = { root, at: options.now(), databases };
  rememberProject(project);
  return project;
}
