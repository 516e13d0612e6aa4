/** Verifies a backup of either kind, and keeps the verdict in its manifest. */
import { looksLikeBundle } from '../bundle/openBundle.ts';
import type { Progress } from '../job.ts';
import { drillBundle, drillSnapshot } from './drill.ts';
import { type DrillOutcome, recordVerdict, type Verdict, verdict, weighError } from './verdict.ts';
import { verifyBundle } from './verifyBundle.ts';
import { verifySnapshot } from './verifySnapshot.ts';

/** With `drill`, restores it for trial too. Private copies go into `folder`. */
export async function verifyBackup(
  { path, drill, folder }: { path: string; drill: boolean; folder: string },
  onProgress: (progress: Progress) => void,
): Promise<Verdict & { drill?: DrillOutcome }> {
  let isBundle: boolean;
  try {
    isBundle = looksLikeBundle(path);
  } catch (error) {
    return verdict(path, [weighError(error, path)]);
  }
  const found = isBundle
    ? await verifyBundle(path, onProgress, folder)
    : verifySnapshot(path, onProgress, folder);
  // First the verdict: a drill takes long.
  const remark = recordVerdict(found);
  const noted = remark === undefined ? found : { ...found, findings: [...found.findings, remark] };
  if (!drill) return noted;
  const outcome = isBundle ? await drillBundle(found, folder) : drillSnapshot(found, folder);
  recordVerdict(found, outcome);
  return { ...noted, drill: outcome };
}
