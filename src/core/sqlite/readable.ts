/** Reading a database without leaving a trace beside it: in place where that is possible, else from a private copy. */
import { tmpdir } from 'node:os';
import { explain } from '../errors.ts';
import { resolveRegularFile } from '../files/paths.ts';
import { makePrivateFolder } from '../files/workplace.ts';
import { makeReadableCopy } from './guardedCopy.ts';
import { readHeader, requireDatabase } from './header.ts';
import { filesOf, hasBothSiblings, whyByHand } from './opening.ts';
import { requirePlainSiblings, siblingsOf } from './siblings.ts';

/**
 * Gives `use` paths under which the files can be opened without a trace. A guarded private copy stands for a WAL-mode file
 * that would get siblings, and for one that must not be opened where it is.
 */
export function withReadable<T>(paths: readonly string[], use: (readable: string[]) => T): T {
  const scratch = makePrivateFolder(tmpdir());
  try {
    return use(
      paths.map((given) => {
        try {
          return readableOf(given, scratch.path);
        } catch (error) {
          throw explain(error, 'source', given);
        }
      }),
    );
  } finally {
    scratch.remove();
  }
}

function readableOf(given: string, scratch: string): string {
  const path = resolveRegularFile(given);
  requirePlainSiblings(path);
  const { journalMode } = requireDatabase(path);
  const leavesTraces = journalMode === 'wal' && !hasBothSiblings(path);
  const byHand = whyByHand(path, journalMode);
  return leavesTraces || byHand !== undefined
    ? makeReadableCopy(path, scratch, { files: filesOf(byHand) })
    : path;
}

/** True when a database can be opened where it is without a trace. */
export function isReadableInPlace(path: string): boolean {
  const header = readHeader(path);
  return (
    header.kind === 'sqlite' && header.journalMode === 'rollback' && siblingsOf(path).size === 0
  );
}
