/** Databases in folders, where there are many. */
import type * as vscode from 'vscode';
import { levelOf } from '../core/catalog/folderLevels.ts';
import type { Database } from './backups.ts';
import type { Row } from './rows.ts';

export class DatabaseFolders {
  /** What the folder above a database says already, by Uri. */
  readonly #prefixes = new Map<string, string>();

  /** The rows below `prefix`; `rowOf` makes those of databases. */
  rowsOf(
    databases: readonly Database[],
    folder: vscode.WorkspaceFolder | undefined,
    prefix: string,
    rowOf: (uri: vscode.Uri) => Row,
  ): Row[] {
    const inside = databases.filter(({ path }) => path.startsWith(prefix));
    const { folders, items } = levelOf(inside, prefix, ({ path }) => path);
    for (const { uri } of items) this.#prefixes.set(uri.toString(), prefix);
    return [
      ...folders.map(({ items: some, ...level }): Row => ({
        ...{ kind: 'databaseFolder', folder, count: some.length },
        ...level,
      })),
      ...items.map(({ uri }) => rowOf(uri)),
    ];
  }

  prefixOf(uri: vscode.Uri): string {
    return this.#prefixes.get(uri.toString()) ?? '';
  }
}
