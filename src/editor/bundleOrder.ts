import type { Bundle } from '../core/bundle/bundle.ts';
import type { BackupError } from '../core/errors.ts';

/** What is to go into one bundle. */
export interface BundleOrder {
  databases: readonly {
    path: string;
    recordAs: { path: string; workspace?: string | undefined };
  }[];
  /** Globs relative to `root`. */
  companions: readonly { root: string; globs: string[]; workspace: string }[];
  /** The backups folder. */
  folder: string;
  /** What it is called; the workspace's name otherwise. */
  name: string | undefined;
  workspace: string | undefined;
  method: 'exact' | 'compact';
  allowIncomplete: boolean;
}

export interface BundleResult {
  /** Undefined when something failed and nothing may be left out: then nothing was written. */
  bundle: Bundle | undefined;
  failures: { path: string; error: BackupError }[];
}
