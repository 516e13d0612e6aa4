/** Databases of a workspace that only their content tells. The search is to be quick and quiet, however large the workspace is. */
import {
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
} from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import picomatch from 'picomatch';
import { neverEntered, statIfAny } from '../files/paths.ts';
import { isPrivateFolderName } from '../files/workplace.ts';
import { classify } from '../sqlite/header.ts';
import { inspectFiles } from './discovery.ts';
import { isInside } from './folderSetting.ts';

export interface ContentSearch {
  places: SearchedFolder[];
  /** Looks at these files alone, as far as they are in one of the places. */
  only?: string[];
  /** Absolute paths of files and folders to pass over. */
  leaveOut: string[];
  /** The search stops after so many ms. */
  limitMs: number;
}

export interface SearchedFolder {
  folder: string;
  /** Globs, relative to the folder, of what is neither read nor entered. */
  exclude: string[];
  /** Globs of files that are found by their names. */
  include: string[];
}

export interface FoundByContent {
  paths: string[];
  /** False when the search stopped before it had seen all files. */
  complete: boolean;
}

/** More than a person looks through. */
const mostFound = 1000;

/** What the kernel shows as files is no content, and reading it may do something. */
const kernelFolders = ['/proc', '/sys', '/dev'];

/**
 * Databases by content, those of higher folders first. Links to folders, `node_modules` and `.git` are not entered. Sizes
 * are looked at first: a database has whole pages, which leaves few files to open.
 */
export function findByContent(search: ContentSearch): FoundByContent {
  const endsAt = performance.now() + search.limitMs;
  const places = search.places.map((place) => new Place(place));
  const leaveOut = new Set([...search.leaveOut, ...kernelFolders]);
  const files =
    search.only === undefined
      ? filesBelow(places, leaveOut)
      : search.only.filter(
          (path) =>
            places.some((place) => place.mayReach(path)) &&
            ![...leaveOut].some((folder) => isInside(path, folder)),
        );
  const hits: string[] = [];
  let complete = true;
  for (const path of files) {
    if (performance.now() > endsAt || hits.length >= mostFound) {
      complete = false;
      break;
    }
    if (path !== undefined && looksLikeDatabase(path)) hits.push(path);
  }
  return { paths: inspectFiles(hits).databases.map(({ path }) => path), complete };
}

class Place {
  readonly folder: string;
  readonly #exclude: Matcher[];
  readonly #include: Matcher[];

  constructor({ folder, exclude, include }: SearchedFolder) {
    this.folder = resolve(folder);
    this.#exclude = matchersOf(exclude);
    this.#include = matchersOf(include);
  }

  /** `below` is relative to the folder, with `/`. */
  excludes(below: string): boolean {
    return this.#exclude.some((matches) => matches(below));
  }

  includes(below: string): boolean {
    return this.#include.some((matches) => matches(below));
  }

  /** Whether the search would come to this file, and look at it. */
  mayReach(path: string): boolean {
    const parts = relative(this.folder, path).split(sep);
    return (
      isInside(path, this.folder) &&
      !this.includes(parts.join('/')) &&
      parts.slice(0, -1).every(mayEnter) &&
      parts.every((_, index) => !this.excludes(parts.slice(0, index + 1).join('/')))
    );
  }
}

/** The parts of `{a,b}`: a double star inside of braces means any folder only to VS Code. */
function alternativesOf(glob: string): string[] {
  if (!glob.startsWith('{') || !glob.endsWith('}')) return [glob];
  const parts = [''];
  let depth = 0;
  for (const character of glob.slice(1, -1)) {
    if (character === '{') depth++;
    if (character === '}') depth--;
    if (depth < 0) return [glob]; // Several braces, as in `{a,b}/{c,d}`.
    if (depth === 0 && character === ',') parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts;
}

type Matcher = (path: string) => boolean;

/** A glob that cannot be understood matches nothing. */
function matchersOf(globs: readonly string[]): Matcher[] {
  return globs.flatMap(alternativesOf).flatMap((glob) => {
    try {
      return picomatch(glob, { dot: true });
    } catch {
      return [];
    }
  });
}

function mayEnter(name: string): boolean {
  return !neverEntered.has(name) && !isPrivateFolderName(name);
}

/** Yields undefined for each folder, so that a search among folders without files can stop as well. */
function* filesBelow(
  places: readonly Place[],
  leaveOut: ReadonlySet<string>,
): Generator<string | undefined> {
  const roots = new Set(places.map(({ folder }) => folder));
  let level = places.map((place) => ({ place, folder: place.folder, below: '' }));
  while (level.length > 0) {
    const next: typeof level = [];
    for (const { place, folder, below } of level) {
      yield undefined;
      for (const entry of entriesOf(folder)) {
        const { name } = entry;
        const path = join(folder, name);
        // A workspace folder inside another one has its own excludes.
        if (leaveOut.has(path) || roots.has(path) || place.excludes(below + name)) continue;
        if (!entry.isDirectory()) {
          if (!place.includes(below + name)) yield path;
        } else if (mayEnter(name)) next.push({ place, folder: path, below: `${below}${name}/` });
      }
    }
    level = next;
  }
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return []; // Vanished, or not for this user: nothing there can be offered.
  }
}

const smallestPage = 512;

function looksLikeDatabase(path: string): boolean {
  try {
    const stats = statIfAny(path);
    if (stats?.isFile() !== true || stats.size === 0 || stats.size % smallestPage !== 0)
      return false;
    // A pipe that has come in its place meanwhile must not keep the search waiting.
    const handle = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!fstatSync(handle).isFile()) return false;
      const beginning = Buffer.alloc(smallestPage);
      const { kind } = classify(beginning.subarray(0, readSync(handle, beginning)), stats.size);
      return kind === 'sqlite';
    } finally {
      closeSync(handle);
    }
  } catch {
    return false; // Vanished, or not for this user.
  }
}
