import * as vscode from 'vscode';
import type { Attention } from '../attention.ts';
import type { WorktreeKind } from '../worktrees.ts';
import type { Parts } from './parts.ts';

/** Looks again, and returns what is there now. */
export async function refresh({ backups, viewId, worktrees }: Parts): Promise<{
  databases: {
    path: string;
    sizeBytes: number;
    journalMode: string;
    backups: string[];
    /** Whether a state that Litestream keeps of it can be fetched. */
    litestream?: { hasProgram?: boolean };
    attention?: Attention;
    /** In a linked work tree of git. */
    worktree?: WorktreeKind;
  }[];
  gone: { path: string; backups: string[] }[];
  /** Databases that only their content tells, and that have no backups. */
  others: string[];
  /** Databases that only the main work tree of git has. */
  missing: string[];
}> {
  await vscode.window.withProgress({ location: { viewId } }, async () => {
    await backups.refreshAll();
    await worktrees.refresh();
  });
  return {
    databases: backups.databases.map(({ folder, path, file, snapshots, attention }) => ({
      path,
      sizeBytes: file.sizeBytes,
      journalMode: file.journalMode,
      backups: snapshots.map((snapshot) => snapshot.path),
      ...(file.litestream !== undefined && { litestream: file.litestream }),
      ...(attention !== undefined && { attention }),
      ...worktreeOf(worktrees.kindOf({ folder, path })),
    })),
    gone: backups.gone.map(({ path, snapshots }) => ({
      path,
      backups: snapshots.map((snapshot) => snapshot.path),
    })),
    others: backups.others.map(({ path }) => path),
    missing: worktrees.missing.map(({ path }) => path),
  };
}

function worktreeOf(worktree: WorktreeKind | undefined): { worktree?: WorktreeKind } {
  return worktree === undefined ? {} : { worktree };
}
