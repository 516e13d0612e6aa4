/** The files that belong to databases: which ones globs mean, and copies of them that were not written to meanwhile. */
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  writeSync,
} from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { crc32 } from 'node:zlib';
import picomatch from 'picomatch';
import { BackupError, explain, isBackupError, type PlainError, toPlainError } from '../errors.ts';
import { neverEntered } from '../files/paths.ts';
import { isPrivateFolderName } from '../files/workplace.ts';
import type { RecordAs } from '../job.ts';
import type { Finding } from '../manifest/manifest.ts';
import { isSibling, readHeader } from '../sqlite/header.ts';
import { ownerOf } from '../sqlite/siblings.ts';

/** Globs relative to a folder. A file whose name begins with a dot is meant only by a glob that names it. */
export interface CompanionGlobs {
  root: string;
  globs: string[];
  /** How manifests name the folder. */
  workspace?: string;
}

export interface Companion {
  path: string;
  recordAs: RecordAs;
}

interface FoundCompanions {
  files: Companion[];
  /** Matched as well, but databases: to be copied as such. */
  databases: { database: string; recordAs: RecordAs }[];
  warnings: Finding[];
  failures: { path: string; error: PlainError }[];
}

/**
 * The files that the globs mean, sorted. Neither links are followed nor `node_modules` and `.git` entered; left out are
 * also `leaveOut` (real paths of files and folders), our own private folders, and the siblings of databases.
 */
export function findCompanions(
  requests: readonly CompanionGlobs[],
  leaveOut: ReadonlySet<string>,
): FoundCompanions {
  const found: FoundCompanions = { files: [], databases: [], warnings: [], failures: [] };
  const seen = new Set(leaveOut);
  for (const { root, globs, workspace } of requests) {
    for (const glob of globs) {
      const before = seen.size;
      const search = new Search(resolve(root), requireGlob(glob), workspace, seen, found);
      search.run();
      if (seen.size > before || search.matchedBefore) continue;
      found.warnings.push({ code: 'no-companions', message: `${glob} matched no file.` });
    }
  }
  const byPath = (a: Companion, b: Companion): number => compare(a.recordAs.path, b.recordAs.path);
  found.files.sort(byPath);
  found.warnings.splice(mostWarnings);
  return found;
}

const mostWarnings = 100;

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function requireGlob(glob: string): string {
  const isOutside =
    isAbsolute(glob) || /^[A-Za-z]:/.test(glob) || glob.split(/[/\\]/).includes('..');
  if (glob.trim() !== '' && !isOutside) return glob.replace(/^\.\//, '');
  throw new BackupError(
    'bad-setting',
    `${JSON.stringify(glob)} does not name files below the folder it is relative to.`,
    { hint: 'Use a glob such as uploads/** or .env.' },
  );
}

class Search {
  /** Something matched that another glob, or the list of databases, has brought already. */
  matchedBefore = false;
  readonly #root: string;
  readonly #base: string;
  readonly #isMatch: (path: string) => boolean;
  readonly #workspace: string | undefined;
  readonly #seen: Set<string>;
  readonly #found: FoundCompanions;

  constructor(
    root: string,
    glob: string,
    workspace: string | undefined,
    seen: Set<string>,
    found: FoundCompanions,
  ) {
    this.#root = root;
    this.#isMatch = picomatch(glob);
    this.#base = picomatch.scan(glob).base;
    this.#workspace = workspace;
    this.#seen = seen;
    this.#found = found;
  }

  run(): void {
    let at = '';
    // The glob's fixed beginning need not be searched for; but it may lead through a link.
    for (const part of this.#base.split('/').filter((one) => one !== '' && one !== '.')) {
      const name = at === '' ? part : `${at}/${part}`;
      const stats = lstatSync(join(this.#root, name), { throwIfNoEntry: false });
      if (stats === undefined) return;
      if (!stats.isDirectory()) {
        this.#visit(name, stats);
        return;
      }
      at = name;
    }
    this.#walk(at);
  }

  #walk(folder: string): void {
    let entries: Dirent[];
    try {
      entries = readdirSync(join(this.#root, folder), { withFileTypes: true });
    } catch (error) {
      this.#fail(folder === '' ? '.' : folder, error);
      return;
    }
    for (const entry of entries) {
      const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (!entry.isDirectory()) this.#visit(name, entry);
      else if (this.#mayEnter(name, entry.name)) this.#walk(name);
    }
  }

  #mayEnter(name: string, bareName: string): boolean {
    if (neverEntered.has(bareName) || isPrivateFolderName(bareName)) return false;
    return !this.#seen.has(join(this.#root, name));
  }

  #visit(name: string, kind: Pick<Dirent, 'isFile' | 'isSymbolicLink'>): void {
    if (!this.#isMatch(name)) return;
    const path = join(this.#root, name);
    if (this.#seen.has(path)) {
      this.matchedBefore = true;
      return;
    }
    if (!kind.isFile()) {
      const what = kind.isSymbolicLink() ? 'a link' : 'no regular file';
      this.#warn('not-a-file', `${name} is ${what}, so it is not in the bundle.`);
      return;
    }
    if (isSibling(path)) {
      this.#visitSibling(name, path);
      return;
    }
    this.#seen.add(path);
    const recordAs: RecordAs = {
      path: name,
      ...(this.#workspace !== undefined && { workspace: this.#workspace }),
    };
    try {
      if (readHeader(path).kind === 'sqlite')
        this.#found.databases.push({ database: path, recordAs });
      else this.#found.files.push({ path, recordAs });
    } catch (error) {
      this.#fail(name, error);
    }
  }

  /** What belongs to a database comes with it. Alone it means nothing, and nobody may find it beside a restored one. */
  #visitSibling(name: string, path: string): void {
    const owner = ownerOf(path) ?? path;
    if (this.#seen.has(owner) || lstatSync(owner, { throwIfNoEntry: false })?.isFile()) {
      this.matchedBefore = true;
      return;
    }
    this.#warn(
      'sibling',
      `${name} has the name of a database's sibling, so it is not in the bundle.`,
    );
  }

  #warn(code: string, message: string): void {
    this.#found.warnings.push({ code, message });
  }

  #fail(name: string, error: unknown): void {
    const path = join(this.#root, name);
    this.#found.failures.push({ path, error: toPlainError(explain(error, 'source', path)) });
  }
}

export interface CopiedCompanion {
  sizeBytes: number;
  sha256: string;
  crc32: number;
  changedWhileReading: boolean;
}

const copyTries = 3;
const mostChunkBytes = 1024 * 1024;

/**
 * Copies a file into the existing empty private file `to`, again if it was written to meanwhile. Undefined when it is not
 * there any more.
 */
export function copyCompanion(path: string, to: string): CopiedCompanion | undefined {
  for (let attempt = 1; ; attempt++) {
    const before = stateOf(path);
    if (before === undefined) return undefined;
    const copied = copyIfThere(path, to);
    if (copied === undefined) return undefined;
    const changedWhileReading = stateOf(path) !== before;
    if (!changedWhileReading || attempt === copyTries) return { ...copied, changedWhileReading };
  }
}

/** Changes when the file is written to, replaced or removed. */
function stateOf(path: string): string | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  return [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join();
}

function copyIfThere(path: string, to: string): ReturnType<typeof copyOnce> | undefined {
  try {
    return copyOnce(path, to);
  } catch (error) {
    if (isBackupError(error) && error.code === 'source-missing') return undefined;
    throw error;
  }
}

/** What goes wrong with reading is the file's; what goes wrong with writing is left for the caller to explain. */
function copyOnce(path: string, to: string): Omit<CopiedCompanion, 'changedWhileReading'> {
  const hash = createHash('sha256');
  const from = ofSource(path, () => openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW));
  try {
    // Thousands of small files are not to cost a megabyte each.
    const { size } = ofSource(path, () => fstatSync(from));
    const chunk = Buffer.allocUnsafe(Math.min(size + 1, mostChunkBytes));
    const target = openSync(to, 'w');
    try {
      let [sizeBytes, crc] = [0, 0];
      for (let read; (read = ofSource(path, () => readSync(from, chunk))) > 0;) {
        const bytes = chunk.subarray(0, read);
        for (let done = 0; done < read;) done += writeSync(target, bytes, done);
        hash.update(bytes);
        crc = crc32(bytes, crc);
        sizeBytes += read;
      }
      return { sizeBytes, sha256: hash.digest('hex'), crc32: crc };
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(from);
  }
}

function ofSource<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw explain(error, 'source', path);
  }
}
