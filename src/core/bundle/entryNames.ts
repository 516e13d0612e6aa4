/** Names inside a zip: which are allowed, and how they are handed out. Pure. */
import { extname } from 'node:path';
import { longestName, reservedOnWindows, safeName, truncateBytes } from '../manifest/names.ts';

/** Names inside a bundle that mean something of their own. */
export const bundleManifestName = 'manifest.json';
export const bundleVersionName = 'VERSION';
export const companionsFolder = 'files';

const longestEntryName = 4096;
/** Letters, digits, punctuation, symbols and the plain blank: what can be seen. */
const visible = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]+$/u;

/**
 * Why a path inside a zip may not become a file, undefined when it may: the allow-list of what is read and written. It
 * means the same on every system, stays below the folder it is put in, and is no sibling of a database.
 */
export function problemOfEntryName(name: string): string | undefined {
  if (Buffer.byteLength(name) > longestEntryName) return 'is too long';
  for (const part of name.split('/')) {
    const problem = problemOfPart(part);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function problemOfPart(part: string): string | undefined {
  if (part === '' || part === '.' || part === '..') return 'is not a plain relative path';
  if (!visible.test(part)) return 'has invisible characters';
  if (/[<>:"|?*\\]/.test(part)) return 'has characters that some systems do not allow in names';
  if (part !== part.trim() || part.endsWith('.'))
    return 'has a part that begins or ends with a space, or ends with a dot';
  if (reservedOnWindows.test(part)) return 'is the name of a device on Windows';
  if (/-(wal|shm|journal)$/i.test(part))
    return 'is a name that SQLite uses for files beside a database';
  return Buffer.byteLength(part) > longestName ? 'has a part that is too long' : undefined;
}

/** What macOS puts into zips beside each file: attributes that only it can use. */
export function isOfFinder(name: string): boolean {
  return name.startsWith('__MACOSX/') || /(^|\/)\._[^/]*$/.test(name);
}

/** Two names that some file system would take for one have the same folded name. */
export function foldName(name: string): string {
  return name.normalize('NFC').toUpperCase().toLowerCase();
}

/** Hands out paths inside a zip: legal ones, each once, and none that is a folder of another. */
export class EntryNames {
  readonly #files = new Set<string>();
  readonly #folders = new Set<string>();

  /** `wanted` itself where it can be, else the nearest to it that is legal and free. */
  take(wanted: string): string {
    const parts = wanted.split('/').map(legalPart);
    const file = parts.pop() ?? '';
    let folder = '';
    for (const part of parts) {
      folder = firstFree(folder + part, '', (name) => !this.#files.has(foldName(name)));
      this.#folders.add(foldName(folder));
      folder += '/';
    }
    const extension = extname(file);
    const stem = file.slice(0, file.length - extension.length);
    const name = firstFree(folder + stem, extension, (one) => {
      const folded = foldName(one);
      return !this.#files.has(folded) && !this.#folders.has(folded);
    });
    this.#files.add(foldName(name));
    return name;
  }

  /** Keeps a name for a folder, before it is taken for a file. */
  keepFolder(name: string): void {
    this.#folders.add(foldName(name));
  }
}

function firstFree(stem: string, extension: string, isFree: (name: string) => boolean): string {
  for (let attempt = 1; ; attempt++) {
    const name = `${stem}${attempt === 1 ? '' : `-${attempt}`}${extension}`;
    if (isFree(name)) return name;
  }
}

/** `a` and `a/b` of `a/b/c`. */
export function foldersOf(name: string): string[] {
  const parts = name.split('/').slice(0, -1);
  return parts.map((_part, index) => parts.slice(0, index + 1).join('/'));
}

function legalPart(part: string): string {
  const shown = truncateBytes(
    safeName(part).replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, '_'),
    longestName - 16,
  );
  const ended = shown.replace(/^ +|[ .]+$/g, (blanks) => '_'.repeat(blanks.length));
  const problem = problemOfPart(ended);
  return problem === undefined ? ended : `_${ended}_`;
}
