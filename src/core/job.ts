/** What a job of the core tells its caller, and what it may ask of it. */
import type { DigestsFor, ToDigest } from './files/digests.ts';
import type { Pace } from './pause.ts';
import type { WalIndex } from './files/walIndex.ts';

/** A database that SQLite holds still, to be captured by a process that never opens SQLite. */
export interface CaptureOrder {
  path: string;
  /** The free private path that the file gets; its WAL gets `-wal` behind that. */
  copy: string;
  /** Of a database in WAL mode: how far its WAL is to be copied. */
  wal: WalIndex | undefined;
  /** Most of the copy was made before the database was held. */
  isPrepared?: boolean | undefined;
}

export interface Captured {
  means: 'clone' | 'copy';
  /** Of the WAL, which lie beside the copy. */
  frames: number;
}

export interface Capturing {
  /** Below this a second process costs more than it gains. */
  fewestBytes: number;
  /** From so many bytes on, most of the copy of a database in rollback mode is made before that is held. By default never. */
  fewestPreparedBytes?: number;
  start: () => CaptureProcess;
  /** Called when `start` is likely to be called soon: what takes long may start now. */
  warm?: () => void;
}

/** Another process, which reads the files of databases while this one holds them. */
export interface CaptureProcess {
  pid: number | undefined;
  /** Of each path, as it is now; undefined where there is none, or none that can be understood. */
  readIndexes: (paths: readonly string[]) => Promise<(WalIndex | undefined)[]>;
  /** Makes most of the copy of a file that nothing holds yet. False where a clone will do; then there is none. */
  prepare: (
    order: Pick<CaptureOrder, 'path' | 'copy'>,
    onStep: (doneBytes: number) => Pace,
  ) => Promise<boolean>;
  /** Rejects when the files could not be captured so; then nothing is left of the attempt. */
  capture: (order: CaptureOrder, onStep: (doneBytes: number) => Pace) => Promise<Captured>;
  end: () => void;
  /** False when it has ended, or is about to. */
  isAlive?: () => boolean;
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
  /** What a log keeps and a person need not see: why the work was done in another way. */
  onNote?: (text: string) => void;
  /** Called once when all is proved. After it resolves the job can no longer be cancelled; a rejection ends it. */
  beforePublish: () => Promise<void>;
  /** Digests of a file beside this thread's own work. Without it, the file is read here. */
  digestBeside?: (copy: ToDigest) => Promise<DigestsFor>;
  /** Called once when all databases that can be are held, with their real paths. */
  onHeld?: (databases: readonly string[]) => void;
  /** Whether a proved copy of `database` is to be kept. Without it, each is. */
  isWanted?: (database: string, copy: { sha256: string }) => boolean;
  /** How large databases are captured. Without it, SQLite copies all page by page. */
  capturing?: Capturing;
}

/** Other programs cannot use some files, because SQLite's exclusive lock on them is held by a process of its own. */
export interface KeptOut {
  /** Of the process that holds the locks. */
  pid?: number;
  /** One for each path. `busy`: another program holds a lock. `unlockable`: SQLite has no lock on this file. */
  outcomes: ('held' | 'busy' | 'unlockable')[];
  /** Locks one more file until what it resolves to is called, or `letGo`. Missing where no process holds locks. */
  lockAlso?: (path: string) => Promise<() => Promise<void>>;
  /** Ends the process. When it resolves the locks are gone. */
  letGo: () => Promise<void>;
}

export type KeepOut = (paths: readonly string[]) => Promise<KeptOut>;

export interface RestoreHooks extends SnapshotHooks {
  keepOut: KeepOut;
  /** Called when `keepOut` is likely to be called soon: what takes long to start may start now. */
  onKeepOutSoon?: () => void;
}
