/** Reads the JSON of an engine. What cannot be understood is told in words, with the beginning of it. */
import * as v from 'valibot';
import { trouble, type Where } from './trouble.ts';

const mostShown = 120;

/** Undefined for what is no JSON. */
export function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** Throws `not-understood` where the text is no JSON, or has another shape. */
export function answerOf<T>(text: string, schema: v.GenericSchema<unknown, T>, where: Where): T {
  const parsed = v.safeParse(schema, parseJson(text));
  if (parsed.success) return parsed.output;
  throw trouble('not-understood', where, shown(text));
}

/** One line without control characters: it is of another program, and a terminal shows it. */
export function shown(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim();
  if (line === '') return 'nothing';
  return line.length > mostShown ? `${line.slice(0, mostShown)}…` : line;
}
