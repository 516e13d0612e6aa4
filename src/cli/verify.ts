import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { isBackupError } from '../core/errors.ts';
import type { Drill } from '../core/manifest/manifest.ts';
import type { Verdict } from '../core/verify/verdict.ts';
import { type Context, exitCodes, parse, seconds, UsageError, type Verb } from './verb.ts';

/** Ample for gigabytes, and an end for a file made to keep the check busy. */
const defaultDeadlineMs = 60 * 60 * 1000;

export const verify: Verb = {
  summary: 'Check that backups are still what was backed up.',
  usage: 'verify BACKUP… [--drill] [--deadline SECONDS] [--json]',
  async run(args, context) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: {
        drill: { type: 'boolean' },
        deadline: { type: 'string' },
        json: { type: 'boolean' },
      },
    });
    if (positionals.length === 0) throw new UsageError('verify takes at least one backup.');
    const deadlineMs = seconds('deadline', values.deadline) ?? defaultDeadlineMs;
    const drill = values.drill === true;
    const results: DrilledVerdict[] = [];
    let failed = false;
    for (const path of positionals.filter((one) => !isManifest(one))) {
      const result = await verifyOne(resolve(path), { drill, deadlineMs }, context);
      results.push(result.verdict);
      failed ||=
        result.unfinished ||
        result.verdict.status === 'damaged' ||
        result.verdict.drill?.status === 'failed';
      if (!values.json) printResult(result.verdict, context);
    }
    if (values.json) context.print(JSON.stringify({ results: results.map(resultJson) }));
    return failed ? exitCodes.failed : exitCodes.ok;
  },
};

/** `backups/*` names the manifests too, and they are looked at with the backups that they are of. */
function isManifest(path: string): boolean {
  return path.endsWith('.json') && existsSync(path.slice(0, -'.json'.length));
}

type DrilledVerdict = Verdict & { drill?: Drill };

async function verifyOne(
  path: string,
  { drill, deadlineMs }: { drill: boolean; deadlineMs: number },
  context: Context,
): Promise<{ verdict: DrilledVerdict; unfinished: boolean }> {
  try {
    const verdict = await context.worker.call(
      'verify',
      { path, drill, folder: tmpdir() },
      {
        signal: context.signal,
        deadlineMs,
        onProgress: ({ phase }) => context.progress(`${path}: ${phase}`),
      },
    );
    return { verdict, unfinished: false };
  } catch (error) {
    // Out of time, or the check crashed: nothing is known to be wrong, and nothing is proved.
    if (!isBackupError(error) || error.code === 'cancelled') throw error;
    const findings = [{ code: error.code, message: error.message }];
    return { verdict: { path, status: 'partial', findings }, unfinished: true };
  }
}

function printResult({ path, status, findings, drill }: DrilledVerdict, { print }: Context): void {
  print(`${status.padEnd(7)}  ${path}`);
  for (const { message } of findings) print(`         ${message}`);
  if (drill?.status === 'ok') print('         Proved restorable.');
  if (drill?.status === 'failed') print('         Could not be restored for trial:');
  for (const { message } of drill?.findings ?? []) print(`         ${message}`);
}

function resultJson({ path, status, findings, drill }: DrilledVerdict): object {
  return {
    path,
    status,
    findings,
    ...(drill !== undefined && {
      drill: { status: drill.status, at: drill.at, findings: drill.findings },
    }),
  };
}
