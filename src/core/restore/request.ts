/** What is asked of a restore. */
import type { RecordAs } from '../job.ts';

/** One database of a backup and where it goes. */
export interface RestoreItem {
  /** The name inside a bundle; undefined for a snapshot. */
  member?: string;
  /** The live path, or a new file. A symbolic link is followed and kept. */
  target: string;
}

export interface RestoreRequest {
  /** A snapshot or a bundle. */
  backup: string;
  items: RestoreItem[];
}

/** What taking a safety snapshot needs. */
export interface SafetyOptions {
  /** The backups folder for the safety snapshots; beside each database when undefined. */
  folder?: string;
  busyTimeoutMs: number;
  /** Of this extension, for the manifest of the safety snapshot and the intent. */
  toolVersion: string;
  /** How the manifest of the safety snapshot names the workspace and the database, one for each item. */
  recordAs?: RecordAs[];
}

export interface ApplyRequest extends RestoreRequest, SafetyOptions {
  /** Goes on although programs have the database open. */
  ignoreHolders?: boolean;
  /** Restores a backup of which no manifest says what it should contain. */
  acceptUnproved?: boolean;
  /** Restores a damaged backup as it is: to new files only. */
  acceptDamaged?: boolean;
  /** `liveState` of the plan, one for each item: a database that has changed since is not replaced. */
  liveStates?: string[];
}
