/** The end of each copy: it is made to stand alone, and must say of itself what the database said. */
import { statSync } from 'node:fs';
import { BackupError } from '../errors.ts';
import type { Facts, Finding } from '../manifest/manifest.ts';
import { type Contents, differingFacts, settleCopy } from '../sqlite/contents.ts';
import { retarget } from './source.ts';

/** Makes the copy stand alone, and insists that it says of itself what the pinned database said. */
export function settle(copy: string, recorded: Facts, folder: string): Contents {
  const contents = settleIn(copy, folder);
  const differing = differingFacts(recorded, contents.facts);
  if (differing.length > 0) throw incomplete(differing, folder);
  return contents;
}

export function settleIn(copy: string, folder: string): Contents {
  try {
    return settleCopy(copy);
  } catch (error) {
    throw retarget(error, copy, { folder, wantedBytes: statSync(copy).size });
  }
}

export function incomplete([first]: Finding[], path: string): BackupError {
  return new BackupError('incomplete', `The copy differs from the database: ${first?.message}`, {
    path,
    hint: 'Try again.',
    facts: { reason: 'facts' },
  });
}
