/** The old databases that restores have kept. */
import { BackupError } from './errors.ts';

export interface SetAside {
  /** The database file. */
  path: string;
  /** The live path that it came from. */
  target: string;
  /** ISO 8601. */
  createdAt: string;
  /** With siblings. */
  sizeBytes: number;
  siblings: string[];
}

/** The set-asides in a folder, or of one database, newest first. */
export function listSetAsides(_folderOrTarget: string): SetAside[] {
  throw new BackupError('feature-missing', 'not yet');
}

/** Removes a set-aside with its siblings. */
export function deleteSetAside(_path: string): { removed: string[] } {
  throw new BackupError('feature-missing', 'not yet');
}

/** Puts a set-aside into a zip in the backups folder, and removes it once that is proved. */
export function archiveSetAside(
  _path: string,
  _folder: string,
): { archive: string; removed: string[] } {
  throw new BackupError('feature-missing', 'not yet');
}
