import { styleText } from 'node:util';
import type { VerdictStatus } from '../core/manifest/manifest.ts';

const colours = { ok: 'green', partial: 'yellow', unchecked: 'yellow', damaged: 'red' } as const;
const width = 9;

/** A verdict as a column. It has a colour on a terminal only, and none where NO_COLOR is set. */
export function verdictOn(stream: NodeJS.WriteStream, status: VerdictStatus): string {
  const isPlain = process.env['NO_COLOR'] || process.env['TERM'] === 'dumb' || !stream.isTTY;
  const text = status.padEnd(width);
  return isPlain ? text : styleText(colours[status], text, { validateStream: false });
}
