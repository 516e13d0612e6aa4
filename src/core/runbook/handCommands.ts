/*
 * The steps of a restore as blocks for a person's own shell: what every block knows, and how a name is written in it.
 * Pure. A script never contains a name: names come in beside it, written so that no shell and no terminal reads anything
 * else in them.
 */

import type { VerdictStatus } from '../manifest/manifest.ts';

/** What is known of one database of a restore, with the names that the blocks use. */
export interface HandNames {
  backup: string;
  /** Inside a bundle. */
  member?: string;
  sha256?: string;
  /** Of the backup, when the plan was made. */
  verdict: VerdictStatus;
  live: string;
  liveExists: boolean;
  /** The live database could be read when the plan was made. */
  isReadable: boolean;
  setAside: string;
  isWal: boolean;
  permissions?: { mode: number; uid: number; gid: number };
  /** `rows` as they were counted for the backup. */
  tables: readonly { name: string; rows?: number | undefined }[];
}

/** One block does one step for all databases of the restore. */
export type Block = (all: readonly HandNames[]) => string;

export interface Blocks {
  check: Block;
  stop: Block;
  move: Block;
  copy: Block;
  verify: Block;
  /** Optional: the way back. */
  undo: Block;
  /** Optional: the end of the previous database. */
  remove: Block;
}

/** More tables than these are not counted by hand. */
export const mostTables = 200;

export const quotedIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** What could end a quoted word, act on a terminal, or hide what a name says. */
const unsafe = /[\p{C}\p{Zl}\p{Zp}'\\!`]|(?! )\p{Zs}/gu;

/** A name for `printf %b` between single quotes: the unsafe characters are octal bytes. */
export function encodeForShell(text: string): string {
  return text.replace(unsafe, (character) =>
    [...Buffer.from(character)].map((byte) => `\\0${byte.toString(8).padStart(3, '0')}`).join(''),
  );
}

/** An expression of PowerShell: single quotes, curly ones included, are doubled; what could act or hide is a number. */
export function quoteForPowerShell(text: string): string {
  const parts = text.split(/([\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs})/u).filter((part) => part !== '');
  const quoted = parts.map((part) =>
    /^(?:[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs})$/u.test(part)
      ? [...Array(part.length).keys()].map((at) => `[char]${part.charCodeAt(at)}`).join(' + ')
      : `'${part.replace(/['\u2018\u2019\u201a\u201b]/g, '$&$&')}'`,
  );
  if (quoted.length === 1 && quoted[0]?.startsWith("'")) return quoted[0];
  return `(${["''", ...quoted].join(' + ')})`;
}
