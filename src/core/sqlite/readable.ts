/** Reading a database without leaving a trace beside it: in place where that is possible, else from a private copy. */
import { randomBytes } from 'node:crypto';
import { constants, copyFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { BackupError, explain } from '../errors.ts';
import { resolveRegularFile } from '../files/paths.ts';
import { makePrivateFolder } from '../files/workplace.ts';
import { readHeader, requireDatabase } from './header.ts';
import { siblingsOf } from './siblings.ts';

/**
 * Gives `use` paths under which the files can be opened without a trace. A WAL-mode file that nobody has open would get
 * siblings, so a private copy stands for it.
 */
export function withReadable<T>(paths: readonly string[], use: (readable: string[]) => T): T {
  const scratch = makePrivateFolder(tmpdir());
  try {
    return use(
      paths.map((given, index) => {
        const path = resolveRegularFile(given);
        const siblings = siblingsOf(path);
        if (requireDatabase(path).journalMode !== 'wal' || siblings.has('-shm')) return path;
        // Left by a program that has died: what it committed last is in the WAL alone.
        if (siblings.has('-wal')) return copyAside(path, scratch.path);
        const copy = join(scratch.path, `${index}.db`);
        try {
          copyFileSync(path, copy, constants.COPYFILE_FICLONE);
        } catch (error) {
          throw explain(error, 'target', tmpdir());
        }
        return copy;
      }),
    );
  } finally {
    scratch.remove();
  }
}

/** Runs `use` on private copies of files, for what cannot be opened in place. */
export function withCopies<T>(
  path: string,
  siblings: readonly string[],
  use: (copy: string) => T,
): T {
  const scratch = makePrivateFolder(tmpdir());
  try {
    const copy = join(scratch.path, 'copy.db');
    for (const part of ['', ...siblings]) {
      if (statSync(path + part, { throwIfNoEntry: false }) !== undefined)
        copyFileSync(path + part, copy + part, constants.COPYFILE_FICLONE);
    }
    return use(copy);
  } catch (error) {
    throw explain(error, 'target', tmpdir());
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

const copyTries = 5;

/** Copies a database with its WAL by hand, and insists that neither changed meanwhile. */
export function copyAside(path: string, scratch: string): string {
  for (let attempt = 0; attempt < copyTries; attempt++) {
    const aside = join(scratch, `aside-${randomBytes(4).toString('hex')}.db`);
    const before = stateOf(path);
    try {
      copyFileSync(path, aside, constants.COPYFILE_FICLONE);
      if (siblingsOf(path).has('-wal')) copyFileSync(`${path}-wal`, `${aside}-wal`);
    } catch (error) {
      throw explain(error, 'target', dirname(scratch));
    }
    if (stateOf(path) === before) return aside;
    rmSync(aside, { force: true });
    rmSync(`${aside}-wal`, { force: true });
  }
  throw new BackupError(
    'source-busy',
    `${path} cannot be opened from here, and something else is writing to it, so it cannot be copied safely either.`,
    { path, hint: 'Back it up where it can be written.' },
  );
}

/** Changes when any of the three files that make up a WAL database is written, replaced, made or removed. */
function stateOf(path: string): string {
  return ['', '-wal', '-shm']
    .map((suffix) => statSync(path + suffix, { bigint: true, throwIfNoEntry: false }))
    .map((s) => (s === undefined ? '-' : [s.dev, s.ino, s.size, s.mtimeNs, s.ctimeNs].join()))
    .join(' ');
}
