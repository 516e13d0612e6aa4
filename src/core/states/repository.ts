/** What git says of a work tree. Only reads; nothing that a repository configures is run. */
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { findDatabases } from '../catalog/discovery.ts';
import { BackupError, explain } from '../errors.ts';
import { realPathOf } from '../files/paths.ts';
import { namesOf } from '../manifest/hardLinks.ts';
import { findGitFolder, headIn } from '../snapshot/gitHead.ts';

export interface WorkTree {
  /** The real path. */
  top: string;
  /** Git's own folder of this work tree, and the one that all work trees share. */
  gitFolder: string;
  commonFolder: string;
  isLinked: boolean;
  /** Undefined for a detached head. */
  branch: string | undefined;
  /** A rebase, a bisect or a merge is not finished: the branch is no answer to what a person works on. */
  isBusy: boolean;
}

const mostBytes = 64 * 1024 * 1024;
const longestLine = 300;

/** The output of git. Throws when it fails. */
export function git(folder: string, args: readonly string[], input?: string): string {
  // In a hook, git's own variables would speak of another work tree than the folder.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_')),
  );
  // What it says is looked at.
  env['LC_ALL'] = 'C';
  return execFileSync('git', ['-c', 'core.fsmonitor=false', ...args], {
    cwd: folder,
    env,
    encoding: 'utf8',
    maxBuffer: mostBytes,
    stdio: ['pipe', 'pipe', 'pipe'],
    windowsHide: true,
    ...(input !== undefined && { input }),
  });
}

/** The same, and undefined when git fails, as it does to say no. */
export function tryGit(
  folder: string,
  args: readonly string[],
  input?: string,
): string | undefined {
  try {
    return git(folder, args, input);
  } catch {
    return undefined;
  }
}

/** Throws where there is no work tree, as in a bare repository. */
export function workTreeOf(folder: string): WorkTree {
  const [top = '', gitFolder = '', commonFolder = ''] = foldersOf(folder);
  return asItIsNow({
    top: realpathSync(top),
    gitFolder,
    commonFolder,
    isLinked: realpathSync(gitFolder) !== realpathSync(commonFolder),
  });
}

/** The same with the branch that is checked out now. */
export function asItIsNow(tree: Omit<WorkTree, 'branch' | 'isBusy'>): WorkTree {
  const { top, gitFolder } = tree;
  // Throws what is wrong, as where the work tree was removed.
  if (lstatSync(join(gitFolder, 'HEAD'), { throwIfNoEntry: false }) === undefined) foldersOf(top);
  return {
    ...tree,
    branch: branchOf(tree),
    isBusy: unfinished.some((name) => existsSync(join(gitFolder, name))),
  };
}

/**
 * From the file HEAD, because the start of git takes longer than the rest of a look. Git is asked where that file does not
 * say it: where it is a link, as old versions made it, and where the branch is another name of a branch.
 */
function branchOf({
  top,
  gitFolder,
  commonFolder,
}: Pick<WorkTree, 'top' | 'gitFolder' | 'commonFolder'>): string | undefined {
  const isLink = lstatSync(join(gitFolder, 'HEAD'), { throwIfNoEntry: false })?.isSymbolicLink();
  const head = isLink === true ? undefined : headIn(gitFolder);
  if (head !== undefined && !isOtherName(join(commonFolder, head.reference ?? '')))
    return head.branch;
  return tryGit(top, ['symbolic-ref', '-q', 'HEAD'])
    ?.trim()
    .replace(/^refs\/heads\//, '');
}

function isOtherName(reference: string): boolean {
  try {
    return readFileSync(reference, 'utf8').startsWith('ref:');
  } catch {
    return false; // It is in the list of packed references, which has no other names, or does not exist yet.
  }
}

/** The top of the work tree, git's own folder of it, and the one that all work trees share. */
function foldersOf(folder: string): string[] {
  let folders: string[];
  try {
    folders = git(folder, [
      ...['rev-parse', '--path-format=absolute'],
      ...['--show-toplevel', '--git-dir', '--git-common-dir'],
    ]).split('\n');
  } catch (error) {
    throw whyNone(folder, error);
  }
  // An older one repeats the option that it does not know.
  if (!isAbsolute(folders[0] ?? ''))
    throw new BackupError('feature-missing', 'This version of git is too old.', {
      hint: 'Install git 2.31 or newer, then try again.',
    });
  return folders;
}

function whyNone(folder: string, error: unknown): BackupError {
  const [code, said] = ['code', 'stderr'].map((key): unknown =>
    error instanceof Error ? Reflect.get(error, key) : undefined,
  );
  if (code === 'ENOENT' && existsSync(folder))
    return new BackupError('feature-missing', 'git is not installed, or not in PATH.', {
      hint: 'Install git 2.31 or newer, then try again.',
      cause: error,
    });
  const line = typeof said === 'string' ? (said.trim().split('\n').at(0) ?? '') : '';
  const isNone = code === 'ENOENT' || /not a git repository|in a work tree/.test(line);
  if (!isNone && line !== '')
    return new BackupError('io-error', `git failed for ${folder}: ${line.slice(0, longestLine)}`, {
      path: folder,
      hint: 'Run `git status` there, and mend what it says.',
      cause: error,
    });
  if (!isNone) return explain(error, 'source', folder);
  return new BackupError('source-missing', `${folder} is in no work tree of git.`, {
    path: folder,
    hint: 'Run it in a checkout. A bare repository has none.',
  });
}

const unfinished = [
  ...['rebase-merge', 'rebase-apply', 'sequencer', 'BISECT_LOG'],
  ...['MERGE_HEAD', 'CHERRY_PICK_HEAD', 'REVERT_HEAD'],
];

export function branchesOf({ top }: WorkTree): Set<string> {
  const lines = git(top, ['for-each-ref', '--format=%(refname)', 'refs/heads']).split('\n');
  return new Set(lines.filter((one) => one !== '').map((one) => one.slice('refs/heads/'.length)));
}

export interface FoundDatabase {
  /** Below the top of the work tree. */
  path: string;
  /** `own`: a file of this work tree that git does not track. `shared`: other work trees use the same file. */
  kind: 'own' | 'tracked' | 'shared';
}

/** The databases of a work tree, without those of submodules and of other repositories in it. */
export function databasesOf(tree: WorkTree): FoundDatabase[] {
  const paths = findDatabases(tree.top)
    .databases.map(({ path }) => path)
    .filter((path) => isOfTree(tree, path));
  const names = paths.map((path) => relative(tree.top, path).split(sep).join('/'));
  const tracked = new Set(
    names.length === 0
      ? []
      : git(tree.top, ['--literal-pathspecs', 'ls-files', '-z', '--', ...names]).split('\0'),
  );
  return paths.map((path, index) => ({
    path,
    kind: tracked.has(names[index] ?? '') ? 'tracked' : isShared(path, tree.top) ? 'shared' : 'own',
  }));
}

/** Whether a path, which may be gone, is below the top and in no other work tree or repository there. */
export function isOfTree({ top, gitFolder }: WorkTree, path: string): boolean {
  if (!path.startsWith(top + sep)) return false;
  const found = findGitFolder(dirname(path));
  return found !== undefined && realPathOf(found) === realPathOf(gitFolder);
}

/** By a link, or by a second name of the file that is not one of ours, as a killed process leaves it. */
function isShared(path: string, top: string): boolean {
  const isInside = realpathSync(path).startsWith(top + sep);
  return !isInside || lstatSync(path).isSymbolicLink() || namesOf(path) > 1;
}

/** The work trees of the repository, the main one first; without it where that is bare. */
export function mainTreeOf({ top }: WorkTree): string | undefined {
  const [first = ''] = git(top, ['worktree', 'list', '--porcelain']).split('\n\n');
  const path = /^worktree (.+)$/m.exec(first)?.[1];
  return path === undefined || /^bare$/m.test(first) || !existsSync(path)
    ? undefined
    : realpathSync(path);
}

/** Which of these names, relative to the top, git ignores. */
export function ignoredIn(top: string, names: readonly string[]): Set<string> {
  if (names.length === 0) return new Set();
  // A name that begins with a colon would be understood as more than a name.
  const asked = names.map((name) => `./${name}\0`).join('');
  try {
    const answer = git(top, ['check-ignore', '-z', '--stdin'], asked);
    return new Set(answer.split('\0').map((name) => name.slice('./'.length)));
  } catch (error) {
    // It says no so.
    if (error instanceof Error && Reflect.get(error, 'status') === 1) return new Set();
    throw error;
  }
}
