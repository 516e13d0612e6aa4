import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { isBackupError } from '../core/errors.ts';
import { verdictWords } from '../core/manifest/verdictWords.ts';
import type { DrillOutcome, Verdict } from '../core/verify/verdict.ts';
import { backupNamed, askedCheckpoints } from './checkpoint.ts';
import { type Context, exitCodes, parse, seconds, UsageError, type Verb } from './verb.ts';

/** Ample for gigabytes, and an end for a file made to keep the check busy. */
const defaultDeadlineMs = 60 * 60 * 1000;

export const verify: Verb = {
  examples: ['verify backups/*', 'verify backups/app_2026-03-01T08-00-00Z.db --drill'],
  summary: 'Check that backups are intact and hold what was backed up.',
  usage: 'verify BACKUP… [--drill] [--deadline SECONDS] [--checkpoints DIR] [--json]',
  async run(args, context) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: {
        drill: { type: 'boolean' },
        deadline: { type: 'string' },
        checkpoints: { type: 'string' },
        json: { type: 'boolean' },
      },
    });
    if (positionals.length === 0) throw new UsageError('verify takes at least one backup.');
    const deadlineMs = seconds('deadline', values.deadline) ?? defaultDeadlineMs;
    const drill = values.drill === true;
    const results: DrilledVerdict[] = [];
    for (const named of positionals.filter((one) => !isManifest(one))) {
      const path = await backupNamed(named, askedCheckpoints(values), context);
      const verdict = await verifyOne(resolve(path), { drill, deadlineMs }, context);
      results.push(verdict);
      if (!values.json) printResult(verdict, context);
    }
    if (values.json) context.print(JSON.stringify({ results: results.map(resultJson) }));
    return exitCodeOf(results);
  },
};

/** Of a path that leads to no file: there is no backup, and to try again is no use. */
const absentCodes = ['source-missing', 'bad-name', 'not-a-database'];

/** Damage is told before what could not be looked at. */
function exitCodeOf(results: readonly DrilledVerdict[]): number {
  const isBad = ({ status, findings, drill }: DrilledVerdict): boolean =>
    status === 'damaged' ||
    drill?.status === 'failed' ||
    (status === 'unchecked' && absentCodes.includes(findings[0]?.code ?? ''));
  const isUnknown = ({ status, drill }: DrilledVerdict): boolean =>
    status === 'unchecked' || drill?.status === 'unchecked';
  if (results.some(isBad)) return exitCodes.failed;
  return results.some(isUnknown) ? exitCodes.unchecked : exitCodes.ok;
}

/** `backups/*` names the manifests too, and they are looked at with the backups that they are of. */
function isManifest(path: string): boolean {
  return path.endsWith('.json') && existsSync(path.slice(0, -'.json'.length));
}

type DrilledVerdict = Verdict & { drill?: DrillOutcome };

async function verifyOne(
  path: string,
  { drill, deadlineMs }: { drill: boolean; deadlineMs: number },
  context: Context,
): Promise<DrilledVerdict> {
  try {
    return await context.worker.call(
      'verify',
      { path, drill, folder: tmpdir() },
      {
        signal: context.signal,
        deadlineMs,
        onProgress: ({ phase }) => context.progress(`${path}: ${phase}`),
      },
    );
  } catch (error) {
    // Out of time, or the check crashed: nothing is known to be wrong, and nothing is proved.
    if (!isBackupError(error) || error.code === 'cancelled') throw error;
    const findings = [{ code: error.code, message: error.message }];
    return { path, status: 'unchecked', findings };
  }
}

function printResult(verdict: DrilledVerdict, context: Context): void {
  const { path, status, findings, drill } = verdict;
  const isGood = status === 'ok' && (drill === undefined || drill.status === 'ok');
  const print = context.isQuiet && !isGood ? context.tell : context.print;
  const tell = (text: string): void => print(`           ${text}`);
  print(`${context.verdict(status)}  ${path}`);
  if (status === 'unchecked') tell('Could not be checked. Its earlier verdict stays.');
  if (verdict.outOfStep !== undefined) tell(`${capitalized(verdictWords(verdict))}.`);
  for (const { message } of findings) tell(message);
  if (drill === undefined) return;
  if (drill.status === 'ok') tell('Restore tested.');
  if (drill.status === 'failed') tell('The test restore failed:');
  // Then the reason is told already.
  if (drill.status === 'unchecked' && status === 'unchecked') return;
  if (drill.status === 'unchecked') tell('The test restore could not run:');
  for (const { message } of drill.findings) tell(message);
}

function capitalized(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function resultJson({ path, status, findings, outOfStep, drill }: DrilledVerdict): object {
  return {
    path,
    status,
    findings,
    ...(outOfStep !== undefined && { outOfStep }),
    ...(drill !== undefined && {
      drill: { status: drill.status, at: drill.at, findings: drill.findings },
    }),
  };
}
