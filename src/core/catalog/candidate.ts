/** What retention knows of a backup. */
import { timeOf } from '../manifest/lineage.ts';
import type { RecordedLoss, Released, VerdictStatus } from '../manifest/manifest.ts';

export interface Candidate {
  path: string;
  /**
   * What counts together: the id of a database, or `groupOfBundle`. A name is no identity, because two databases may be
   * called the same; undefined where no id is known.
   */
  group: string | undefined;
  /** ISO 8601. */
  createdAt: string;
  /** See `Dated`. */
  after?: string | undefined;
  sizeBytes: number;
  verified: VerdictStatus;
  pinned: boolean;
  /** Not made by us, or made by a newer version: never ours to remove. */
  foreign: boolean;
  /** It has the name or the manifest of a backup, and cannot be read now. */
  unreadable?: boolean;
  /** The ids of the databases in it. */
  databases?: readonly string[];
  /** What it tells of rows that were lost, itself or earlier. */
  losses?: readonly RecordedLoss[];
  released?: readonly Released[];
}

export function isAhead({ createdAt }: Candidate, now: Date): boolean {
  return timeOf(createdAt) > now.getTime();
}
