/** A restore for trial: into a private folder, opened as the application would, compared with the backup byte by byte. */
import { closeSync, constants, copyFileSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { withBundle } from '../bundle/openBundle.ts';
import { bytesToUnpack, unpackMember } from '../bundle/unpack.ts';
import { isBackupError } from '../errors.ts';
import { requireSpace } from '../files/space.ts';
import { syncFile } from '../files/sync.ts';
import { makePrivateFolder } from '../files/workplace.ts';
import type { Drill, Finding } from '../manifest/manifest.ts';
import { readManifestOf } from '../manifest/manifestFile.ts';
import { checkDatabase } from '../sqlite/check.ts';
import { restoreJournalMode } from '../sqlite/contents.ts';
import { differingContents, type Recorded, type Verdict } from './verdict.ts';

/**
 * Restores a backup, of which `verdict` is known, into a private folder in `scratchParent` and takes it away again. What
 * is wrong is in the findings; throws only when there is no room to try.
 */
export function drillSnapshot(verdict: Verdict, scratchParent: string): Drill {
  const at = new Date().toISOString();
  if (verdict.status === 'damaged') return { status: 'failed', at, findings: verdict.findings };
  const { path: backup } = verdict;
  const parsed = readManifestOf(backup);
  const manifest = parsed?.kind === 'manifest' ? parsed.manifest : undefined;
  requireSpace(scratchParent, statSync(backup).size);
  const scratch = makePrivateFolder(scratchParent);
  try {
    const restored = join(scratch.path, 'restored.db');
    copyFileSync(backup, restored, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    syncFile(restored);
    const findings = restoreForTrial(backup, restored, manifest);
    return { status: findings.length === 0 ? 'ok' : 'failed', at, findings };
  } catch (error) {
    if (isBackupError(error) && error.code === 'target-full') throw error;
    const message = error instanceof Error ? error.message : String(error);
    return { status: 'failed', at, findings: [{ code: 'not-restorable', message }] };
  } finally {
    scratch.remove();
  }
}

/** Opens a restored copy as the application would, and says what is wrong with it. */
function restoreForTrial(
  backup: string,
  restored: string,
  recorded: Recorded | undefined,
): Finding[] {
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
export async function drillBundle(verdict: Verdict, scratchParent: string): Promise<Drill> {
  const at = new Date().toISOString();
  if (verdict.status === 'damaged') return { status: 'failed', at, findings: verdict.findings };
  const findings: Finding[] = [];
  try {
    await withBundle(verdict.path, async (open) => {
      for (const member of open.members.filter(({ kind }) => kind === 'database')) {
        requireSpace(scratchParent, 2 * bytesToUnpack(open, member));
        const scratch = makePrivateFolder(scratchParent);
        try {
          const backup = join(scratch.path, 'backup.db');
          await unpackMember(open, member, backup);
          const restored = join(scratch.path, 'restored.db');
          copyFileSync(backup, restored, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
          syncFile(restored);
          const recorded = member.entry?.kind === 'database' ? member.entry : undefined;
          for (const { code, message } of restoreForTrial(backup, restored, recorded))
            findings.push({ code, message: `${member.name.slice(0, 200)}: ${message}` });
        } finally {
          scratch.remove();
        }
      }
    });
  } catch (error) {
    if (isBackupError(error) && error.code === 'target-full') throw error;
    const message = error instanceof Error ? error.message : String(error);
    findings.push({ code: 'not-restorable', message });
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

/** Offset of the first byte that differs, the volatile header apart; undefined when there is none. */
function firstDifference(left: string, right: string): number | undefined {
  const [a, b] = [openSync(left, 'r'), openSync(right, 'r')];
  try {
    const [x, y] = [Buffer.alloc(chunkBytes), Buffer.alloc(chunkBytes)];
    for (let offset = 0; ; offset += chunkBytes) {
      const [n, m] = [readSync(a, x), readSync(b, y)];
      if (offset === 0) {
        for (const { from, to } of volatileHeader) {
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
