import * as vscode from 'vscode';
import type { Backups } from './backups.ts';
import type { DatabaseFolders } from './databaseFolders.ts';
import { Disposables } from './disposables.ts';
import type { Row } from './rows.ts';

/** Opens the row of a database when it gets its first backup: a closed row would hide what has just come. */
export function openFirstBackups(
  backups: Backups,
  tree: vscode.TreeView<Row>,
  folders: DatabaseFolders,
  rowOf: (uri: vscode.Uri) => Row,
): vscode.Disposable {
  const owned = new Disposables();
  const waiting = new Map<string, vscode.Uri>();
  owned.add(
    backups.onDidBackUp(({ uri, snapshot }) => {
      // The view may have listed the new one already.
      const known = backups.databaseAt(uri)?.snapshots ?? [];
      if (known.every(({ path }) => path === snapshot.path)) waiting.set(uri.toString(), uri);
    }),
  );
  owned.add(
    backups.onDidChange(() => {
      for (const [key, uri] of waiting) {
        if ((backups.databaseAt(uri)?.snapshots.length ?? 0) === 0) continue;
        waiting.delete(key);
        const isTop =
          (vscode.workspace.workspaceFolders ?? []).length < 2 && folders.prefixOf(uri) === '';
        if (!isTop || !tree.visible) continue;
        // A row that is gone by then stays closed.
        tree
          .reveal(rowOf(uri), { select: false, focus: false, expand: true })
          .then(undefined, () => undefined);
      }
    }),
  );
  return owned;
}
