/** What lies around a target, and changes what a restore of it means: said in the plan, before anything is done. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isBackupError } from '../errors.ts';
import { namesOf } from '../manifest/hardLinks.ts';
import type { Finding } from '../manifest/manifest.ts';
import { litestreamSignOf } from '../sqlite/litestream.ts';
import { hasContent, statesOf } from './parts.ts';
import { requireReplaceable } from './target.ts';

/** Opens nothing by SQLite. Not for a process that has a connection to the target. */
export function surroundingsOf(live: string): Finding[] {
  return [...refusal(live), ...remarksOn(live)];
}

/** The same without what the restore itself refuses, for a restore without a plan. */
export function remarksOn(live: string): Finding[] {
  return [
    ...otherNames(live),
    ...orphans(live),
    ...replicas(live).map((message) => ({ code: 'replicated', message })),
  ];
}

/** What the restore itself would refuse. */
function refusal(live: string): Finding[] {
  try {
    requireReplaceable(live);
    return [];
  } catch (error) {
    if (!isBackupError(error)) throw error;
    const { code, message, hint } = error;
    return [{ code, message: hint === undefined ? message : `${message} ${hint}` }];
  }
}

function otherNames(live: string): Finding[] {
  const links = existsSync(live) ? namesOf(live) : 1;
  if (links < 2) return [];
  const message = `${live} has ${links} names (hard links). Only this one gets the restored database: a program that opens it under another name goes on with the previous one.`;
  return [{ code: 'hard-linked', message }];
}

function orphans(live: string): Finding[] {
  if (existsSync(live)) return [];
  const names = statesOf(live)
    .filter(hasContent)
    .map(({ part }) => basename(live) + part);
  if (names.length === 0) return [];
  const message = `${live} does not exist, but ${names.join(' and ')} is there and may hold its newest transactions. It is kept with the name of a previous database.`;
  return [{ code: 'orphan', message }];
}

/** Programs that copy a database elsewhere keep notes beside it, which do not fit another database. */
function replicas(live: string): string[] {
  const [folder, name] = [dirname(live), basename(live)];
  const litestream = litestreamSignOf(live);
  const libsql = [`${name}-info`, `${name}-client_wal_index`].filter((one) =>
    existsSync(join(folder, one)),
  );
  return [
    ...(litestream === undefined
      ? []
      : [
          'folder' in litestream
            ? `Litestream replicates ${live}. Stop Litestream before the restore. After the restore, remove ${litestream.folder}: its state belongs to the previous database, and Litestream then starts a new copy.`
            : `${live} has a table of Litestream (${litestream.table}), so Litestream may replicate it. Stop Litestream before the restore. After the restore, run litestream reset: its state belongs to the previous database, and it then starts a new copy.`,
        ]),
    ...(libsql.length === 0
      ? []
      : [
          `${live} is a replica of a libSQL server (${libsql.join(', ')}). The next sync would mix the restored database with the one of the server: restore it there, or remove these files and do not sync.`,
        ]),
  ];
}
