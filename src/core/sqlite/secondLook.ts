/** Damage is believed when it is seen twice, because SQLite calls a read that fails damage too. */
import { isBackupError } from '../errors.ts';
import { sha256File } from '../files/digests.ts';
import { explained, isDamage } from './driver.ts';
import type { Place } from './pair.ts';

/**
 * Runs `look`. When it finds damage, reads the whole files, which throws where the disk fails, and runs it once more: what
 * it finds or throws then is true. Between the two, this process must have no SQLite connection to the files.
 */
export function lookTwice<T>(
  files: readonly Place[],
  look: () => T,
  isDamaged: (found: T) => boolean,
): T {
  try {
    const found = look();
    if (!isDamaged(found)) return found;
  } catch (error) {
    if (!isDamageSeenBySqlite(error)) throw error;
  }
  for (const { path, shownAs } of files) explained(shownAs, () => sha256File(path));
  return look();
}

/** As SQLite threw it, or in our words. */
function isDamageSeenBySqlite(error: unknown): boolean {
  if (!isBackupError(error)) return isDamage(error);
  return /^SQLITE_(CORRUPT|NOTADB|FORMAT)(_|$)/.test(String(error.facts?.['reason']));
}
