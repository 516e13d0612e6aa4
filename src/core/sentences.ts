/**
 * The sentences of the core in another language. They are English wherever they are stored: in manifests, in logs, between
 * processes. A face that speaks another language finds the pattern that a sentence was made from (`{0} is damaged: {1}`),
 * and fills the translation of it with the same parts.
 */

import { BackupError, isBackupError } from './errors.ts';

interface Pattern {
  expression: RegExp;
  translation: string;
  /** The numbers of the placeholders, in the order of the English pattern. */
  numbers: string[];
  /** How many characters of it are words of its own: the pattern with the most fits best. */
  own: number;
}

const placeholder = /\{(\d+)\}/g;
/** A sentence in a sentence in a sentence; no real one is deeper. */
const mostLevels = 4;

export type Translate = (sentence: string) => string;

/** @param bundle Patterns in English and in the other language, as in `l10n/bundle.l10n.de.json`. */
export function translatorOf(bundle: Readonly<Record<string, string>>): Translate {
  // A translation that leaves a part out would hide which file an error is about: English says it all.
  const usable = Object.entries(bundle).filter(
    ([english, translation]) => partsOf(english) === partsOf(translation),
  );
  const whole = new Map(usable);
  const patterns = usable
    .filter(([english]) => english.search(placeholder) >= 0)
    .map(([english, translation]) => patternOf(english, translation))
    .filter(({ own }) => own >= 6)
    .sort((a, b) => b.own - a.own);

  const translate = (sentence: string, level: number): string => {
    const known = whole.get(sentence);
    if (known !== undefined) return known;
    if (level > mostLevels) return sentence;
    for (const { expression, translation, numbers } of patterns) {
      const [, ...found] = expression.exec(sentence) ?? [];
      if (found.length === 0) continue;
      const parts = new Map(numbers.map((number, at) => [number, found[at] ?? '']));
      return translation.replace(placeholder, (text, number: string) => {
        const part = parts.get(number);
        return part === undefined ? text : translate(part, level + 1);
      });
    }
    return sentence;
  };
  return (sentence) => translate(sentence, 0);
}

/** The placeholders of a sentence, each once, in an order that languages do not change. */
function partsOf(text: string): string {
  return [...new Set(text.match(placeholder))].sort().join();
}

function patternOf(english: string, translation: string): Pattern {
  const numbers = [...english.matchAll(placeholder)].map(([, number = '']) => number);
  const literals = english.split(/\{\d+\}/);
  const escaped = literals.map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return {
    expression: new RegExp(`^${escaped.join('(.*?)')}$`, 's'),
    translation,
    numbers,
    own: literals.join('').replace(/[^\p{L}]/gu, '').length,
  };
}

/** Where an answer of the worker has sentences; everything else in it is data. */
const saysSomething = new Set([
  ...['message', 'hint', 'reason', 'reasons', 'words', 'text', 'detail', 'advice', 'problem'],
  ...['problems', 'remark', 'remarks', 'notes'],
]);

/** The same answer with its sentences in the other language. */
export function translateAnswer<T>(answer: T, translate: Translate): T {
  const visit = (value: unknown, says: boolean): unknown => {
    if (typeof value === 'string') return says ? translate(value) : value;
    if (Array.isArray(value)) return value.map((one) => visit(one, says));
    if (typeof value !== 'object' || value === null) return value;
    if (Object.getPrototypeOf(value) !== Object.prototype) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [key, visit(one, saysSomething.has(key))]),
    );
  };
  return visit(answer, false) as T;
}

/** The same error with its sentences in the other language. */
export function translateError(error: unknown, translate: Translate): unknown {
  if (!isBackupError(error)) return error;
  return new BackupError(error.code, translate(error.message), {
    ...error,
    ...(error.hint !== undefined && { hint: translate(error.hint) }),
    cause: error.cause,
  });
}
