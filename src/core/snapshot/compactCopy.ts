/** A copy that SQLite writes anew, without what was deleted. */
import { createPrivateFile } from '../files/publish.ts';
import type { Facts, Finding } from '../manifest/manifest.ts';
import { compactInto } from '../sqlite/compact.ts';
import { type Contents, differingFacts } from '../sqlite/contents.ts';
import { pin } from '../sqlite/pin.ts';
import { PinWatch, requireHeldDuring } from './pinWatch.ts';
import { incomplete, settleIn } from './settle.ts';
import { openWherePossible, retarget, type Source } from './source.ts';

export interface Compacted {
  copy: string;
  journalMode: string;
  contents: Contents;
  at: Date;
  warnings: Finding[];
  isCloned: false;
}

/** Makes the private file `copy`; errors speak of `folder`, which people know. */
export function compactCopy(
  source: Source,
  { copy, folder, scratch }: { copy: string; folder: string; scratch: string },
  { busyTimeoutMs, verify: check }: { busyTimeoutMs: number; verify: boolean },
): Compacted {
  createPrivateFile(copy);
  const at = new Date();
  const { before, after, watch } = openWherePossible(source, scratch, ({ path, byHand }) => {
    try {
      const newWatch = (): PinWatch => new PinWatch(source, { facts: undefined, byHand });
      // In WAL mode it is held apart from the compacting, whose own hold ends too soon. In rollback mode a waiting writer
      // would keep the second connection out.
      const isWal = source.journalMode === 'wal';
      const held = isWal ? pin(path, busyTimeoutMs, source.path) : undefined;
      const watched = isWal
        ? undefined
        : (run: () => void) => requireHeldDuring(run, copy, newWatch);
      try {
        const watch = newWatch();
        const options = { busyTimeoutMs, shownAs: source.path, check, watched };
        const compacted = compactInto(path, copy, options);
        if (held !== undefined) watch.requireHeld();
        return { ...compacted, watch };
      } finally {
        held?.release();
      }
    } catch (error) {
      throw retarget(error, copy, { folder, wantedBytes: source.sizeBytes });
    }
  });
  const contents = settleIn(copy, folder);
  const differs = (facts: Facts): Finding[] =>
    differingFacts({ ...facts, pageCount: contents.facts.pageCount }, contents.facts);
  if (differs(before).length > 0 && differs(after).length > 0)
    throw incomplete(differs(after), source.path);
  const { journalMode } = after;
  return { copy, journalMode, contents, at, warnings: watch.findings(), isCloned: false };
}
