import { cancelled, toPlainError } from '../core/errors.ts';
import { requireDriver } from '../core/sqlite/driver.ts';
import { captureWith, captureWithKept } from './captureProcess.ts';
import { digestBeside } from './digestThread.ts';
import { handle } from './handlers.ts';
import { keepOutWith } from './lockProcess.ts';
import { type FromWorker, type Method, parseToWorker } from './protocol.ts';
import { isResident, serveResident } from './resident.ts';
import { throttleProgress } from './throttle.ts';
import { isForCaptures, isWarmWorker } from './warmWorker.ts';

const send = (message: FromWorker): Promise<void> =>
  new Promise((resolve, reject) => {
    process.send?.(message, (error: Error | null) => (error === null ? resolve() : reject(error)));
  });

const entry = process.argv[1] ?? '';
const kept = isForCaptures() ? captureWithKept(entry) : undefined;
const soon = keepOutWith(entry);

let answerReady: (mayPublish: boolean) => void = () => undefined;

async function serve(method: Method, params: unknown): Promise<void> {
  const answered = new Promise<boolean>((resolve) => (answerReady = resolve));
  const hooks = {
    onProgress: throttleProgress((progress) => void send({ progress }).catch(() => undefined)),
    onNote: (note: string) => void send({ note }).catch(() => undefined),
    beforePublish: async () => {
      await send({ ready: true });
      if (!(await answered)) throw cancelled();
    },
    digestBeside,
    capturing: kept ?? captureWith(entry),
    keepOut: soon.keepOut,
    onKeepOutSoon: soon.warm,
  };
  try {
    // Doctor says it in its own words.
    if (method !== 'examine') requireDriver();
    await send({ ok: await handle(method, params, hooks) });
  } catch (error) {
    await send({ error: toPlainError(error) });
  } finally {
    if (!isWarmWorker()) process.exit(0);
    // Where a test suite puts a baseline back, the next time is likely to come.
    if (method === 'restoreBaseline') soon.warm();
    else soon.end();
  }
}

function listen(): void {
  // The face is gone, so the result is not wanted any more. What is half-made lies in a private folder.
  process.on('disconnect', () => process.exit(1));
  process.on('message', (raw) => {
    const message = parseToWorker(raw);
    if (message === undefined) return;
    if ('publish' in message) answerReady(message.publish);
    else void serve(message.call.method, message.call.params);
  });
}

if (isResident()) serveResident(entry);
else {
  kept?.warm();
  listen();
}
