/**
 * What SQLite Backup offers to other extensions:
 *
 *   const extension = vscode.extensions.getExtension<Api>('sqlite-backup.sqlite-backup');
 *   const api = await extension?.activate();
 *   if (api?.apiVersion === 1) await api.checkpoint(api.databases, { reason: 'before the import' });
 *
 * Within version 1, members are only added. Nothing here rejects for what can go wrong with a database: that is in
 * `failures`, with a stable code and words for people. docs/api.md has examples.
 */
import type * as vscode from 'vscode';

export interface Api {
  readonly apiVersion: 1;
  /** The databases that the last search has found. */
  readonly databases: readonly vscode.Uri[];
  /** Fires after each search, and when a backup begins or ends. */
  readonly onDidChange: vscode.Event<void>;
  /** Backs these databases up into the backups folder, at one moment where that can be had. Asks when no folder is chosen. */
  backUp(databases: readonly vscode.Uri[]): Thenable<BackUpResult>;
  /** Keeps the state of those that have changed since their last checkpoint, outside of the workspace. Never asks. */
  checkpoint(
    databases: readonly vscode.Uri[],
    options?: { reason?: string; force?: boolean },
  ): Thenable<CheckpointResult>;
  /** One zip with these databases, at one moment where that can be had. */
  bundle(
    databases: readonly vscode.Uri[],
    options?: { name?: string; companions?: string[] },
  ): Thenable<BundleResult>;
  /** Checks backups, bundles or checkpoints again, and records the verdicts. */
  verify(backups: readonly vscode.Uri[]): Thenable<VerifyResult>;
  /** Fires for each backup and each checkpoint that this window has taken. */
  readonly onDidBackUp: vscode.Event<TakenBackup>;
  /** Fires when rows, columns, tables or a whole database are gone. */
  readonly onDidLoseData: vscode.Event<DataLoss>;
  /** The file that has one JSON line for each backup, restore, deletion and prune. */
  readonly auditLog: string;
}

export interface Failure {
  /** The path of the database. */
  database: string;
  /** As `source-busy`; for programs. */
  code: string;
  /** For people, in their language. */
  message: string;
}

export interface BackUpResult {
  backups: {
    database: string;
    path: string;
    sizeBytes: number;
    sha256: string;
    /** `ok`, `partial`, `unchecked`. */
    verified: string;
  }[];
  failures: Failure[];
  /** Whether several backups share an instant: `one-instant` or `per-database`. */
  cut?: string;
  /** True when the person turned away before anything ran. */
  cancelled: boolean;
}

export interface CheckpointResult {
  checkpoints: { id: string; path: string; database: string; createdAt: string; sha256: string }[];
  /** The databases that are as a checkpoint already has them. */
  unchanged: { database: string; id: string }[];
  failures: Failure[];
}

export interface BundleResult {
  path?: string;
  cut?: string;
  complete?: boolean;
  members: string[];
  failures: { path: string; code: string; message: string }[];
  cancelled: boolean;
}

export interface VerifyResult {
  results: {
    path: string;
    /** `ok`, `damaged`, `partial`, `unchecked`. */
    status: string;
    findings: { code: string; message: string }[];
  }[];
}

export interface TakenBackup {
  database: vscode.Uri;
  path: vscode.Uri;
  kind: 'backup' | 'checkpoint';
}

export interface DataLoss {
  database: vscode.Uri;
  /** The worst first. `now` is missing where the table itself is gone or renamed; `columns` are gone where rows are not. */
  tables: { table: string; before: number; now?: number; columns?: string[] }[];
  /** The file is gone, or is no database any more. */
  isGone: boolean;
  /** The last good state, which is pinned. */
  backup?: vscode.Uri;
  /** What ran meanwhile, as far as this window knows. */
  ran?: string;
}
