/** Globs as people write them for companions. */
import { isAbsolute } from 'node:path';
import picomatch from 'picomatch';
import { BackupError } from '../errors.ts';

export interface Unwanted {
  glob: string;
  isMatch: (path: string) => boolean;
  /** Everything in a folder that matches is unwanted, so nothing needs to be looked for in it. */
  isOfFolders: boolean;
  hasMatched: boolean;
}

/** Tells the globs that name files from those that begin with `!` and leave files out. */
export function sortGlobs(globs: readonly string[]): { wanted: string[]; unwanted: Unwanted[] } {
  // `!(a|b)` is no negation, but one of the things that a glob can be made of.
  const negated = globs.filter((glob) => /^!(?!\()/.test(glob));
  const wanted = globs.filter((glob) => !negated.includes(glob)).map(requireGlob);
  const unwanted = negated.map((glob): Unwanted => {
    const bare = requireGlob(glob.slice(1));
    const isMatch = matcherOf(bare, { dot: true });
    return { glob: bare, isMatch, isOfFolders: bare.endsWith('/**'), hasMatched: false };
  });
  const [first] = negated;
  if (first === undefined || wanted.length > 0) return { wanted, unwanted };
  throw new BackupError('bad-setting', `${first} only excludes files, and no glob includes any.`, {
    hint: `Put a glob that includes files before it, such as "**", "${first}".`,
  });
}

export function matcherOf(
  glob: string,
  options: { dot?: boolean } = {},
): (path: string) => boolean {
  // Without the flag, a name with a line break in it matches nothing.
  return picomatch(glob, { ...options, flags: 's', nonegate: true });
}

/** The beginning of a glob that is a plain path. */
export function baseOf(glob: string): string {
  return picomatch.scan(glob, { unescape: true }).base;
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
