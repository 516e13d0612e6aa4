/** Which backups may go. Pure: decides, with reasons, and removes nothing. */
import { BackupError } from '../errors.ts';
import { inLineage } from '../manifest/lineage.ts';
import type { VerdictStatus } from '../manifest/manifest.ts';
import { isSuspectName } from '../manifest/names.ts';
import { type Candidate, isAhead } from './candidate.ts';
import { protectedByLoss } from './protection.ts';

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

/** The group of the bundles of one name with the same databases; undefined when one of these is not known for certain. */
export function groupOfBundle(
  { name = '', workspace = '' }: { name?: string | undefined; workspace?: string | undefined },
  databases: readonly { id?: string | undefined }[],
): string | undefined {
  const ids = databases.map(({ id }) => id);
  if (ids.length === 0 || ids.includes(undefined)) return undefined;
  return ['bundle', workspace, name, ...ids.sort()].join('\0');
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
 * Decides for each backup whether it stays. Always stay: files of others, pinned backups, those whose database is not
 * known for certain, the newest good one of each database, the last one before a loss of rows or before what cannot be read
 * now, and what is dated after `now`, which takes the place of no other. No good one goes while a damaged one stays. `timeZone` says what a day is (IANA name; the system's by default).
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
  const reasonsOfLoss = protectedByLoss(backups, now);
  const groups = Map.groupBy(backups, ({ group, foreign, path }) =>
    foreign || group === undefined ? `alone ${path}` : `own ${group}`,
  );
  for (const group of groups.values()) {
    const context = { policy, now, bucketOf, reasonsOfLoss };
    for (const { backup, reasons, removal } of decideGroup(group, context)) {
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
  /** Whether it stays whatever the rules say. */
  isProtected: boolean;
  /** Why it may go. */
  removal: string;
}

type BucketOf = (rule: KeepRule, at: Date) => string;

interface Context {
  policy: Policy;
  now: Date;
  bucketOf: BucketOf;
  reasonsOfLoss: ReadonlyMap<Candidate, string>;
}

function decideGroup(
  group: readonly Candidate[],
  { policy, now, bucketOf, reasonsOfLoss }: Context,
): Verdict[] {
  const verdicts = inLineage(group).map((backup): Verdict => {
    const isDamaged = backup.verified === 'damaged';
    const removal = isDamaged ? 'damaged' : 'no rule keeps it';
    return { backup, reasons: [], isProtected: false, removal };
  });
  for (const verdict of verdicts) protectAlone(verdict);
  // What is dated in the future protects itself, and for all others it is as if it were not there.
  const [ahead, past] = split(verdicts, ({ backup }) => isAhead(backup, now));
  for (const verdict of ahead) protect(verdict, 'dated in the future');
  const [damaged, usable] = split(past, ({ backup }) => backup.verified === 'damaged');
  protectTrusted(usable);
  for (const verdict of usable) {
    const reason = reasonsOfLoss.get(verdict.backup);
    if (reason !== undefined) protect(verdict, reason);
  }
  keepUnreplaced(damaged, past.slice(0, usable[0] && past.indexOf(usable[0])));
  const hasRules = keepRules.some((rule) => policy[rule] !== undefined);
  if (!hasRules) for (const { reasons } of past) reasons.push('no rule is set');
  for (const rule of keepRules) applyRule(rule, policy[rule], usable, bucketOf);
  limitDamaged({ damaged, usable }, policy.maxTotalSize);
  if (damaged.some(({ reasons, backup }) => reasons.length > 0 && !backup.pinned))
    for (const { reasons } of usable) reasons.push('a damaged backup is still kept');
  limitUsable({ damaged, usable }, policy.maxTotalSize);
  return verdicts;
}

function split<T>(all: readonly T[], isFirst: (one: T) => boolean): [T[], T[]] {
  return [all.filter(isFirst), all.filter((one) => !isFirst(one))];
}

function protect(verdict: Verdict, reason: string): void {
  verdict.reasons.push(reason);
  verdict.isProtected = true;
}

function protectAlone(verdict: Verdict): void {
  const { foreign, group, pinned } = verdict.backup;
  if (verdict.backup.unreadable) protect(verdict, 'cannot be read now');
  else if (foreign) protect(verdict, 'not made by SQLite Backup');
  else if (group === undefined) protect(verdict, 'its database is uncertain');
  if (pinned) protect(verdict, 'pinned');
}

const trust: Readonly<Record<VerdictStatus, number>> = {
  damaged: 0,
  unchecked: 1,
  partial: 2,
  ok: 3,
};

const newestWords: Readonly<Record<VerdictStatus, string>> = {
  ok: 'newest good backup',
  partial: 'newest backup, verified as far as possible',
  unchecked: 'newest backup, not verified',
  damaged: 'damaged',
};

/** The newest good one stays, and the newest of what could not be checked as well takes nothing from it. */
function protectTrusted(usable: readonly Verdict[]): void {
  let best = trust.damaged;
  for (const verdict of usable) {
    const { verified } = verdict.backup;
    if (trust[verified] <= best) continue;
    best = trust[verified];
    protect(verdict, newestWords[verified]);
  }
}

/**
 * A damaged copy that no usable one follows may be all there is of its time. Of the copies of a damaged database, which a
 * schedule makes again and again, the first and the newest are enough.
 */
function keepUnreplaced(damaged: readonly Verdict[], newerThanUsable: readonly Verdict[]): void {
  const unreplaced = newerThanUsable.filter((one) => damaged.includes(one));
  const suspects = unreplaced.filter(({ backup }) => isSuspectName(backup.path));
  for (const verdict of unreplaced) {
    const isBetween = suspects.slice(1, -1).includes(verdict);
    if (!isBetween) verdict.reasons.push('damaged, with no newer good backup');
  }
}

/** Why a rule keeps the `n`th of `most`. */
export const ruleWords: Readonly<Record<KeepRule, (n: number, most: number) => string>> = {
  keepLast: (n, most) => `backup ${n} of the newest ${most}`,
  keepHourly: (n, most) => `hour ${n} of the newest ${most}`,
  keepDaily: (n, most) => `day ${n} of the newest ${most}`,
  keepWeekly: (n, most) => `week ${n} of the newest ${most}`,
  keepMonthly: (n, most) => `month ${n} of the newest ${most}`,
  keepYearly: (n, most) => `year ${n} of the newest ${most}`,
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
    reasons.push(ruleWords[rule](seen.size, most));
  }
}

interface Halves {
  /** Newest first, without the future. */
  damaged: Verdict[];
  usable: Verdict[];
}

/** Damaged ones go first, the oldest before the others, but not the last that there is. */
function limitDamaged({ damaged, usable }: Halves, most: number | undefined): void {
  if (most === undefined) return;
  const keptBytes = (): number => {
    const held = damaged.some(({ reasons, backup }) => reasons.length > 0 && !backup.pinned);
    return sum([...damaged.filter(isKept), ...(held ? usable : usable.filter(isKept))]);
  };
  const leastKept = usable.length === 0 ? 1 : 0;
  for (const verdict of damaged.toReversed()) {
    if (keptBytes() <= most || damaged.filter(isKept).length <= leastKept) return;
    letGo(verdict);
  }
}

/** The oldest go until the rest fits; what is protected stays even then. */
function limitUsable({ damaged, usable }: Halves, most: number | undefined): void {
  if (most === undefined) return;
  let total = sum([...damaged, ...usable].filter(isKept));
  for (const verdict of usable.toReversed()) {
    if (total <= most) return;
    if (isKept(verdict) && letGo(verdict)) total -= verdict.backup.sizeBytes;
  }
}

function letGo(verdict: Verdict): boolean {
  if (verdict.isProtected) return false;
  verdict.reasons = [];
  verdict.removal = 'over the total size';
  return true;
}

function isKept({ reasons }: Verdict): boolean {
  return reasons.length > 0;
}

function sum(verdicts: readonly Verdict[]): number {
  return verdicts.reduce((total, { backup }) => total + backup.sizeBytes, 0);
}

type PartsOf = (at: Date) => ReadonlyMap<string, string>;
const zones = new Map<string | undefined, PartsOf>();
const mostKnownInstants = 10_000;

/** What a clock shows in a zone. Making a format takes longer than a plan, and formatting takes most of that. */
function clockIn(timeZone: string | undefined): PartsOf {
  const format = new Intl.DateTimeFormat('en-CA-u-ca-iso8601', {
    ...(timeZone !== undefined && { timeZone }),
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    hourCycle: 'h23',
    timeZoneName: 'longOffset',
  });
  const known = new Map<number, ReadonlyMap<string, string>>();
  return (at) => {
    const parts =
      known.get(at.getTime()) ??
      new Map(format.formatToParts(at).map(({ type, value }) => [type, value]));
    if (known.size >= mostKnownInstants) known.clear();
    known.set(at.getTime(), parts);
    return parts;
  };
}

function bucketsIn(timeZone: string | undefined): BucketOf {
  const partsOf = zones.get(timeZone) ?? clockIn(timeZone);
  zones.set(timeZone, partsOf);
  return (rule, at) => {
    const parts = partsOf(at);
    const [year, month, day] = (['year', 'month', 'day'] as const).map((part) => parts.get(part));
    switch (rule) {
      case 'keepLast':
        return at.toISOString();
      case 'keepHourly':
        // With the offset, the hour that comes twice when daylight saving ends is two hours.
        return `${year}-${month}-${day} ${parts.get('hour')} ${parts.get('timeZoneName')}`;
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
