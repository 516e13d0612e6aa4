/*
 * Which database a file is, also when two are called the same. The first backup of a database gives it a random id, which
 * the data folder remembers twice: by the real path, and by device and inode. Each is a small file of its own:
 *   path-<hash of machine and path>.json       claimed once, by a link that overwrites nothing, then never changed
 *   file-<machine>-<device>-<inode>.json       replaced when another file is under the path
 * So there is no lock that a crash could leave, and two processes that come at once agree on one id.
 */
import { createHash, randomBytes } from 'node:crypto';
import { type BigIntStats, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { BackupError, explain } from '../errors.ts';
import { makeDataFolder } from '../files/dataFolder.ts';
import { linkWithoutOverwriting, writePrivateFile } from '../files/publish.ts';
import { syncFolder } from '../files/sync.ts';
import { makePrivateFolder, sweepLeftovers } from '../files/workplace.ts';
import type { Finding } from './manifest.ts';

export interface Identity {
  id: string;
  /** `path`: a database under this path, or this very file under another path, has been backed up before. */
  known: 'path' | 'new';
  /** Only of a new one: what this file was under another path, where there is no file now. Nothing is merged by itself. */
  maybe?: { id: string; path: string };
}

/** Where a test may stop a process: before an id is claimed, and between the two files. */
export type IdentityStep = (step: 'claim' | 'index') => void;

const pathSchema = v.object({
  id: v.string(),
  path: v.string(),
  machine: v.string(),
  /** Ids of this very file under paths that it was moved from. */
  formerly: v.optional(v.array(v.string())),
});
const fileSchema = v.object({ id: v.string(), path: v.string(), born: v.optional(v.string()) });
type PathRecord = v.InferOutput<typeof pathSchema>;
type FileRecord = v.InferOutput<typeof fileSchema>;

/** A damaged record stays as it is, and the next name is used. */
const mostNames = 9;

/**
 * The identity of the database under the real path `path`, assigned when it has none. An application that creates its
 * database anew keeps the id, because the path is the same; a copy gets another one. Throws when the data folder cannot
 * be used.
 */
export function identityOf(path: string, at: IdentityStep = () => undefined): Identity {
  const folder = makeDataFolder('identities');
  const file = statIfThere(path);
  const index = file && join(folder, indexNameOf(file));
  const before = index === undefined ? undefined : readFileRecord(index);
  const known = findByPath(folder, path);
  const earlier = file && known === undefined ? earlierOf(before, file) : undefined;
  // A second name of the file, as a hard link: not remembered, because the names may lead to two files later.
  if (earlier?.isHere === true && earlier.path !== path) return { id: earlier.id, known: 'path' };
  const identity: Identity =
    known === undefined ? claim(folder, path, at, earlier) : { id: known, known: 'path' };
  if (file === undefined || index === undefined) return identity;
  at('index');
  const record = { id: identity.id, path, ...bornOf(file) };
  if (before?.id !== record.id || before.path !== path || before.born !== record.born)
    tryToReplace(folder, index, record);
  return identity.known === 'path' || earlier === undefined
    ? identity
    : { ...identity, maybe: { id: earlier.id, path: earlier.path } };
}

/** The id that the path has, without giving it one. Undefined also when the data folder cannot be read. */
export function knownIdentityOf(path: string): string | undefined {
  try {
    return findByPath(makeDataFolder('identities'), path);
  } catch {
    return undefined;
  }
}

/** The same, and the ids that this very file had under paths that it was moved from. */
export function allIdentitiesOf(path: string): Set<string> {
  try {
    const folder = makeDataFolder('identities');
    const record = recordOfPath(folder, path);
    if (record !== undefined) return new Set([record.id, ...(record.formerly ?? [])]);
    const file = statIfThere(path);
    const earlier = file && earlierOf(readFileRecord(join(folder, indexNameOf(file))), file);
    return new Set(earlier === undefined ? [] : idsOf(folder, earlier));
  } catch {
    return new Set();
  }
}

/** Of what a file was under another path, with all that it was before. */
function idsOf(folder: string, { id, path }: { id: string; path: string }): string[] {
  return [id, ...(recordOfPath(folder, path)?.formerly ?? [])];
}

/** The id that is remembered for a path on this machine. */
function findByPath(folder: string, path: string): string | undefined {
  return recordOfPath(folder, path)?.id;
}

function recordOfPath(folder: string, path: string): PathRecord | undefined {
  for (const name of pathNamesOf(path)) {
    const record = readRecord(join(folder, name), pathSchema);
    if (record === undefined) return undefined;
    if (isOf(path, record)) return record;
  }
  return undefined;
}

/** Remembers a random id for the path, or the one that this file has here, when the record of that is damaged. */
function claim(
  folder: string,
  path: string,
  at: IdentityStep,
  earlier: { id: string; path: string; isHere: boolean } | undefined,
): Identity {
  const scratch = makePrivateFolder(folder);
  const lost = earlier?.isHere === true ? earlier.id : undefined;
  const formerly = earlier?.isHere === false ? idsOf(folder, earlier) : undefined;
  try {
    const own: PathRecord = {
      ...{ id: lost ?? randomBytes(16).toString('hex'), path, machine },
      ...(formerly !== undefined && { formerly }),
    };
    const file = join(scratch.path, 'path.json');
    writePrivateFile(file, serialize(own));
    at('claim');
    for (const name of pathNamesOf(path)) {
      const claimed = join(folder, name);
      try {
        linkWithoutOverwriting(file, claimed);
        syncFolder(folder);
        return { id: own.id, known: lost === undefined ? 'new' : 'path' };
      } catch (error) {
        if (!(error instanceof Error && Reflect.get(error, 'code') === 'EEXIST')) throw error;
      }
      const winner = readRecord(claimed, pathSchema);
      if (winner !== undefined && isOf(path, winner)) return { id: winner.id, known: 'path' };
    }
    throw new BackupError('io-error', `${folder} has only damaged records for ${path}.`, {
      path: folder,
      hint: 'Remove them.',
    });
  } catch (error) {
    throw explain(error, 'target', folder);
  } finally {
    scratch.remove();
  }
}

/** The second of the two files only serves to notice a move: without it, the next backup writes it. */
function tryToReplace(folder: string, path: string, record: FileRecord): void {
  let scratch: ReturnType<typeof makePrivateFolder> | undefined;
  try {
    scratch = makePrivateFolder(folder);
    const file = join(scratch.path, 'file.json');
    writePrivateFile(file, serialize(record));
    renameSync(file, path);
  } catch {
    // A full or read-only disk: the id itself is known.
  } finally {
    scratch?.remove();
  }
}

/** What the file was when it was last backed up; undefined for another file that has got its number. */
function earlierOf(
  record: FileRecord | undefined,
  file: BigIntStats,
): { id: string; path: string; isHere: boolean } | undefined {
  if (record === undefined) return undefined;
  const { born } = bornOf(file);
  if (record.born !== undefined && born !== undefined && record.born !== born) return undefined;
  try {
    const there = statSync(record.path, { bigint: true, throwIfNoEntry: false });
    if (there === undefined) return { id: record.id, path: record.path, isHere: false };
    const isHere = there.dev === file.dev && there.ino === file.ino;
    return isHere ? { id: record.id, path: record.path, isHere } : undefined;
  } catch {
    return undefined; // Whether it has moved cannot be seen.
  }
}

/** When the file was created, where the file system knows; where it does not, Node tells the last change instead. */
function bornOf({ birthtimeNs, ctimeNs }: BigIntStats): { born?: string } {
  return birthtimeNs > 0n && birthtimeNs < ctimeNs ? { born: String(birthtimeNs) } : {};
}

/** The ids of databases that are still where they were backed up, on this machine. */
export function idsInUse(): Set<string> {
  const folder = makeDataFolder('identities');
  const records = readdirSync(folder)
    .filter((name) => name.startsWith('path-'))
    .map((name) => readRecord(join(folder, name), pathSchema));
  return new Set(
    records.flatMap((record) =>
      record !== undefined && record !== 'damaged' && statIfThere(record.path) !== undefined
        ? record.id
        : [],
    ),
  );
}

function* pathNamesOf(path: string): Generator<string> {
  const hash = createHash('sha256').update(`${machine}\0${path}`).digest('hex').slice(0, 32);
  yield `path-${hash}.json`;
  for (let next = 2; next <= mostNames; next++) yield `path-${hash}-${next}.json`;
}

function indexNameOf({ dev, ino }: BigIntStats): string {
  return `file-${machine}-${dev}-${ino}.json`;
}

function isOf(path: string, record: PathRecord | 'damaged'): record is PathRecord {
  return record !== 'damaged' && record.path === path && record.machine === machine;
}

/** This record only serves to notice a move, so a failure to read it is no obstacle. */
function readFileRecord(path: string): FileRecord | undefined {
  try {
    const record = readRecord(path, fileSchema);
    return record === 'damaged' ? undefined : record;
  } catch {
    return undefined;
  }
}

/** Undefined when there is none. Throws when it cannot be read: then nothing is known, and nothing is assigned. */
function readRecord<T extends v.GenericSchema>(
  path: string,
  schema: T,
): v.InferOutput<T> | 'damaged' | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, 'code') === 'ENOENT') return undefined;
    throw explain(error, 'target', path);
  }
  try {
    const result = v.safeParse(schema, JSON.parse(text));
    return result.success ? result.output : 'damaged';
  } catch {
    return 'damaged';
  }
}

function serialize(record: object): string {
  return `${JSON.stringify(record)}\n`;
}

function statIfThere(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined; // The path is remembered all the same.
  }
}

/** A home folder may be shared by machines that have different files under one path. */
const machine = createHash('sha256').update(machineName()).digest('hex').slice(0, 12);

function machineName(): string {
  // On macOS the network decides what comes after the first dot.
  const name = process.platform === 'darwin' ? hostname().split('.')[0] : hostname();
  try {
    return `${name} ${readFileSync('/etc/machine-id', 'utf8').trim()}`;
  } catch {
    return `${name}`; // Only Linux has it, and not in every container.
  }
}

export interface Identified {
  /** By the real paths of the databases. */
  identities: ReadonlyMap<string, Identity>;
  /** Why some have none. */
  problem?: Finding;
}

/** Never throws: a backup without an identity is as good. */
export async function identifyAll(paths: readonly string[]): Promise<Identified> {
  const identities = new Map<string, Identity>();
  try {
    await sweepLeftovers(makeDataFolder('identities'));
    for (const path of paths) identities.set(path, identityOf(path));
    return { identities };
  } catch (error) {
    const { message } = explain(error, 'target', 'The data folder');
    const text = `The database cannot be remembered, so retention never removes this backup: ${message} Set XDG_DATA_HOME to a folder that can be written.`;
    return { identities, problem: { code: 'no-identity', message: text } };
  }
}
