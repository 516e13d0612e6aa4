/** Whether a database can be backed up where it is, and what to know about it. */
import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isBackupError } from '../errors.ts';
import { sharedFileSystem } from '../files/fileSystem.ts';
import { resolveRegularFile } from '../files/paths.ts';
import { findOnPath } from '../offsite/engine.ts';
import { namesOf } from '../manifest/hardLinks.ts';
import { lostFilesOf } from '../snapshot/saveOpen.ts';
import { refuseNeighbours, requireDatabase } from '../sqlite/header.ts';
import { litestreamSignOf } from '../sqlite/litestream.ts';
import { requirePlainSiblings, siblingsOf } from '../sqlite/siblings.ts';
import { formatBytes } from '../units.ts';
import { type Check, looked, note, ok, problem } from './check.ts';
import { mayWrite } from './environment.ts';

/** Opens nothing by SQLite. */
export function checkDatabase(database: string): Promise<Check[]> {
  return looked(database, () => {
    try {
      return [...checkFile(database), ...checkLost(database)];
    } catch (error) {
      if (!isBackupError(error)) throw error;
      return [problem(error.message, error.hint), ...checkLost(database)];
    }
  });
}

function checkFile(database: string): Check[] {
  const path = resolveRegularFile(database);
  requirePlainSiblings(path);
  const { journalMode } = requireDatabase(path);
  refuseNeighbours(path);
  const { size } = statSync(path);
  const names = namesOf(path);
  const walBytes = siblingsOf(path).get('-wal')?.sizeBytes ?? 0;
  const mode = journalMode === 'wal' ? 'WAL mode' : 'rollback mode';
  const wal = walBytes > 0 ? `, ${formatBytes(walBytes)} more in the WAL` : '';
  return [
    ok(`${formatBytes(size)}, ${mode}${wal}.`),
    ...checkRights(path, journalMode),
    ...checkLocks(path),
    ...(names > 1
      ? [
          note(
            `The file has ${names} names (hard links). A program that opens it under another name keeps its -wal there, and a backup does not see it.`,
            'Use one name everywhere.',
          ),
        ]
      : []),
    ...checkLitestream(path),
    ...(walBytes > 100e6 && walBytes > size
      ? [
          note(
            'The WAL is larger than the database: a long-running reader may prevent checkpoints.',
            'Run PRAGMA wal_checkpoint(TRUNCATE) while no program reads.',
          ),
        ]
      : []),
  ];
}

function checkLitestream(path: string): Check[] {
  const sign = litestreamSignOf(path);
  if (sign === undefined) return [];
  const isHere = findOnPath('litestream') !== undefined;
  return [
    note(
      'folder' in sign
        ? 'Litestream replicates it. Backups only read it, and leave its WAL to Litestream.'
        : `It has a table of Litestream (${sign.table}), so Litestream may replicate it. Backups only read it, and leave its WAL to Litestream.`,
      isHere
        ? 'What Litestream has is a source of a restore, too: sqlite-backup offsite litestream DATABASE --to DIR'
        : undefined,
    ),
  ];
}

function checkRights(path: string, journalMode: string): Check[] {
  accessSync(path, constants.R_OK);
  if (mayWrite(dirname(path))) return [];
  const how =
    journalMode === 'wal'
      ? ' In WAL mode it is backed up from a private copy, which is slower.'
      : '';
  return [
    note(
      `Its folder cannot be written by this user, so it cannot be restored in place.${how}`,
      'Restore it as its owner.',
    ),
  ];
}

function checkLocks(path: string): Check[] {
  const shared = sharedFileSystem(path);
  if (shared === undefined) return [];
  return [
    note(
      `It is on a shared file system (${shared}), where locks may not reach a program on the other side. While no program here has it open, it is copied only while it does not change.`,
      'Back it up on the machine where the program runs.',
    ),
  ];
}

function checkLost(database: string): Check[] {
  return lostFilesOf(database).map(({ pid, program }) =>
    problem(
      `${program} (pid ${pid}) has deleted or replaced files of it open. What it writes is lost when it ends.`,
      `Save it first: sqlite-backup save-open DATABASE --to DIR.`,
    ),
  );
}
