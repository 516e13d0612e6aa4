/*
 * The lines of ours in git's hook after a checkout. They stand between two markers, behind the first line of a hook that is
 * there, so that its own end does not end them; what is around them stays as it is, byte for byte. Where a tool manages the
 * hooks, nothing of it is edited: a person gets the line to add.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { BackupError, explain } from '../errors.ts';
import { replaceFile } from '../files/publish.ts';
import { begin, blockFor, callOfHook, end, lineByHand, madeFile, madeFolder } from './hookLines.ts';
import { tryGit, type WorkTree, workTreeOf } from './repository.ts';

export type HookInstalled =
  | { how: 'installed' | 'there'; path: string }
  /** A person has to add `line` to the hook of `manager`. */
  | { how: 'by-hand'; manager: string; line: string };

/** `node` runs `script`, the command line; without them, `sqlite-backup` on the PATH does. */
export function installGitHook({
  in: folder,
  node,
  script,
}: {
  in: string;
  node: string;
  script: string;
}): HookInstalled {
  const tree = workTreeOf(resolve(folder));
  const hooks = join(tree.commonFolder, 'hooks');
  const path = join(hooks, 'post-checkout');
  try {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    const text = stats?.isFile() === true ? readFileSync(path, 'latin1') : '';
    const manager = managerOf(tree, text);
    if (manager !== undefined) return { how: 'by-hand', manager, line: lineByHand };
    const wasThere = text.includes(begin);
    if (stats !== undefined && !isEditable(path, text))
      return { how: 'by-hand', manager: path, line: lineByHand };
    const hasFolder = existsSync(hooks);
    const made = [
      ...((wasThere ? text.includes(madeFile) : stats === undefined) ? [madeFile] : []),
      ...((wasThere ? text.includes(madeFolder) : !hasFolder) ? [madeFolder] : []),
    ];
    if (!hasFolder) mkdirSync(hooks);
    // Node, or the extension, may be elsewhere than the last time.
    const base = stats === undefined ? '#!/bin/sh\n' : withoutBlock(text);
    write(path, withBlock(base, blockFor({ node, script, made })), stats?.mode);
    return { how: wasThere ? 'there' : 'installed', path };
  } catch (error) {
    const isNoFolder = error instanceof Error && Reflect.get(error, 'code') === 'ENOTDIR';
    throw explain(error, 'target', isNoFolder ? hooks : path);
  }
}

/** Behind the first line, where that names the shell. */
function withBlock(text: string, block: string): string {
  const [first = ''] = text.split(/(?<=\n)/);
  if (!first.startsWith('#!')) return block + text;
  // A hook of one line without an end would swallow the first line of ours.
  return first.endsWith('\n') ? first + block + text.slice(first.length) : `${first}\n${block}`;
}

/** Takes our lines out, and what was made for them. */
export function uninstallGitHook(folder: string): boolean {
  const tree = workTreeOf(resolve(folder));
  const hooks = join(tree.commonFolder, 'hooks');
  const path = join(hooks, 'post-checkout');
  if (!hasGitHook(tree)) return false;
  try {
    const text = readFileSync(path, 'latin1');
    const isOurs = text.includes(`\n${madeFile}\n`);
    const hadFolder = !text.includes(`\n${madeFolder}\n`);
    const left = withoutBlock(text);
    if (isOurs && left.trim() === '#!/bin/sh') rmSync(path);
    else write(path, left, statSync(path).mode);
    if (!hadFolder && readdirSync(hooks).length === 0) rmdirSync(hooks);
    return true;
  } catch (error) {
    throw explain(error, 'target', path);
  }
}

export function hasGitHook({ commonFolder }: WorkTree): boolean {
  try {
    return readFileSync(join(commonFolder, 'hooks', 'post-checkout'), 'latin1').includes(begin);
  } catch {
    return false; // There is none.
  }
}

/** Whether a hook has our lines, also where a person has added the line to those of a manager. */
export function followsBranch(tree: WorkTree): boolean {
  if (hasGitHook(tree)) return true;
  const { top } = tree;
  const folder = tryGit(top, ['rev-parse', '--git-path', 'hooks'])?.trim();
  const hooks = [
    ...(folder === undefined || folder === '' ? [] : [resolve(top, folder, 'post-checkout')]),
    ...[join(top, '.husky', 'post-checkout'), join(tree.commonFolder, 'hooks', 'post-checkout')],
    ...lefthookFiles(top),
  ];
  return hooks.some((path) => {
    try {
      return readFileSync(path, 'latin1').includes(callOfHook);
    } catch {
      return false; // There is none.
    }
  });
}

function lefthookFiles(top: string): string[] {
  return ['lefthook', '.lefthook', 'lefthook-local', '.lefthook-local']
    .flatMap((name) => ['yml', 'yaml', 'toml', 'json'].map((ext) => join(top, `${name}.${ext}`)))
    .filter((path) => existsSync(path));
}

/** What manages the hooks of a repository, if that is not git alone. */
function managerOf({ top }: WorkTree, hook: string): string | undefined {
  const folder = tryGit(top, ['config', '--get', 'core.hooksPath'])?.trim() ?? '';
  if (folder !== '') return folder.includes('.husky') ? 'husky' : 'core.hooksPath';
  if (lefthookFiles(top).length > 0 || hook.includes('lefthook')) return 'lefthook';
  return hook.includes('pre-commit.com') ? 'pre-commit' : undefined;
}

/** A shell reads it, git runs it, and it is no link to a file that may be in the repository. */
function isEditable(path: string, text: string): boolean {
  const stats = lstatSync(path);
  const [first = ''] = text.split('\n');
  const isShell =
    !first.startsWith('#!') || /^#!\s*\S*\b(env )?(sh|bash|dash|zsh|ksh)\b/.test(first);
  const isRun = process.platform === 'win32' || (stats.mode & 0o111) !== 0;
  return stats.isFile() && isShell && isRun && !text.includes('\0');
}

function withoutBlock(text: string): string {
  const from = text.indexOf(begin);
  const to = text.indexOf(`${end}\n`, from);
  if (from === -1) return text;
  if (to === -1)
    throw new BackupError('bad-setting', 'The lines of SQLite Backup in the hook have no end.', {
      hint: 'Remove them from post-checkout by hand.',
    });
  return text.slice(0, from) + text.slice(to + end.length + 1);
}

/** In one step, so that git never runs half a hook. */
function write(path: string, text: string, mode = 0o755): void {
  replaceFile(path, Buffer.from(text, 'latin1'), mode);
}
