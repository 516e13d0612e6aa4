import * as vscode from 'vscode';
import type { Attention } from '../attention.ts';
import type { Parts } from './parts.ts';

/** Looks again, and returns what is there now. */
export async function refresh({ backups, viewId }: Parts): Promise<{
  databases: {
    path: string;
    sizeBytes: number;
    journalMode: string;
    backups: string[];
    attention?: Attention;
  }[];
  gone: { path: string; backups: string[] }[];
  /** Databases that only their content tells, and that have no backups. */
  others: string[];
}> {
  await vscode.window.withProgress({ location: { viewId } }, () => backups.refreshAll());
  return {
    databases: backups.databases.map(({ path, file, snapshots, attention }) => ({
      path,
      sizeBytes: file.sizeBytes,
      journalMode: file.journalMode,
      backups: snapshots.map((snapshot) => snapshot.path),
      ...(attention !== undefined && { attention }),
    })),
    gone: backups.gone.map(({ path, snapshots }) => ({
      path,
      backups: snapshots.map((snapshot) => snapshot.path),
    })),
    others: backups.others.map(({ path }) => path),
  };
}
