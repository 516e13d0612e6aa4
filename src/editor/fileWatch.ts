import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import { Disposables } from './disposables.ts';
import type { Settings } from './settings.ts';

const changesSettleMs = 300;
/** How old the size of a database that is being written may be in the view. */
const sizesRefreshMs = 10_000;
const mostFiles = 100;

interface Parts {
  settings: Settings;
  /** True for a database that is shown already. */
  isKnown: (uri: vscode.Uri) => boolean;
  /** True for a folder in which, however deep, something is that is shown. */
  holdsKnown: (folder: vscode.Uri) => boolean;
  /** True for a folder in which, however deep, something is that should be shown. */
  holdsNews: (folder: vscode.Uri) => Promise<boolean>;
  /** Called for every file that comes. */
  noteNewFile: (path: string, sizeBytes: number) => void;
  /** Called when it is time to look again. */
  onNews: () => void;
}

/** Notices that files come, go or change, where the last search has looked. */
export class FileWatch implements vscode.Disposable {
  readonly #parts: Parts;
  readonly #watchers = new Disposables();
  /** By path, the watchers of single files. */
  readonly #files = new Map<string, vscode.Disposable>();
  #watched = '';
  #settleTimer: NodeJS.Timeout | undefined;
  #sizesTimer: NodeJS.Timeout | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Looks again soon; what happens until then is part of it. */
  refreshSoon(): void {
    this.#forgetSizes();
    clearTimeout(this.#settleTimer);
    this.#settleTimer = setTimeout(() => {
      this.#settleTimer = undefined;
      this.#parts.onNews();
    }, changesSettleMs);
  }

  /** Watchers that fit already stay: one that is made anew misses events. */
  follow(folders: readonly vscode.WorkspaceFolder[], backupsFolders: ReadonlySet<string>): void {
    const { settings } = this.#parts;
    if (!settings.autoRefresh()) this.#forgetSizes();
    const patterns = !settings.autoRefresh()
      ? []
      : [
          ...folders.flatMap((folder) =>
            [...settings.include(folder), '.env'].map(
              (pattern) => new vscode.RelativePattern(folder, pattern),
            ),
          ),
          ...[...backupsFolders].map(
            (path) => new vscode.RelativePattern(vscode.Uri.file(path), '*'),
          ),
        ];
    const watched = JSON.stringify(
      patterns.map(({ baseUri, pattern }) => [baseUri.toString(), pattern]),
    );
    if (watched === this.#watched) return;
    this.#watched = watched;
    this.#watchers.clear();
    for (const pattern of patterns) this.#watch(pattern);
    if (settings.autoRefresh()) for (const folder of folders) this.#watchFolders(folder);
  }

  /** Watches files that no pattern of the settings matches. */
  followFiles(paths: readonly string[]): void {
    const wanted = new Set(this.#parts.settings.autoRefresh() ? paths.slice(0, mostFiles) : []);
    for (const [path, watcher] of this.#files) {
      if (wanted.has(path)) continue;
      watcher.dispose();
      this.#files.delete(path);
    }
    for (const path of wanted) {
      // Such a name cannot be written as a pattern.
      if (this.#files.has(path) || /[*?{}[\]]/.test(basename(path))) continue;
      const folder = vscode.Uri.file(dirname(path));
      const watcher = new Disposables();
      this.#files.set(path, watcher);
      this.#watch(new vscode.RelativePattern(folder, basename(path)), watcher);
    }
  }

  dispose(): void {
    clearTimeout(this.#settleTimer);
    this.#forgetSizes();
    this.#watchers.dispose();
    for (const watcher of this.#files.values()) watcher.dispose();
  }

  /** Sizes that changed are not looked at later either. */
  #forgetSizes(): void {
    clearTimeout(this.#sizesTimer);
    this.#sizesTimer = undefined;
  }

  #watch(pattern: vscode.RelativePattern, owner = this.#watchers): void {
    const watcher = owner.add(vscode.workspace.createFileSystemWatcher(pattern));
    const refreshSoon = (): void => this.refreshSoon();
    owner.add(watcher.onDidCreate(refreshSoon));
    owner.add(watcher.onDidDelete(refreshSoon));
    owner.add(watcher.onDidChange((uri) => this.#noteChange(uri)));
  }

  /** When a whole folder comes or goes, nothing is said of the files in it. */
  #watchFolders(folder: vscode.WorkspaceFolder): void {
    const all = new vscode.RelativePattern(folder, '**');
    const watcher = this.#watchers.add(
      vscode.workspace.createFileSystemWatcher(all, false, true, false),
    );
    this.#watchers.add(watcher.onDidCreate((uri) => void this.#noteCreated(uri)));
    this.#watchers.add(
      watcher.onDidDelete((uri) => {
        if (this.#parts.holdsKnown(uri)) this.refreshSoon();
      }),
    );
  }

  async #noteCreated(uri: vscode.Uri): Promise<void> {
    const found = await stat(uri.fsPath).catch(() => undefined);
    if (found?.isFile() === true) this.#parts.noteNewFile(uri.fsPath, found.size);
    // What is coming anyway sees this too.
    if (found?.isDirectory() !== true || this.#settleTimer !== undefined) return;
    // Builds make folders all the time, and a search of the whole workspace is not for nothing.
    if (await this.#parts.holdsNews(uri)) this.refreshSoon();
  }

  /** A database that is written changes all the time, and only its size is news. Anything else may be a new one. */
  #noteChange(uri: vscode.Uri): void {
    if (!this.#parts.isKnown(uri)) this.refreshSoon();
    else this.#sizesTimer ??= setTimeout(() => this.refreshSoon(), sizesRefreshMs);
  }
}
