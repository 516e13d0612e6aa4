/** Reading a database without leaving a trace beside it: in place where that is possible, else from a private copy. */
import { tmpdir } from 'node:os';
import { resolveRegularFile } from '../files/paths.ts';
import { makePrivateFolder } from '../files/workplace.ts';
import { makeReadableCopy } from './guardedCopy.ts';
import { readHeader, requireDatabase } from './header.ts';
import { requirePlainSiblings, siblingsOf } from './siblings.ts';

/**
 * Gives `use` paths under which the files can be opened without a trace. A WAL-mode file that nobody has open would get
 * siblings, so a private copy stands for it.
 */
export function withReadable<T>(paths: readonly string[], use: (readable: string[]) => T): T {
  const scratch = makePrivateFolder(tmpdir());
  try {
    return use(
      paths.map((given) => {
        const path = resolveRegularFile(given);
        requirePlainSiblings(path);
        const isWal = requireDatabase(path).journalMode === 'wal';
        return isWal && !siblingsOf(path).has('-shm') ? makeReadableCopy(path, scratch.path) : path;
      }),
    );
  } finally {
    scratch.remove();
  }
}

/** True when a database can be opened where it is without a trace. */
export function isReadableInPlace(path: string): boolean {
  const header = readHeader(path);
  return (
    header.kind === 'sqlite' && header.journalMode === 'rollback' && siblingsOf(path).size === 0
  );
}
