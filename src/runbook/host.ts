import type { BackupError } from '../core/errors.ts';
import type { RestorePlan } from '../core/restore/plan.ts';
import type { WorkerClient } from '../worker/client.ts';
import type { Run } from './run.ts';

export interface Question {
  message: string;
  detail: string;
  yes: string;
  /** The safe answer, where what is lost stays lost: it comes first, and says what it does. */
  no?: string;
}

export type ShowHow = 'look' | 'compare' | 'reveal';

/** What only the editor can do, or knows. */
export interface Host {
  worker: Pick<WorkerClient, 'call'>;
  toolVersion: string;
  /** Where safety snapshots and archives go; undefined when no backups folder was chosen. */
  backupsFolder: string | undefined;
  /** In bytes: a larger database is not backed up. */
  largestBytes: number;
  /** Of the process that extensions run in, which may have a database open like any program. */
  extensionsPid: number;
  tasks: { stop: string; start: string };
  /** Nothing of a folder that is not trusted is run or asked. */
  isTrusted: () => boolean;
  healthUrl: string;
  recordAs: (path: string) => { path: string; workspace?: string | undefined };
  /** A path as the person knows it. */
  nameOf: (path: string) => string;
  exists: (path: string) => boolean;
  /** The path itself, or with `-2`, `-3` … when something is there. */
  freePath: (path: string) => string;
  /** An error in words. */
  explain: (error: BackupError) => string;
  /** A modal question; true for yes. */
  confirm: (question: Question) => Promise<boolean>;
  /** Runs a task of the workspace. On abort, it is not waited for any longer; it runs on. */
  runTask: (name: string, purpose: 'stop' | 'start', signal?: AbortSignal) => Promise<TaskOutcome>;
  /** Asks the application how it is. */
  askHealth: (url: string) => Promise<Health>;
  /** What a restore to a new file is good for: to look into it, to compare it, to find it. */
  showFile: (how: ShowHow, path: string, live: string) => Promise<void>;
  /** Opens the page of another restore of the same backup. */
  restoreAgain: (run: Run) => Promise<void>;
  showSchema: (plan: RestorePlan, item: number) => Promise<void>;
  /** Writes the runbook, which is Markdown, where the person says. */
  exportRunbook: (text: string, run: Run) => Promise<void>;
  save: (run: Run) => Promise<void>;
  /** Tells the log, and the audit log of what was done. */
  note: (
    what: 'backup' | 'restore' | 'undo' | 'clean-up',
    text: string,
    result: 'ok' | BackupError,
  ) => void;
  /** A number is written as people write it, with separators: the number of a process is a text here. */
  t: (message: string, ...values: (string | number)[]) => string;
}

export interface Health {
  /** Undefined when it was not asked. */
  ok: boolean | undefined;
  text: string;
}

export interface TaskOutcome {
  /** False when it goes on in the background. */
  ended: boolean;
  /** Undefined while it runs, and for a task without a process of its own. */
  exitCode?: number | undefined;
}
