/*
 * The blocks for a POSIX shell. Each is one command, `env NAME=… sh -c …`, so that it can be pasted whole into bash, dash,
 * ksh, zsh or fish: it never ends the shell that it is pasted into, and its comments, `$` and line breaks mean nothing
 * there. The script is in RUN, because it also runs inside sqlite3, while that holds the exclusive lock. It has no single
 * quote, no double backslash (fish reads them) and no exclamation mark (old shells replace it, even in quotes).
 */
import {
  type Block,
  type Blocks,
  encodeForShell,
  type HandNames,
  mostTables,
  quotedIdentifier,
} from './handCommands.ts';
import { scripts } from './posixScripts.ts';

type Facts = Record<string, string | number>;

/** `unzip` reads names as patterns, and a leading dash as an option. */
const memberPattern = (member: string): string =>
  member.replace(/[*?[\]\\]/g, '\\$&').replace(/^-/, '[-]');

/** The name of a zip is a pattern only when it looks like one; a backslash alone does not take that away from it. */
const zipPattern = (zip: string): string =>
  /[*?[]/.test(zip)
    ? zip.replace(/[^/]*$/, (name) => name.replace(/\\/g, '\\\\').replace(/[*?[]/g, '[$&]'))
    : zip;

const yesOrNo = (is: boolean): string => (is ? 'yes' : 'no');

const backupFacts = ({ backup, member, sha256, verdict }: HandNames): Facts => ({
  BACKUP: backup,
  ZIP: member === undefined ? '' : zipPattern(backup),
  MEMBER: member === undefined ? '' : memberPattern(member),
  SHA256: sha256 ?? '',
  VERDICT: verdict,
});

const liveFacts = ({ live, liveExists, setAside }: HandNames): Facts => ({
  LIVE: live,
  KEPT: setAside,
  HAD: yesOrNo(liveExists),
});

const rightsFacts = ({ permissions }: HandNames): Facts =>
  permissions === undefined
    ? { OWNER: '', MODE: '' }
    : {
        OWNER: `${permissions.uid}:${permissions.gid}`,
        MODE: permissions.mode.toString(8),
      };

const tableFacts = ({ tables }: HandNames): Facts =>
  Object.fromEntries(
    [
      ...tables
        .slice(0, mostTables)
        .map(({ name, rows }) => `${rows ?? '?'} ${quotedIdentifier(name)}`),
      '',
    ].map((text, index) => [`TABLE_${index + 1}_OF`, text]),
  );

/** Makes sqlite3 run RUN in a shell of its own. A blank would make it quote the command anew, so there is a tab. */
const hold = String.raw`HOLD=.shell "eval\t\"$RUN\""`;

function block(
  script: string,
  factsOf: (names: HandNames) => Facts,
  { takesLock = false } = {},
): Block {
  return (all) => {
    const facts = all.flatMap((names, index) =>
      Object.entries(factsOf(names)).map(
        ([name, value]) => `${name}_${index + 1}=${encodeForShell(String(value))}`,
      ),
    );
    const items = `ITEMS=${all.map((_names, index) => index + 1).join(' ')}`;
    const words = [...facts, items, ...(takesLock ? ['HELD=', hold] : []), `RUN=\n${script}`];
    return [
      'env \\',
      ...words.map((word) => `  '${word}' \\`),
      `  sh -c 'eval "$RUN"' </dev/null`,
    ].join('\n');
  };
}

export const posixBlocks: Blocks = {
  check: block(scripts.check, backupFacts),
  stop: block(scripts.stop, liveFacts),
  move: block(scripts.move, liveFacts),
  copy: block(
    scripts.copy,
    (names) => ({
      ...backupFacts(names),
      ...liveFacts(names),
      WAL: yesOrNo(names.isWal),
      ...rightsFacts(names),
    }),
    { takesLock: true },
  ),
  verify: block(scripts.verify, (names) => ({ ...liveFacts(names), ...tableFacts(names) })),
  undo: block(
    scripts.undo,
    (names) => ({
      ...liveFacts(names),
      READABLE: yesOrNo(names.isReadable),
      ...rightsFacts(names),
    }),
    { takesLock: true },
  ),
  remove: block(scripts.remove, liveFacts),
};
