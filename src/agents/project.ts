/** The databases that an agent can reach, and what its session has come to: both remembered in the data folder. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import * as v from 'valibot';
import { dataFolderPath, makeDataFolder } from '../core/files/dataFolder.ts';
import { realPathOf } from '../core/files/paths.ts';
import { replacePrivateFile } from '../core/files/publish.ts';

const text = v.string();
const projectSchema = v.object({
  root: text,
  /** ms since 1970. */
  at: v.number(),
  /** Real paths. */
  databases: v.array(text),
});
export type Project = v.InferOutput<typeof projectSchema>;

const sessionSchema = v.object({
  turn: v.number(),
  /** By real path: the checkpoint before the last tool, and the stamp that was read before it. */
  before: v.record(text, v.object({ id: text, path: text, stamp: text })),
});
export type Session = v.InferOutput<typeof sessionSchema>;

const keptForMs = 7 * 24 * 60 * 60 * 1000;

/** The nearest folder at or above `cwd` that is a repository, else `cwd`. Undefined when there is no such folder. */
export function rootOf(cwd: string): string | undefined {
  const start = realPathOf(resolve(cwd));
  if (statSync(start, { throwIfNoEntry: false })?.isDirectory() !== true) return undefined;
  for (let folder = start; ; folder = dirname(folder)) {
    if (existsSync(join(folder, '.git'))) return folder;
    if (dirname(folder) === folder) return start;
  }
}

export function readProject(root: string): Project | undefined {
  const project = readAs(projectSchema, pathOf('project', root));
  return project?.root === root ? project : undefined;
}

export function rememberProject(project: Project): void {
  write(pathOf('project', project.root), project);
}

export function readSession(id: string): Session {
  return readAs(sessionSchema, pathOf('session', id)) ?? { turn: 0, before: {} };
}

export function rememberSession(id: string, session: Session): void {
  write(pathOf('session', id), session);
}

/** Removes what is remembered of sessions and projects that were not used for a week. */
export function forgetOld(now: number): void {
  const folder = makeDataFolder('agents');
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats !== undefined && stats.mtimeMs < now - keptForMs) rmSync(path, { force: true });
  }
}

function pathOf(kind: 'project' | 'session', id: string): string {
  const hash = createHash('sha256').update(id).digest('hex').slice(0, 32);
  return join(dataFolderPath(), 'agents', `${kind}-${hash}.json`);
}

function write(path: string, value: object): void {
  makeDataFolder('agents');
  replacePrivateFile(path, JSON.stringify(value));
}

/** Undefined for what is not there, or cannot be understood. */
function readAs<T extends v.GenericSchema>(schema: T, path: string): v.InferOutput<T> | undefined {
  try {
    const result = v.safeParse(schema, JSON.parse(readFileSync(path, 'utf8')));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}
