/** A restore for trial: into a private folder, opened as the application would, compared with the backup byte by byte. */
import { closeSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { withBundle } from '../bundle/openBundle.ts';
import { bytesToUnpack, unpackMember } from '../bundle/unpack.ts';
import { explain, isBackupError } from '../errors.ts';
import { copyWhole } from '../files/copying.ts';
import { sha256File } from '../files/digests.ts';
import { siblingSuffixes } from '../files/siblingNames.ts';
import { requireSpace } from '../files/space.ts';
import { makePrivateFolder } from '../files/workplace.ts';
import type { Finding } from '../manifest/manifest.ts';
import { readManifestOf } from '../manifest/manifestFile.ts';
import { checkDatabase } from '../sqlite/check.ts';
import { restoreJournalMode } from '../sqlite/contents.ts';
import { isDamage } from '../sqlite/driver.ts';
import { readHeader } from '../sqlite/header.ts';
import { checksumBytes } from '../sqlite/pageChecksums.ts';
import {
  differingContents,
  type DrillOutcome,
  isSeenDamage,
  type Recorded,
  type Verdict,
} from './verdict.ts';

/**
 * Restores a backup, of which `verdict` is known, into a private folder in `scratchParent` and takes it away again. What
 * is wrong is in the findings; what keeps it from being tried is no failure of the backup.
 */
export function drillSnapshot(verdict: Verdict, scratchParent: string): DrillOutcome {
  const at = new Date().toISOString();
  const known = outcomeBy(verdict, at);
  if (known !== undefined) return known;
  const { path: backup } = verdict;
  try {
    const parsed = readManifestOf(backup);
    const manifest = parsed?.kind === 'manifest' ? parsed.manifest : undefined;
    requireSpace(scratchParent, statSync(backup).size);
    const scratch = makePrivateFolder(scratchParent);
    try {
      const findings = restoreInto(scratch.path, backup, manifest);
      return { status: findings.length === 0 ? 'ok' : 'failed', at, findings };
    } finally {
      scratch.remove();
    }
  } catch (error) {
    return stoppedBy(error, at, scratchParent);
  }
}

/** A damaged backup cannot be restored, and one that could not be looked at cannot be tried. */
function outcomeBy({ status, findings }: Verdict, at: string): DrillOutcome | undefined {
  if (status === 'damaged') return { status: 'failed', at, findings };
  return status === 'unchecked' ? { status, at, findings } : undefined;
}

function stoppedBy(error: unknown, at: string, scratchParent: string): DrillOutcome {
  if (isBackupError(error) && error.code === 'cancelled') throw error;
  const { code, message } = explain(error, 'target', scratchParent);
  return isSeenDamage(error)
    ? { status: 'failed', at, findings: [{ code: 'not-restorable', message }] }
    : { status: 'unchecked', at, findings: [{ code, message }] };
}

/** Restores `backup` into a private folder, and says what is wrong with it. */
function restoreInto(folder: string, backup: string, recorded: Recorded | undefined): Finding[] {
  const restored = join(folder, 'restored.db');
  try {
    return restoreForTrial(backup, restored, recorded);
  } catch (error) {
    if (!isDamage(error)) throw error;
    // SQLite calls a read that fails damage too: it counts when the whole file can be read and it is seen again.
    sha256File(restored);
    for (const suffix of ['', ...siblingSuffixes]) rmSync(restored + suffix, { force: true });
    return restoreForTrial(backup, restored, recorded);
  }
}

/** Opens a restored copy as the application would. */
function restoreForTrial(
  backup: string,
  restored: string,
  recorded: Recorded | undefined,
): Finding[] {
  copyWhole(backup, restored);
  restoreJournalMode(restored, recorded?.facts.journalMode ?? 'delete');
  const check = checkDatabase(restored, { access: 'private' });
  const findings: Finding[] = check.status === 'damaged' ? [...check.findings] : [];
  if (recorded !== undefined && check.contents !== undefined) {
    findings.push(...differingContents(recorded, check.contents));
  }
  const difference = firstDifference(backup, restored);
  if (difference !== undefined) {
    findings.push({
      code: 'content-differs',
      message: `The restored file differs from the backup at byte ${difference}.`,
    });
  }
  return findings;
}

/** The same for every database of a bundle, one after another. */
export async function drillBundle(verdict: Verdict, scratchParent: string): Promise<DrillOutcome> {
  const at = new Date().toISOString();
  const known = outcomeBy(verdict, at);
  if (known !== undefined) return known;
  const findings: Finding[] = [];
  try {
    await withBundle(verdict.path, async (open) => {
      for (const member of open.members.filter(({ kind }) => kind === 'database')) {
        requireSpace(scratchParent, 2 * bytesToUnpack(open, member));
        const scratch = makePrivateFolder(scratchParent);
        try {
          const backup = join(scratch.path, 'backup.db');
          await unpackMember(open, member, backup);
          const recorded = member.entry?.kind === 'database' ? member.entry : undefined;
          for (const { code, message } of restoreInto(scratch.path, backup, recorded))
            findings.push({ code, message: `${member.name.slice(0, 200)}: ${message}` });
        } finally {
          scratch.remove();
        }
      }
    });
  } catch (error) {
    const stopped = stoppedBy(error, at, scratchParent);
    // What was wrong with an earlier member counts.
    if (findings.length === 0) return stopped;
    findings.push(...stopped.findings);
  }
  return { status: findings.length === 0 ? 'ok' : 'failed', at, findings };
}

const chunkBytes = 1024 * 1024;

/** What SQLite rewrites in the header when the journal mode changes: the mode, two change counters, its own version. */
const volatileHeader = [
  { from: 18, to: 20 },
  { from: 24, to: 28 },
  { from: 92, to: 100 },
];

/** With the header, the checksum of the first page changes, where there is one. */
function volatileBytes(path: string): { from: number; to: number }[] {
  const header = readHeader(path);
  if (header.kind !== 'sqlite' || header.reservedBytes !== checksumBytes) return volatileHeader;
  const { pageSize } = header;
  return [...volatileHeader, { from: pageSize - checksumBytes, to: pageSize }];
}

/** Offset of the first byte that differs, the volatile ones apart; undefined when there is none. */
function firstDifference(left: string, right: string): number | undefined {
  const ignored = volatileBytes(left);
  const [a, b] = [openSync(left, 'r'), openSync(right, 'r')];
  try {
    const [x, y] = [Buffer.alloc(chunkBytes), Buffer.alloc(chunkBytes)];
    for (let offset = 0; ; offset += chunkBytes) {
      const [n, m] = [readSync(a, x), readSync(b, y)];
      if (offset === 0) {
        for (const { from, to } of ignored) {
          x.fill(0, from, to);
          y.fill(0, from, to);
        }
      }
      if (n !== m || !x.subarray(0, n).equals(y.subarray(0, m))) {
        const most = Math.min(n, m);
        let index = 0;
        while (index < most && x[index] === y[index]) index++;
        return offset + index;
      }
      if (n < chunkBytes) return undefined;
    }
  } finally {
    closeSync(a);
    closeSync(b);
  }
}
