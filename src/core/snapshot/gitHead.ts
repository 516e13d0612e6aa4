/** Where the work tree around a folder is, read from git's own files: no program is run. */
import { readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

export interface GitHead {
  /** Undefined for a detached head. */
  branch?: string;
  /** Undefined before the first commit. */
  commit?: string;
}

/** The head of the work tree that `folder` is in; undefined outside of one. Never throws. */
export function readGitHead(folder: string): GitHead | undefined {
  try {
    return readHead(folder);
  } catch {
    return undefined; // A broken work tree is no reason to have no backup.
  }
}

function readHead(folder: string): GitHead | undefined {
  const gitFolder = findGitFolder(folder);
  if (gitFolder === undefined) return undefined;
  const head = headIn(gitFolder);
  if (head === undefined) return undefined;
  const { reference, branch } = head;
  if (reference === undefined) return { commit: head.commit };
  const commit = resolveReference(gitFolder, reference);
  return commit === undefined ? { branch } : { branch, commit };
}

type HeadFile =
  | { reference: string; branch: string; commit?: undefined }
  | { reference?: undefined; branch?: undefined; commit: string };

/** What the file HEAD in one of git's own folders says; undefined where git itself has to be asked. */
export function headIn(gitFolder: string): HeadFile | undefined {
  const head = readText(join(gitFolder, 'HEAD'))?.trim() ?? '';
  if (isCommit(head)) return { commit: head };
  const reference = /^ref: (refs\/[^\p{Cc}]{1,1000})$/u.exec(head)?.[1];
  // Where git keeps references in tables, the file says only that: https://git-scm.com/docs/reftable
  if (reference === undefined || reference === 'refs/heads/.invalid') return undefined;
  return { reference, branch: reference.replace(/^refs\/heads\//, '') };
}

/** The folder with git's own files of the work tree that `from` is in. */
export function findGitFolder(from: string): string | undefined {
  for (let at = resolve(from); ; at = dirname(at)) {
    const candidate = join(at, '.git');
    const stats = statSync(candidate, { throwIfNoEntry: false });
    if (stats?.isDirectory()) return candidate;
    if (stats?.isFile()) {
      // A linked work tree or a submodule: a file that says where the folder is.
      const target = /^gitdir: (.+)$/m.exec(readText(candidate) ?? '')?.[1];
      return target === undefined ? undefined : resolve(at, target.trim());
    }
    if (dirname(at) === at) return undefined;
  }
}

function resolveReference(gitFolder: string, reference: string): string | undefined {
  const common = readText(join(gitFolder, 'commondir'))?.trim();
  const folders = common === undefined ? [gitFolder] : [gitFolder, resolve(gitFolder, common)];
  for (const folder of folders) {
    const loose = readText(join(folder, reference))?.trim();
    if (loose !== undefined && isCommit(loose)) return loose;
    const packed = readText(join(folder, 'packed-refs')) ?? '';
    const line = packed.split('\n').find((one) => one.endsWith(` ${reference}`));
    const commit = line?.slice(0, line.indexOf(' '));
    if (commit !== undefined && isCommit(commit)) return commit;
  }
  return undefined;
}

function isCommit(text: string): boolean {
  return /^[0-9a-f]{40}([0-9a-f]{24})?$/.test(text);
}

const longestBytes = 4 * 1024 * 1024;

function readText(path: string): string | undefined {
  try {
    const stats = statSync(path);
    return stats.isFile() && stats.size <= longestBytes ? readFileSync(path, 'utf8') : undefined;
  } catch {
    return undefined; // Not there, or not for us: then nothing is known, which is no error.
  }
}
