/** What a job of the core tells its caller, and what it may ask of it. */
import type { Digests } from './files/digests.ts';
import type { Pace } from './pause.ts';

/** Follows a growing file on a thread of its own. */
export interface Follower {
  /** So many bytes of the file have been handed to SQLite. */
  wrote: (doneBytes: number, pace: Pace) => void;
  /** The file is complete. */
  complete: (pace: Pace) => void;
  /** What it is, proved. Comes only after `complete`; part of the proof is done by the caller's thread. */
  digests: (onRead: (doneBytes: number) => void) => Promise<Digests>;
  /** The digests are not needed any more. When it resolves the file is closed. */
  abandon: () => Promise<void>;
}

/** What is expected of the file that is followed. */
export interface Expected {
  begin: Uint8Array;
  sizeBytes: number;
}

/** The last four are those of a restore. */
type Phase = 'copy' | 'check' | 'hash' | 'publish' | 'compare' | 'stage' | 'move' | 'prove';

/**
 * Bytes of the phase over all databases; a comparison counts tables. A check, and compacting, have no measurable
 * progress: they report 0 done.
 */
export interface Progress {
  phase: Phase;
  doneBytes: number;
  totalBytes: number;
}

/** How a manifest names a database: `path` relative to the folder called `workspace`. */
export interface RecordAs {
  path: string;
  workspace?: string | undefined;
}

export interface SnapshotHooks {
  /** Called between steps; what it throws ends the job and leaves nothing behind. */
  onProgress: (progress: Progress) => void;
  /** Called once when all is proved. After it resolves the job can no longer be cancelled; a rejection ends it. */
  beforePublish: () => Promise<void>;
  /** Digests of a file beside this thread's own work. Without it, the file is read here. */
  digestBeside?: (path: string) => Promise<Digests>;
  /** Follows a file while it is written. Without it, or where there is none, the file is read when it is complete. */
  digestBehind?: (path: string, expected: Expected) => Follower | undefined;
}

/** Other programs cannot use some files, because SQLite's exclusive lock on them is held by a process of its own. */
export interface KeptOut {
  /** Of the process that holds the locks. */
  pid?: number;
  /** One for each path. `busy`: another program holds a lock. `unlockable`: SQLite has no lock on this file. */
  outcomes: ('held' | 'busy' | 'unlockable')[];
  /** Ends the process. When it resolves the locks are gone. */
  letGo: () => Promise<void>;
}

export type KeepOut = (paths: readonly string[]) => Promise<KeptOut>;

export interface RestoreHooks extends SnapshotHooks {
  keepOut: KeepOut;
}
