/** The files that belong to databases: which ones globs mean. */
import { isUtf8 } from 'node:buffer';
import { type Dirent, lstatSync, readdirSync, statSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import { BackupError, explain, type PlainError, toPlainError } from '../errors.ts';
import { neverEntered } from '../files/paths.ts';
import { isPrivateFolderName } from '../files/workplace.ts';
import type { RecordAs } from '../job.ts';
import type { Finding } from '../manifest/manifest.ts';
import { siblingSuffixes } from '../files/siblingNames.ts';
import { isSibling, readHeader } from '../sqlite/header.ts';
import { ownerOf } from '../sqlite/siblings.ts';
import { baseOf, matcherOf, sortGlobs, type Unwanted } from './globs.ts';

/**
 * Globs relative to a folder. A file whose name begins with a dot is meant only by a glob that names it. A glob that
 * begins with `!` leaves files out, those whose names begin with a dot too, wherever it stands in the list.
 */
export interface CompanionGlobs {
  root: string;
  globs: string[];
  /** How manifests name the folder. */
  workspace?: string;
}

export interface Companion {
  /** Bytes where the name is not UTF-8, which no string can say. */
  path: string | Buffer;
  recordAs: RecordAs;
}

interface FoundCompanions {
  files: Companion[];
  /** Matched as well, but databases: to be copied as such. */
  databases: { database: string; recordAs: RecordAs }[];
  /** Databases that cannot be opened by their names. */
  omitted: { path: string; error: PlainError }[];
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
  const found: FoundCompanions = {
    files: [],
    databases: [],
    omitted: [],
    warnings: [],
    failures: [],
  };
  const looked: Looked = { seen: new Set(leaveOut), plain: new Set(), siblings: new Map() };
  for (const { root, globs, workspace } of requests) {
    const { wanted, unwanted } = sortGlobs(globs);
    for (const glob of wanted) {
      const search = new Search({ root: resolve(root), glob, unwanted, workspace }, looked, found);
      search.run();
      if (!search.hasMatched)
        found.warnings.push({ code: 'no-companions', message: `${glob} matched no file.` });
    }
    for (const { glob, hasMatched } of unwanted) {
      if (!hasMatched)
        found.warnings.push({ code: 'no-companions', message: `!${glob} left no file out.` });
    }
  }
  warnOfSiblings(looked, found.warnings);
  const byPath = (a: Companion, b: Companion): number => compare(a.recordAs.path, b.recordAs.path);
  found.files.sort(byPath);
  return { ...found, warnings: boundWarnings(found.warnings) };
}

const mostWarnings = 100;

function boundWarnings(warnings: Finding[]): Finding[] {
  if (warnings.length <= mostWarnings) return warnings;
  const more = warnings.length - mostWarnings + 1;
  const message = `There are ${more} more warnings of this kind.`;
  return [...warnings.slice(0, mostWarnings - 1), { code: 'more-warnings', message }];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What all searches of one bundle know. */
interface Looked {
  /** Keys of everything that is known already. */
  seen: Set<string>;
  /** Keys of the companions. */
  plain: Set<string>;
  /** By key: what has the name of a database's sibling. */
  siblings: Map<string, Place>;
}

type Kind = Pick<Dirent, 'isFile' | 'isDirectory' | 'isSymbolicLink'>;

/** A file or a folder below the root of a search. */
interface Place {
  /** Relative to the root, as globs see it. */
  name: string;
  /** The same as people see it and manifests record it. */
  shown: string;
  path: string | Buffer;
}

interface SearchFor {
  root: string;
  glob: string;
  unwanted: readonly Unwanted[];
  workspace: string | undefined;
}

class Search {
  /** Something matched, if only what another glob, or the list of databases, has brought already. */
  hasMatched = false;
  readonly #root: string;
  readonly #glob: string;
  readonly #isMatch: (path: string) => boolean;
  readonly #unwanted: readonly Unwanted[];
  readonly #workspace: string | undefined;
  readonly #looked: Looked;
  readonly #found: FoundCompanions;

  constructor(
    { root, glob, unwanted, workspace }: SearchFor,
    looked: Looked,
    found: FoundCompanions,
  ) {
    this.#root = root;
    this.#glob = glob;
    this.#isMatch = matcherOf(glob);
    this.#unwanted = unwanted;
    this.#workspace = workspace;
    this.#looked = looked;
    this.#found = found;
  }

  run(): void {
    let at: Place = { name: '', shown: '', path: this.#root };
    // The glob's fixed beginning need not be searched for; but it may lead through a link.
    for (const part of baseOf(this.#glob)
      .split('/')
      .filter((one) => one !== '' && one !== '.')) {
      const place = placeIn(at, Buffer.from(part));
      const stats = lstatSync(place.path, { throwIfNoEntry: false });
      if (stats === undefined) return;
      if (!stats.isDirectory()) {
        this.#visit(place, stats);
        return;
      }
      at = place;
    }
    this.#walk(at);
  }

  #walk(folder: Place): void {
    let entries: Dirent<Buffer>[];
    try {
      entries = readdirSync(folder.path, { withFileTypes: true, encoding: 'buffer' });
    } catch (error) {
      this.#fail(folder.shown === '' ? { ...folder, shown: '.' } : folder, error);
      return;
    }
    for (const entry of entries) {
      const place = placeIn(folder, entry.name);
      if (!entry.isDirectory()) this.#visit(place, entry);
      else if (this.#mayEnter(place, entry.name.toString())) this.#walk(place);
    }
  }

  #mayEnter(place: Place, bareName: string): boolean {
    if (neverEntered.has(bareName) || isPrivateFolderName(bareName)) return false;
    return !this.#looked.seen.has(keyOf(place)) && !this.#isUnwanted(place, { isFolder: true });
  }

  #isUnwanted({ name }: Place, { isFolder }: { isFolder: boolean }): boolean {
    const found = this.#unwanted.find(
      ({ isMatch, isOfFolders }) => (!isFolder || isOfFolders) && isMatch(name),
    );
    if (found === undefined) return false;
    found.hasMatched = true;
    return true;
  }

  #visit(place: Place, kind: Kind): void {
    const { name, shown, path } = place;
    if (!this.#isMatch(name)) {
      if (kind.isSymbolicLink() && this.#mayLeadOn(place)) this.#warnOfLink(place);
      return;
    }
    if (this.#isUnwanted(place, { isFolder: false })) {
      this.hasMatched = true;
      return;
    }
    if (this.#looked.seen.has(keyOf(place))) {
      this.hasMatched = true;
      return;
    }
    if (!kind.isFile()) {
      if (kind.isSymbolicLink()) this.#warnOfLink(place);
      else this.#warn('not-a-file', `${inLine(shown)} is not a regular file, so it is left out.`);
      return;
    }
    this.hasMatched = true;
    if (isSiblingOf(place)) {
      this.#looked.siblings.set(keyOf(place), place);
      return;
    }
    this.#looked.seen.add(keyOf(place));
    const recordAs: RecordAs = {
      path: shown,
      ...(this.#workspace !== undefined && { workspace: this.#workspace }),
    };
    try {
      if (readHeader(path).kind !== 'sqlite') {
        this.#found.files.push({ path, recordAs });
        this.#looked.plain.add(keyOf(place));
      } else if (typeof path === 'string') this.#found.databases.push({ database: path, recordAs });
      else this.#omit(place);
    } catch (error) {
      this.#fail(place, error);
    }
  }

  /** A link to a folder in which the glob could mean files. */
  #mayLeadOn({ name, path }: Place): boolean {
    const goesDeeper = this.#glob.split('/').length > name.split('/').length;
    if (!goesDeeper && !this.#glob.includes('**')) return false;
    try {
      return statSync(path).isDirectory();
    } catch {
      return false; // It leads nowhere.
    }
  }

  #warnOfLink({ shown }: Place): void {
    const message = `${inLine(shown)} is a link, so it is left out together with its target.`;
    if (!this.#found.warnings.some((one) => one.message === message))
      this.#warn('not-a-file', message);
  }

  #omit({ shown, path }: Place): void {
    const error = new BackupError(
      'bad-name',
      `${inLine(shown)} is a database whose name is not UTF-8, so it cannot be opened.`,
      { path: String(path), hint: 'Rename it.' },
    );
    this.#found.omitted.push({ path: shown, error: toPlainError(error) });
  }

  #warn(code: string, message: string): void {
    this.#found.warnings.push({ code, message });
  }

  #fail({ shown }: Place, error: unknown): void {
    const path = join(this.#root, shown);
    this.#found.failures.push({ path, error: toPlainError(explain(error, 'source', path)) });
  }
}

/** Of a database whose name is not UTF-8, the name alone tells. */
function isSiblingOf({ name, path }: Place): boolean {
  return typeof path === 'string' ? isSibling(path) : ownerOf(name) !== undefined;
}

/** What belongs to a database comes with it. Alone it means nothing, and must not lie beside a restored one. */
function warnOfSiblings({ siblings, seen, plain }: Looked, warnings: Finding[]): void {
  for (const { name, shown, path } of siblings.values()) {
    const length = siblingSuffixes.find((one) => name.endsWith(one))?.length ?? 0;
    const owner = keyOf({ path: path.slice(0, -length) });
    if (seen.has(owner) && !plain.has(owner)) continue;
    warnings.push({
      code: 'sibling',
      message: `${inLine(shown)} belongs to a database that is not in the bundle, so it is left out.`,
    });
  }
}

function placeIn(folder: Place, bytes: Buffer): Place {
  const bare = bytes.toString();
  const isPlain = isUtf8(bytes);
  const below = (to: string, name: string): string => (to === '' ? name : `${to}/${name}`);
  return {
    name: below(folder.name, bare),
    shown: below(folder.shown, isPlain ? bare : escaped(bytes)),
    path:
      isPlain && typeof folder.path === 'string'
        ? join(folder.path, bare)
        : Buffer.concat([Buffer.from(folder.path), Buffer.from(sep), bytes]),
  };
}

/** `caf\xe9.txt` */
function escaped(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replace(/[\x80-\xff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`);
}

/** A name in a message: a line break must not make it look like more than one. */
function inLine(name: string): string {
  return name.replace(
    /[\p{Cc}\p{Zl}\p{Zp}]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** The same for the same path, whether it is text or bytes. */
function keyOf({ path }: Pick<Place, 'path'>): string {
  return typeof path === 'string' ? path : `\0${path.toString('latin1')}`;
}
