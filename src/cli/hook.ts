import { stdin } from 'node:process';
import { type Answer, ask, context as tellAgent, nothing } from '../agents/answers.ts';
import { toPlainError } from '../core/errors.ts';
import { type HookOptions, type HookWorker, respond } from '../agents/hook.ts';
import { type HookEvent, parseHookEvent } from '../agents/hookEvent.ts';
import { checkpointsOfEditor } from '../worker/agentsRuntime.ts';
import { ResidentFirst } from '../worker/residentFirst.ts';
import { defaultBusyTimeoutMs } from './backUp.ts';
import { askedCheckpoints, takeAll } from './checkpoint.ts';
import { type Context, exitCodes, parse, type Verb } from './verb.ts';

/** Agents wait for their hooks, and go on after 20 to 30 s whatever they say. */
const answerWithinMs = 14_000;
const countWithinMs = 8_000;
const findWithinMs = 5_000;
const readWithinMs = 5_000;
const stillForMs = 500;
/** An event with more is none that has to be understood. */
const mostInputBytes = 64 * 1024 * 1024;

export const hook: Verb = {
  isQuestion: true,
  examples: ['hook < event.json'],
  summary:
    'Answer one event of a coding agent: save what a tool is about to change, and say afterwards what has changed.',
  usage: 'hook [--when-not-saved ask|continue] [--checkpoints DIR]',
  /** Whatever goes wrong: one JSON object, and exit code 0. An agent takes any other code for a reason to stop, or to go on. */
  async run(args, context) {
    const answer = await answerTo(args, context).catch((error: unknown) => {
      context.tell(`sqlite-backup hook: ${error instanceof Error ? error.message : String(error)}`);
      return nothing;
    });
    context.print(JSON.stringify(answer));
    return exitCodes.ok;
  },
};

async function answerTo(args: string[], context: Context): Promise<Answer> {
  const { values } = parse({
    args,
    allowPositionals: true,
    strict: false,
    options: { 'when-not-saved': { type: 'string' }, checkpoints: { type: 'string' } },
  });
  const { checkpoints } = values;
  const begunAt = performance.now();
  const event = parseHookEvent(await readInput());
  if (event === undefined) return nothing;
  const abort = new AbortController();
  const late = setTimeout(() => abort.abort(), answerWithinMs - (performance.now() - begunAt));
  const worker = new ResidentFirst(context.worker, { entry: context.workerEntry });
  try {
    const ofEditor = checkpointsOfEditor();
    const asked =
      askedCheckpoints(typeof checkpoints === 'string' ? { checkpoints } : {}) ??
      ofEditor.checkpoints;
    const options: HookOptions = {
      worker: workerOf(
        { ...context, worker, signal: abort.signal },
        { checkpoints: asked, largestTotalBytes: ofEditor.largestTotalBytes },
      ),
      checkpoints: asked,
      whenNotSaved: values['when-not-saved'] === 'continue' ? 'continue' : 'ask',
      now: Date.now,
    };
    try {
      return await Promise.race([respond(event, options), tooLate(event, options, abort.signal)]);
    } catch (error) {
      // Such as a data folder that cannot be written: without a word the tool would run unprotected.
      const { message } = toPlainError(error);
      context.tell(`sqlite-backup hook: ${message}`);
      return notSaved(event, options, `The databases could not be saved before this: ${message}`);
    }
  } finally {
    clearTimeout(late);
    worker.dispose();
  }
}

/** Settles only when the time is over. */
function tooLate(event: HookEvent, options: HookOptions, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => {
      resolve(notSaved(event, options, 'The databases could not be saved before this in time.'));
    });
  });
}

function notSaved(event: HookEvent, { whenNotSaved }: HookOptions, reason: string): Answer {
  if (event.name !== 'PreToolUse') return nothing;
  return whenNotSaved === 'ask' ? ask(event, reason) : tellAgent(event, reason);
}

/** To its end. A program that leaves it open is answered, too: about a whole event, else about what has come in time. */
async function readInput(): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  let seen = 0;
  const text = (): string => Buffer.concat(pieces).toString('utf8');
  const { promise, resolve } = Promise.withResolvers<void>();
  const looking = setInterval(() => {
    if (bytes > 0 && bytes === seen && parseHookEvent(text()) !== undefined) resolve();
    seen = bytes;
  }, stillForMs);
  const late = setTimeout(resolve, readWithinMs);
  stdin
    .on('data', (piece: Buffer) => {
      pieces.push(piece);
      bytes += piece.length;
      if (bytes > mostInputBytes) resolve();
    })
    .once('end', resolve)
    .once('close', resolve)
    .once('error', () => resolve());
  await promise;
  clearInterval(looking);
  clearTimeout(late);
  stdin.destroy();
  return bytes > mostInputBytes ? '' : text();
}

function workerOf(
  context: Context,
  options: { checkpoints: string | undefined; largestTotalBytes: number | undefined },
): HookWorker {
  const { worker, signal } = context;
  return {
    find: async (folder) =>
      (await worker.call('find', { folder }, { signal, deadlineMs: findWithinMs })).databases.map(
        ({ path }) => path,
      ),
    checkpoint: (databases, cause) => takeAll(databases, { cause, ...options }, context),
    changes: (checkpoint, database) =>
      worker.call(
        'changesAfter',
        { checkpoint, database, busyTimeoutMs: defaultBusyTimeoutMs },
        { signal, deadlineMs: countWithinMs },
      ),
  };
}
