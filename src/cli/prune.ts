import { resolve } from 'node:path';
import { type Decision, keepRules, type Policy } from '../core/catalog/retention.ts';
import { formatBytes } from '../core/units.ts';
import { bytes, exitCodes, parse, requireFolder, UsageError, type Verb } from './verb.ts';

/** `keepLast` as an option: `keep-last`. */
const optionOf = (rule: string): string =>
  rule.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The rules of what to keep as options of a command. */
export const keepOptions: Readonly<Record<string, { type: 'string' }>> = Object.fromEntries(
  keepRules.map((rule) => [optionOf(rule), { type: 'string' as const }]),
);
export const keepUsage = keepRules.map((rule) => `[--${optionOf(rule)} N]`).join(' ');

export const prune: Verb = {
  examples: [
    'prune --to backups --keep-last 7 --keep-daily 30 --dry-run',
    'prune --to backups --keep-last 7 --keep-daily 30',
  ],
  summary:
    'Remove the backups that no rule keeps. Pinned backups and the newest good backup of each database always stay.',
  usage: `prune --to DIR ${keepUsage}
          [--max-total-size SIZE] [--dry-run] [--json]`,
  async run(args, { worker, signal, print, tell }) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: {
        to: { type: 'string' },
        'dry-run': { type: 'boolean' },
        'max-total-size': { type: 'string' },
        json: { type: 'boolean' },
        ...keepOptions,
      },
    });
    if (positionals.length > 0)
      throw new UsageError('prune takes no arguments except its options.');
    const folder = resolve(requireFolder(values.to));
    const policy = policyOf(values);
    const plan = await worker.call('planPruning', { folder, policy }, { signal });
    const paths = plan.remove.map(({ path }) => path);
    const { removed, failures } =
      values['dry-run'] === true || paths.length === 0
        ? { removed: [], failures: [] }
        : await worker.call('remove', { folder, paths }, { signal });
    if (values.json) {
      const short = ({ path, reasons }: Decision): object => ({ path, reasons });
      print(
        JSON.stringify({ keep: plan.keep.map(short), remove: plan.remove.map(short), removed }),
      );
    } else {
      for (const { path, reasons } of plan.keep) print(`keep    ${path}  (${reasons.join('; ')})`);
      for (const { path, reasons } of plan.remove)
        print(`remove  ${path}  (${reasons.join('; ')})`);
      const freed = plan.remove.reduce((sum, one) => sum + one.sizeBytes, 0);
      const verb = values['dry-run'] === true ? 'Would remove' : 'Removed';
      const count = values['dry-run'] === true ? paths.length : removed.length;
      print(`${verb} ${count} backups (${formatBytes(freed)}), kept ${plan.keep.length}.`);
    }
    for (const { message } of failures) tell(message);
    return failures.length === 0 ? exitCodes.ok : exitCodes.failed;
  },
};

export function policyOf(values: Readonly<Record<string, unknown>>): Policy {
  const policy: Policy = {};
  for (const rule of keepRules) {
    const value = values[optionOf(rule)];
    if (value === undefined) continue;
    const count = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : 0;
    if (count < 1) throw new UsageError(`--${optionOf(rule)} takes a whole number of at least 1.`);
    policy[rule] = count;
  }
  const size = values['max-total-size'];
  const maxTotalSize = bytes('max-total-size', typeof size === 'string' ? size : undefined);
  if (maxTotalSize !== undefined) policy.maxTotalSize = maxTotalSize;
  if (Object.keys(policy).length === 0)
    throw new UsageError('Name at least one rule of what to keep.');
  return policy;
}
