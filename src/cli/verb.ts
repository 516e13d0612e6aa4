import { parseArgs, type ParseArgsConfig } from 'node:util';
import type { PlainError } from '../core/errors.ts';
import type { VerdictStatus } from '../core/manifest/manifest.ts';
import type { WorkerClient } from '../worker/client.ts';

/** What a verb gets to work with; tests and main make it. */
export interface Context {
  worker: Pick<WorkerClient, 'call'>;
  /** What the worker runs, and a resident one of this version. */
  workerEntry: string;
  signal: AbortSignal;
  toolVersion: string;
  /** `print` shows nothing: what needs attention goes to `tell`. */
  isQuiet: boolean;
  /** The only thing that `--json` writes to stdout. */
  print: (text: string) => void;
  /** A line for people, on stderr. */
  tell: (text: string) => void;
  /** Replaces the current line on stderr; does nothing when that is no terminal. */
  progress: (text: string) => void;
  /** A verdict, padded to the width of a column, in colour on a terminal. */
  verdict: (status: VerdictStatus) => string;
}

export interface Verb {
  summary: string;
  usage: string;
  /** Whole lines, without the name of the program. */
  examples: readonly string[];
  /** It only answers, so `--quiet` would leave nothing. */
  isQuestion?: true;
  /** Returns the exit code. Throws UsageError for wrong arguments, BackupError for failures. */
  run(args: string[], context: Context): Promise<number>;
}

/** `unchecked`: nothing is known to be wrong, and something could not be looked at. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, unchecked: 3, interrupted: 130 } as const;

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Takes `--quiet` away from the arguments. With `--json` it changes nothing: the document is what a script waits for. */
export function takeQuiet(
  args: readonly string[],
  verb: Pick<Verb, 'isQuestion'>,
): { isQuiet: boolean; others: string[] } {
  const end = args.indexOf('--');
  const isOption = (index: number): boolean => end === -1 || index < end;
  const others = args.filter((one, index) => one !== '--quiet' || !isOption(index));
  const isQuiet = others.length < args.length;
  const asked = ['--plan', '--dry-run'].find((one) => others.includes(one));
  if (isQuiet && (verb.isQuestion === true || asked !== undefined))
    throw new UsageError('--quiet would hide the whole answer.');
  return { isQuiet: isQuiet && !others.includes('--json'), others };
}

/** Node's parser, with its complaints as usage errors. */
export function parse<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** An error for people: what happened, and below that what to do. */
export function withHint({ message, hint }: Pick<PlainError, 'message' | 'hint'>): string {
  return hint === undefined ? message : `${message}\n  ${hint}`;
}

/** An error in a `--json` document, whose shape is the same for all verbs. */
export function failureJson({ code, message, hint }: PlainError): object {
  return { code, message, hint: hint ?? '' };
}

/** The backups folder of `--to`, else of the environment. */
export function requireFolder(to: string | undefined): string {
  const folder = to ?? process.env['BACKUPS_DIR'];
  if (folder !== undefined && folder !== '') return folder;
  throw new UsageError('Name the backups folder: --to DIR, or BACKUPS_DIR in the environment.');
}

/** Timers take no more: about 25 days. */
const longestTimerMs = 2_147_483_647;

/** A positive number of seconds, as ms. */
export function seconds(option: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (Number.isFinite(number) && number > 0)
    return Math.min(Math.round(number * 1000), longestTimerMs);
  throw new UsageError(`--${option} takes a positive number of seconds, not ${value}.`);
}

const units: Readonly<Record<string, number>> = { '': 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

/** A size such as `500MB` or a number of bytes. */
export function bytes(option: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([KMGT]?B)?$/i.exec(value) ?? [];
  const factor = units[unit.toUpperCase().replace(/^B$/, '')];
  if (number !== '' && factor !== undefined && Number(number) > 0)
    return Math.round(Number(number) * factor);
  throw new UsageError(`--${option} takes a size such as 500MB, not ${value}.`);
}
