/** From findings to a verdict, and how it is kept in the manifest. */
import { explain } from '../errors.ts';
import type { Drill, Finding, Manifest, ParsedManifest } from '../manifest/manifest.ts';
import { readManifestOf, updateManifest } from '../manifest/manifestFile.ts';
import type { Check } from '../sqlite/check.ts';
import { type Contents, differingFacts } from '../sqlite/contents.ts';

export interface Verdict {
  path: string;
  status: Check['status'];
  findings: Finding[];
}

/**
 * Keeps a verdict, and a drill, in the manifest of a backup that has one. Returns the remark that says why it could not
 * be kept: a read-only folder makes no verdict wrong.
 */
export function recordVerdict(
  { path, status, findings }: Verdict,
  drill?: Drill,
): Finding | undefined {
  const parsed = readManifestOf(path);
  if (parsed?.kind !== 'manifest' && parsed?.kind !== 'bundle') return undefined;
  try {
    updateManifest(path, {
      verdict: { status, checkedAt: new Date().toISOString(), findings },
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

/** A finding with its weight: damage condemns, a gap makes the verdict partial, a remark changes nothing. */
export type Weighed = { damage: Finding } | { gap: Finding } | { remark: Finding };

/** What a backup is worth, after all that was found. What condemns it comes first. */
export function verdict(path: string, weighed: Weighed[]): Verdict {
  const status = weighed.some((one) => 'damage' in one)
    ? 'damaged'
    : weighed.some((one) => 'gap' in one)
      ? 'partial'
      : 'ok';
  const worstFirst = [
    ...weighed.filter((one) => 'damage' in one),
    ...weighed.filter((one) => !('damage' in one)),
  ];
  const findings = worstFirst.map((one) =>
    'damage' in one ? one.damage : 'gap' in one ? one.gap : one.remark,
  );
  return { path, status, findings: findings.map(shorten) };
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
          message: 'There is no manifest, so nobody knows what the file should contain.',
        },
      },
    ];
  }
  switch (parsed.kind) {
    case 'manifest':
      return [];
    case 'bundle':
      return [
        { gap: { code: 'bad-manifest', message: 'The manifest is one of a bundle, not of this.' } },
      ];
    case 'newer':
      return [
        {
          gap: {
            code: 'newer-format',
            message: `The manifest has format ${parsed.format}, which this version cannot read.`,
          },
        },
      ];
    case 'foreign':
      return [
        {
          gap: { code: 'bad-manifest', message: `The manifest cannot be used: ${parsed.reason}.` },
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
