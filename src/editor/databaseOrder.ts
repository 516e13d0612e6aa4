/** The order of the view Databases, and what is below which workspace folder. */
import type * as vscode from 'vscode';
import { newestNotDamaged } from './attention.ts';
import type { Database } from './backups.ts';
import type { SortBy } from './settings.ts';

const byPath = (a: Database, b: Database): number => a.path.localeCompare(b.path, 'en');

export const databaseOrders: Readonly<Record<SortBy, (a: Database, b: Database) => number>> = {
  name: byPath,
  size: (a, b) => b.file.sizeBytes - a.file.sizeBytes || byPath(a, b),
  age: (a, b) =>
    (newestNotDamaged(a)?.createdAt ?? '').localeCompare(newestNotDamaged(b)?.createdAt ?? '') ||
    byPath(a, b),
};

/** Whether something belongs below a row; undefined stands for the whole workspace. */
export function isIn(
  parent: vscode.WorkspaceFolder | undefined,
): (one: { folder: vscode.WorkspaceFolder | undefined }) => boolean {
  return ({ folder }) => parent === undefined || folder?.uri.toString() === parent.uri.toString();
}
