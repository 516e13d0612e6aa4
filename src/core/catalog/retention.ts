/** Which backups may go. Pure: decides, with reasons, and removes nothing. */
import { BackupError } from '../errors.ts';
import type { VerdictStatus } from '../manifest/manifest.ts';
import { sequenceOf } from '../manifest/names.ts';

export const keepRules = [
  'keepLast',
  'keepHourly',
  'keepDaily',
  'keepWeekly',
  'keepMonthly',
  'keepYearly',
] as const;
export type KeepRule = (typeof keepRules)[number];

/** Per database. A rule that is not there does not count; with no rule at all, everything stays. */
export type Policy = Partial<Record<KeepRule, number>> & {
  /** Bytes of all kept backups of one database. */
  maxTotalSize?: number;
};

export interface Candidate {
  path: string;
  /** What counts together: see `groupOfDatabase` and `groupOfBundle`. */
  group: string;
  /** ISO 8601. */
  createdAt: string;
  sizeBytes: number;
  verified: VerdictStatus;
  pinned: boolean;
  /** Not made by us, or made by a newer version: never ours to remove. */
  foreign: boolean;
}

/** The group of a database's snapshots, as manifests name it. */
export function groupOfDatabase({
  path,
  workspace = '',
}: {
  path: string;
  workspace?: string | undefined;
}): string {
  return `${workspace}\0${path}`;
}

/** The group of the bundles of one name. */
export function groupOfBundle({
  name = '',
  workspace = '',
}: {
  name?: string | undefined;
  workspace?: string | undefined;
}): string {
  return `bundle\0${workspace}\0${name}`;
}

export interface Decision {
  path: string;
  sizeBytes: number;
  reasons: string[];
}

export interface RetentionPlan {
  keep: Decision[];
  remove: Decision[];
}

/** Returns the policy, or throws a BackupError that names the rule whose number is none, or below 1. */
export function requirePolicy(policy: Policy): Policy {
  for (const [rule, value] of Object.entries(policy)) {
    const isWhole = rule === 'maxTotalSize' || Number.isInteger(value);
    if (Number.isFinite(value) && value >= 1 && isWhole) continue;
    throw new BackupError(
      'bad-name',
      `${rule} must be a whole number of at least 1, not ${value}.`,
      {
        hint: 'Leave a rule out to switch it off.',
        facts: { rule },
      },
    );
  }
  return policy;
}

/**
 * Decides for each backup whether it stays. Always stay: foreign files, pinned ones, the newest good one of each
 * database, and whatever is dated after `now`. A damaged backup fills no place of a good one. `timeZone` says what a day
 * is (IANA name; the system's by default).
 */
export function planRetention(
  backups: readonly Candidate[],
  policy: Policy,
  now: Date,
  timeZone?: string,
): RetentionPlan {
  requirePolicy(policy);
  const bucketOf = bucketsIn(timeZone);
  const plan: RetentionPlan = { keep: [], remove: [] };
  const groups = Map.groupBy(backups, ({ group, foreign, path }) =>
    foreign ? `foreign ${path}` : `own ${group}`,
  );
  for (const group of groups.values()) {
    for (const { backup, reasons, removal } of decideGroup(group, policy, now, bucketOf)) {
      const { path, sizeBytes } = backup;
      if (reasons.length > 0) plan.keep.push({ path, sizeBytes, reasons });
      else plan.remove.push({ path, sizeBytes, reasons: [removal] });
    }
  }
  return plan;
}

interface Verdict {
  backup: Candidate;
  /** Why it stays; none when it may go. */
  reasons: string[];
  /** Why it may go. */
  removal: string;
}

type BucketOf = (rule: KeepRule, at: Date) => string;

function decideGroup(
  group: readonly Candidate[],
  policy: Policy,
  now: Date,
  bucketOf: BucketOf,
): Verdict[] {
  const newestFirst = [...group].sort(
    (a, b) => b.createdAt.localeCompare(a.createdAt) || sequenceOf(b.path) - sequenceOf(a.path),
  );
  const verdicts = newestFirst.map((backup): Verdict => ({
    backup,
    reasons: [],
    removal: 'no rule keeps it',
  }));
  const usable = verdicts.filter(({ backup }) => backup.verified !== 'damaged');
  protect(verdicts, usable, now);
  const hasRules = keepRules.some((rule) => policy[rule] !== undefined);
  if (!hasRules) for (const { reasons } of verdicts) reasons.push('no rule says otherwise');
  for (const rule of keepRules) applyRule(rule, policy[rule], usable, bucketOf);
  for (const verdict of verdicts)
    if (verdict.backup.verified === 'damaged') verdict.removal = 'damaged';
  if (policy.maxTotalSize !== undefined) limitTotal(verdicts, policy.maxTotalSize);
  return verdicts;
}

const protections = {
  foreign: 'not made by SQLite Backup',
  pinned: 'pinned',
  newestGood: 'the newest good one',
  future: 'dated in the future',
  suspect: 'newer than the newest good one',
} as const;
const isProtection = new Set<string>(Object.values(protections));

function protect(verdicts: Verdict[], usable: Verdict[], now: Date): void {
  const newestGood = usable.find(({ backup }) => backup.verified === 'ok') ?? usable[0];
  newestGood?.reasons.push(protections.newestGood);
  const goodSince = newestGood === undefined ? -1 : verdicts.indexOf(newestGood);
  for (const [index, { backup, reasons }] of verdicts.entries()) {
    if (backup.foreign) reasons.push(protections.foreign);
    if (backup.pinned) reasons.push(protections.pinned);
    if (Date.parse(backup.createdAt) > now.getTime()) reasons.push(protections.future);
    // Until there is a good one after it, a damaged copy may be all there is of its time.
    const isUnreplaced = goodSince === -1 || index < goodSince;
    if (backup.verified === 'damaged' && isUnreplaced) reasons.push(protections.suspect);
  }
}

const ruleWords: Readonly<Record<KeepRule, string>> = {
  keepLast: 'last',
  keepHourly: 'hourly',
  keepDaily: 'daily',
  keepWeekly: 'weekly',
  keepMonthly: 'monthly',
  keepYearly: 'yearly',
};

/** Keeps the newest backup of each of the `most` newest hours, days … that have one. */
function applyRule(
  rule: KeepRule,
  most: number | undefined,
  usable: Verdict[],
  bucketOf: BucketOf,
): void {
  if (most === undefined) return;
  const seen = new Set<string>();
  for (const { backup, reasons } of usable) {
    const bucket = rule === 'keepLast' ? backup.path : bucketOf(rule, new Date(backup.createdAt));
    if (seen.has(bucket)) continue;
    if (seen.size >= most) return;
    seen.add(bucket);
    reasons.push(`${ruleWords[rule]} ${seen.size} of ${most}`);
  }
}

/** Lets the oldest go until the rest fits; what is protected stays even then. */
function limitTotal(verdicts: Verdict[], most: number): void {
  let total = verdicts.reduce(
    (sum, { backup, reasons }) => sum + (reasons.length > 0 ? backup.sizeBytes : 0),
    0,
  );
  for (const verdict of verdicts.toReversed()) {
    if (total <= most) return;
    const isKept = verdict.reasons.length > 0;
    if (!isKept || verdict.reasons.some((reason) => isProtection.has(reason))) continue;
    verdict.reasons = [];
    verdict.removal = 'over the total size';
    total -= verdict.backup.sizeBytes;
  }
}

function bucketsIn(timeZone: string | undefined): BucketOf {
  const format = new Intl.DateTimeFormat('en-CA-u-ca-iso8601', {
    ...(timeZone !== undefined && { timeZone }),
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    hourCycle: 'h23',
  });
  return (rule, at) => {
    const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]));
    const [year, month, day, hour] = (['year', 'month', 'day', 'hour'] as const).map((part) =>
      parts.get(part),
    );
    switch (rule) {
      case 'keepLast':
        return at.toISOString();
      case 'keepHourly':
        // Twice in the hour that daylight saving repeats: then the instant's own hour tells them apart.
        return `${year}-${month}-${day} ${hour} ${Math.floor(at.getTime() / 3_600_000)}`;
      case 'keepDaily':
        return `${year}-${month}-${day}`;
      case 'keepWeekly':
        return isoWeek(Number(year), Number(month), Number(day));
      case 'keepMonthly':
        return `${year}-${month}`;
      case 'keepYearly':
        return `${year}`;
    }
  };
}

/** The ISO 8601 week: it belongs to the year that its Thursday is in. */
function isoWeek(year: number, month: number, day: number): string {
  const date = new Date(Date.UTC(year, month - 1, day));
  date.setUTCDate(date.getUTCDate() + 4 - (date.getUTCDay() || 7));
  const firstOfYear = Date.UTC(date.getUTCFullYear(), 0, 1);
  return `${date.getUTCFullYear()}-W${Math.ceil(((date.getTime() - firstOfYear) / 86_400_000 + 1) / 7)}`;
}
