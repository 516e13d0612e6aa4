/** Whether a checkpoint already has the state of a database, told without SQLite. */
import { realPathOf } from '../files/paths.ts';
import { readStamp, type Stamp, type StampOptions } from './stamp.ts';
import { type StoredCheckpoint, thoseOfDatabase } from './store.ts';

export interface State {
  /** The real path. */
  database: string;
  stamp: Stamp;
  /** The newest checkpoint of it that can be restored. */
  newest: StoredCheckpoint | undefined;
  /** Whether the newest one has this state. */
  isUnchanged: boolean;
}

/** How a database stands to the checkpoints in a folder. */
export function stateOf(
  database: string,
  stored: readonly StoredCheckpoint[],
  options: StampOptions = {},
): State {
  const real = realPathOf(database);
  const stamp = readStamp(real, options);
  const newest = newestOf(thoseOfDatabase(stored, real), (options.now ?? Date.now)());
  const isUnchanged = newest?.manifest.stamp !== undefined && newest.manifest.stamp === stamp.text;
  return { database: real, stamp, newest, isUnchanged };
}

/** One that is dated in the future, because a clock was ahead, is not the state of now. */
export function newestOf(
  ofDatabase: readonly StoredCheckpoint[],
  now: number,
): StoredCheckpoint | undefined {
  return ofDatabase.find(
    ({ manifest: { source, createdAt }, isUsable }) =>
      isUsable && source.id !== undefined && Date.parse(createdAt) <= now,
  );
}
