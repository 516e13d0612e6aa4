/** Compares the live database with the backup. */
import { explain } from '../errors.ts';
import { sha256File } from '../files/digests.ts';
import { resolveRegularFile } from '../files/paths.ts';
import type { Finding, TableFacts, VerdictStatus } from '../manifest/manifest.ts';
import { checkDatabase } from '../sqlite/check.ts';
import type { MigrationState } from '../sqlite/migrations.ts';
import { withReadable } from '../sqlite/readable.ts';
import { differingContents, isSeenDamage } from '../verify/verdict.ts';
import type { RestoreRequest } from './request.ts';
import { factsOf, type SourceFacts } from './source.ts';
import { resolveTargets } from './target.ts';

export interface Proof {
  realTarget: string;
  status: VerdictStatus;
  findings: Finding[];
  tables: TableFacts[];
  migrations: MigrationState[];
}

/** Step "verify": the live files against the backup. Only reads. */
export async function proveRestored({ backup, items }: RestoreRequest): Promise<Proof[]> {
  const path = resolveRegularFile(backup);
  const targets = resolveTargets(
    path,
    items.map(({ target }) => target),
  );
  const proofs: Proof[] = [];
  for (const [index, { realTarget }] of targets.entries())
    proofs.push(proveLive(realTarget, await factsOf(path, items[index]?.member)));
  return proofs;
}

/** Trouble of the machine, or a program that holds it, says nothing about the content. */
function notYet(code: string, message: string): Finding {
  return { code, message: `Not checked yet, because it could not be read: ${message}` };
}

const longestWaitMs = 5000;

/**
 * Opens a database as it is now and says whether it is sound, and in what it differs from what was backed up. Leaves
 * nothing beside it. Only damage is `damaged`: an application may have written to it since.
 */
export function proveLive(realTarget: string, source?: SourceFacts, sha256?: string): Proof {
  try {
    const isAsStaged = sha256 === undefined || sha256File(realTarget) === sha256;
    const check = withReadable([realTarget], ([path = realTarget]) =>
      checkDatabase(path, { access: 'read-only', busyTimeoutMs: longestWaitMs }),
    );
    const differing =
      source?.recorded === undefined || check.contents === undefined
        ? []
        : differingContents(source.recorded, check.contents);
    const changed: Finding = {
      code: 'changed',
      message: `${realTarget} has been changed since it was put in place.`,
    };
    const findings = [...check.findings, ...differing, ...(isAsStaged ? [] : [changed])];
    const isDifferent = differing.length > 0 || !isAsStaged;
    return {
      realTarget,
      status: check.status === 'ok' && isDifferent ? 'partial' : check.status,
      findings,
      tables: check.contents?.tables ?? [],
      migrations: check.contents?.migrations ?? [],
    };
  } catch (error) {
    const { code, message } = explain(error, 'source', realTarget);
    const isDamaged = isSeenDamage(error) || code === 'not-a-database';
    return {
      realTarget,
      status: isDamaged ? 'damaged' : 'unchecked',
      findings: [isDamaged ? { code, message } : notYet(code, message)],
      tables: [],
      migrations: [],
    };
  }
}
