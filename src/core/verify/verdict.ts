/** From findings to a verdict, and how it is kept in the manifest. */
import { explain, isBackupError } from '../errors.ts';
import type {
  Drill,
  Finding,
  Manifest,
  OutOfStep,
  ParsedManifest,
  VerdictStatus,
} from '../manifest/manifest.ts';
import { readManifestOf, updateManifest } from '../manifest/manifestFile.ts';
import { isOfMissingRows } from '../snapshot/pinWatch.ts';
import type { Check } from '../sqlite/check.ts';
import { type Contents, differingFacts } from '../sqlite/contents.ts';
import { isDamage } from '../sqlite/driver.ts';

export interface Verdict {
  path: string;
  /** `unchecked`: it could not be looked at, and the findings say why. That is no verdict, and changes none. */
  status: VerdictStatus;
  findings: Finding[];
  /** Present when all rows are there and something derived does not fit them. */
  outOfStep?: OutOfStep[];
}

/** A restore for trial. `unchecked`: it could not be tried, and the findings say why. Only the others are ever kept. */
export interface DrillOutcome {
  status: Drill['status'] | 'unchecked';
  at: string;
  findings: Finding[];
}

/**
 * Keeps a verdict, and a drill, in the manifest of a backup that has one; what could not be looked at leaves the manifest
 * as it is. Returns the remark that says why it could not be kept: a read-only folder makes no verdict wrong.
 */
export function recordVerdict(
  { path, status, findings, outOfStep }: Verdict,
  outcome?: DrillOutcome,
): Finding | undefined {
  if (status === 'unchecked') return undefined;
  const drill =
    outcome === undefined || outcome.status === 'unchecked' ? undefined : { ...outcome };
  try {
    const parsed = readManifestOf(path);
    if (parsed?.kind !== 'manifest' && parsed?.kind !== 'bundle') return undefined;
    updateManifest(path, {
      verdict: {
        status,
        checkedAt: new Date().toISOString(),
        findings,
        ...(outOfStep !== undefined && { outOfStep }),
      },
      // What was once restorable is not any more.
      ...(status === 'damaged' && { drill: undefined }),
      ...(drill !== undefined && { drill }),
    });
    return undefined;
  } catch (error) {
    const { message } = explain(error, 'target', path);
    return { code: 'not-recorded', message: `The verdict could not be recorded: ${message}` };
  }
}

/**
 * A finding with its weight: damage condemns, what could not be looked at leaves no verdict, a gap makes the verdict
 * partial, a remark changes nothing.
 */
export type Weighed =
  | { damage: Finding }
  | { unchecked: Finding }
  | { gap: Finding }
  | { remark: Finding }
  | { outOfStep: OutOfStep[] };

/** What a backup is worth, after all that was found. What condemns it comes first. */
export function verdict(path: string, weighed: readonly Weighed[]): Verdict {
  const damages = weighed.flatMap((one) => ('damage' in one ? [one.damage] : []));
  const unchecked = weighed.flatMap((one) => ('unchecked' in one ? [one.unchecked] : []));
  const gaps = weighed.flatMap((one) => ('gap' in one ? [one.gap] : []));
  const others = weighed.flatMap((one) =>
    'gap' in one ? [one.gap] : 'remark' in one ? [one.remark] : [],
  );
  const outOfStep = weighed.flatMap((one) => ('outOfStep' in one ? one.outOfStep : []));
  // What is out of step is said of rows that are all there.
  const isLost = gaps.some(isOfMissingRows);
  const status =
    damages.length > 0
      ? 'damaged'
      : unchecked.length > 0
        ? 'unchecked'
        : gaps.length > 0
          ? 'partial'
          : 'ok';
  return {
    path,
    status,
    findings: [...damages, ...unchecked, ...others].map(shorten),
    ...(status === 'partial' && outOfStep.length > 0 && !isLost && { outOfStep }),
  };
}

/** What the backup knew when it was made, and no look at the backup alone can find out: rows may be missing. */
export function* weighWarnings(warnings: readonly Finding[] = []): Generator<Weighed> {
  for (const finding of warnings.filter(isOfMissingRows)) yield { gap: finding };
}

const damageCodes: ReadonlySet<string> = new Set([
  'corrupt',
  'encrypted-or-not-sqlite',
  'backup-damaged',
]);

/** Whether an error tells what was seen in the content. Every other one only tells that the content could not be read. */
export function isSeenDamage(error: unknown): boolean {
  return isDamage(error) || (isBackupError(error) && damageCodes.has(error.code));
}

/** An exception as a finding. A person's own end of the work stays an exception. */
export function weighError(error: unknown, path: string): Weighed {
  if (isBackupError(error) && error.code === 'cancelled') throw error;
  const { code, message } = explain(error, 'source', path);
  return isSeenDamage(error) ? { damage: { code, message } } : { unchecked: { code, message } };
}

/** The same for a check by SQLite, which says what could not be done. */
export function weighCheckError(error: unknown, path: string): Weighed {
  const weighed = weighError(error, path);
  if (!('unchecked' in weighed)) return weighed;
  const message = `SQLite's check could not run: ${weighed.unchecked.message}`;
  return { unchecked: { code: 'not-checked', message } };
}

const longestMessage = 500;

/** A manifest keeps findings, and paths in them may be long. */
function shorten({ code, message }: Finding): Finding {
  return { code, message: message.slice(0, longestMessage) };
}

export function manifestRemarks(parsed: ParsedManifest | undefined): Weighed[] {
  if (parsed === undefined) {
    return [
      {
        gap: {
          code: 'no-manifest',
          message: 'There are no backup details that say what the file should contain.',
        },
      },
    ];
  }
  switch (parsed.kind) {
    case 'manifest':
      return [];
    case 'bundle':
      return [
        {
          gap: {
            code: 'bad-manifest',
            message: 'The backup details belong to a bundle, not to this file.',
          },
        },
      ];
    case 'newer':
      return [
        {
          gap: {
            code: 'newer-format',
            message: `The backup details have format ${parsed.format}, which this version cannot read.`,
          },
        },
      ];
    case 'foreign':
      return [
        {
          gap: {
            code: 'bad-manifest',
            message: `The backup details cannot be used: ${parsed.reason}.`,
          },
        },
      ];
  }
}

export function* weighCheck(check: Check, manifest: Recorded | undefined): Generator<Weighed> {
  if (manifest !== undefined && check.contents !== undefined) {
    for (const damage of differingContents(manifest, check.contents)) yield { damage };
  }
  for (const finding of check.findings) {
    yield check.status === 'damaged' ? { damage: finding } : { gap: finding };
  }
  for (const remark of check.remarks) yield { remark };
  yield { outOfStep: check.outOfStep };
}

/** What a manifest, or an entry of one, says of the content of a database. */
export type Recorded = Pick<Manifest, 'facts' | 'tables'>;

/** What of a manifest does not hold for what a file contains. */
export function differingContents(manifest: Recorded, actual: Contents): Finding[] {
  const rows = new Map(actual.tables.map((table) => [table.name, table.rows]));
  const miscounted = (manifest.tables ?? []).filter(({ name, rows: recorded }) => {
    const counted = rows.get(name);
    return recorded !== undefined && counted !== undefined && counted !== recorded;
  });
  return [
    ...differingFacts(manifest.facts, actual.facts),
    ...miscounted.map(({ name, rows: recorded }) => ({
      code: 'rows-differ',
      message: `${name.slice(0, 200)} has ${rows.get(name)} rows, but ${recorded} were backed up.`,
    })),
  ];
}
