/** A linked work tree gets its own copies of the databases that git ignores in the main one, all of one moment. */
import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { takeCheckpoints } from '../checkpoint/checkpoint.ts';
import { checkpointsFolder, storedIn } from '../checkpoint/store.ts';
import { BackupError, explain, type PlainError, toPlainError } from '../errors.ts';
import { realPathOf } from '../files/paths.ts';
import { prepareFolder } from '../files/workplace.ts';
import type { RestoreHooks } from '../job.ts';
import { whileClaimed } from '../restore/claim.ts';
import { liveStateOf } from '../sqlite/siblings.ts';
import { copyStampOf, provedCopyOf, putBack } from './putBack.ts';
import { notKept, type Taking } from './kept.ts';
import { databasesOf, ignoredIn, mainTreeOf, type WorkTree, workTreeOf } from './repository.ts';

export interface CopiedDatabase {
  /** Relative to both work trees. */
  path: string;
  error?: PlainError;
}

/** Databases of the main work tree that are not in this one, relative to both. */
export function missingIn(tree: WorkTree): { main: string; paths: string[] } | undefined {
  const main = tree.isLinked ? mainTreeOf(tree) : undefined;
  if (main === undefined) return undefined;
  const names = databasesOf(workTreeOf(main))
    .filter(({ kind }) => kind === 'own')
    .map(({ path }) => relative(main, path).split(sep).join('/'))
    .filter((name) => !isThere(join(tree.top, name)));
  const ignored = ignoredIn(tree.top, names);
  return { main, paths: names.filter((name) => ignored.has(name)) };
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

export interface CopyFromMainRequest {
  /** In the work tree. */
  in: string;
  taking: Taking;
}

/** Copies those that are missing in the work tree that a folder is in. */
export function copyFromMainTo(
  { in: folder, taking }: CopyFromMainRequest,
  hooks: RestoreHooks,
): Promise<CopiedDatabase[]> {
  return copyFromMain(workTreeOf(resolve(folder)), taking, hooks);
}

/** Copies them. A file that is there is never replaced. */
export async function copyFromMain(
  tree: WorkTree,
  taking: Taking,
  hooks: RestoreHooks,
): Promise<CopiedDatabase[]> {
  const missing = missingIn(tree);
  if (missing === undefined || missing.paths.length === 0) return [];
  const { main, paths } = missing;
  const databases = paths.map((path) => ({ database: join(main, path), recordAs: { path } }));
  const cause = { kind: 'worktree', text: tree.top.slice(0, longestText) };
  const { checkpoints, unchanged, failures } = await takeCheckpoints(
    { ...taking, cause, databases, force: false },
    { ...hooks, beforePublish: () => Promise.resolve() },
  );
  const stored = storedIn(checkpointsFolder(taking.checkpoints));
  const taken = new Map([...checkpoints, ...unchanged].map((one) => [one.database, one.path]));
  const copied: CopiedDatabase[] = [];
  for (const path of paths) {
    const from = realPathOf(join(main, path));
    const failure = failures.find(({ database }) => realPathOf(database) === from);
    const state = stored.find((one) => one.path === taken.get(from));
    if (failure !== undefined || state === undefined) {
      const error = failure?.error ?? toPlainError(notKept(join(main, path)));
      copied.push({ path, error });
      continue;
    }
    try {
      const isNew = checkpoints.some((one) => one.path === state.path);
      const copy = isNew ? copyStampOf(state.path) : provedCopyOf(state);
      await place(tree.top, path, { ...state, copy }, hooks);
      copied.push({ path });
    } catch (error) {
      copied.push({ path, error: toPlainError(explain(error, 'target', join(tree.top, path))) });
    }
  }
  return copied;
}

const longestText = 2000;

async function place(
  top: string,
  path: string,
  state: Parameters<typeof putBack>[0],
  { keepOut }: RestoreHooks,
): Promise<void> {
  const folder = dirname(join(top, path));
  // A link on the way could lead out of the work tree.
  let nearest = folder;
  while (!existsSync(nearest)) nearest = dirname(nearest);
  if (!`${realpathSync(nearest)}${sep}`.startsWith(top + sep))
    throw new BackupError('bad-name', `${folder} is outside of the work tree.`, { path: folder });
  const { path: made, undo } = prepareFolder(folder);
  const live = join(made, path.split('/').at(-1) ?? '');
  try {
    await whileClaimed([live], async () => {
      if (isThere(live)) return;
      await putBack(state, live, { keepOut, expected: liveStateOf(live) });
    });
  } catch (error) {
    undo();
    throw error;
  }
}
