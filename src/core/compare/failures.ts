/** Why a table was not compared. What could not be looked at is not damaged. */
import { isBackupError } from '../errors.ts';
import { isDamage, isNotRunnable, quoted } from '../sqlite/driver.ts';
import type { Pair, Side } from '../sqlite/pair.ts';

/** The time that the person allows is over. */
export class TooLate extends Error {}

/** For a person. What is no failure of reading is thrown again: it is a defect. */
export function reasonOf(error: unknown): string {
  if (error instanceof TooLate) return 'the time ran out';
  if (!(error instanceof Error)) throw error;
  const code: unknown = Reflect.get(error, 'code');
  if (code === 'SQLITE_TOOBIG') return 'a value is too large';
  if (isBackupError(error)) return error.message;
  if (typeof code !== 'string' || !code.startsWith('SQLITE_')) throw error;
  if (code === 'SQLITE_NOMEM') return 'not enough memory';
  if (code === 'SQLITE_FULL') return 'the folder for temporary files has no space left';
  const { message } = error;
  // Such as a missing collation: the message says what is missing.
  return isNotRunnable(error) ? message : `could not be read: ${message} (${code})`;
}

/** The sides on which SQLite finds the table damaged. */
export function damagedSides(
  { left, right }: Pair,
  entries: Partial<Record<'left' | 'right', { name: string }>>,
): ('left' | 'right')[] {
  return (['left', 'right'] as const).filter((which) => {
    const entry = entries[which];
    return entry !== undefined && isTableDamaged(which === 'left' ? left : right, entry.name);
  });
}

function isTableDamaged({ rows, schema }: Side, table: string): boolean {
  try {
    const [row] = rows(`PRAGMA ${schema}.quick_check(${quoted(table)})`);
    return row?.['quick_check'] !== 'ok';
  } catch (error) {
    return isDamage(error);
  }
}
