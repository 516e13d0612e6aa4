/** What there is of the branches of a work tree. Only reads. */
import { existsSync } from 'node:fs';
import { dirname, relative, resolve, sep } from 'node:path';
import { checkpointsFolder, storedIn } from '../checkpoint/store.ts';
import { readBranchRecord } from './branchRecord.ts';
import { followsBranch } from './gitHook.ts';
import { databasesOf, isOfTree, workTreeOf } from './repository.ts';
import { missingIn } from './worktrees.ts';

export interface BranchStatus {
  top: string;
  /** Undefined for a detached head. */
  branch: string | undefined;
  hasHook: boolean;
  /** A rebase, a bisect or a merge is not finished. */
  isBusy: boolean;
  databases: {
    /** Relative to the work tree. */
    path: string;
    /** `none`: the main work tree, or a branch, has one, and this one does not. */
    kind: 'own' | 'tracked' | 'shared' | 'none';
    /** `git sync` copies it from the main work tree. */
    isInMain?: true;
    /** The branch that its state is of, if that is remembered. */
    of?: string;
    /** Other branches with a state of it. */
    branches: string[];
  }[];
}

export function branchStatus({
  in: folder,
  checkpoints,
}: {
  in: string;
  checkpoints?: string | undefined;
}): BranchStatus {
  const tree = workTreeOf(resolve(folder));
  const { top, branch, isBusy } = tree;
  const record = readBranchRecord(top);
  const branches = new Map<string, Set<string>>();
  for (const { manifest } of storedIn(checkpointsFolder(checkpoints))) {
    const { livePath = '' } = manifest;
    if (!isOfTree(tree, livePath)) continue;
    const path = nameIn(top, livePath);
    const names = branches.get(path) ?? new Set();
    for (const { name } of manifest.branches ?? []) names.add(name);
    branches.set(path, names);
  }
  const found = databasesOf(tree).map(({ path, kind }) => ({ path: nameIn(top, path), kind }));
  const inMain = new Set(missingIn(tree)?.paths ?? []);
  const none = [...inMain].map((path) => ({ path, kind: 'none' as const }));
  const gone = [...branches.keys()]
    .filter((path) => !existsSync(resolve(top, path)) && existsSync(dirname(resolve(top, path))))
    .filter((path) => (branches.get(path)?.size ?? 0) > 0)
    .filter((path) => !inMain.has(path))
    .map((path) => ({ path, kind: 'none' as const }));
  return {
    ...{ top, branch, isBusy, hasHook: followsBranch(tree) },
    databases: [...found, ...none, ...gone].map(({ path, kind }) => {
      const of = record?.others[path] ?? record?.branch;
      const others = [...(branches.get(path) ?? [])].filter((name) => name !== of).sort();
      return {
        ...{ path, kind, branches: others },
        ...(inMain.has(path) && { isInMain: true as const }),
        ...(of !== undefined && kind === 'own' && { of }),
      };
    }),
  };
}

function nameIn(top: string, path: string): string {
  return relative(top, path).split(sep).join('/');
}
