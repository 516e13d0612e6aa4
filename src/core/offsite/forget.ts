/** Which copies of a restic repository may go, by restic's own plan, and why. Only a person lets them go. */
import { listBackups } from '../catalog/catalog.ts';
import { heldIn } from '../catalog/keeping.ts';
import {
  type KeepRule,
  keepRules,
  type Policy,
  requirePolicy,
  ruleWords,
} from '../catalog/retention.ts';
import { BackupError, toPlainError } from '../errors.ts';
import type { Receipt } from '../manifest/manifest.ts';
import { type Destination, placeOf, stateOf } from './destination.ts';
import { isFuture } from './due.ts';
import type { Driver, Remote } from './driver.ts';
import { type Access, openPlace, withPlaceLocked } from './place.ts';
import {
  databaseOf,
  dropReceipt,
  isSameCopy,
  isSameDatabase,
  receiptOf,
  recordReceipt,
} from './receipts.ts';
import { trouble } from './trouble.ts';

export interface CopyDecision {
  id: string;
  name: string;
  createdAt: string;
  sizeBytes: number;
  reasons: string[];
}

export interface ForgetPlan {
  keep: CopyDecision[];
  remove: CopyDecision[];
}

/**
 * Asks restic what the rules would let go, for each database alone, and removes nothing. Always stay: the newest copy of each
 * database, pinned backups, the last one before a loss of rows, and copies whose database or time is uncertain.
 */
export async function planForgetting({
  policy,
  ...access
}: Access & { policy: Policy }): Promise<ForgetPlan> {
  const { destination } = access;
  const rules = Object.fromEntries(
    keepRules.flatMap((rule) => (policy[rule] === undefined ? [] : [[rule, policy[rule]]])),
  ) as Policy;
  requirePolicy(rules);
  if (Object.keys(rules).length === 0)
    throw new BackupError('bad-setting', 'No rule says which copies to keep, so all stay.', {
      hint: 'Name one: --keep-last, --keep-daily, or the setting sqliteBackup.retention.',
    });
  const driver = await openPlace(access);
  const ask = driver.forgetPlan;
  if (ask === undefined) throw notWithRclone(destination.name);
  const all = await driver.list();
  const now = new Date();
  const held = new Map(stateOf(destination).folders.flatMap((folder) => [...heldIn(folder, now)]));
  const plan: ForgetPlan = { keep: [], remove: [] };
  const groups = Map.groupBy(all, ({ database }) => database);
  for (const [database, copies] of groups) {
    const ahead = copies.filter(({ createdAt }) => isFuture(createdAt, now.getTime()));
    const matches = database === undefined ? new Map() : await ask(database, plus(rules, ahead));
    const reasons = reasonsOf(copies, matches, { rules, held, ahead });
    for (const { id, name, createdAt, sizeBytes = 0 } of copies) {
      const why = database === undefined ? ['its database is uncertain'] : (reasons.get(id) ?? []);
      const decision = { id, name, createdAt, sizeBytes };
      if (why.length > 0) plan.keep.push({ ...decision, reasons: why });
      else plan.remove.push({ ...decision, reasons: ['no rule keeps it'] });
    }
  }
  return plan;
}

/** What is dated in the future, because a clock was ahead, takes the place of no other: restic counts it, so it keeps more. */
function plus(rules: Policy, ahead: readonly Remote[]): Policy {
  return Object.fromEntries(
    Object.entries(rules).map(([rule, most]) => [rule, most + ahead.length]),
  );
}

/** `matches` has the words of restic for each copy, as "daily snapshot"; a copy without one would go. */
function reasonsOf(
  copies: readonly Remote[],
  matches: ReadonlyMap<string, readonly string[]>,
  {
    rules,
    held,
    ahead,
  }: {
    rules: Policy;
    held: ReadonlyMap<string, string>;
    ahead: readonly Remote[];
  },
): Map<string, string[]> {
  const counts = new Map<KeepRule, number>();
  const newest = copies.find((one) => !ahead.includes(one));
  const holdOf = ({ sha256 }: Remote): string[] => {
    const hold = held.get(sha256);
    return hold === undefined ? [] : [hold];
  };
  return new Map(
    copies.map((copy): [string, string[]] => {
      if (ahead.includes(copy)) return [copy.id, ['dated in the future', ...holdOf(copy)]];
      const reasons = (matches.get(copy.id) ?? ['restic does not list it for removal']).flatMap(
        (words) => {
          const rule = keepRules.find((one) =>
            words.includes(one.slice('keep'.length).toLowerCase()),
          );
          if (rule === undefined) return words;
          const n = (counts.get(rule) ?? 0) + 1;
          counts.set(rule, n);
          const most = rules[rule] ?? n;
          return n > most ? [] : ruleWords[rule](n, most);
        },
      );
      if (copy === newest) reasons.unshift('newest copy');
      return [copy.id, [...holdOf(copy), ...reasons]];
    }),
  );
}

/**
 * Removes exactly these, which a person has seen in a plan, and frees their space. Refuses when a database would be left
 * without a copy, because the plan may be old. Backups remember that their copy was removed, so that it is not sent again.
 */
export async function forgetOffsite({
  ids,
  ...access
}: Access & { ids: string[] }): Promise<{ removed: string[] }> {
  const { destination } = access;
  return withPlaceLocked(access, async (open) => {
    const driver = await open();
    if (driver.forget === undefined) throw notWithRclone(destination.name);
    const there = await driver.list();
    const going = new Set(ids);
    const gone = ids.find((id) => there.every((one) => one.id !== id));
    const { name, engine } = destination;
    if (gone !== undefined) throw trouble('not-there', { name, engine }, gone.slice(0, 8));
    requireOneLeft(there, going, name);
    if (ids.length === 0) return { removed: [] };
    const copies = there.filter(({ id }) => going.has(id));
    const receipts = receiptsOf(copies, destination);
    // Whatever ends this run from here on, no receipt says of a removed copy that it is proved.
    for (const { path, receipt } of receipts)
      recordReceipt(path, { ...receipt, provedAt: undefined });
    try {
      await driver.forget(ids);
    } catch (error) {
      const left = await leftOf(driver);
      if (left === undefined) throw error;
      recordRemoved(receipts, left);
      if (ids.every((id) => left.has(id))) throw error;
      const { message, facts } = toPlainError(error);
      throw new BackupError(
        'offsite',
        `Copies were removed from ${name} before this happened: ${message}`,
        {
          hint: 'Run `restic prune` to free their space.',
          facts: facts ?? {},
          cause: error,
        },
      );
    }
    recordRemoved(receipts, new Set());
    return { removed: ids };
  });
}

interface OfCopy {
  path: string;
  receipt: Receipt;
  copy: Remote;
  /** The copy is of the same database as the backup. */
  isOwn: boolean;
}

function receiptsOf(copies: readonly Remote[], destination: Destination): OfCopy[] {
  const place = placeOf(destination);
  return stateOf(destination)
    .folders.flatMap((folder) => listBackups(folder))
    .flatMap((entry) => {
      const { path, kept } = entry;
      const receipt = kept === undefined ? undefined : receiptOf(kept, place);
      const copy = copies.find(({ id }) => receipt !== undefined && isSameCopy(receipt.id, id));
      if (kept === undefined || receipt === undefined || copy === undefined) return [];
      return [{ path, receipt, copy, isOwn: isSameDatabase(databaseOf(entry), copy.database) }];
    });
}

/** Undefined when the place does not say it. */
async function leftOf(driver: Driver): Promise<Set<string> | undefined> {
  try {
    return new Set((await driver.list()).map(({ id }) => id));
  } catch {
    return undefined;
  }
}

function recordRemoved(receipts: readonly OfCopy[], left: ReadonlySet<string>): void {
  const removedAt = new Date().toISOString();
  for (const { path, receipt, copy, isOwn } of receipts) {
    if (left.has(copy.id)) recordReceipt(path, receipt);
    else if (isOwn) recordReceipt(path, { ...receipt, provedAt: undefined, removedAt });
    // Its own database has no copy of it now: it is sent again.
    else dropReceipt(path, receipt.place);
  }
}

function requireOneLeft(there: readonly Remote[], going: ReadonlySet<string>, name: string): void {
  for (const [database, copies] of Map.groupBy(there, (one) => one.database)) {
    if (database !== undefined && copies.some(({ id }) => !going.has(id))) continue;
    const last = copies.find(({ id }) => going.has(id));
    if (last === undefined) continue;
    throw new BackupError(
      'offsite',
      `${last.name} may be the last copy of its database in ${name}. Nothing was removed.`,
      {
        hint: 'The copies may have changed since they were listed. List them again.',
        facts: { reason: 'last-copy' },
      },
    );
  }
}

function notWithRclone(name: string): BackupError {
  return new BackupError('offsite', `${name} uses rclone, which has no rules for what to keep.`, {
    hint: 'Remove old copies there by hand with rclone delete: each file and its .json.',
    facts: { reason: 'no-rules' },
  });
}
