import * as vscode from 'vscode';
import type { Parts } from './register.ts';

/** Looks again, and returns what is there now. */
export async function refresh({ backups, viewId }: Parts): Promise<{
  databases: { path: string; sizeBytes: number; journalMode: string; backups: string[] }[];
  gone: { path: string; backups: string[] }[];
}> {
  await vscode.window.withProgress({ location: { viewId } }, () => backups.refresh());
  return {
    databases: backups.databases.map(({ path, file, snapshots }) => ({
      path,
      sizeBytes: file.sizeBytes,
      journalMode: file.journalMode,
      backups: snapshots.map((snapshot) => snapshot.path),
    })),
    gone: backups.gone.map(({ path, snapshots }) => ({
      path,
      backups: snapshots.map((snapshot) => snapshot.path),
    })),
  };
}
