/** In a linked work tree of git: which databases are its own, which are shared, and which only the main one has. */
import { readFileSync, realpathSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import * as vscode from 'vscode';
import type { BranchStatus } from '../core/states/branchStatus.ts';
import type { CopiedDatabase } from '../core/states/worktrees.ts';
import type { WorkerClient } from '../worker/client.ts';
import type { Backups, Database } from './backups.ts';
import { setContext } from './contexts.ts';
import { Disposables } from './disposables.ts';
import { contextKeys } from './ids.ts';
import type { Log } from './log.ts';
import { takingFor } from './protection/taking.ts';
import type { Settings } from './settings.ts';

export interface WorktreeParts {
  backups: Backups;
  log: Log;
  settings: Settings;
  toolVersion: string;
  worker: WorkerClient;
}

/** A row for a database that the main work tree of git has, and this one does not. */
export interface MissingRow {
  kind: 'missing';
  folder: vscode.WorkspaceFolder;
  path: string;
}

export type WorktreeKind = Exclude<BranchStatus['databases'][number]['kind'], 'none'>;

export class Worktrees implements vscode.Disposable {
  readonly #parts: WorktreeParts;
  readonly #owned = new Disposables();
  readonly #changed = this.#owned.add(new vscode.EventEmitter<void>());
  readonly onDidChange = this.#changed.event;
  /** By folder and path in it. */
  #kinds: ReadonlyMap<string, WorktreeKind> = new Map();
  #missing: readonly MissingRow[] = [];
  #asked = '';

  constructor(parts: WorktreeParts) {
    this.#parts = parts;
    const { backups } = parts;
    this.#owned.add(
      backups.onDidChange(() => {
        const shown = backups.databases.map(({ uri }) => uri.toString()).join('\0');
        if (!backups.isReady || shown === this.#asked) return;
        this.#asked = shown;
        void this.refresh();
      }),
    );
  }

  /** Undefined outside of a linked work tree. */
  kindOf({ folder, path }: Pick<Database, 'folder' | 'path'>): WorktreeKind | undefined {
    return this.#kinds.get(keyOf(folder, path));
  }

  /** Databases of the main work tree that a folder has not. */
  get missing(): readonly MissingRow[] {
    return this.#missing;
  }

  /** Asks git, but only where a folder is in a linked work tree. A failure is told in the log. */
  async refresh(): Promise<void> {
    const kinds = new Map<string, WorktreeKind>();
    const missing: MissingRow[] = [];
    for (const folder of this.#linked()) {
      try {
        const { top, databases } = await this.#parts.worker.call('branchStatus', {
          in: folder.uri.fsPath,
        });
        const prefix = relative(top, realpathSync(folder.uri.fsPath)).split(sep).join('/');
        const start = prefix === '' ? '' : `${prefix}/`;
        for (const { path: whole, kind, isInMain } of databases) {
          if (!whole.startsWith(start)) continue;
          const path = whole.slice(start.length);
          if (kind !== 'none') kinds.set(keyOf(folder, path), kind);
          else if (isInMain === true) missing.push({ kind: 'missing', folder, path });
        }
      } catch (error) {
        this.#parts.log.error(`The work tree of ${folder.uri.fsPath} could not be read`, error);
      }
    }
    const before = JSON.stringify([[...this.#kinds], this.#missing.map(pathOf)]);
    this.#kinds = kinds;
    this.#missing = missing;
    if (JSON.stringify([[...kinds], missing.map(pathOf)]) === before) return;
    setContext(contextKeys.missing, missing.length > 0);
    this.#changed.fire();
  }

  /** Copies what only the main work tree has into each linked one of the workspace. A file that is there stays. */
  async copy(): Promise<(CopiedDatabase & { folder: vscode.WorkspaceFolder })[]> {
    const { backups, settings, toolVersion, worker } = this.#parts;
    const copied: (CopiedDatabase & { folder: vscode.WorkspaceFolder })[] = [];
    for (const folder of this.#linked()) {
      const done = await worker.call('copyFromMain', {
        in: folder.uri.fsPath,
        taking: {
          ...takingFor(settings, toolVersion),
          cause: { kind: 'worktree' },
          trigger: 'manual',
        },
      });
      copied.push(...done.map((one) => ({ ...one, folder })));
    }
    await backups.refreshAll();
    await this.refresh();
    return copied;
  }

  #linked(): vscode.WorkspaceFolder[] {
    if (!vscode.workspace.isTrusted) return [];
    return (vscode.workspace.workspaceFolders ?? []).filter(
      ({ uri }) => uri.scheme === 'file' && isInLinkedTree(uri.fsPath),
    );
  }

  dispose(): void {
    this.#owned.dispose();
  }
}

function keyOf(folder: vscode.WorkspaceFolder | undefined, path: string): string {
  return `${folder?.uri.toString() ?? ''}\0${path}`;
}

function pathOf({ folder, path }: MissingRow): string {
  return keyOf(folder, path);
}

/** Told by the file that git puts there: no program is run. */
function isInLinkedTree(from: string): boolean {
  for (let at = from; ; at = dirname(at)) {
    try {
      return /^gitdir: .*[\\/]worktrees[\\/][^\\/]+\s*$/.test(
        readFileSync(join(at, '.git'), 'utf8'),
      );
    } catch (error) {
      // A folder: the main work tree of a repository.
      if (error instanceof Error && Reflect.get(error, 'code') === 'EISDIR') return false;
    }
    if (dirname(at) === at) return false;
  }
}
