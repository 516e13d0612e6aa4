import type { Host } from '../host.ts';
import type { Progress } from '../protocol.ts';
import type { Busy } from '../restoration.ts';

export function progressOf({ text, progress }: Busy, { t }: Host): Progress {
  if (progress === undefined || progress.totalBytes === 0) return { done: 0, total: 0, text };
  const { doneBytes: done, totalBytes: total } = progress;
  return { done, total, text: t('{0} {1} %', text, Math.floor((done / total) * 100)) };
}
