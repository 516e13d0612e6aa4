/** Disks that hang, such as a network folder whose server is gone: what asks them waits until they go on, or for ever. */
import { opendir } from 'node:fs/promises';
import { BackupError } from '../errors.ts';

/** A folder that does not answer for so long is on a disk that hangs. */
export const hangsAfterMs = 5000;

interface Question {
  at: number;
  answer: Promise<true>;
}

/** Each holds one of the few threads of this process until it is answered, so no folder is asked twice. */
const open = new Map<string, Question>();

/** False when the disk of a folder, which need not exist, hangs. It is asked beside this thread, which never waits. */
export async function answers(folder: string): Promise<boolean> {
  const { at, answer } = open.get(folder) ?? ask(folder);
  const leftMs = Math.max(0, at + hangsAfterMs - performance.now());
  return (await within(leftMs, answer)) === true;
}

/** Resolves when a folder that did not answer does so; undefined when nothing is waited for. */
export function laterAnswer(folder: string): Promise<true> | undefined {
  return open.get(folder)?.answer;
}

function ask(folder: string): Question {
  const settled = (): true => open.delete(folder) || true;
  const answer = opendir(folder).then(
    async (directory) => {
      await directory.close();
      return settled();
    },
    () => settled(),
  );
  const question = { at: performance.now(), answer };
  open.set(folder, question);
  return question;
}

/** Undefined when it takes longer. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(resolve, ms, undefined)));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function hangs(folder: string): BackupError {
  return new BackupError(
    'deadline',
    `The disk of ${folder} does not answer. Nothing was changed.`,
    {
      path: folder,
      hint: 'Check its connection, then try again.',
      facts: { deadlineMs: hangsAfterMs },
    },
  );
}
