/*
 * How a face finds the resident worker and speaks with it. `resident.json` in `runtime/` of the data folder has the socket
 * and a token. Over the socket, one line of JSON is one message:
 *   face -> resident   { token }                      first; a wrong one ends the conversation
 *   face -> resident   { id, method, params }         any number of times, also before the last answer is there
 *   face -> resident   { withdraw: id }               it is no longer wanted, unless it has begun
 *   face -> resident   { withdraw: id, begun: true }  the same of a restore that has begun, until it replaces something
 *   resident -> face   { id, ok } or { id, error }    once for each that is not withdrawn
 *   resident -> face   { id, withdrawn }              the answer to the wish: false for one that has begun
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { dataFolderPath } from '../core/files/dataFolder.ts';
import { errorSchema, type Method } from './protocol.ts';

/** The calls of a worker that are short enough for the warm one. `checkpoint` answers what is unchanged by itself. */
export const residentMethods = [
  'catalogCheckpoints',
  'changesAfter',
  'checkpoint',
  'countRows',
  'findCheckpoint',
  'listCheckpoints',
  'lossesAfter',
  'restoreBaseline',
] as const satisfies Method[];
export type ResidentMethod = (typeof residentMethods)[number];

/** In the environment it makes a process of the worker's entry a resident one, that ends after so many ms without work. */
export const residentRole = 'SQLITE_BACKUP_RESIDENT';

const addressSchema = v.object({
  socket: v.string(),
  token: v.string(),
  pid: v.number(),
  /** Of the worker's entry: another version of it starts one of its own. */
  entry: v.string(),
  /** What it sees: see `world`. */
  world: v.string(),
});
export type Address = v.InferOutput<typeof addressSchema>;

/**
 * As whom a process runs, and which files and processes it sees. In a container, for another user or in a sandbox, the same
 * path may be another file, and a program that has it open may not be seen.
 */
export function world(): string {
  return [process.getuid?.() ?? '', ...['mnt', 'pid'].map(namespaceOf)].join(' ');
}

/** Linux alone has them. */
function namespaceOf(kind: string): string {
  try {
    return readlinkSync(`/proc/self/ns/${kind}`);
  } catch {
    return '';
  }
}

export function addressPath(): string {
  return join(dataFolderPath(), 'runtime', 'resident.json');
}

/** Undefined when there is none that can be understood. */
export function readAddress(): Address | undefined {
  try {
    const result = v.safeParse(addressSchema, JSON.parse(readFileSync(addressPath(), 'utf8')));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}

const requestSchema = v.object({
  id: v.number(),
  method: v.picklist(residentMethods),
  params: v.unknown(),
});
export type ResidentRequest = v.InferOutput<typeof requestSchema>;

export function parseRequest(line: string): ResidentRequest | undefined {
  return parsed(requestSchema, line);
}

const withdrawalSchema = v.object({ withdraw: v.number(), begun: v.optional(v.boolean()) });
export type Withdrawal = v.InferOutput<typeof withdrawalSchema>;

/** Of a request that is not wanted any more. */
export function parseWithdrawal(line: string): Withdrawal | undefined {
  return parsed(withdrawalSchema, line);
}

export function parseToken(line: string): string | undefined {
  return parsed(v.object({ token: v.string() }), line)?.token;
}

const answerSchema = v.object({
  id: v.number(),
  ok: v.optional(v.unknown()),
  error: v.optional(errorSchema),
  withdrawn: v.optional(v.boolean()),
});
export type ResidentAnswer = v.InferOutput<typeof answerSchema>;

export function parseAnswer(line: string): ResidentAnswer | undefined {
  return parsed(answerSchema, line);
}

function parsed<T extends v.GenericSchema>(schema: T, line: string): v.InferOutput<T> | undefined {
  try {
    const result = v.safeParse(schema, JSON.parse(line));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}

/** Calls `onLine` for each whole line. A line of more than this is no message: `onTooLong` is called once. */
export function linesOf(
  onLine: (line: string) => void,
  onTooLong: () => void,
  longest = 1_000_000,
): (text: string) => void {
  let rest = '';
  return (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
    if (rest.length > longest) {
      rest = '';
      onTooLong();
    }
  };
}
